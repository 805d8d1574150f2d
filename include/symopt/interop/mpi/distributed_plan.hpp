// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/numbered_names.hpp>
#include <symopt/stack/plan.hpp>

#include <concepts>
#include <cstddef>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

/// The blocks of one rank.
struct RankPlan {
  int rank = 0;                           ///< its number
  std::size_t blocks = 0;                 ///< that it owns
  std::size_t state_bytes = 0;            ///< of their states, as far as these show themselves
  double share = 0;                       ///< of the work of a step, by the model that chose the owners
  std::vector<std::string> parameters{};  ///< of which it owns blocks
};

/// The plan of a stack over several processes: that of its parameters, as one process has it, and the blocks,
/// the state and the share of the step of each rank:
///   rank 0: 57 blocks, state 221 MB, 25.1 % of the step
///       parameters 'layers.[0-27].mlp.down_proj' (28), 'lm_head'
class DistributedPlan {
 public:
  /// Ranks in order; DistributedOptimizer::plan() makes them.
  DistributedPlan(Plan parameters, std::vector<RankPlan> ranks)
      : parameters_(std::move(parameters)), ranks_(std::move(ranks)) {}

  /// The plan of the parameters.
  const Plan& parameters() const { return parameters_; }
  /// One entry for each rank; none before distribute().
  const std::vector<RankPlan>& ranks() const { return ranks_; }

  /// A template, so that only who prints compiles it.
  template <std::derived_from<std::ostream> Out>
  friend Out& operator<<(Out& out, const DistributedPlan& plan) {
    out << plan.parameters_;
    for (const RankPlan& rank : plan.ranks_) {
      std::ostringstream line;  // the stream's format stays what it is
      line.precision(3);
      line << "rank " << rank.rank << ": " << rank.blocks << (rank.blocks == 1 ? " block" : " blocks")
           << ", state " << static_cast<double>(rank.state_bytes) / 1e6 << " MB, " << 100 * rank.share
           << " % of the step\n";
      out << line.str();
      if (!rank.parameters.empty()) out << "    " << symopt::detail::listed(rank.parameters) << '\n';
    }
    return out;
  }

 private:
  Plan parameters_;
  std::vector<RankPlan> ranks_;
};

}}}  // namespace symopt::mpi
