// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/pair_role.hpp>
#include <symopt/stack/role.hpp>
#include <symopt/stack/shared_scratch.hpp>
#include <symopt/stack/tensor_argument.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Makes the parameters of a stack, which share their scratch, out of the tensors that the stack is given.
template <class Scalar>
class ParameterMaker {
 public:
  using Pointer = std::unique_ptr<Parameter<Scalar>>;

  /// The parameters that are made have no memory for a state before Parameter::hold() says for which blocks.
  void leave_states_out() { holding_ = Holding::none; }

  /// A parameter without a gradient yet. Errors: Error for memory or a layout that does not fit.
  Pointer make(const std::string& name, WeightsTensors<Scalar> weights, const BasicRole<Scalar>& role,
               const StackOptions& options) {
    require_usable(name, weights);
    if (!scratch_) scratch_ = std::make_shared<SharedScratch>();
    return role.make(name, std::move(weights), options, scratch_, holding_);
  }

  /// Gives a parameter the memory that its gradient is read from; std::nullopt for none.
  template <class Gradient>
  void bind_gradient(Parameter<Scalar>& parameter, Gradient&& gradient) const {
    const auto tensor = gradient_of<Scalar>(std::forward<Gradient>(gradient));
    if (tensor) {
      require_memory(parameter.name(), "gradient", *tensor);
      require_apart("gradient", parameter.name(), parameter.tensors(), *tensor);
    }
    parameter.set_gradient(tensor);
  }

  /// Gives a parameter the memory of a copy in bfloat16 that its steps write; std::nullopt for none.
  template <class Copy>
  void bind_copy(Parameter<Scalar>& parameter, Copy&& copy, std::optional<std::uint64_t> seed) const {
    std::optional<TensorView<bfloat16>> target;
    if constexpr (!std::same_as<std::remove_cvref_t<Copy>, std::nullopt_t>) {
      target = tensor_of<bfloat16>(std::forward<Copy>(copy));
      require_memory(parameter.name(), "copy", *target);
      require(!overlaps_itself(*target), {parameter.name()}, "some elements of the copy are the same memory");
      require_apart("copy", parameter.name(), parameter.tensors(), *target);
    }
    parameter.set_copy(target, seed);
  }

  /// The parameters of a pair, those of A first.
  template <class A, class GradientA, class B, class GradientB>
  std::vector<Pointer> make_pair(const std::string& name, const BasicPairRole<Scalar>& role,
                                 const StackOptions& options, A&& a, GradientA&& gradient_a, B&& b,
                                 GradientB&& gradient_b) {
    const LinkedRoles<Scalar> roles = role.linked(tensor_count(a), tensor_count(b));
    std::vector<Pointer> made;
    make_side(name + ".a", roles.a, options, std::forward<A>(a), std::forward<GradientA>(gradient_a), made);
    make_side(name + ".b", roles.b, options, std::forward<B>(b), std::forward<GradientB>(gradient_b), made);
    return made;
  }

 private:
  template <class Weights, class Gradient>
  void make_side(const std::string& name, const std::vector<BasicRole<Scalar>>& roles,
                 const StackOptions& options, Weights&& weights, Gradient&& gradient,
                 std::vector<Pointer>& made) {
    if constexpr (SeveralTensors<Weights>) {
      require(gradient.size() == roles.size(), {name}, [&] {
        return "there are " + std::to_string(roles.size()) + " tensors and " +
               std::to_string(gradient.size()) + " gradients; give one gradient for each tensor";
      });
      for (std::size_t k = 0; k < roles.size(); ++k) {
        made.push_back(
            make(name + "." + std::to_string(k), weights_of<Scalar>(weights[k]), roles[k], options));
        bind_gradient(*made.back(), gradient[k]);
      }
    } else {
      made.push_back(make(name, weights_of<Scalar>(std::forward<Weights>(weights)), roles.front(), options));
      bind_gradient(*made.back(), std::forward<Gradient>(gradient));
    }
  }

  std::shared_ptr<ScratchPool> scratch_;  // made with the first parameter
  Holding holding_ = Holding::all;
};

}}}  // namespace symopt::detail
