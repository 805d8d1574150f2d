// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra/elements.hpp>
#include <symopt/memory/weights_view.hpp>
#include <symopt/pair/dense_metric.hpp>
#include <symopt/pair/diagonal_metric.hpp>

#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// An algebra whose positive elements are diagonal: a number serves one column or several.
template <class A>
concept HasNumbers = requires(Index i) {
  A::number_count(i);
  A::number_of(i, i);
};

/// An algebra whose normalization is shown the columns in another order than theirs.
template <class A>
inline constexpr bool is_out_of_order = requires {
  requires !A::is_in_order;
};

/// J in the algebra with J J^T = Pi(sum of B^T B)^+, the inverse of a factor F of it: see MetricOf.
template <class A>
using PairMetric = std::conditional_t<HasNumbers<A>, DiagonalMetric<A>, DenseMetric<A>>;

}}}  // namespace symopt::detail
