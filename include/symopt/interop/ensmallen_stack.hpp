// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/ensmallen_batches.hpp>
#include <symopt/matrix.hpp>
#include <symopt/memory/layout.hpp>
#include <symopt/memory/tensor_view.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/stack/plan.hpp>
#include <symopt/stack/role.hpp>
#include <symopt/stack/stack_options.hpp>
#include <symopt/stack/state_access.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// The parameters of a network as an update policy of ensmallen's SGD: a table of blocks that lie one after
/// the other in the one column that mlpack's FFN trains, each with a name, sizes and a role.
///   using Policy = interop::EnsmallenStack;    of arma::mat; BasicEnsmallenStack<float> of arma::fmat
///   Policy policy({.batch_size = 32,
///                  .samples = samples,
///                  .blocks = {Policy::block<HiddenMatrix>("hidden", {100, 784}),
///                             Policy::block<AdamW>("hidden.bias", {100}),
///                             Policy::block<LmHead>("head", {10, 100}),
///                             Policy::block<AdamW>("head.bias", {10})}});
///   std::cout << policy.plan();
///   ens::SGD<Policy> sgd(1e-3, 32, epochs * samples, 1e-5, true, policy);
///   network.Train(predictors, responses, sgd);
/// Sizes are Armadillo's, column-major: Linear has outputs x inputs, then its biases. Batches are counted as
/// EnsmallenUpdate says, and here too the step size of SGD is the learning rate, in AdamW's units; that of
/// `options` is not used, and the rate of a role with options of its own multiplies it. The loss is the sum
/// over a batch, as of mlpack's output layers that reduce by sums. A run begins with a new policy, as it does
/// unless SGD's resetPolicy is false. Cost: that of a LayerwiseOptimizer's step; no copies.
/// Errors: those of LayerwiseOptimizer; a table of more or fewer numbers than SGD's iterate has.
template <class Scalar>
class BasicEnsmallenStack {
 public:
  /// One line of the table.
  struct Block {
    std::string name;          ///< of the parameter, in plans and errors
    std::vector<Index> sizes;  ///< as Armadillo has them, column-major; one for a vector
    BasicRole<Scalar> role;    ///< its rule, layout and options
  };

  /// The options of the policy.
  struct Settings {
    std::size_t batch_size = 0;   ///< SGD's, at least 1
    std::size_t samples = 0;      ///< the function's NumFunctions()
    std::vector<Block> blocks{};  ///< in the order in which they lie in the column
    StackOptions options{};       ///< of all blocks without their own; all but the learning rate
    /// By the batch's size: what the ensmallen at hand does, which a loop of your own may do otherwise.
    bool step_size_is_divided = detail::step_size_is_divided;
    std::size_t max_iterations = 0;  ///< SGD's, where they end within an epoch; 0 for no end
  };

  /// A line for a parameter class or a rule, with the options of all.
  template <class ClassOrRule>
  static Block block(std::string name, std::vector<Index> sizes, Layout layout = {}) {
    return {std::move(name), std::move(sizes), role<ClassOrRule, Scalar>(std::move(layout))};
  }

  /// Errors: Error for a batch size or a number of samples of 0 and for a table without blocks.
  BasicEnsmallenStack(Settings settings) : settings_(std::move(settings)) {
    detail::require_batches("EnsmallenStack", settings_.batch_size, settings_.samples);
    symopt::detail::require(!settings_.blocks.empty(), [] {
      return "EnsmallenStack: there are no blocks; name what lies in the column of parameters, in order";
    });
    settings_.options.learning_rate = 1;
  }

  /// The plan of all blocks; rates are factors on SGD's step size. Allocates as much as a run does. Errors:
  /// those of adding the blocks to a LayerwiseOptimizer.
  Plan plan() const {
    std::vector<Scalar> column(static_cast<std::size_t>(size()));
    return stack_on(column.data()).plan();
  }

  /// The policy of one run, as SGD makes it.
  template <class Iterate, class Gradient>
  class Policy {
    static_assert(
        std::same_as<typename Iterate::elem_type, Scalar>,
        "the table has roles of another scalar than SGD's iterate: EnsmallenStack is for arma::mat, "
        "BasicEnsmallenStack<float> for arma::fmat");

   public:
    /// A stack for an iterate of rows x cols numbers; SGD makes it. Errors: Error where the table has more or
    /// fewer.
    Policy(const BasicEnsmallenStack& parent, std::size_t rows, std::size_t cols) : parent_(parent) {
      parent_.require_size(static_cast<Index>(rows * cols));
    }

    /// step_size: SGD's, divided by the batch's size or not; gradient: the sum over the batch.
    void Update(Iterate& iterate, double step_size, const Gradient& gradient) {
      const double batch_size = static_cast<double>(batches_.next());
      bind(iterate.memptr(), gradient.memptr());
      for (const auto& parameter : symopt::detail::StateAccess::parameters(stack_))
        parameter->set_gradient_factor(1 / batch_size);
      stack_.set_schedule_factor(parent_.settings_.step_size_is_divided ? step_size * batch_size : step_size);
      stack_.step();
    }

   private:
    void bind(Scalar* weights, const Scalar* gradient) {
      if (weights_ == nullptr) {
        stack_ = parent_.stack_on(weights);
      } else if (weights != weights_) {
        parent_.for_each_block([&](const Block& block, Index offset) {
          stack_.set_weights(block.name, view(weights + offset, block.sizes));
        });
      }
      if (gradient != gradient_)
        parent_.for_each_block([&](const Block& block, Index offset) {
          stack_.set_gradient(block.name, view(gradient + offset, block.sizes));
        });
      weights_ = weights;
      gradient_ = gradient;
    }

    BasicEnsmallenStack parent_;  // SGD's may be gone or changed when the policy is not
    detail::BatchSizes batches_{parent_.settings_.batch_size, parent_.settings_.samples,
                                parent_.settings_.max_iterations};
    BasicLayerwiseOptimizer<Scalar> stack_;
    Scalar* weights_ = nullptr;
    const Scalar* gradient_ = nullptr;
  };

 private:
  /// Column-major without gaps.
  template <class Element>
  static TensorView<Element> view(Element* data, const std::vector<Index>& sizes) {
    std::vector<Index> strides(sizes.size(), 1);
    for (std::size_t d = 1; d < sizes.size(); ++d) strides[d] = strides[d - 1] * sizes[d - 1];
    return {data, sizes, std::move(strides)};
  }

  static Index size_of(const Block& block) {
    Index size = 1;
    for (const Index extent : block.sizes) size *= extent;
    return size;
  }

  /// use(block, number of numbers before it)
  void for_each_block(const auto& use) const {
    Index offset = 0;
    for (const Block& block : settings_.blocks) {
      use(block, offset);
      offset += size_of(block);
    }
  }
  Index size() const {
    Index size = 0;
    for (const Block& block : settings_.blocks) size += size_of(block);
    return size;
  }

  void require_size(Index numbers) const {
    symopt::detail::require(size() == numbers, [&] {
      std::string text = "EnsmallenStack: the blocks have " + std::to_string(size()) +
                         " numbers, and SGD's iterate has " + std::to_string(numbers) +
                         "; name all that lies in it, in order. There are";
      for (const Block& block : settings_.blocks)
        text += " '" + block.name + "' of " + std::to_string(size_of(block));
      return text;
    });
  }

  BasicLayerwiseOptimizer<Scalar> stack_on(Scalar* column) const {
    BasicLayerwiseOptimizer<Scalar> stack(settings_.options);
    for_each_block([&](const Block& block, Index offset) {
      stack.add(block.name, block.role, view(column + offset, block.sizes), std::nullopt);
    });
    return stack;
  }

  Settings settings_;
};

/// The table of a column of doubles, arma::mat.
using EnsmallenStack = BasicEnsmallenStack<double>;

}}}  // namespace symopt::interop
