// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/threads.hpp>

#include <algorithm>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Rows or columns, from `begin` to the one before `end`.
struct Range {
  Index begin = 0;
  Index end = 0;
};

/// Rows cut into chunks for threads, by the size of the block alone.
struct Chunks {
  Index rows = 0;           ///< of the block
  Index rows_in_chunk = 1;  ///< but for the last one
  Index count = 0;

  Range operator[](Index chunk) const {
    const Index first = chunk * rows_in_chunk;
    return {first, std::min(rows, first + rows_in_chunk)};
  }
};

/// Chunks of some 32768 entries: large against the cost of handing one out, small against a cache.
inline Chunks chunks_of(Shape shape) {
  constexpr Index entries = 32768;
  const Index rows = std::max<Index>(1, entries / std::max<Index>(1, shape.cols));
  return {shape.rows, rows, (shape.rows + rows - 1) / rows};
}

/// At most 64 chunks, each with sums of its own: of so many rows that the sums, which one thread adds up, are
/// little beside them.
inline Chunks reduction_chunks(Shape shape) {
  constexpr Index most = 64, least_rows = 48;
  const Index rows = std::max({(shape.rows + most - 1) / most, chunks_of(shape).rows_in_chunk, least_rows});
  return {shape.rows, rows, (shape.rows + rows - 1) / rows};
}

/// work(rows) for the chunks of a block, on all threads.
template <class Work>
void for_each_chunk(const Chunks& chunks, Work&& work) {
  parallel_sweep(chunks.count, [&](Index chunk) { work(chunks[chunk]); });
}

}}}  // namespace symopt::kernel
