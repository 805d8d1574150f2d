// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/matrix.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Throws Error unless Index counts the bytes of all scalars along axes of these sizes and strides, and those
/// between any two of them. Without scalars there are none, whatever the other sizes. `what` makes the name
/// of the memory, for an error alone.
template <std::invocable What>
void require_countable(std::span<const Index> sizes, std::span<const Index> strides, std::size_t scalar_size,
                       Where where, const What& what) {
  const auto width = static_cast<Index>(scalar_size);
  Index bytes = width, extent = width;
  bool overflows = false;
  for (std::size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == 0) return;
    Index way = 0;
    overflows |= __builtin_mul_overflow(bytes, sizes[d], &bytes);
    overflows |= __builtin_mul_overflow(sizes[d] - 1, strides[d], &way);
    overflows |= __builtin_mul_overflow(way, width, &way);
    overflows |=
        way < 0 ? __builtin_sub_overflow(extent, way, &extent) : __builtin_add_overflow(extent, way, &extent);
  }
  constexpr bool is_narrow = sizeof(Index) < sizeof(std::ptrdiff_t);
  require(!overflows, where, [&] {
    return joined({what(), is_narrow
                               ? " has more bytes than the Eigen::Index of this program counts; compile "
                                 "it without EIGEN_DEFAULT_DENSE_INDEX_TYPE"
                               : " is larger than memory can be"});
  });
}

/// The shape of a block of Scalar, rows without gaps. Throws Error that names the parameter for negative
/// sizes and for more bytes than there can be.
template <class Scalar>
Shape require_block_shape(Shape shape, const std::string& parameter) {
  require(shape.rows >= 0 && shape.cols >= 0, {parameter},
          [&] { return "the block cannot be " + to_string(shape); });
  const Index sizes[] = {shape.rows, shape.cols}, strides[] = {shape.cols, 1};
  require_countable(sizes, strides, sizeof(Scalar), {parameter},
                    [&] { return "a block of " + to_string(shape); });
  return shape;
}

}}}  // namespace symopt::detail
