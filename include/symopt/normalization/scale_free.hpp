// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/head_spectral.hpp>
#include <symopt/normalization/one_sided_spectral.hpp>
#include <symopt/normalization/pipeline.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/normalization/spectral.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// True for maps of degree 0: map(c X) = map(X) for c > 0, up to an absolute eps. They forget how long a
/// gradient is, so clipping it does nothing for them. Specialize it for a map of your own, or give that a
/// static constexpr bool is_scale_free.
template <class Map>
inline constexpr bool is_scale_free_v = requires {
  requires Map::is_scale_free;
};
/// Shipped maps of degree 0.
///@{
template <>
inline constexpr bool is_scale_free_v<FrobeniusNorm> = true;
template <>
inline constexpr bool is_scale_free_v<RowNorm> = true;
template <>
inline constexpr bool is_scale_free_v<ColumnNorm> = true;
template <>
inline constexpr bool is_scale_free_v<Sign> = true;
template <class Method>
inline constexpr bool is_scale_free_v<Spectral<Method>> = true;
template <Side side, class Method>
inline constexpr bool is_scale_free_v<OneSidedSpectral<side, Method>> = true;
template <Side side, int head_size, class Method>
inline constexpr bool is_scale_free_v<HeadSpectral<side, head_size, Method>> = true;
///@}

namespace detail {

/// What comes after a map of degree 0 never sees the scale, and the shipped maps before it hand on a
/// multiple.
template <class Rule>
constexpr bool is_scale_free_rule() {
  if constexpr (requires(const Rule& rule) { stages_of(rule.normalization()); }) {
    using Stages = decltype(stages_of(std::declval<const Rule&>().normalization()));
    return []<class... Stage>(const hana::tuple<Stage...>*) {
      return (is_scale_free_v<Stage> || ...);
    }(static_cast<const Stages*>(nullptr));
  } else {
    using Stages = decltype(stages_of(std::declval<const Rule&>()));
    return []<class... Stage>(const hana::tuple<Stage...>*) {
      return (is_scale_free_v<Stage> || ...);
    }(static_cast<const Stages*>(nullptr));
  }
}

}  // namespace detail

}}  // namespace symopt
