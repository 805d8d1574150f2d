// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/owners.hpp>
#include <symopt/interop/mpi/row_partition.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "qwen3_shapes.hpp"

// A model of the time of one optimizer step of Qwen3-0.6B on many ranks, from what was measured on two. Each
// assumption has its sentence in docs/distributed.md.

/// Measured times in seconds, and bytes per second.
struct RankCosts {
  double latency = 0;    ///< of a message between two ranks
  double exchange = 0;   ///< of messages both ways at a time, each way
  double broadcast = 0;  ///< from one rank to another
  double allreduce = 0;  ///< of MPI_Allreduce between two ranks, as it gives results
  double agreement = 0;  ///< of 40 bytes between two ranks
  double sum = 0;        ///< for each number that an owner adds
  double embedding = 0, head = 0, gate = 0, down = 0;  ///< steps on one thread: a block each

  static RankCosts of(const nlohmann::json& run) {
    const nlohmann::json &links = run.at("links"), &steps = run.at("steps");
    return {.latency = links.at("latency_s"),
            .exchange = links.at("exchange_bytes_per_s"),
            .broadcast = links.at("broadcast_bytes_per_s"),
            .allreduce = links.at("allreduce_bytes_per_s"),
            .agreement = links.at("agreement_s"),
            .sum = links.at("sum_s_per_number"),
            .embedding = steps.at("embedding_s"),
            .head = steps.at("head_s"),
            .gate = steps.at("gate_s"),
            .down = steps.at("down_s")};
  }
};

/// The parts of a predicted step, one after the other.
struct PredictedStep {
  double gradients = 0;  ///< their way to the owners, and their sums
  double update = 0;     ///< the steps of the rank that has most to do
  double weights = 0;    ///< their way from the owners
  double agreements = 0;
  double sums = 0;  ///< of rows, over ranks

  double total() const { return gradients + update + weights + agreements + sums; }
  double messages() const { return total() - update; }
  /// Where the gradients are averaged already.
  double without_gradients() const { return total() - gradients; }
};

namespace rank_model {

using symopt::Index;
using symopt::Shape;

/// The depth of a tree of messages over all ranks.
inline double tree_depth(int ranks) {
  return std::ceil(std::log2(static_cast<double>(ranks)));
}

/// A block of the model, as owners have it.
struct Block {
  Shape shape;
  bool has_polar_factor;
  double step;  ///< in seconds
  double bytes() const { return 4.0 * static_cast<double>(shape.rows * shape.cols); }
};

/// The matrices of the layers and the embedding. The gains, 66 000 numbers of 596 million, are left out.
inline std::vector<Block> blocks(const RankCosts& costs, int layers = qwen3_shape::all_layers) {
  using namespace qwen3_shape;
  std::vector<Block> all{{{vocabulary, width}, false, costs.embedding}};
  for (int layer = 0; layer < layers; ++layer) {
    for (int head = 0; head < 2 * query_heads + 2 * key_value_heads; ++head)
      all.push_back({{head_size, width}, true, costs.head});
    all.push_back({{neurons, width}, false, costs.gate});
    all.push_back({{neurons, width}, false, costs.gate});
    all.push_back({{width, neurons}, false, costs.down});
  }
  return all;
}

/// A step of DistributedOptimizer, with the owners that it chooses.
inline PredictedStep owners(const RankCosts& costs, int ranks, int layers = qwen3_shape::all_layers) {
  const std::vector<Block> all = blocks(costs, layers);
  std::vector<Index> work;
  for (const Block& block : all)
    work.push_back(symopt::mpi::detail::work_of(block.shape, block.has_polar_factor));
  const std::vector<int> owner = symopt::mpi::detail::owners_of(work, ranks);
  std::vector<double> bytes(static_cast<std::size_t>(ranks)), steps(bytes.size());
  double total = 0, largest = 0;
  for (std::size_t b = 0; b < all.size(); ++b) {
    bytes[static_cast<std::size_t>(owner[b])] += all[b].bytes();
    steps[static_cast<std::size_t>(owner[b])] += all[b].step;
    total += all[b].bytes();
    largest = std::max(largest, all[b].bytes());
  }
  PredictedStep step{.update = *std::max_element(steps.begin(), steps.end())};
  if (ranks == 1) return step;
  const double peers = ranks - 1, depth = tree_depth(ranks);
  double received = 0;
  for (const double own : bytes) {
    const double way = std::max(total - own, peers * own) / costs.exchange;
    step.gradients = std::max(step.gradients, way + costs.sum * ranks * own / 4);
    received = std::max(received, total - own);
  }
  step.weights = received / costs.broadcast + (depth - 1) * largest / costs.broadcast +
                 depth * costs.latency * static_cast<double>(all.size());
  step.agreements = depth * costs.agreement;
  return step;
}

/// A trainer without either: MPI_Allreduce of all gradients, in a ring, and the whole step on every rank.
inline PredictedStep everything(const RankCosts& costs, int ranks) {
  PredictedStep step;
  double bytes = 0;
  for (const Block& block : blocks(costs)) {
    bytes += block.bytes();
    step.update += block.step;
  }
  step.gradients = 2 * (1 - 1.0 / ranks) * bytes / costs.allreduce;
  return step;
}

/// The longest of equal pieces that a rank has, as a share of all of them.
inline double longest_share(Index pieces, int ranks) {
  return std::ceil(static_cast<double>(pieces) / ranks) / static_cast<double>(pieces);
}
inline double longest_share(Shape shape, int ranks) {
  Index longest = 0;
  for (const auto& rows : symopt::mpi::row_partition(shape, ranks))
    longest = std::max(longest, rows.end - rows.begin);
  return static_cast<double>(longest) / static_cast<double>(shape.rows);
}

/// A step of RowOptimizers, one for each matrix, of gradients whose rows are where they belong.
inline PredictedStep rows(const RankCosts& costs, int ranks, int layers = qwen3_shape::all_layers) {
  using namespace qwen3_shape;
  PredictedStep step;
  const double heads = costs.head * (2 * query_heads * longest_share(query_heads, ranks) +
                                     2 * key_value_heads * longest_share(key_value_heads, ranks));
  const double neurons_of_layer = 2 * costs.gate * longest_share(Shape{neurons, width}, ranks) +
                                  costs.down * longest_share(Shape{width, neurons}, ranks);
  step.update =
      costs.embedding * longest_share(Shape{vocabulary, width}, ranks) + layers * (heads + neurons_of_layer);
  if (ranks == 1) return step;
  const double depth = tree_depth(ranks);
  const double matrices = 7 * layers + 1;
  step.agreements = matrices * depth * costs.agreement;
  const Index chunk = symopt::kernel::reduction_chunks({width, neurons}).rows_in_chunk;
  const double chunks = std::ceil(static_cast<double>(width) / static_cast<double>(chunk));
  const double lines = 8 * chunks * static_cast<double>(neurons) * (1 - 1.0 / ranks);
  step.sums = layers * (lines / costs.exchange + (ranks - 1) * costs.latency);
  return step;
}

}  // namespace rank_model
