// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/mean.hpp>

// Norms of lines on a block in place, for rules of several stages. The block's rows are contiguous. Sums of
// squares in double, as in the fused steps.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// x <- x / (norm + eps) for every row; a zero row stays zero. One read and one write with each row in cache.
template <class Scalar>
void normalize_rows(const BlockView<Scalar>& block, double eps) {
  const Index cols = block.cols.size;
  for_each_piece(pieces_of(shape_of(block)), [&](Index first, Index end) {
    for (Index i = first; i < end; ++i) {
      Scalar* x = block.row(i);
      DoubleLanes<Scalar> squares;
      for_each_place<Scalar>(cols, [&](auto at) SYMOPT_INLINE_LAMBDA { squares.add_square(load(x, at)); });
      const double norm = norm_from<Scalar>(squares.sum(), [&](auto&& visit) {
        for (Index j = 0; j < cols; ++j) visit(x[j]);
      });
      if (norm == 0) continue;
      const NormFactors<Scalar> factors(norm, eps, 1.0);
      const Lanes<Scalar> scale(factors.scale), factor(factors.factor);
      for_each_place<Scalar>(
          cols, [&](auto at) SYMOPT_INLINE_LAMBDA { store(x, at, (load(x, at) * scale) * factor); });
    }
  });
}

/// The same for every column, in strips of columns: two reads and one write.
template <class Scalar>
void normalize_columns(const BlockView<Scalar>& block, double eps) {
  const Index rows = block.row_count();
  for_each_strip(block.cols.size, [&](Index begin, Index end) {
    alignas(64) double squares[strip_columns + line_padding] = {};
    alignas(64) Scalar scale[strip_columns], factor[strip_columns];
    for (Index i = 0; i < rows; ++i) {
      const Scalar* x = block.row(i) + begin;
      for_each_place<Scalar>(end - begin, [&](auto at) SYMOPT_INLINE_LAMBDA {
        add_square_to(static_cast<double*>(squares), at, load(x, at));
      });
    }
    for (Index j = 0; j < end - begin; ++j) {
      const double norm = norm_from<Scalar>(squares[j], [&](auto&& visit) {
        for (Index i = 0; i < rows; ++i) visit(block.row(i)[begin + j]);
      });
      const NormFactors<Scalar> factors(norm, eps, 1.0);
      scale[j] = factors.scale;
      factor[j] = factors.factor;
    }
    for (Index i = 0; i < rows; ++i) {
      Scalar* x = block.row(i) + begin;
      const Scalar *s = scale, *f = factor;
      for_each_place<Scalar>(end - begin, [&](auto at) SYMOPT_INLINE_LAMBDA {
        store(x, at, (load(x, at) * load(s, at)) * load(f, at));
      });
    }
  });
}

/// The block over its Frobenius norm; a zero block stays zero. Every row is added up alone.
template <class Scalar>
void normalize_block(const BlockView<Scalar>& block) {
  const Shape shape = shape_of(block);
  DoubleLanes<Scalar> squares;
  for (Index i = 0; i < shape.rows; ++i) {
    const Scalar* x = block.row(i);
    for_each_place<Scalar>(shape.cols,
                           [&](auto at) SYMOPT_INLINE_LAMBDA { squares.add_square(load(x, at)); });
  }
  const double norm = norm_from<Scalar>(squares.sum(), [&](auto&& visit) {
    for (Index i = 0; i < shape.rows; ++i)
      for (Index j = 0; j < shape.cols; ++j) visit(block.row(i)[j]);
  });
  if (norm == 0) return;
  const NormFactors<Scalar> factors(norm, 0, 1.0);
  const Lanes<Scalar> scale(factors.scale), factor(factors.factor);
  for_each_piece(pieces_of(shape), [&](Index first, Index end) {
    for (Index i = first; i < end; ++i) {
      Scalar* x = block.row(i);
      for_each_place<Scalar>(
          shape.cols, [&](auto at) SYMOPT_INLINE_LAMBDA { store(x, at, (load(x, at) * scale) * factor); });
    }
  });
}

/// Every entry becomes its sign.
template <class Scalar>
void take_signs(const BlockView<Scalar>& block) {
  for_each_piece(pieces_of(shape_of(block)), [&](Index first, Index end) {
    for (Index i = first; i < end; ++i) {
      Scalar* x = block.row(i);
      for_each_place<Scalar>(block.cols.size,
                             [&](auto at) SYMOPT_INLINE_LAMBDA { store(x, at, sign(load(x, at))); });
    }
  });
}

}}}  // namespace symopt::kernel
