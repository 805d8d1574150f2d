// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/horizontal_projection.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

template <Families families>
constexpr auto horizontal_projection() {
  constexpr bool left = families.left.translations;
  constexpr bool right = families.right.translations;
  if constexpr (left && right) {
    return HorizontalProjection<Side::left, Side::right>{};
  } else if constexpr (left) {
    return HorizontalProjection<Side::left>{};
  } else if constexpr (right) {
    return HorizontalProjection<Side::right>{};
  } else {
    return HorizontalProjection<>{};
  }
}

}  // namespace detail

/// The projection that the translation factors of a group ask for.
template <class Group>
using horizontal_projection_t = decltype(detail::horizontal_projection<families_of<Group>>());

}}  // namespace symopt
