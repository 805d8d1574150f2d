// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/mean.hpp>
#include <symopt/kernel/norm_factors.hpp>

// Norms of lines on a block in place, for rules of several stages. The block's rows are contiguous. Sums of
// squares in double, as in the fused steps.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// squares <- squares + x^2, the squares of a row in its lanes or those of columns in theirs.
template <class Scalar>
SYMOPT_INLINE void add_squares(const BlockView<Scalar>& block, Range rows, Range columns, auto squares) {
  sweep(
      rows, columns,
      [](Lanes<Scalar> x, DoubleLanes<Scalar>& sum) SYMOPT_INLINE_LAMBDA { sum.add_square(x); }, in(block),
      squares);
}

/// x <- (x * scale) * factor.
template <class Scalar>
SYMOPT_INLINE void multiply(const BlockView<Scalar>& block, Range rows, Range columns,
                            NormFactors<Scalar> factors) {
  using L = Lanes<Scalar>;
  const L scale(factors.scale), factor(factors.factor);
  sweep(
      rows, columns, [=](L& x) SYMOPT_INLINE_LAMBDA { x = (x * scale) * factor; }, inout(block));
}

/// x <- x / divisor, of norm and eps, for every row; a zero row stays zero. One read and one write with each
/// row in cache.
template <class Scalar>
void normalize_rows(const BlockView<Scalar>& block, Eps eps) {
  const Range columns{0, block.cols.size};
  for_each_chunk(chunks_of(symopt::detail::shape_of(block)), [&](Range rows) {
    for (Index i = rows.begin; i < rows.end; ++i) {
      DoubleLanes<Scalar> squares;
      add_squares(block, {i, i + 1}, columns, accumulate(squares));
      const Norm norm = norm_from<Scalar>(squares.sum(), [&](auto&& visit) {
        for (Index j = 0; j < columns.end; ++j) visit(block.row(i)[j]);
      });
      if (norm.scaled != 0) multiply(block, {i, i + 1}, columns, NormFactors<Scalar>(norm, eps, 1.0));
    }
  });
}

/// x <- x / divisor, of norm and eps, for every column; a zero column stays zero. In strips of columns: two
/// reads and one write.
template <class Scalar>
void normalize_columns(const BlockView<Scalar>& block, Eps eps) {
  using L = Lanes<Scalar>;
  const Range rows{0, block.row_count()};
  for_each_strip(block.cols.size, [&](Range columns) {
    alignas(64) double squares[strip_columns + line_padding] = {};
    alignas(64) Scalar scale[strip_columns], factor[strip_columns];
    add_squares(block, rows, columns, column_sums(squares));
    for (Index j = columns.begin; j < columns.end; ++j) {
      const Index k = j - columns.begin;
      const Norm norm = norm_from<Scalar>(squares[k], [&](auto&& visit) {
        for (Index i = 0; i < rows.end; ++i) visit(block.row(i)[j]);
      });
      const NormFactors<Scalar> factors(norm, eps, 1.0);
      scale[k] = factors.scale;
      factor[k] = factors.factor;
    }
    sweep(
        rows, columns, [](L& x, L s, L f) SYMOPT_INLINE_LAMBDA { x = (x * s) * f; }, inout(block),
        per_column<Scalar>(scale), per_column<Scalar>(factor));
  });
}

/// The block over its Frobenius norm; a zero block stays zero. The squares of a reduction's processes are
/// added in no known order.
template <class Scalar, class Reduction = NoReduction>
void normalize_block(const BlockView<Scalar>& block, const Reduction& reduction = {}) {
  const Shape shape = symopt::detail::shape_of(block);
  const Range columns{0, shape.cols};
  DoubleLanes<Scalar> squares;
  add_squares(block, {0, shape.rows}, columns, accumulate(squares));
  const auto entries = [&](auto&& show) {
    for (Index i = 0; i < shape.rows; ++i)
      for (Index j = 0; j < shape.cols; ++j) show(block.row(i)[j]);
  };
  double sum = squares.sum();
  reduction.sum(&sum, 1);
  const Norm norm =
      norm_from<Scalar>(sum, [&](auto&& visit) { reduction.template scan<Scalar>(entries, visit); });
  if (norm.scaled == 0) return;
  const NormFactors<Scalar> factors(norm, 0, 1.0);
  for_each_chunk(chunks_of(shape), [&](Range rows) { multiply(block, rows, columns, factors); });
}

/// Every entry becomes its sign.
template <class Scalar>
void take_signs(const BlockView<Scalar>& block) {
  for_each_chunk(chunks_of(symopt::detail::shape_of(block)), [&](Range rows) {
    sweep(
        rows, {0, block.cols.size}, [](Lanes<Scalar>& x) SYMOPT_INLINE_LAMBDA { x = sign(x); }, inout(block));
  });
}

}}}  // namespace symopt::kernel
