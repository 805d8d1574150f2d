// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/product/product_tiles.hpp>

// The products of the spectral methods: Gram matrices, products of commuting symmetric matrices, and a
// square times a block. The bits of a result depend on the shape alone, for any number of threads. Without a
// BLAS each entry is a sum of partial sums of at most `summed_at_once` terms:
//   |error| <= (summed_at_once + terms / summed_at_once) * unit roundoff * sum |a b|.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The triangle of `out` on and under the diagonal <- that of the Gram matrix of scale * block: block block^T
/// on the left, block^T block on the right. Entries above it may be written, too. Half the flops of a general
/// product: k^2 n for a k x k Gram with n terms per entry.
template <class Scalar>
void lower_gram(const MatrixRef<Scalar>& block, Side side, MatrixRef<Scalar> out,
                ProductMemory<Scalar>& memory, Scalar scale = Scalar(1)) {
  const Operand<Scalar> operand = gram_operand<Scalar>(block, side);
  const Index lanes = out.rows();
  const Index terms = side == Side::left ? block.cols() : block.rows();
  if (terms == 0) out.setZero();
  for (Index k = 0; k < terms; k += slab_size) {
    const Index depth = std::min(slab_size, terms - k);
    const auto [rows, cols] =
        stage_both<Scalar>({operand.at(k, 0), operand.term, operand.lane}, depth, lanes, scale, memory);
    lower_product<Scalar>(rows, cols, depth, k == 0, out);
  }
}

/// out <- the Gram matrix of the block: lower_gram and its mirror image.
template <class Scalar>
void gram(const MatrixRef<Scalar>& block, Side side, MatrixRef<Scalar> out, ProductMemory<Scalar>& memory,
          Scalar scale = Scalar(1)) {
  lower_gram<Scalar>(block, side, out, memory, scale);
  symmetrize_from_lower<Scalar>(out);
}

/// out <- a b for symmetric matrices that commute, so that the product is symmetric: half the flops of a
/// general product, k^3. `out` is neither of them.
template <class Scalar>
void symmetric_product(const MatrixRef<Scalar>& a, const MatrixRef<Scalar>& b, MatrixRef<Scalar> out,
                       ProductMemory<Scalar>& memory) {
  const Index size = out.rows();
  const auto rows = stage_rows<Scalar>({a.data(), a.outerStride(), 1}, size, size, Scalar(1), memory);
  const auto cols = stage_cols<Scalar>({b.data(), b.outerStride(), 1}, size, size, Scalar(1), memory);
  lower_product<Scalar>(rows, cols, size, true, out);
  symmetrize_from_lower<Scalar>(out);
}

/// block <- square (scale block) on the left or (scale block) square on the right. In place, a slab of
/// columns or rows at a time: 2 k^2 n flops.
template <class Scalar>
void multiply_square(const MatrixRef<Scalar>& square, MatrixRef<Scalar> block, Side side,
                     ProductMemory<Scalar>& memory, Scalar scale = Scalar(1)) {
  const Index size = square.rows();
  const Index lanes = side == Side::left ? block.cols() : block.rows();
  const Index stride = square.outerStride(), block_stride = block.outerStride();
  const Operand<Scalar> left{square.data(), 1, stride}, right{square.data(), stride, 1};
  using Staged = decltype(stage_rows<Scalar>(left, size, size, Scalar(1), memory));
  Staged rows{}, cols{};
  if (side == Side::left) {
    rows = stage_rows<Scalar>(left, size, size, Scalar(1), memory);
  } else {
    cols = stage_cols<Scalar>(right, size, size, Scalar(1), memory);
  }
  for (Index first = 0; first < lanes; first += slab_size) {
    const Index width = std::min(slab_size, lanes - first);
    if (side == Side::left) {
      Scalar* slab = &block.coeffRef(0, first);
      cols = stage_cols<Scalar>({slab, block_stride, 1}, size, width, scale, memory);
      full_product<Scalar>(rows, cols, size, slab, block_stride, {size, width});
    } else {
      Scalar* slab = &block.coeffRef(first, 0);
      rows = stage_rows<Scalar>({slab, 1, block_stride}, size, width, scale, memory);
      full_product<Scalar>(rows, cols, size, slab, block_stride, {width, size});
    }
  }
}

}}}  // namespace symopt::kernel
