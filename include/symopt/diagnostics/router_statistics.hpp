// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The distribution of some tokens over a router's experts.
struct RouterStatistics {
  double load_entropy = 0;  ///< of the experts' shares of the tokens, over log(experts): 1 even, 0 one expert
  double dead_fraction = 0;  ///< experts that no token went to, of all
  double largest_load = 0;   ///< the largest share, times experts: 1 when even
  double largest_logit = 0;  ///< in absolute value
};

/// The statistics of logits [tokens, experts], of which each token goes to the top_k largest (of equal ones
/// to the first). Probabilities may be given for logits: the order is the same; largest_logit is then the
/// largest probability. Cost: one read, and a partial sort of each row. Errors: std::invalid_argument unless
/// 1 <= top_k <= experts and all logits are numbers.
template <class Derived>
RouterStatistics router_statistics(const Eigen::MatrixBase<Derived>& logits, Index top_k) {
  const Index experts = logits.cols();
  if (top_k < 1 || top_k > experts)
    throw Error("router_statistics: top_k is " + std::to_string(top_k) + " of " + std::to_string(experts) +
                " experts; it must be between 1 and their number");
  std::vector<Index> order(static_cast<std::size_t>(experts));
  std::vector<double> load(order.size(), 0.0);
  RouterStatistics statistics;
  for (Index t = 0; t < logits.rows(); ++t) {
    for (Index e = 0; e < experts; ++e) {
      const double size = std::abs(static_cast<double>(logits.coeff(t, e)));
      if (!(size <= std::numeric_limits<double>::max()))
        throw Error("router_statistics: the logit of token " + std::to_string(t) + " and expert " +
                    std::to_string(e) + " is Inf or NaN");
      statistics.largest_logit = std::max(statistics.largest_logit, size);
    }
    std::iota(order.begin(), order.end(), Index{0});
    const auto first_k = order.begin() + static_cast<std::ptrdiff_t>(top_k);
    std::partial_sort(order.begin(), first_k, order.end(), [&](Index a, Index b) {
      return logits.coeff(t, a) > logits.coeff(t, b) || (logits.coeff(t, a) == logits.coeff(t, b) && a < b);
    });
    for (auto chosen = order.begin(); chosen != first_k; ++chosen)
      load[static_cast<std::size_t>(*chosen)] += 1;
  }
  const double all = static_cast<double>(logits.rows() * top_k);
  if (all == 0) return statistics;
  for (const double tokens : load) {
    const double share = tokens / all;
    if (share == 0) statistics.dead_fraction += 1.0 / static_cast<double>(experts);
    if (share > 0) statistics.load_entropy -= share * std::log(share);
    statistics.largest_load = std::max(statistics.largest_load, share * static_cast<double>(experts));
  }
  if (experts > 1) statistics.load_entropy /= std::log(static_cast<double>(experts));
  return statistics;
}

}}  // namespace symopt
