// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/group/algebra/full.hpp>
#include <symopt/memory/buffer.hpp>
#include <symopt/scaling.hpp>
#include <symopt/simd/load_store.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// J <- J scaled row by row: D J for the diagonal matrix D.
template <class Double>
void scale_rows(MatrixRef<Double> j, const Double* scale) {
  for (Index i = 0; i < j.rows(); ++i)
    for (Index k = 0; k < j.cols(); ++k) j(i, k) *= scale[i];
}

/// to <- to + factor from, for `count` numbers.
template <class Double>
void add_multiple(Double* to, Double factor, const Double* from, Index count) {
  const kernel::Lanes<Double> by(factor);
  kernel::for_each_vector<Double>(count, [=](auto at) SYMOPT_INLINE_LAMBDA {
    kernel::store(to, at, multiply_add(by, kernel::load(from, at), kernel::load(to, at)));
  });
}

/// square <- R, upper triangular with R^T R = square, which is read on and above the diagonal: Cholesky's
/// factor. False where it is not positive definite.
template <class Double>
bool factorize_positive(MatrixRef<Double> square) {
  const Index size = square.rows();
  for (Index i = 0; i < size; ++i) {
    Double* row = &square.coeffRef(i, 0);
    for (Index k = 0; k < i; ++k) {
      const Double* above = &square.coeffRef(k, 0);
      add_multiple(row + i, -above[i], above + i, size - i);
    }
    if (!(row[i] > 0)) return false;
    const Double root = std::sqrt(row[i]);
    for (Index j = i; j < size; ++j) row[j] /= root;
    std::fill(row, row + i, Double(0));
  }
  return true;
}

/// square <- R^-1 for an upper triangular R, in place; `row` has room for one of its rows.
template <class Double>
void invert_upper_triangle(MatrixRef<Double> square, Double* row) {
  const Index size = square.rows();
  for (Index i = size; i-- > 0;) {  // row i of the inverse, from that of R and the rows below it
    const Double pivot = 1 / square(i, i);
    Double* to = &square.coeffRef(i, 0);
    for (Index k = i + 1; k < size; ++k) {
      row[k] = -pivot * to[k];
      to[k] = 0;
    }
    to[i] = pivot;
    for (Index k = i + 1; k < size; ++k) add_multiple(to + k, row[k], &square.coeffRef(k, k), size - k);
  }
}

/// J with J J^T = (B^T B)^+ for a block B of L x r, in double, so that B J has orthonormal columns or zeros:
/// J = F^+ for a factor F with F^T F = B^T B. Two such J differ by an orthogonal matrix on their right.
///   by Cholesky of the Gram matrix     for floats, where all pivots are well above its rounding: invert_gram
///   by QR with pivoting (Householder)  otherwise: its error grows with the condition, not with the square
/// Columns are first scaled to norms between 1 and 2. Columns that lie within `roundoff` of the others' span
/// count as dependent: then J has as many columns of zeros, and J J^T is the pseudo-inverse.
/// Double is double; a template, so that only who uses pairs compiles it. Cost: L r^2 flops by Cholesky, 2 L
/// r^2 by QR. No allocation. Source: Golub and Van Loan, Matrix Computations, 4th edition, sections 5.4.2
/// and 5.5.
template <class Double>
class RootInverse {
 public:
  explicit RootInverse(Index rank)
      : numbers_(static_cast<std::size_t>(3 * rank)),
        order_(static_cast<std::size_t>(rank)),
        square_(rank * rank) {}

  /// By QR: returns the rank of B, and destroys it. `roundoff`: of the scalar that the entries of B have been
  /// in.
  Index operator()(MatrixRef<Double> block, Double roundoff, MatrixRef<Double> j) {
    if (j.rows() == 0) return 0;
    if (!scale_columns(block)) {
      j.setConstant(std::numeric_limits<Double>::quiet_NaN());
      return j.rows();
    }
    const Index rank = factorize(block, 4 * static_cast<Double>(j.rows()) * roundoff, true);
    if (rank == j.rows()) {
      invert_full_rank(block, j);
    } else {
      invert_with_zeros(block, rank, j);
    }
    return rank;
  }

  /// j, a Gram matrix, <- its J. False, with j spoilt, where a pivot is too near the rounding of a Gram
  /// matrix.
  bool invert_gram(MatrixRef<Double> j) {
    constexpr Double least_pivot = 1e-8;  // the squared condition that floats leave digits for
    const Index size = j.rows();
    for (Index i = 0; i < size; ++i) {
      if (!(j(i, i) > 0) || !is_finite(j(i, i))) return false;
      scale()[i] = kernel::power_of_two_scale(std::sqrt(j(i, i)));
    }
    scale_rows<Double>(j, scale());
    for (Index i = 0; i < size; ++i)
      for (Index k = 0; k < size; ++k) j(i, k) *= scale()[k];
    if (!factorize_positive<Double>(j)) return false;
    for (Index i = 0; i < size; ++i)
      if (!(j(i, i) * j(i, i) >= least_pivot)) return false;
    invert_upper_triangle<Double>(j, dots());
    scale_rows<Double>(j, scale());
    return true;
  }

 private:
  Double* scale() { return numbers_.data(); }
  Double* norms() { return numbers_.data() + order_.size(); }
  Double* dots() { return numbers_.data() + 2 * order_.size(); }

  /// Scales every column to a norm between 1 and 2, by a power of two. False where a number is not finite.
  bool scale_columns(MatrixRef<Double> block) {
    const Index size = block.cols();
    std::fill(norms(), norms() + size, Double(0));
    for (Index i = 0; i < block.rows(); ++i)
      for (Index k = 0; k < size; ++k) {
        if (!is_finite(block(i, k))) return false;
        norms()[k] = std::max(norms()[k], std::abs(block(i, k)));
      }
    for (Index k = 0; k < size; ++k) scale()[k] = kernel::power_of_two_scale(norms()[k]);
    find_norms(block, 0, [&](Index i, Index k) { return block(i, k) * scale()[k]; });
    for (Index k = 0; k < size; ++k) scale()[k] *= kernel::power_of_two_scale(std::sqrt(norms()[k]));
    for (Index i = 0; i < block.rows(); ++i)
      for (Index k = 0; k < size; ++k) block(i, k) *= scale()[k];
    return true;
  }

  /// The squared norms of the columns from `first` on, over the rows from there on.
  void find_norms(const MatrixRef<Double>& block, Index first, const auto& entry) {
    std::fill(norms(), norms() + block.cols(), Double(0));
    for (Index i = first; i < block.rows(); ++i)
      for (Index k = first; k < block.cols(); ++k) norms()[k] += entry(i, k) * entry(i, k);
  }

  /// Puts R on and above the diagonal of the block, with the columns in the order of `order_`. Returns the
  /// number of its rows that count.
  Index factorize(MatrixRef<Double> block, Double tolerance, bool may_pivot) {
    const Index size = block.cols();
    for (Index k = 0; k < size; ++k) order_[static_cast<std::size_t>(k)] = k;
    for (Index k = 0; k < std::min(block.rows(), size); ++k) {
      find_norms(block, k, [&](Index i, Index c) { return block(i, c); });
      const Index pivot = may_pivot ? std::max_element(norms() + k, norms() + size) - norms() : k;
      const Double norm = std::sqrt(norms()[pivot]);
      if (!(norm > tolerance)) return k;
      if (pivot != k) {
        std::swap(order_[static_cast<std::size_t>(k)], order_[static_cast<std::size_t>(pivot)]);
        for (Index i = 0; i < block.rows(); ++i) std::swap(block(i, k), block(i, pivot));
      }
      reflect(block, k, norm);
    }
    return std::min(block.rows(), size);
  }

  /// The reflection that takes column k, from row k on, to a multiple of the first axis.
  void reflect(MatrixRef<Double> block, Index k, Double norm) {
    const Index size = block.cols();
    const Double head = block(k, k), target = head > 0 ? -norm : norm;
    block(k, k) = head - target;
    const Double weight = 1 / (norm * (norm + std::abs(head)));
    std::fill(dots() + k + 1, dots() + size, Double(0));
    for (Index i = k; i < block.rows(); ++i) {
      const Double* row = &block.coeffRef(i, 0);
      for (Index c = k + 1; c < size; ++c) dots()[c] += row[k] * row[c];
    }
    for (Index c = k + 1; c < size; ++c) dots()[c] *= weight;
    for (Index i = k; i < block.rows(); ++i) {
      Double* row = &block.coeffRef(i, 0);
      for (Index c = k + 1; c < size; ++c) row[c] -= row[k] * dots()[c];
    }
    block(k, k) = target;
  }

  /// F = R P^T D^-1, so J = D P R^-1.
  void invert_full_rank(const MatrixRef<Double>& block, MatrixRef<Double> j) {
    const Index size = j.rows();
    MatrixRef<Double> inverse = square_.as({size, size});
    for (Index i = 0; i < size; ++i)
      for (Index k = 0; k < size; ++k) inverse(i, k) = k >= i ? block(i, k) : 0;
    invert_upper_triangle<Double>(inverse, dots());
    for (Index i = 0; i < size; ++i) {
      const Index column = order_[static_cast<std::size_t>(i)];
      for (Index k = 0; k < size; ++k) j(column, k) = inverse(i, k) * scale()[column];
    }
  }

  /// F is rank x r: with F^T = V T, V of orthonormal columns, J = F^+ = V T^-T.
  void invert_with_zeros(const MatrixRef<Double>& block, Index rank, MatrixRef<Double> j) {
    const Index size = j.rows();
    j.setZero();
    if (rank == 0) return;
    for (Index i = 0; i < rank; ++i)
      for (Index k = i; k < size; ++k) {
        const Index column = order_[static_cast<std::size_t>(k)];
        j(column, i) = block(i, k) / scale()[column];
      }
    MatrixRef<Double> transposed = square_.as({size, rank});
    transposed = j.leftCols(rank);
    factorize(transposed, 0, false);
    const MatrixRef<Double> t = transposed.topRows(rank);
    algebra::Full::divide<Double>(t, j.leftCols(rank));
    algebra::Full::divide_by_transpose<Double>(t, j.leftCols(rank));
  }

  std::vector<Double> numbers_;
  std::vector<Index> order_;
  kernel::Buffer<Double> square_;
};

}}}  // namespace symopt::detail
