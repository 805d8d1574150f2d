// SPDX-License-Identifier: Apache-2.0
#pragma once

/// libtorch's optimizer over the processes of a communicator. Needs MPI, libtorch, and for saving and loading
/// nlohmann-json.

#include <symopt/error.hpp>
#include <symopt/interop/mpi/agreement.hpp>
#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/interop/mpi/distributed_options.hpp>
#include <symopt/interop/mpi/distributed_plan.hpp>
#include <symopt/interop/mpi/torch_stacks.hpp>
#include <symopt/interop/torch/bound_groups.hpp>
#include <symopt/stack/clip.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#if __has_include(<nlohmann/json.hpp>)
#include <symopt/interop/mpi/state.hpp>
#include <symopt/interop/torch/archive.hpp>
#include <symopt/state/state.hpp>
#endif

#include <mpi.h>
#include <torch/optim/optimizer.h>
#include <torch/serialize/archive.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

/// A DistributedOptimizer as an optimizer of libtorch, for data-parallel trainers: every rank has the whole
/// model and the gradient of its own batch; a step averages the gradients, and each block's owner alone keeps
/// its state and steps it.
///   mpi::TorchOptimizer optimizer(MPI_COMM_WORLD, parameter_groups(model->named_parameters(), routing));
///   loop:  optimizer.zero_grad();  loss(this rank's batch).backward();  optimizer.step();
/// Groups, rates and schedulers are those of interop::TorchOptimizer. Tensors lie in CPU memory, and are all
/// float or all double; the groups hold the same ones for good. Constructor, step, save, load and clipping
/// are to be called on all ranks. What one rank refuses all refuse, with nothing changed anywhere: a closure
/// that throws, too. A tensor without a gradient on some ranks has zeros there; one that no rank has a
/// gradient of is an error, unless it required none when the optimizer was made: then it is left alone, decay
/// included. To be destroyed before MPI_Finalize.
class TorchOptimizer : public torch::optim::Optimizer {
 public:
  /// Binds all tensors of the groups, compares the ranks and chooses the owners. Cost: one read of the
  /// weights. Errors, on all ranks: std::invalid_argument for a tensor that its role cannot take, in other
  /// than CPU memory, or of another scalar than the first; those of DistributedOptimizer::distribute();
  /// MpiError.
  TorchOptimizer(MPI_Comm processes, std::vector<torch::optim::OptimizerParamGroup> groups,
                 DistributedOptions options = {})
      : torch::optim::Optimizer(std::move(groups), std::make_unique<interop::detail::NoDefaultOptions>()),
        stacks_(processes, options) {
    detail::Failure mine;
    mine.attempt([&] { groups_.update(stacks_, param_groups_); });
    mine.agree(this->processes(), "no optimizer was made");
    stacks_.with_stack([](auto& stack) { stack.distribute(); });
  }

  /// Runs the closure, if there is one, and one step of the averaged gradients; returns the closure's loss,
  /// which is of this rank's batch. Collective. Errors, on all ranks: those of DistributedOptimizer::step(),
  /// and where tensors have joined or left the groups.
  torch::Tensor step(LossClosure closure = nullptr) override {
    torch::Tensor loss;
    detail::Failure mine;
    if (closure != nullptr)
      mine.attempt([&] {
        const torch::AutoGradMode with_gradients(true);
        loss = closure();
      });
    bind_all(mine);
    stacks_.with_stack([](auto& stack) { stack.step(); });
    return loss;
  }

  /// The plan of all parameters, and of the ranks.
  DistributedPlan plan() const {
    return stacks_.with_stack([](const auto& stack) { return stack.plan(); });
  }
  /// The processes, and the time of the messages between them.
  const Communicator& processes() const {
    return stacks_.with_stack([](const auto& stack) -> const Communicator& { return stack.processes(); });
  }

#if __has_include(<nlohmann/json.hpp>)
  /// torch::save and torch::load of an optimizer. The archive of rank 0 has everything, as an
  /// interop::TorchOptimizer writes it in one process, for one process or any number of ranks to load; those
  /// of the other ranks have nothing, and are not loaded. So only rank 0 needs to write its own:
  ///   torch::serialize::OutputArchive archive;
  ///   optimizer.save(archive);                                 on all ranks
  ///   if (rank == 0) archive.save_to("optimizer.pt");
  ///   torch::load(optimizer, "optimizer.pt");                  on all ranks, each of which reads the file
  /// Both are collective. Memory: on rank 0 the states of all. Errors, on all ranks: those of mpi::save_state
  /// and mpi::load_state; after one nothing has changed.
  ///@{
  void save(torch::serialize::OutputArchive& archive) const override {
    std::string saved;
    stacks_.with_stack([&](const auto& stack) {
      detail::save_state_to(detail::OwnersState(stack, "save"), {}, "nothing was saved",
                            [&](detail::Failure& failure) { return detail::BytesOfAll(saved, failure); });
    });
    if (processes().rank() != 0) {
      interop::detail::ArchivedOptimizer::write_none(archive, processes().rank());
      return;
    }
    const torch::Tensor own = interop::detail::as_tensor(saved);
    const auto none = [](auto scalar) {
      return interop::detail::as_tensor(interop::state_bytes(BasicLayerwiseOptimizer<decltype(scalar)>()));
    };
    const bool are_doubles = stacks_.are_doubles();
    interop::detail::ArchivedOptimizer{.floats = are_doubles ? none(float{}) : own,
                                       .doubles = are_doubles ? own : none(double{}),
                                       .rates = interop::detail::ArchivedOptimizer::rates_of(param_groups_)}
        .write(archive);
  }
  void load(torch::serialize::InputArchive& archive) override {
    interop::detail::ArchivedOptimizer saved;
    stacks_.with_stack([&](auto& stack) {
      detail::load_state_from(detail::OwnersState(stack, "load"), "archive", {}, [&] {
        saved = interop::detail::ArchivedOptimizer::read(archive, param_groups_);
        const bool are_doubles = stacks_.are_doubles();
        require_none<float>(are_doubles ? saved.floats : torch::Tensor());
        require_none<double>(are_doubles ? torch::Tensor() : saved.doubles);
        const std::span<const std::byte> bytes =
            interop::detail::bytes_of(are_doubles ? saved.doubles : saved.floats);
        return std::vector<std::byte>(bytes.begin(), bytes.end());
      });
    });
    saved.set_rates(param_groups_);
  }
  ///@}
#else
  /// Not supported without nlohmann-json: throws, rather than writing a file without the momentum.
  ///@{
  void save(torch::serialize::OutputArchive&) const override {
    refuse_archive();
  }
  void load(torch::serialize::InputArchive&) override {
    refuse_archive();
  }
  ///@}
#endif

 private:
  /// \cond it is documented below
  friend ClipReport clip_by_global_norm(TorchOptimizer& optimizer, double max_norm);
  /// \endcond

#if __has_include(<nlohmann/json.hpp>)
  /// Errors: for the state of tensors of a scalar that this optimizer has none of.
  template <class Scalar>
  static void require_none(const torch::Tensor& saved) {
    if (!saved.defined()) return;
    BasicLayerwiseOptimizer<Scalar> none;
    (void)interop::load_state_bytes(none, interop::detail::bytes_of(saved), {}, "archive");
  }
#else
  [[noreturn]] static void refuse_archive() {
    throw std::logic_error(
        "symopt: TorchOptimizer is saved and loaded with nlohmann-json, which was not found by the compiler");
  }
#endif

  /// Brings the stack up to date on all ranks, unless one has failed.
  void bind_all(detail::Failure& mine) {
    const torch::NoGradGuard no_gradients;
    stacks_.begin_step();
    mine.attempt([&] {
      if (!groups_.are_those_of(param_groups_))
        throw Error(
            "tensors have joined or left the parameter groups, and the owners are those of the old ones; "
            "make "
            "a new optimizer");
      groups_.update(stacks_, param_groups_);
    });
    stacks_.agree(mine);
  }

  detail::TorchStacks stacks_;
  interop::detail::BoundGroups groups_;
};

/// Clips as clip_by_global_norm of a LayerwiseOptimizer does, by the norm of the averaged gradients, which
/// the next step then uses: to be called between backward() and that step. torch's clip_grad_norm_ would see
/// the gradient of one rank. Collective. Errors: those of TorchOptimizer::step, and std::invalid_argument
/// unless max_norm is positive.
inline ClipReport clip_by_global_norm(TorchOptimizer& optimizer, double max_norm) {
  detail::Failure mine;
  optimizer.bind_all(mine);
  return optimizer.stacks_.with_stack([&](auto& stack) { return clip_by_global_norm(stack, max_norm); });
}

}}}  // namespace symopt::mpi
