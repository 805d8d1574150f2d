// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/agreement.hpp>
#include <symopt/interop/mpi/distributed_options.hpp>
#include <symopt/interop/mpi/gradient_exchange.hpp>
#include <symopt/interop/mpi/model_facts.hpp>
#include <symopt/interop/mpi/owned_block.hpp>
#include <symopt/stack/parameter_list.hpp>
#include <symopt/stack/stack_report.hpp>
#include <symopt/stack/stack_step.hpp>
#include <symopt/stack/step_schedule.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The steps of a stack over several processes: gradients to the owners; an agreement of all; steps of the
/// owners, and weights from them. Nothing moves before all ranks know that no rank refuses.
template <class Scalar>
class DistributedStep {
  using Parameter = symopt::detail::Parameter<Scalar>;
  using Parameters = std::vector<std::unique_ptr<Parameter>>;
  using ParameterList = symopt::detail::ParameterList<Scalar>;
  using StackStep = symopt::detail::StackStep<Scalar>;

 public:
  /// Takes all memory.
  DistributedStep(const Communicator& processes, const Parameters& parameters,
                  const std::vector<std::vector<int>>& owners, Gradients gradients)
      : blocks_(made_blocks(parameters, owners)),
        requests_(blocks_.size(), MPI_REQUEST_NULL),
        norms_(blocks_.size()) {
    if (gradients == Gradients::as_given || processes.size() == 1) return;
    exchange_.emplace(processes, blocks_, gradients == Gradients::averaged);
    take_averages(processes.rank());
  }

  int owner(const Parameter& parameter, std::size_t block) const {
    return std::ranges::find_if(
               blocks_,
               [&](const auto& each) { return &each.parameter() == &parameter && each.number() == block; })
        ->owner();
  }

  /// Brings the gradients together on the owners.
  void exchange(const Communicator& processes) {
    if (exchange_) exchange_->run(processes, blocks_);
  }

  /// The norm of the gradients that a clipping is about, all together, times `scale`: folded block by block
  /// as in one process.
  double norm(const Communicator& processes, double scale) {
    const auto is_clipped = [](const OwnedBlock<Scalar>& block) {
      return block.has_gradient() && !block.parameter().facts().is_scale_free;
    };
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const bool is_mine = is_clipped(blocks_[b]) && blocks_[b].owner() == processes.rank();
      norms_[b] = is_mine ? blocks_[b].parameter().gradient_norm(blocks_[b].number(), scale) : 0;
    }
    processes.unite(norms_);
    double norm = 0;
    for (std::size_t b = 0; b < blocks_.size(); ++b)
      if (is_clipped(blocks_[b])) norm = std::hypot(norm, norms_[b]);
    return norm;
  }

  /// One step of the gradients that were brought together; counts it in `steps`.
  StackReport run(const Communicator& processes, ParameterList& list,
                  std::vector<symopt::detail::StepInput<Scalar>>& inputs,
                  const symopt::detail::StepSchedule& schedule, std::int64_t& steps) {
    const Parameters& parameters = list.all();
    StackStep step{parameters, inputs, schedule, steps};
    StackReport report{.step = steps, .schedule_factor = schedule.factor};
    Failure mine;
    bool is_finite = true, may_fail = false;
    mine.attempt([&] {
      list.require_apart();
      is_finite = !any_is_not_finite(parameters);
      if (is_finite) step.prepare();
      for (const auto& parameter : parameters) may_fail = may_fail || parameter->may_fail();
    });
    const long long options = checksum_of_options(parameters, step);
    long long worst[] = {mine ? 1 : 0, is_finite ? 0 : 1, may_fail ? 1 : 0, options, -options};
    processes.take_largest(worst);
    if (worst[0] != 0) mine.throw_on_all(processes, nothing_changed);
    if (worst[3] != -worst[4]) fail_of_options(processes, parameters, step);
    if (worst[1] != 0) {
      refuse_non_finite(processes, parameters, report);
      return report;
    }
    if (!symopt::detail::any_has_gradient(parameters)) return report;  // alike on all ranks
    if (worst[2] != 0 && !take_those_that_may_fail(processes, step, report)) return report;
    step_and_send(processes, step);
    report.applied = true;
    report.step = ++steps;
    return report;
  }

  /// Sends what is current on its owner alone.
  void gather_weights(const Communicator& processes) const {
    for (const OwnedBlock<Scalar>& block : blocks_)
      block.with_kept_weights([&](void* memory, MPI_Datatype type) {
        MPI_Request request;
        require_success(MPI_Ibcast(memory, 1, type, block.owner(), processes.get(), &request), sending);
        processes.wait({&request, 1}, sending);
      });
  }

 private:
  static constexpr const char* nothing_changed = "nothing was changed on any rank";
  static constexpr const char* sending = "send weights to all ranks";

  static std::vector<OwnedBlock<Scalar>> made_blocks(const Parameters& parameters,
                                                     const std::vector<std::vector<int>>& owners) {
    std::vector<OwnedBlock<Scalar>> blocks;
    for (std::size_t p = 0; p < parameters.size(); ++p)
      for (std::size_t b = 0; b < owners[p].size(); ++b) blocks.emplace_back(*parameters[p], b, owners[p][b]);
    return blocks;
  }

  void take_averages(int rank) {
    std::vector<BlockView<const Scalar>> averages;  // of one parameter after another
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      if (blocks_[b].number() == 0) averages.clear();
      const bool is_needed = blocks_[b].has_gradient() && blocks_[b].owner() == rank;
      averages.push_back(is_needed ? BlockView<const Scalar>(blocks_[b].take_average())
                                   : BlockView<const Scalar>());
      const Parameter& parameter = blocks_[b].parameter();
      if (averages.size() == parameter.block_count() && blocks_[b].has_gradient())
        blocks_[b].parameter().set_average(averages);
    }
  }

  static bool any_is_not_finite(const Parameters& parameters) {
    bool found = false;
    for (const auto& parameter : parameters)
      if (parameter->options().non_finite != NonFinite::unchecked && !parameter->gradient_is_finite())
        found = true;
    return found;
  }

  /// Of all that a step depends on and that may have been set on some ranks alone.
  static long long checksum_of_options(const Parameters& parameters, const StackStep& step) {
    Checksum sum;
    sum.add(step.schedule.factor);
    sum.add(step.schedule.decay_factor);
    sum.add(step.schedule.momentum.value_or(-1));
    sum.add(static_cast<std::uint64_t>(step.number));
    for (const auto& parameter : parameters) {
      const OptimizerOptions& options = parameter->options();
      sum.add(options.learning_rate);
      sum.add(options.momentum);
      sum.add(options.weight_decay);
    }
    return sum.value();
  }
  [[noreturn, gnu::cold]] static void fail_of_options(const Communicator& processes,
                                                      const Parameters& parameters, const StackStep& step) {
    ModelFacts facts;
    facts.add("", "the schedule factor", step.schedule.factor);
    facts.add("", "the schedule's factor of the decay", step.schedule.decay_factor);
    facts.add("", "the schedule's momentum, -1 for none", step.schedule.momentum.value_or(-1));
    facts.add("", "the number of steps", step.number);
    for (const auto& parameter : parameters) {
      const OptimizerOptions& options = parameter->options();
      facts.add(parameter->name(), "learning_rate", options.learning_rate);
      facts.add(parameter->name(), "momentum", options.momentum);
      facts.add(parameter->name(), "weight_decay", options.weight_decay);
    }
    facts.require_alike(processes, std::string(nothing_changed) + "; set options alike on all ranks");
    throw Error("the options of a step differ between ranks");  // not reached: their checksums did
  }

  /// Puts the parameters into the report whose averages are not finite; throws where that is an error, and
  /// says whose gradients they come from.
  [[gnu::cold]] static void refuse_non_finite(const Communicator& processes, const Parameters& parameters,
                                              StackReport& report) {
    std::vector<long long> is_bad(parameters.size());
    for (std::size_t p = 0; p < parameters.size(); ++p)
      is_bad[p] =
          parameters[p]->options().non_finite != NonFinite::unchecked && !parameters[p]->gradient_is_finite();
    processes.take_largest(is_bad);
    symopt::detail::NonFiniteGradients found;
    std::string mine(parameters.size(), '0');  // whose own gradient, as the trainer gave it, has one
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      if (!is_bad[p]) continue;
      found.add(*parameters[p]);
      if (!parameters[p]->given_gradient_is_finite()) mine[p] = '1';
    }
    report.non_finite = found.parameters;
    const std::vector<std::string> of_ranks = processes.gathered(mine);
    if (!found.is_error) return;
    std::string text;
    for (std::size_t rank = 0; rank < of_ranks.size(); ++rank) {
      std::vector<std::string> names;
      for (std::size_t p = 0; p < parameters.size(); ++p)
        if (of_ranks[rank][p] == '1') names.push_back(parameters[p]->name());
      if (names.empty()) continue;
      text += (text.empty() ? "on rank " : "; on rank ") + std::to_string(rank) + " the gradient of " +
              symopt::detail::listed(names) + " has an Inf or NaN";
    }
    if (text.empty())
      text = "the gradients of " + symopt::detail::listed(found.parameters) +
             " are finite on each rank, but not their sum";
    throw NonFiniteGradient(refusal(text), found.parameters);
  }
  static std::string refusal(const std::string& text) {
    return text + "; " + nothing_changed + ". " + symopt::detail::remedy_of_non_finite;
  }

  /// The steps that may fail, before any other, and an agreement on them. Returns false where a step that
  /// would leave the range is skipped on all ranks; throws where one has failed, with all put back.
  static bool take_those_that_may_fail(const Communicator& processes, StackStep& step, StackReport& report) {
    Failure mine;
    const Parameter* refused = nullptr;
    mine.attempt([&] { refused = step.take_those_that_may_fail(); });
    long long worst[] = {mine ? 1 : 0, refused != nullptr ? 1 : 0};
    processes.take_largest(worst);
    if (worst[0] == 0 && worst[1] == 0) return true;
    if (!mine && refused == nullptr) step.put_back();
    if (worst[0] != 0) mine.throw_on_all(processes, nothing_changed);
    for (const std::string& name : processes.gathered(refused != nullptr ? refused->name() : ""))
      if (!name.empty()) report.non_finite.push_back(name);
    const bool is_error = std::ranges::any_of(step.parameters, [&](const auto& parameter) {
      return parameter->options().non_finite != NonFinite::skip &&
             std::ranges::count(report.non_finite, parameter->name()) > 0;
    });
    if (is_error)
      throw NonFiniteGradient(
          refusal("of " + symopt::detail::listed(report.non_finite) + " " + symopt::detail::out_of_range),
          report.non_finite);
    return false;
  }

  /// The steps that cannot fail, and the weights of all blocks from their owners. Broadcasts begin in the
  /// same order on all ranks; while a rank steps a block those of others go on.
  void step_and_send(const Communicator& processes, StackStep& step) {
    std::size_t posted = 0;
    for (const auto& parameter : step.parameters) {
      step.take(*parameter);
      const Communicator::Patience messages(processes, sending);  // counts their time
      for (; posted < blocks_.size() && &blocks_[posted].parameter() == parameter.get(); ++posted)
        if (parameter->has_gradient())
          require_success(MPI_Ibcast(blocks_[posted].sent_weights(), 1, blocks_[posted].sent_type(),
                                     blocks_[posted].owner(), processes.get(), &requests_[posted]),
                          sending);
      (void)Communicator::test_all(std::span(requests_).first(posted), sending);
    }
    processes.wait(requests_, sending);
  }

  std::vector<OwnedBlock<Scalar>> blocks_;            // of all parameters, in their order
  std::optional<GradientExchange<Scalar>> exchange_;  // none where each rank has the gradients already
  std::vector<MPI_Request> requests_;                 // of the broadcasts
  std::vector<double> norms_;
};

}}}  // namespace symopt::mpi::detail
