// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/form_of_rule.hpp>
#include <symopt/pair/metric.hpp>
#include <symopt/pair/pair_options.hpp>

#include <concepts>
#include <cstdint>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A rule for pairs of that rank as data; an algebra of a user's is only known by its code.
template <class Rule>
form::Rule form_of_pair(const Rule& rule, const PairOptions& options, Index rank) {
  using A = typename Rule::pair_group::algebra;
  form::Pair pair{.is_full = std::same_as<A, algebra::Full>,
                  .is_in_order = !is_out_of_order<A>,
                  .damping = options.damping,
                  .is_horizontal = options.is_horizontal};
  auto stages = form_of_stages(rule.normalization());
  if (!stages) return {};
  pair.stages = *std::move(stages);
  if constexpr (HasNumbers<A>) {
    for (Index j = 0; j < rank; ++j) pair.numbers.push_back(A::number_of(j, rank));
    if constexpr (requires { A::second(rank, rank); })
      for (Index p = 0; p < A::number_count(rank); ++p) {
        pair.first.push_back(A::first(p, rank));
        pair.second.push_back(A::second(p, rank));
      }
  } else if (!pair.is_full) {
    return {};
  }
  return {.value = std::move(pair)};
}

}}}  // namespace symopt::detail
