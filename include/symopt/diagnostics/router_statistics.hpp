// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/diagnostics/logit_statistics.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The distribution of some tokens over a router's experts.
struct RouterStatistics {
  double load_entropy = 0;  ///< of the experts' shares of the tokens, over log(experts): 1 even, 0 one expert
  double dead_fraction = 0;   ///< experts that no token went to, of all
  double largest_load = 0;    ///< the largest share, times experts: 1 when even
  double largest_logit = 0;   ///< in absolute value
  double load_cv = 0;         ///< coefficient of variation of the shares, deviation over mean: 0 when even
  double probability_cv = 0;  ///< of the experts' mean probabilities
  double probability_entropy = 0;  ///< of the mean probabilities, over log(experts)
  LogitStatistics logits{};        ///< its entropy is the mean of each token's, in nats

  /// Shows every number by its name.
  void fields(auto&& field) const {
    field("load_entropy", load_entropy);
    field("dead_fraction", dead_fraction);
    field("largest_load", largest_load);
    field("largest_logit", largest_logit);
    field("load_cv", load_cv);
    field("probability_cv", probability_cv);
    field("probability_entropy", probability_entropy);
    logits.fields(field);
  }
};

namespace detail {

/// The spread of shares that add up to 1.
struct Spread {
  double entropy = 0;  ///< over the logarithm of their number
  double cv = 0;       ///< deviation over mean

  explicit Spread(const std::vector<double>& shares) {
    const double count = static_cast<double>(shares.size());
    for (const double share : shares) {
      if (share > 0) entropy -= share * std::log(share);
      cv += (share * count - 1) * (share * count - 1) / count;
    }
    if (count > 1) entropy /= std::log(count);
    cv = std::sqrt(cv);
  }
};

}  // namespace detail

/// The statistics of logits [tokens, experts], of which each token goes to the top_k largest (of equal ones
/// to the first). Where probabilities are given for logits the order is the same, and so are the statistics
/// of the load; largest_logit is then the largest probability, and what is made of logits means nothing.
/// Cost: those of logit_statistics, and a partial sort of each row. Errors: std::invalid_argument unless 1 <=
/// top_k <= experts and all logits are numbers.
template <class Derived>
RouterStatistics router_statistics(const Eigen::MatrixBase<Derived>& given, Index top_k) {
  const auto& logits = detail::in_memory(given);
  const Index experts = logits.cols();
  if (top_k < 1 || top_k > experts)
    throw Error("router_statistics: top_k is " + std::to_string(top_k) + " of " + std::to_string(experts) +
                " experts; it must be between 1 and their number");
  RouterStatistics statistics;
  statistics.largest_logit = detail::largest_logit("router_statistics", logits);
  if (logits.rows() == 0) return statistics;
  const double tokens = static_cast<double>(logits.rows());
  std::vector<double> load(static_cast<std::size_t>(experts)), probability(load.size());
  statistics.logits = detail::statistics_of_logits(
      logits, statistics.largest_logit,
      [&](Index expert, double value) { probability[static_cast<std::size_t>(expert)] += value / tokens; });
  std::vector<Index> order(load.size());
  for (Index t = 0; t < logits.rows(); ++t) {
    std::iota(order.begin(), order.end(), Index{0});
    const auto first_k = order.begin() + static_cast<std::ptrdiff_t>(top_k);
    std::partial_sort(order.begin(), first_k, order.end(), [&](Index a, Index b) {
      return logits.coeff(t, a) > logits.coeff(t, b) || (logits.coeff(t, a) == logits.coeff(t, b) && a < b);
    });
    for (auto chosen = order.begin(); chosen != first_k; ++chosen)
      load[static_cast<std::size_t>(*chosen)] += 1;
  }
  for (double& share : load) {
    share /= tokens * static_cast<double>(top_k);
    if (share == 0) statistics.dead_fraction += 1.0 / static_cast<double>(experts);
    statistics.largest_load = std::max(statistics.largest_load, share * static_cast<double>(experts));
  }
  const detail::Spread of_load(load), of_probability(probability);
  statistics.load_entropy = of_load.entropy;
  statistics.load_cv = of_load.cv;
  statistics.probability_entropy = of_probability.entropy;
  statistics.probability_cv = of_probability.cv;
  return statistics;
}

}}  // namespace symopt
