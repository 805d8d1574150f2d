// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/write_form.hpp>
#include <symopt/pair/metric.hpp>
#include <symopt/pair/pair_options.hpp>

#include <concepts>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Writes a rule for pairs of that rank as data; false, with a part of it written, where the normalization or
/// the algebra is a user's that is only known by its code.
template <class Rule>
bool write_pair_form(const Rule& rule, const PairOptions& options, Index rank, FormWriter& writer) {
  using A = typename Rule::pair_group::algebra;
  constexpr bool is_full = std::same_as<A, algebra::Full>;
  if constexpr (!is_full && !HasNumbers<A>) {
    return false;
  } else {
    writer.pair(is_full, !is_out_of_order<A>, options.damping, options.is_horizontal);
    if constexpr (HasNumbers<A>) {
      for (Index j = 0; j < rank; ++j) writer.pair_number(A::number_of(j, rank));
      if constexpr (requires { A::second(rank, rank); })
        for (Index p = 0; p < A::number_count(rank); ++p)
          writer.pair_plane(A::first(p, rank), A::second(p, rank));
    }
    return write_stages(rule.normalization(), writer);
  }
}

}}}  // namespace symopt::detail
