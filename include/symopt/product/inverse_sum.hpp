// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/product/shifted_inverse.hpp>

#include <algorithm>
#include <cstddef>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Weighted inverses on their way into one symmetric matrix, constant I + linear A + sum_m weight * square of
/// the first `count` of memory.each, where A is the matrix that they are made of, below the diagonal of
/// `square`. Where they come in several batches, the sum waits above that diagonal and in `diagonal`. With
/// the last batch all of it, times `gain`, becomes `square`.
template <class Scalar>
struct InverseSum {
  MatrixRef<Scalar> square;
  Scalar* diagonal;
  Scalar constant = 1, linear = 0, gain = 1;

  void add(const InverseMemory<Scalar>& memory, std::size_t count, bool is_first, bool is_last) {
    const Index size = square.rows();
    const Batch batch{memory, count, is_first, is_last};
    share_lower_tiles(block_count(size), 40.0 * static_cast<double>(square.size()), [&](Index bi, Index bj) {
      const Index end = std::min(size, (bi + 1) * block_edge),
                  last_col = std::min(size, (bj + 1) * block_edge);
      for (Index col = bj * block_edge; col < last_col; col += run) {
        Index i = std::max(bi * block_edge, col);
        const auto add_to = [&](Index last) {
          for (; i < last; ++i)
            for (Index j = col; j < std::min({col + run, last_col, i + 1}); ++j) add_entry(batch, i, j);
        };
        add_to(std::min(end, round_up(i, run) + (i == col ? run : 0)));  // what the diagonal crosses
        if (col + run <= last_col)
          for (; i + run <= end; i += run) add_whole(batch, i, col);
        add_to(end);
      }
    });
  }

 private:
  static constexpr Index run = 16;  // columns of one cache line

  struct Batch {
    const InverseMemory<Scalar>& memory;
    std::size_t count;
    bool is_first, is_last;
  };

  void add_entry(const Batch& batch, Index i, Index j) {
    Scalar& kept = i == j ? diagonal[i] : square.coeffRef(j, i);
    Scalar sum = batch.is_first ? (i == j ? constant : Scalar(0)) + linear * square.coeff(i, j) : kept;
    for (std::size_t m = 0; m < batch.count; ++m) {
      const auto& one = batch.memory.each[m];
      sum += one.weight * one.square.data()[i * square_stride(square.rows()) + j];
    }
    kept = batch.is_last ? gain * sum : sum;
    if (batch.is_last) square.coeffRef(i, j) = kept;
  }

  /// The entries of `run` rows and columns from (i, j) on, under the diagonal, in the same order of
  /// additions.
  void add_whole(const Batch& batch, Index i, Index j) {
    alignas(64) Scalar sum[run][run];
    const Index stride = square_stride(square.rows());
    for (Index r = 0; r < run; ++r) {
      const Scalar* own = &square.coeffRef(i + r, j);
      for (Index c = 0; c < run; ++c) sum[r][c] = linear * own[c];
    }
    if (!batch.is_first)
      for (Index c = 0; c < run; ++c) {
        const Scalar* kept = &square.coeffRef(j + c, i);
        for (Index r = 0; r < run; ++r) sum[r][c] = kept[r];
      }
    for (std::size_t m = 0; m < batch.count; ++m) {
      const auto& one = batch.memory.each[m];
      for (Index r = 0; r < run; ++r) {
        const Scalar* entry = one.square.data() + (i + r) * stride + j;
        for (Index c = 0; c < run; ++c) sum[r][c] += one.weight * entry[c];
      }
    }
    if (batch.is_last)
      for (Index r = 0; r < run; ++r) {
        Scalar* own = &square.coeffRef(i + r, j);
        for (Index c = 0; c < run; ++c) own[c] = sum[r][c] *= gain;
      }
    for (Index c = 0; c < run; ++c) {
      Scalar* kept = &square.coeffRef(j + c, i);
      for (Index r = 0; r < run; ++r) kept[r] = sum[r][c];
    }
  }
};

}}}  // namespace symopt::kernel
