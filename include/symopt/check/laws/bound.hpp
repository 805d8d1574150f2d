// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

// The law that an element lies in the families that its group states, of its own or of its bound.
namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The matrices of an element that moves updates by U -> A U B^T, so far as they are known: up to a number by
/// which A is multiplied and B divided.
struct SideMatrices {
  WideMatrix left, right;
  Wide residual = 0;  ///< what of the action is not of this form
};

/// A and B as the element moves blocks with a single entry. Shape: not empty.
SideMatrices side_matrices(const AnyGroup& group, const AnyGroup::Element& g, Shape shape);

/// How far an element is from all those of the families: the Frobenius norm of what none of them has.
Wide distance_from_families(const AnyGroup& group, const AnyGroup::Element& g, Shape shape);

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE SideMatrices side_matrices(const AnyGroup& group, const AnyGroup::Element& g,
                                               Shape shape) {
  const auto moved = [&](Index i, Index j) {
    WideMatrix unit = WideMatrix::Zero(shape.rows, shape.cols);
    unit(i, j) = 1;
    return group.on_update(g, unit);
  };
  const WideMatrix first = moved(0, 0);  // a_0 b_0^T, and a_0 = 1 in its largest entry
  Index row = 0, col = 0;
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j)
      if (std::abs(first(i, j)) > std::abs(first(row, col))) row = i, col = j;
  SideMatrices result{WideMatrix::Zero(shape.rows, shape.rows), WideMatrix::Zero(shape.cols, shape.cols)};
  // The first column of A has length 1, or that of B where the group scales rows: the number goes to the
  // other.
  const Families families = group.families();
  Wide scale = 0;
  if (!families.left.positive_scalings) {
    for (Index i = 0; i < shape.rows; ++i) scale = std::hypot(scale, first(i, col) / first(row, col));
  } else {
    for (Index j = 0; j < shape.cols; ++j) scale = std::hypot(scale, first(row, j));
    scale = 1 / scale;
  }
  for (Index i = 0; i < shape.rows; ++i) {
    const WideMatrix block = moved(i, 0);
    for (Index k = 0; k < shape.rows; ++k) result.left(k, i) = block(k, col) / (first(row, col) * scale);
  }
  for (Index j = 0; j < shape.cols; ++j) {
    const WideMatrix block = moved(0, j);
    for (Index k = 0; k < shape.cols; ++k) result.right(k, j) = block(row, k) * scale;
  }
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) {
      const WideMatrix block = moved(i, j);
      for (Index k = 0; k < shape.rows; ++k)
        for (Index l = 0; l < shape.cols; ++l)
          result.residual = std::hypot(result.residual, block(k, l) - result.left(k, i) * result.right(l, j));
    }
  return result;
}

/// |Q^T Q - 1| of the square block of that size whose corner is given.
SYMOPT_CHECK_INLINE Wide distance_from_orthogonal(const WideMatrix& a, Index row, Index col, Index size) {
  Wide squares = 0;
  for (Index i = 0; i < size; ++i)
    for (Index j = 0; j < size; ++j) {
      Wide product = i == j ? -1 : 0;
      for (Index k = 0; k < size; ++k) product += a(row + k, col + i) * a(row + k, col + j);
      squares += product * product;
    }
  return std::sqrt(squares);
}

/// How far a matrix is from all those of the families on its side.
SYMOPT_CHECK_INLINE Wide distance_from_side(const WideMatrix& a, const SideFamilies& families) {
  const bool mixes_heads = families.has_permutations() && families.block_rotations > 1;
  if (families.rotations || mixes_heads)
    return families.positive_scalings ? 0 : distance_from_orthogonal(a, 0, 0, a.rows());
  const Index size =
      std::max({1, families.block_rotations, families.has_permutations() ? 1 : families.block_permutations});
  const auto block_norm = [&](Index row, Index col) {
    Wide length = 0;
    for (Index i = 0; i < size; ++i)
      for (Index j = 0; j < size; ++j) length = std::hypot(length, a(row + i, col + j));
    return length;
  };
  // In each line of blocks the largest stays, and the others should be zero.
  Wide distance = 0;
  for (Index row = 0; row < a.rows(); row += size) {
    Index kept = 0;
    for (Index col = 0; col < a.cols(); col += size)
      if (block_norm(row, col) > block_norm(row, kept)) kept = col;
    for (Index col = 0; col < a.cols(); col += size)
      if (col != kept) distance = std::hypot(distance, block_norm(row, col));
    if (kept != row && !families.has_block_permutations(static_cast<int>(size)))
      distance = std::hypot(distance, block_norm(row, kept));
    if (families.block_rotations > 1) {
      distance = std::hypot(distance, distance_from_orthogonal(a, row, kept, size));
      continue;
    }
    for (Index i = 0; i < size; ++i)
      for (Index j = 0; j < size; ++j) {
        Wide entry = a(row + i, kept + j);
        if (i == j && families.has_signs()) entry = std::abs(entry);
        const bool is_scaled = i == j && families.positive_scalings && entry > 0;
        if (!is_scaled) distance = std::hypot(distance, entry - (i == j ? 1 : 0));
      }
  }
  return distance;
}

/// The part of a translation that neither moves all rows alike nor all columns, where that is in the
/// families.
SYMOPT_CHECK_INLINE Wide distance_from_shifts(WideMatrix block, const Families& families) {
  for (Index j = 0; families.left.translations && j < block.cols(); ++j) {
    Wide mean = 0;
    for (Index i = 0; i < block.rows(); ++i) mean += block(i, j) / static_cast<Wide>(block.rows());
    for (Index i = 0; i < block.rows(); ++i) block(i, j) -= mean;
  }
  for (Index i = 0; families.right.translations && i < block.rows(); ++i) {
    Wide mean = 0;
    for (Index j = 0; j < block.cols(); ++j) mean += block(i, j) / static_cast<Wide>(block.cols());
    for (Index j = 0; j < block.cols(); ++j) block(i, j) -= mean;
  }
  return norm(block);
}

SYMOPT_CHECK_INLINE Wide distance_from_families(const AnyGroup& group, const AnyGroup::Element& g,
                                                Shape shape) {
  const Families families = group.families();
  const SideMatrices matrices = side_matrices(group, g, shape);
  const WideMatrix of_zero = group.on_weights(g, WideMatrix::Zero(shape.rows, shape.cols));
  const auto of_both = [&](Wide sign) {  // A and B with their signs, or both with the other
    return std::hypot(
        distance_from_side(sum(WideMatrix::Zero(shape.rows, shape.rows), matrices.left, sign), families.left),
        distance_from_side(sum(WideMatrix::Zero(shape.cols, shape.cols), matrices.right, sign),
                           families.right));
  };
  const Wide linear = std::min(of_both(1), of_both(-1));
  const Wide distance =
      std::hypot(std::hypot(linear, matrices.residual), distance_from_shifts(of_zero, families));
  return distance == distance ? distance : std::numeric_limits<Wide>::infinity();
}
#endif

}}}  // namespace symopt::check::detail
