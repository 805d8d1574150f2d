// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/mpi/agreement.hpp>
#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/interop/mpi/distributed_optimizer.hpp>
#include <symopt/interop/mpi/distributed_options.hpp>
#include <symopt/interop/torch/bound_tensor.hpp>
#include <symopt/interop/torch_groups.hpp>
#include <symopt/stack/numbered_names.hpp>
#include <symopt/stack/role.hpp>

#include <mpi.h>
#include <torch/types.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The stack over several processes of tensors of one scalar, as interop::detail::BoundGroups asks for it.
/// Owners are chosen before the first gradient is there. So each tensor that may get one has memory of the
/// weights' strides to be read: that of the gradient where it has these strides, and else a stand-in.
class TorchStacks {
 public:
  TorchStacks(MPI_Comm processes, DistributedOptions options)
      : floats_(processes, {}, options), doubles_(processes, {}, options) {}

  /// visit(stack) for the one that has tensors.
  ///@{
  decltype(auto) with_stack(const auto& visit) { return of(*this, visit); }
  decltype(auto) with_stack(const auto& visit) const { return of(*this, visit); }
  ///@}
  bool are_doubles() const { return doubles_.size() > 0; }
  const Communicator& processes() const { return floats_.processes(); }

  void for_each(const auto& visit) {
    visit(floats_);
    visit(doubles_);
  }
  void choose(const torch::Tensor& tensor, const std::string& name, const interop::GroupOptions& options,
              const auto& visit) {
    symopt::detail::require(tensor.device().is_cpu(), {name}, [&] {
      return "it lies on " + tensor.device().str() +
             ", and several processes step tensors in CPU memory; move the model there, or train in one "
             "process with interop::TorchOptimizer";
    });
    const bool is_double = tensor.scalar_type() == torch::kDouble;
    symopt::detail::require((is_double ? floats_.size() : doubles_.size()) == 0, {name},
                            "the optimizer has float and double tensors; make one for each");
    if (is_double) return visit(doubles_, options.double_role());
    const std::optional<Role> role = options.role();
    visit(floats_, role);
  }

  /// Forgets which gradients the last step had.
  void begin_step() {
    trained_.clear();
    has_gradient_.clear();
  }
  /// Errors: for a gradient of a tensor that required none at first.
  torch::Tensor gradient_to_bind(interop::detail::BoundTensor& bound, const torch::Tensor& gradient) {
    const bool is_first = !is_distributed();
    const bool is_frozen = is_first ? !gradient.defined() && !bound.tensor.requires_grad()
                                    : bound.gradient == nullptr && bound.gradient_strides.empty();
    symopt::detail::require(!is_frozen || !gradient.defined(), {bound.name},
                            "it has a gradient, and required none when the optimizer was made; make the "
                            "optimizer anew, and load the state of this one into it");
    if (is_frozen) return gradient;
    trained_.push_back(&bound);
    has_gradient_.push_back(gradient.defined() ? 1 : 0);
    if (is_first && (!gradient.defined() || gradient.strides() != bound.tensor.strides()))
      return bound.stand_in = torch::empty_like(bound.tensor);  // not read before a step
    if (gradient.defined() && gradient.strides().vec() == bound.gradient_strides) {
      bound.stand_in = torch::Tensor();
      return gradient;
    }
    if (is_first) return gradient;
    if (!bound.stand_in.defined())
      bound.stand_in = torch::empty_strided(bound.sizes, bound.gradient_strides, bound.tensor.options());
    return gradient.defined() ? bound.stand_in.copy_(gradient) : bound.stand_in.zero_();
  }

  /// Agrees with the other ranks that none has failed, and that each tensor has a gradient on some rank;
  /// where it has none on a rank it counts as zero there. Errors, on all ranks: that of a rank, and a tensor
  /// without a gradient on any. Collective.
  void agree(const Failure& mine) const {
    const auto missing = std::ranges::count(has_gradient_, 0);
    long long worst[] = {mine ? 1 : 0, missing};
    processes().take_largest(worst);
    if (worst[0] != 0) mine.throw_on_all(processes(), nothing_changed);
    if (worst[1] == 0) return;
    std::vector<long long> on_any = has_gradient_;
    processes().take_largest(on_any);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < on_any.size(); ++i)
      if (on_any[i] == 0) names.push_back(trained_[i]->name);
    symopt::detail::require(names.empty(), [&] {
      return "no rank has a gradient of " + symopt::detail::listed(names) + "; " + nothing_changed +
             ". Call backward() before step(), and tensors that are not trained requires_grad_(false) before "
             "the optimizer is made";
    });
  }

  static constexpr const char* nothing_changed = "nothing was changed on any rank";

 private:
  static decltype(auto) of(auto& self, const auto& visit) {
    return self.are_doubles() ? visit(self.doubles_) : visit(self.floats_);
  }
  bool is_distributed() const {
    return with_stack([](const auto& stack) { return stack.is_distributed(); });
  }

  BasicDistributedOptimizer<float> floats_;
  BasicDistributedOptimizer<double> doubles_;
  std::vector<const interop::detail::BoundTensor*> trained_;  // may get a gradient
  std::vector<long long> has_gradient_;                       // of these, on this rank: 1 or 0
};

}}}  // namespace symopt::mpi::detail
