// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// A map of degree 0: map(c X) = map(X) for c > 0, up to an absolute eps. Clipping a gradient changes nothing
/// for such a map. A map of your own says so by a static constexpr bool is_scale_free, or by a specialisation
/// of this.
template <class Map>
inline constexpr bool is_scale_free_v = requires {
  requires Map::is_scale_free;
};

}}  // namespace symopt
