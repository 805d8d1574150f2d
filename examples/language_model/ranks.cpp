// SPDX-License-Identifier: Apache-2.0
#include "ranks.hpp"

#include <mpi.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>

#include "rank_training.hpp"
#include "text.hpp"

namespace language_model {

namespace {

/// MPI, from the first call to the last.
struct MpiSession {
  MpiSession() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  ~MpiSession() { MPI_Finalize(); }

  int rank = 0, ranks = 1;
};

/// The mean of the last twentieth.
double final_loss(const RankTraining& training) {
  const auto count = std::max<std::ptrdiff_t>(1, std::ssize(training.loss) / 20);
  return std::accumulate(training.loss.end() - count, training.loss.end(), 0.0) / static_cast<double>(count);
}

void print_ranks(std::ostream& out, const TrainingPlan& plan, const RankTraining& training) {
  constexpr int narrow = 6, wide = 15;
  out << std::setw(narrow) << "rank" << std::setw(wide) << "a step, ms" << std::setw(wide) << "update, ms"
      << std::setw(wide) << "messages, ms" << std::setw(wide) << "of a step, %" << std::setw(wide)
      << "state, MB" << '\n'
      << std::string(narrow + 5 * wide, '-') << '\n';
  for (std::size_t r = 0; r < training.ranks.size(); ++r) {
    const RankTraining::Rank& rank = training.ranks[r];
    out << std::setw(narrow) << r << std::setw(wide) << fixed(1e3 * rank.seconds_per_step, 2)
        << std::setw(wide) << fixed(1e3 * rank.update_seconds_per_step, 2) << std::setw(wide)
        << fixed(1e3 * rank.message_seconds_per_step, 2) << std::setw(wide)
        << fixed(100 * rank.message_seconds_per_step / rank.seconds_per_step, 1) << std::setw(wide)
        << fixed(static_cast<double>(rank.state_bytes) / 1e6, 3) << '\n';
  }
  double slowest = 0;
  for (const RankTraining::Rank& rank : training.ranks) slowest = std::max(slowest, rank.seconds_per_step);
  out << "The update has the messages in it, and these the waiting for slower ranks.\n"
      << grouped(std::llround(static_cast<double>(plan.tokens_per_step()) / slowest))
      << " tokens per second. Training loss: " << fixed(training.loss.front(), 4) << " nats per token at the "
      << "start, " << fixed(final_loss(training), 4) << " at the end.\n";
}

}  // namespace

bool show_ranks(const Corpus& corpus, const TrainingPlan& plan, const Options& options) {
  const MpiSession session;
  if (session.ranks != options.ranks)
    throw std::invalid_argument("--ranks " + std::to_string(options.ranks) + " in an MPI job of " +
                                std::to_string(session.ranks) + "; start it by ./run demo --ranks " +
                                std::to_string(options.ranks));
  if (!plan.device.is_cpu())
    throw std::invalid_argument("--ranks sends what lies in CPU memory; leave --device out");
  at::set_num_threads(std::max(1, options.threads / session.ranks));
  if (session.rank == 0)
    std::cout << session.ranks << (session.ranks == 1 ? " rank" : " ranks, each with its share of a batch")
              << " of " << plan.sequences << " sequences: " << grouped(plan.steps) << " steps of "
              << grouped(plan.tokens_per_step()) << " tokens, second moments.\n";
  const RankTraining training = train_on_ranks(MPI_COMM_WORLD, corpus, plan, second_moments);
  if (session.rank == 0) {
    print_ranks(std::cout, plan, training);
    const std::string name = "ranks-" + std::to_string(session.ranks) + ".csv";
    std::ofstream table(options.output / name);
    table.exceptions(std::ios::badbit | std::ios::failbit);
    table << "step,loss\n" << std::setprecision(9);
    for (std::size_t step = 0; step < training.loss.size(); ++step)
      table << step << ',' << training.loss[step] << '\n';
    std::cout << "written: " << (options.output / name).string() << '\n';
  }
  return final_loss(training) < training.loss.front();
}

}  // namespace language_model
