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
    constexpr Index run = 16;  // columns of one cache line
    const Index size = square.rows(), stride = square_stride(size);
    const Scalar factor = is_last ? gain : Scalar(1);
    share_lower_tiles(block_count(size), 40.0 * static_cast<double>(square.size()), [&](Index bi, Index bj) {
      const Index end = std::min(size, (bi + 1) * block_edge),
                  last_col = std::min(size, (bj + 1) * block_edge);
      for (Index col = bj * block_edge; col < last_col; col += run) {
        const Index width = std::min(run, last_col - col);
        for (Index i = std::max(bi * block_edge, col); i < end; ++i) {
          const Index used = std::min(width, i - col + 1);
          Scalar sum[run] = {};
          for (std::size_t m = 0; m < count; ++m) {
            const auto& one = memory.each[m];
            const Scalar* entry = one.square.data() + i * stride + col;
            for (Index c = 0; c < used; ++c) sum[c] += one.weight * entry[c];
          }
          for (Index c = 0; c < used; ++c) {
            Scalar& kept = i == col + c ? diagonal[i] : square.coeffRef(col + c, i);
            const Scalar before =
                is_first ? (i == col + c ? constant : Scalar(0)) + linear * square.coeff(i, col + c) : kept;
            kept = factor * (before + sum[c]);
            if (is_last) square.coeffRef(i, col + c) = kept;
          }
        }
      }
    });
  }
};

}}}  // namespace symopt::kernel
