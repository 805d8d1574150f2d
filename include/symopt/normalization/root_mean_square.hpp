// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

// The nominal root mean square of the entries of a map's output, for Gaussian input at full rank: what
// Scale::match_rms divides by. A map states it by a member
//   double root_mean_square(Shape shape) const;              from the shape of the block alone, or
//   double root_mean_square(Shape shape, Shape span) const;  where the rank of the block counts, too
// `span` is the dimension of the space that the rows and that the columns of the input may span: the shape, less
// one for each side from which a projection takes the mean.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

template <class Map>
constexpr bool has_root_mean_square() {
  return requires(const Map& map, Shape shape) { map.root_mean_square(shape); } ||
         requires(const Map& map, Shape shape) { map.root_mean_square(shape, shape); };
}

template <class Map>
double root_mean_square_of_stage(const Map& map, Shape shape, Shape span) {
  if constexpr (requires { map.root_mean_square(shape, span); }) {
    return map.root_mean_square(shape, span);
  } else {
    return map.root_mean_square(shape);
  }
}

}}}  // namespace symopt::detail
