// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra/elements.hpp>
#include <symopt/group/algebra/full.hpp>
#include <symopt/pair/pair_blocks.hpp>
#include <symopt/pair/root_inverse.hpp>
#include <symopt/pair/square_product.hpp>
#include <symopt/pair/symmetric_root.hpp>

#include <concepts>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The memory that the metrics of a pair are found in, one after the other.
template <class A>
struct DenseMetricScratch {
  DenseMetricScratch(Index most_lines, Index rank, Index least_size = 0)
      : lines(std::max((most_lines + rank) * rank, least_size)), root_inverse(rank), product(rank) {}

  kernel::Buffer<double> lines;  ///< and whatever else is needed when no lines are
  RootInverse<double> root_inverse;
  SquareProduct product;
};

/// J with J J^T = Pi(sum of B^T B)^+ for an algebra whose elements are r x r matrices, in double: the inverse
/// of a factor F with F^T F = Pi(...). For algebra::Full by RootInverse; for another one from its factor, and
/// once more on B J, so that the error grows with the condition and not with its square; where the projection
/// is singular by its symmetric root, which every algebra contains.
template <class A>
class DenseMetric {
 public:
  using Scratch = DenseMetricScratch<A>;

  explicit DenseMetric(Index rank) : j_(rank, rank), gram_(rank, rank) {
    j_.setZero();
    gram_.setZero();
  }

  /// Of the blocks on one side.
  template <class Scalar>
  void compute(const PairBlocks<Scalar>& side, Scratch& scratch) {
    has_gram_ = false;
    if constexpr (!std::same_as<A, algebra::Full>) {
      compute_by_factor(gathered(side, 0, scratch), roundoff<Scalar>);
    } else {
      rank_ = scratch.root_inverse(gathered(side, 0, scratch), roundoff<Scalar>, j_);
    }
  }

  /// Of the blocks on one side, of whose weights gram() is the Gram matrix; from that where it has digits
  /// enough. For algebra::Full and floats.
  template <class Scalar>
  void compute_by_gram(const PairBlocks<Scalar>& side, Scratch& scratch) {
    has_gram_ = true;
    j_ = gram_;
    rank_ = j_.rows();
    if (!scratch.root_inverse.invert_gram(j_)) compute(side, scratch);
  }
  Matrix<double>& gram() { return gram_; }

  /// Of Pi(B^T B) + damping^2 Pi(A^T A)^-1, from the metrics of both sides; the blocks are those of B.
  template <class Scalar>
  void compute_damped(const PairBlocks<Scalar>& side, const DenseMetric& own, const DenseMetric& partner,
                      double damping, Scratch& scratch) {
    const Index size = j_.rows();
    rank_ = size;
    if (own.has_gram_) {
      const double squared = damping * damping;
      scratch.product.multiply_transposed(partner.j_, partner.j_, j_);
      for (Index i = 0; i < size; ++i)
        for (Index j = 0; j <= i; ++j) j_(i, j) = j_(j, i) = own.gram_(i, j) + squared * j_(i, j);
      if (scratch.root_inverse.invert_gram(j_)) return;
    }
    const MatrixRef<double> lines = gathered(side, size, scratch);
    const Index first = lines.rows() - size;  // the rows of damping J^T: their Gram matrix is damping^2 J J^T
    for (Index i = 0; i < size; ++i)
      for (Index j = 0; j < size; ++j)
        scratch.lines.data()[(first + i) * size + j] = damping * partner.j_(j, i);
    if constexpr (std::same_as<A, algebra::Full>) {
      rank_ = scratch.root_inverse(lines, roundoff<Scalar>, j_);
    } else {
      compute_by_factor(lines, roundoff<Scalar>);
    }
  }

  /// The rank of Pi(sum of B^T B), by the last computation.
  Index rank() const { return rank_; }
  /// The rank of an invertible one.
  Index full() const { return j_.rows(); }
  /// J.
  const Matrix<double>& root_inverse() const { return j_; }

 private:
  template <class Scalar>
  static constexpr double roundoff = static_cast<double>(std::numeric_limits<Scalar>::epsilon());

  /// The lines of all blocks of a side in double, and room for more.
  template <class Scalar>
  static MatrixRef<double> gathered(const PairBlocks<Scalar>& side, Index more, Scratch& scratch) {
    const Index size = side.rank(), own = side.lines() * static_cast<Index>(side.weights.size());
    double* to = scratch.lines.data();
    for_each_weight(side,
                    [=](Index i, Index j, Scalar entry) { to[i * size + j] = static_cast<double>(entry); });
    return scratch.lines.as({own + more, size});
  }

  /// Pi(B^T B) of the lines of B. Here and below `auto` keeps expressions of Eigen from everybody who
  /// includes the header.
  static Matrix<double> projected_gram(const auto& lines) {
    Matrix<double> gram = lines.transpose() * lines;
    A::template project<double>(gram);
    return gram;
  }

  void compute_by_factor(const auto& lines, double of_scalar) {
    const Index size = j_.rows();
    rank_ = size;
    const Matrix<double> gram = projected_gram(lines);
    Matrix<double> factor = gram;
    if (!has_factor(factor)) {
      rank_ = symmetric_root_inverse(gram, 4 * static_cast<double>(size) * of_scalar, j_);
      return;
    }
    j_ = inverse_of(factor);
    const Matrix<double> orthonormal = lines * j_;
    factor = projected_gram(orthonormal);
    if (has_factor(factor)) j_ = matrix_product<double>(j_, inverse_of(factor));
  }

  /// A factor with pivots of rounding errors is none.
  static bool has_factor(auto& positive) {
    double largest = 0;
    for (Index i = 0; i < positive.rows(); ++i) largest = std::max(largest, positive(i, i));
    if (!(largest > 0) || !A::template factor<double>(positive)) return false;
    const double least = std::sqrt(largest) * 1e-7;
    const auto inverse = inverse_of(positive);
    return inverse.cwiseAbs().maxCoeff() < 1 / least;
  }

  Matrix<double> j_, gram_;
  Index rank_ = 0;
  bool has_gram_ = false;  // gram_ is that of the blocks
};

}}}  // namespace symopt::detail
