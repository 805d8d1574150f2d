// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/kernel/chunks.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

/// The rows of a rank, from `begin` to the one before `end`.
using RowRange = kernel::Range;

/// A split of the rows of a block over ranks with which a step has the bits of one process: rank r has the
/// rows of entry r. It falls on the chunks that sums over rows are made of, at most 64 of them, as many for
/// each rank as for another or one more; a block of up to 65536 entries is not split, and the last rank has
/// it, for at that size the sums of columns are made of one piece. Ranks without rows have an empty range.
/// `together`: so many rows stay on one rank, and alone decide; give the rows of a head for a rule of heads,
/// which has no sums over rows.
/// Errors: std::invalid_argument for a rank count below 1, a negative shape, and heads that do not fill it.
inline std::vector<RowRange> row_partition(Shape shape, int ranks, Index together = 1) {
  symopt::detail::require(ranks >= 1, [&] {
    return "row_partition: there are " + std::to_string(ranks) +
           " ranks; give it the size of the communicator";
  });
  symopt::detail::require(shape.rows >= 0 && shape.cols >= 0,
                          [&] { return "row_partition: the block cannot be " + to_string(shape); });
  symopt::detail::require(together >= 1 && shape.rows % together == 0, [&] {
    return "row_partition: " + std::to_string(together) + " rows together do not fill a block of " +
           to_string(shape) + "; give it the rows of one head";
  });
  constexpr Index most_in_one_piece = 65536;
  const bool is_one_piece = shape.cols == 0 || shape.rows <= most_in_one_piece / shape.cols;
  const Index piece = together > 1   ? together
                      : is_one_piece ? std::max<Index>(1, shape.rows)
                                     : kernel::reduction_chunks(shape).rows_in_chunk;
  const Index pieces = (shape.rows + piece - 1) / piece;
  const auto boundary = [&](Index rank) { return std::min(shape.rows, pieces * rank / ranks * piece); };
  std::vector<RowRange> ranges;
  for (Index rank = 0; rank < ranks; ++rank) ranges.push_back({boundary(rank), boundary(rank + 1)});
  return ranges;
}

}}}  // namespace symopt::mpi
