// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra/elements.hpp>
#include <symopt/group/algebra/full.hpp>
#include <symopt/pair/pair_blocks.hpp>
#include <symopt/pair/root_inverse.hpp>
#include <symopt/pair/symmetric_root.hpp>

#include <concepts>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The memory that the metrics of a pair are found in, one after the other.
template <class A>
struct DenseMetricScratch {
  DenseMetricScratch(Index most_lines, Index rank)
      : lines((most_lines + rank) * rank), root_inverse(most_lines + rank, rank) {}

  kernel::Buffer<double> lines;
  RootInverse<double> root_inverse;
};

/// J with J J^T = Pi(sum of B^T B)^+ for an algebra whose elements are r x r matrices, in double: the inverse
/// of a factor F with F^T F = Pi(...). For algebra::Full by RootInverse; for another one from its factor, and
/// once more on B J, so that the error grows with the condition and not with its square; where the projection
/// is singular by its symmetric root, which every algebra contains.
template <class A>
class DenseMetric {
 public:
  using Scratch = DenseMetricScratch<A>;

  explicit DenseMetric(Index rank) : j_(Matrix<double>::Zero(rank, rank)) {}

  /// Of the blocks on one side and, with the metric of the other, of Pi(B^T B) + damping^2 Pi(A^T A)^-1.
  template <class Scalar>
  void compute(const PairBlocks<Scalar>& side, const DenseMetric* partner, double damping, Scratch& scratch) {
    const Index size = j_.rows(), own = side.lines() * static_cast<Index>(side.weights.size());
    const bool is_damped = partner != nullptr && damping > 0;
    MatrixRef<double> lines = scratch.lines.as({own + (is_damped ? size : 0), size});
    for_each_weight(
        side, [&](Index i, Index j, Scalar entry) { lines.coeffRef(i, j) = static_cast<double>(entry); });
    if (is_damped)  // the rows of damping J^T: their Gram matrix is damping^2 J J^T
      for (Index i = 0; i < size; ++i)
        for (Index j = 0; j < size; ++j) lines(own + i, j) = damping * partner->j_(j, i);
    constexpr double roundoff = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    if constexpr (std::same_as<A, algebra::Full>) {
      rank_ = scratch.root_inverse(lines, roundoff, j_);
    } else {
      compute_by_factor(lines, roundoff);
    }
  }

  /// The rank of Pi(sum of B^T B), by the last computation.
  Index rank() const { return rank_; }
  /// The rank of an invertible one.
  Index full() const { return j_.rows(); }
  /// J.
  const Matrix<double>& root_inverse() const { return j_; }

 private:
  void compute_by_factor(const MatrixRef<double>& lines, double roundoff) {
    const Index size = j_.rows();
    rank_ = size;
    Matrix<double> gram = lines.transpose() * lines;
    A::template project<double>(gram);
    Matrix<double> factor = gram;
    if (!has_factor(factor)) {
      rank_ = symmetric_root_inverse(gram, 4 * static_cast<double>(size) * roundoff, j_);
      return;
    }
    j_ = inverse_of(factor);
    const Matrix<double> orthonormal = lines * j_;
    factor = orthonormal.transpose() * orthonormal;
    A::template project<double>(factor);
    if (has_factor(factor)) j_ = matrix_product<double>(j_, inverse_of(factor));
  }

  /// A factor with pivots of rounding errors is none.
  static bool has_factor(Matrix<double>& positive) {
    double largest = 0;
    for (Index i = 0; i < positive.rows(); ++i) largest = std::max(largest, positive(i, i));
    if (!(largest > 0) || !A::template factor<double>(positive)) return false;
    const double least = std::sqrt(largest) * 1e-7;
    const Matrix<double> inverse = inverse_of(positive);
    return inverse.cwiseAbs().maxCoeff() < 1 / least;
  }

  Matrix<double> j_;
  Index rank_ = 0;
};

}}}  // namespace symopt::detail
