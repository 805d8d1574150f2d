// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/agreement.hpp>
#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/interop/mpi/distributed_options.hpp>
#include <symopt/interop/mpi/distributed_plan.hpp>
#include <symopt/interop/mpi/distributed_step.hpp>
#include <symopt/interop/mpi/gradient_exchange.hpp>
#include <symopt/interop/mpi/model_facts.hpp>
#include <symopt/interop/mpi/owned_block.hpp>
#include <symopt/interop/mpi/shares.hpp>
#include <symopt/stack/clip.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

namespace detail {

struct DistributedAccess;

}  // namespace detail

/// A LayerwiseOptimizer over the processes of a communicator, for data-parallel trainers: every rank has all
/// weights and the gradient of its own batch. Each block (a matrix, a head, an expert; a pair as a whole) has
/// one owner, which alone keeps its state and steps it. So a rank has about 1/N of the state and of the work.
///   mpi::DistributedOptimizer optimizer(MPI_COMM_WORLD, {.learning_rate = 1e-3, .weight_decay = 0.1});
///   optimizer.add<LmHead>("head", head, head_gradient);      as to a LayerwiseOptimizer, alike on all ranks
///   optimizer.distribute();                                  compares the ranks, chooses the owners
///   std::cout << optimizer.plan();
///   loop:  gradients of this rank's batch;  optimizer.step();
/// A step sends each gradient to its block's owner, which averages them in the order of the ranks; then all
/// ranks agree that the averages are finite; then owners step, and send the new weights to all while they
/// step the next block. Given the same averages, weights and state have the bits of a single process, at any
/// number of ranks and threads; the average itself depends on the number of ranks as sums do.
/// All members are to be called on all ranks, in the same order and with the same arguments, but for those
/// that only read. What one rank refuses all refuse, with nothing changed anywhere. An exception of a rank
/// outside of these calls leaves the others waiting: see DistributedOptions::timeout.
/// After distribute() parameters, masks and copies are what they are; memory may still move.
/// Memory: beside the state of its blocks a rank has the averages of these, and some messages; a step
/// allocates nothing, but by MPI, and to keep what rules change that may throw, and pairs.
/// MPI_THREAD_FUNNELED is enough: MPI is called by the thread that
/// calls the members. To be destroyed before MPI_Finalize.
template <class Scalar>
class BasicDistributedOptimizer : private BasicLayerwiseOptimizer<Scalar> {
  using Base = BasicLayerwiseOptimizer<Scalar>;

 public:
  using typename Base::scalar_type;

  /// A stack over these processes, with the options of its parameters and its own. Collective. Errors:
  /// std::invalid_argument for options out of range, std::logic_error before MPI_Init, MpiError.
  explicit BasicDistributedOptimizer(MPI_Comm processes, StackOptions of_parameters = {},
                                     DistributedOptions distributed = {})
      : Base(of_parameters),
        distributed_((validate(distributed), distributed)),
        processes_(processes, distributed.timeout) {
    this->maker_.leave_states_out();
  }

  /// Members of LayerwiseOptimizer, as they are there. Parameters are added and removed before distribute().
  ///@{
  using Base::add;
  using Base::add_pair;
  using Base::contains;
  using Base::options;
  using Base::remove;
  using Base::route;
  using Base::schedule_decay;
  using Base::schedule_factor;
  using Base::schedule_momentum;
  using Base::set_learning_rate;
  using Base::set_momentum;
  using Base::set_schedule_decay;
  using Base::set_schedule_factor;
  using Base::set_schedule_momentum;
  using Base::set_weight_decay;
  using Base::set_weights;
  using Base::size;
  using Base::steps;
  ///@}
  /// Set the copy of the weights, and the rows that exist: as there, before distribute().
  ///@{
  template <class Copy>
  void set_copy(const std::string& name, Copy&& copy, std::optional<std::uint64_t> seed = std::nullopt) {
    require_distributed(false, "set_copy");
    Base::set_copy(name, std::forward<Copy>(copy), seed);
  }
  void set_row_mask(const std::string& name, RowMask mask) {
    require_distributed(false, "set_row_mask");
    Base::set_row_mask(name, std::move(mask));
  }
  ///@}
  /// Sets the memory that the gradient is read from; after distribute() of the same type and strides.
  template <class Gradient>
  void set_gradient(const std::string& name, Gradient&& gradient) {
    const auto& parameter = this->parameters_.find(name);
    if (is_distributed()) {
      const auto blocks = parameter.stored_gradient(symopt::detail::gradient_of<Scalar>(gradient));
      const std::string now = detail::storage_text(blocks);
      const std::string then = detail::storage_text(parameter.gradient());
      symopt::detail::require(now == then, {name}, [&] {
        return "the gradient was " + then + " when the blocks were distributed, and is " + now +
               "; give memory of the same kind";
      });
    }
    Base::set_gradient(name, std::forward<Gradient>(gradient));
  }

  /// Compares what the ranks have added, gives each block its owner, and takes the memory of the own blocks.
  /// To be called once, after the last parameter. Cost: one read of the weights. Errors: Error on all ranks,
  /// with the differences and their ranks, where names, shapes, layouts, masks, rules, options, storage or
  /// the weights' numbers differ. After an error everything is as before.
  void distribute() {
    require_distributed(false, "distribute");
    const char* const consequence = "the stack was not distributed; make it alike on all ranks";
    detail::Failure mine;
    detail::ModelFacts facts;
    mine.attempt([&] {
      this->parameters_.require_apart();
      facts = facts_of_model();
    });
    mine.agree(processes_, consequence);
    facts.require_alike(processes_, consequence);
    detail::Shares shares = detail::shares_of(this->parameters_.all(), processes_.size());
    mine.attempt([&] { take(shares); });
    try {
      mine.agree(processes_, consequence);
    } catch (...) {
      leave();
      throw;
    }
    this->parameters_.close(
        "the blocks have been distributed; add and remove parameters before distribute()");
    shares_ = std::move(shares.ranks);
    tell_sizes();
  }
  /// Tests whether distribute() has been.
  bool is_distributed() const { return step_.has_value(); }

  /// One step, as LayerwiseOptimizer::step(), of the averaged gradients; the report is the same on all ranks.
  /// Collective. Errors, on all ranks, with nothing changed on any: NonFiniteGradient that names parameters
  /// and ranks; Error where schedule factor or options are not alike, or with the message of a rank that
  /// has failed, which throws its own exception; MpiError, after which the communicator is of no more use.
  StackReport step() {
    require_distributed(true, "step");
    const symopt::detail::ClippingEnds<Scalar> clipping_ends{this->parameters_};
    if (!std::exchange(has_averages_, false)) step_->exchange(processes_);
    return step_->run(processes_, this->parameters_, this->inputs_, this->schedule_, this->steps_);
  }

  /// Makes the weights in float current on every rank where steps send their bfloat16 copy, or their upper
  /// half: before an evaluation in float, or before the trainer saves its weights. Collective.
  void gather_weights() {
    require_distributed(true, "gather_weights");
    step_->gather_weights(processes_);
  }

  /// The plan of all parameters, and of the ranks once the blocks are distributed.
  DistributedPlan plan() const { return {Base::plan(), shares_}; }
  /// The rank that owns a block of a parameter. Errors: std::invalid_argument for a parameter or block that
  /// is not there, and before distribute().
  int owner(const std::string& name, std::size_t block = 0) const {
    require_distributed(true, "owner");
    const auto& parameter = this->parameters_.find(name);
    symopt::detail::require(block < parameter.block_count(), {name}, [&] {
      return "there is no block " + std::to_string(block) + "; it has " +
             std::to_string(parameter.block_count());
    });
    return step_->owner(parameter, block);
  }
  /// The processes, and the messages between them.
  const Communicator& processes() const { return processes_; }

 private:
  friend detail::DistributedAccess;
  /// \cond it is documented below
  template <class S>
  friend ClipReport clip_by_global_norm(BasicDistributedOptimizer<S>& optimizer, double max_norm);
  /// \endcond

  void require_distributed(bool wanted, const char* member) const {
    symopt::detail::require(is_distributed() == wanted, [&] {
      return std::string(member) + (wanted ? " needs the blocks' owners; call distribute() on all ranks first"
                                           : " comes before distribute(), which has been called");
    });
  }

  detail::ModelFacts facts_of_model() const {
    detail::ModelFacts facts;
    facts.add("", "gradients", distributed_.gradients);
    facts.add("", "the number of steps", this->steps_);
    facts.add("", "the schedule factor", this->schedule_.factor);
    std::size_t place = 0;
    for (const auto& parameter : this->parameters_.all()) detail::add_facts(*parameter, place++, facts);
    return facts;
  }

  void take(const detail::Shares& shares) {
    for (std::size_t p = 0; p < shares.owners.size(); ++p) {
      std::vector<std::size_t> held;
      for (std::size_t b = 0; b < shares.owners[p].size(); ++b)
        if (shares.owners[p][b] == processes_.rank()) held.push_back(b);
      this->parameters_.all()[p]->hold(std::move(held));
    }
    step_.emplace(processes_, this->parameters_.all(), shares.owners, distributed_.gradients);
  }
  void leave() {
    step_.reset();
    for (const auto& parameter : this->parameters_.all()) {
      parameter->hold({});
      parameter->set_average({});
    }
  }
  void tell_sizes() {
    std::vector<double> bytes(shares_.size());
    for (const auto& parameter : this->parameters_.all())
      bytes[static_cast<std::size_t>(processes_.rank())] += detail::state_bytes(parameter->blocks());
    processes_.unite(bytes);
    for (std::size_t r = 0; r < bytes.size(); ++r)
      shares_[r].state_bytes = static_cast<std::size_t>(bytes[r]);
  }

  ClipReport clip(double max_norm) {
    symopt::detail::require_positive_norm(max_norm);
    require_distributed(true, "clip_by_global_norm");
    for (const auto& parameter : this->parameters_.all()) parameter->set_gradient_factor(1);
    if (!std::exchange(has_averages_, true)) step_->exchange(processes_);
    ClipReport report;
    symopt::detail::clip(report, max_norm, [&](double scale) { return step_->norm(processes_, scale); });
    for (const auto& parameter : this->parameters_.all()) {
      const bool is_scale_free = parameter->facts().is_scale_free;
      if (!is_scale_free) parameter->set_gradient_factor(report.factor);
      if (parameter->has_gradient())
        (is_scale_free ? report.scale_free : report.clipped).push_back(parameter->name());
    }
    return report;
  }

  DistributedOptions distributed_;
  Communicator processes_;
  std::optional<detail::DistributedStep<Scalar>> step_;  // once the blocks have owners
  std::vector<RankPlan> shares_;
  bool has_averages_ = false;  // of this step already, by a clipping
};

/// Clips as clip_by_global_norm of a LayerwiseOptimizer does, by the norm of the averaged gradients, which
/// the next step then uses: to be called between the backward pass and that step. Collective. The same bits
/// at any number of ranks, given the same averages. Errors: std::invalid_argument unless max_norm is
/// positive, and before distribute(); MpiError.
template <class Scalar>
ClipReport clip_by_global_norm(BasicDistributedOptimizer<Scalar>& optimizer, double max_norm) {
  return optimizer.clip(max_norm);
}

/// The stack of float models over several processes.
using DistributedOptimizer = BasicDistributedOptimizer<float>;

}}}  // namespace symopt::mpi
