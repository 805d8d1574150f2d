// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/distributed_plan.hpp>
#include <symopt/interop/mpi/owners.hpp>
#include <symopt/stack/parameter.hpp>

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The owners of all blocks, and what that makes of each rank.
struct Shares {
  std::vector<std::vector<int>> owners;  ///< by parameter, by block
  std::vector<RankPlan> ranks;           ///< without the sizes of states
};

/// Owners for the blocks of a stack: each block has its own, and all blocks of a pair have one.
template <class Scalar>
Shares shares_of(const std::vector<std::unique_ptr<symopt::detail::Parameter<Scalar>>>& parameters,
                 int ranks) {
  std::vector<std::vector<std::size_t>> piece_of(parameters.size());  // by parameter, by block
  std::vector<Index> work;
  std::unordered_map<const void*, std::size_t> piece_of_pair;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    auto& parameter = *parameters[p];
    const void* const pair = parameter.blocks().pair();
    for (const Shape shape : parameter.shapes()) {
      std::size_t piece = work.size();
      if (pair != nullptr) piece = piece_of_pair.emplace(pair, piece).first->second;
      if (piece == work.size()) work.push_back(0);
      work[piece] += work_of(shape, !parameter.facts().method.empty());
      piece_of[p].push_back(piece);
    }
  }
  const std::vector<int> owners = owners_of(work, ranks);

  Shares shares{std::vector<std::vector<int>>(parameters.size()), {}};
  for (int rank = 0; rank < ranks; ++rank) shares.ranks.push_back({.rank = rank});
  for (std::size_t p = 0; p < parameters.size(); ++p)
    for (const std::size_t piece : piece_of[p]) {
      shares.owners[p].push_back(owners[piece]);
      RankPlan& rank = shares.ranks[static_cast<std::size_t>(owners[piece])];
      ++rank.blocks;
      if (rank.parameters.empty() || rank.parameters.back() != parameters[p]->name())
        rank.parameters.push_back(parameters[p]->name());
    }
  double total = 0;
  for (std::size_t piece = 0; piece < work.size(); ++piece) {
    const auto of_piece = static_cast<double>(work[piece]);
    shares.ranks[static_cast<std::size_t>(owners[piece])].share += of_piece;
    total += of_piece;
  }
  if (total > 0)
    for (RankPlan& rank : shares.ranks) rank.share /= total;
  return shares;
}

/// The bytes of the states that a parameter's blocks have in this process; 0 for one that does not show them.
template <class Scalar>
double state_bytes(symopt::detail::AnyBlocks<Scalar>& blocks) {
  double bytes = 0;
  try {
    blocks.visit({[&](const symopt::detail::StateField& field) {
      double size = static_cast<double>(field.scalar_size);
      for (const Index extent : field.shape) size *= static_cast<double>(extent);
      bytes += size;
    }});
  } catch (const Error&) {
    return 0;
  }
  return bytes;
}

}}}  // namespace symopt::mpi::detail
