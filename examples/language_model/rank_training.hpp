// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/torch_optimizer.hpp>

#include <mpi.h>
#include <torch/torch.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "corpus/batches.hpp"
#include "corpus/corpus.hpp"
#include "evaluation.hpp"
#include "kinds.hpp"
#include "model.hpp"
#include "optimizers.hpp"
#include "routing.hpp"
#include "scheduled_optimizer.hpp"
#include "training.hpp"

namespace language_model {

/// A training by several processes, each of which has the model and its share of every batch.
struct RankTraining {
  /// The measurements of one of them.
  struct Rank {
    double seconds_per_step = 0;
    double update_seconds_per_step = 0;   ///< the part that the optimizer takes, messages included
    double message_seconds_per_step = 0;  ///< the part in which it sent, received, or waited for the others
    std::size_t state_bytes = 0;          ///< of the blocks that it owns
  };

  std::vector<double> loss;  ///< of every step's joined batch before the step, nats per token
  std::vector<Rank> ranks;
};

/// Trains one model on the batches of `train`, rank r on the rth part of each. Collective: all ranks get the
/// same. In a dense model the mean of the ranks' gradients is the gradient of the joined batch; the routers'
/// balance of a mixture is that of each rank's own tokens.
/// @throws std::invalid_argument unless the sequences of a batch divide by the number of ranks.
inline RankTraining train_on_ranks(MPI_Comm processes, const Corpus& corpus, const TrainingPlan& plan,
                                   const Kinds& kinds, symopt::mpi::DistributedOptions options = {},
                                   const StepObserver& observe = {}) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  int rank = 0, ranks = 1;
  MPI_Comm_rank(processes, &rank);
  MPI_Comm_size(processes, &ranks);
  if (plan.sequences % ranks != 0)
    throw std::invalid_argument("a batch of " + std::to_string(plan.sequences) +
                                " sequences has no equal parts for " + std::to_string(ranks) + " ranks");

  const Settings settings;
  Transformer model{plan.shape, plan.seed};
  auto owned = std::make_unique<symopt::mpi::TorchOptimizer>(
      processes,
      symopt::interop::parameter_groups(model->named_parameters(), routing_of(plan.shape, kinds, settings),
                                        stack_options(settings)),
      options);
  const symopt::mpi::TorchOptimizer& stack = *owned;
  ScheduledOptimizer optimizer = scheduled(std::move(owned), constant_then_linear(plan.steps));
  BatchStream batches{corpus.training, static_cast<std::size_t>(plan.sequences),
                      static_cast<std::size_t>(plan.shape.context), plan.seed};

  RankTraining result;
  Seconds total{0}, updating{0};
  const double messages_before = stack.processes().communication_seconds();
  const std::int64_t share = plan.sequences / ranks;
  for (std::int64_t step = 0; step < plan.steps; ++step) {
    const auto begin = Clock::now();
    const Batch batch = batches.next();
    optimizer.zero_grad();
    const torch::Tensor loss = next_token_loss(model(batch.inputs.narrow(0, rank * share, share)),
                                               batch.targets.narrow(0, rank * share, share));
    result.loss.push_back(loss.item<double>());
    model->with_router_loss(loss).backward();
    const auto update_begin = Clock::now();
    optimizer.step();
    const auto end = Clock::now();
    updating += end - update_begin;
    total += end - begin;
    if (observe) observe(step + 1, result.loss.back());
  }

  MPI_Allreduce(MPI_IN_PLACE, result.loss.data(), static_cast<int>(result.loss.size()), MPI_DOUBLE, MPI_SUM,
                processes);
  for (double& loss : result.loss) loss /= ranks;
  const auto steps = static_cast<double>(plan.steps);
  const double own[] = {total.count() / steps, updating.count() / steps,
                        (stack.processes().communication_seconds() - messages_before) / steps};
  std::vector<double> all(3 * static_cast<std::size_t>(ranks));
  MPI_Allgather(own, 3, MPI_DOUBLE, all.data(), 3, MPI_DOUBLE, processes);
  const symopt::mpi::DistributedPlan shares = stack.plan();
  for (std::size_t r = 0; r < shares.ranks().size(); ++r)
    result.ranks.push_back({.seconds_per_step = all[3 * r],
                            .update_seconds_per_step = all[3 * r + 1],
                            .message_seconds_per_step = all[3 * r + 2],
                            .state_bytes = shares.ranks()[r].state_bytes});
  return result;
}

}  // namespace language_model
