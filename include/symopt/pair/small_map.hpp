// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/spectral.hpp>
#include <symopt/pair/root_inverse.hpp>
#include <symopt/pair/square_product.hpp>
#include <symopt/scaling.hpp>

#include <algorithm>
#include <cmath>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A normalization that sees a block by its Gram matrix alone, N(Q R) = Q N(R) for orthonormal columns Q,
/// whatever the number of lines.
///@{
template <class N>
inline constexpr bool acts_by_gram = false;
template <class Method>
inline constexpr bool acts_by_gram<Spectral<Method>> = true;
template <>
inline constexpr bool acts_by_gram<FrobeniusNorm> = true;
///@}

/// The square that the lines of a direction are multiplied by: U = (scale M) product.
struct SmallSquare {
  explicit SmallSquare(Index rank) : product(rank) {}

  LineProduct<float> product;
  float scale = 1;
  double largest = 0;     ///< no entry of U exceeds it, but for rounding
  bool is_known = false;  ///< else the direction has to be found on all its lines
};

/// The map M -> N(M J) J^T of float blocks of few columns, through r x r matrices: with M J = Q R it is M C,
///   C = J K N(R) J^T,   K with M J K = Q,   R = Q^T M J
/// from the Gram matrix of M in double: a third of the work of the map on all lines.
template <class Normalization, class Scalar>
class SmallMap {
 public:
  explicit SmallMap(Index rank)
      : root_inverse_(rank),
        product_(rank),
        square_(rank, rank),
        k_(rank, rank),
        work_(rank, rank),
        r_(Matrix<Scalar>::Zero(rank, rank)),
        workspace_({rank, rank}) {}

  /// Finds C from the Gram matrix of M. Not known where M has fewer than r directions or its Gram matrix too
  /// few digits.
  void find(const Normalization& normalization, const Matrix<double>& gram, const Matrix<double>& j,
            SmallSquare& to) {
    const Index size = j.rows();
    to.is_known = false;
    double longest = 0;
    for (Index i = 0; i < size; ++i) longest = std::max(longest, gram(i, i));
    for (Index i = 0; i < size; ++i)
      for (Index c = 0; c < size; ++c) k_(i, c) = j(c, i);
    product_.multiply(gram, j, work_);      // G J
    product_.multiply(k_, work_, square_);  // T = J^T G J
    k_ = square_;
    if (!root_inverse_.invert_gram(k_)) return;
    product_.multiply(square_, k_, work_);  // R^T = T K
    if (!is_in_range(work_)) return;
    for (Index i = 0; i < size; ++i)
      for (Index c = 0; c < size; ++c) r_(i, c) = static_cast<Scalar>(work_(c, i));
    apply_map<Normalization, Scalar>(normalization, r_, workspace_);
    for (Index i = 0; i < work_.size(); ++i) work_.data()[i] = static_cast<double>(r_.data()[i]);
    product_.multiply(k_, work_, square_);
    product_.multiply(j, square_, work_);
    product_.multiply_transposed(work_, j, square_);  // C
    to.largest = 0;
    for (Index c = 0; c < size; ++c) {
      double sum = 0;  // no entry of a column exceeds its norm
      for (Index i = 0; i < size; ++i) sum += std::sqrt(gram(i, i)) * std::abs(square_(i, c));
      to.largest = std::max(to.largest, sum);
    }
    to.scale = 1;
    if (longest < 1e-40 || longest > 1e40 || !is_in_range(square_, 1e20)) {
      // In balance, so that neither factor leaves the range where the product does not.
      to.scale = kernel::power_of_two_scale(static_cast<Scalar>(std::sqrt(longest)));
      square_ /= static_cast<double>(to.scale);
      if (!is_in_range(square_)) return;
    }
    for (Index i = 0; i < size; ++i)
      for (Index c = 0; c < size; ++c) to.product.entry(i, c) = static_cast<Scalar>(square_(i, c));
    to.is_known = true;
  }

 private:
  /// Tests whether the largest entry is one that Scalar holds, with room for products.
  static bool is_in_range(const Matrix<double>& square, double most = 1e35) {
    double largest = 0;
    for (Index i = 0; i < square.size(); ++i) largest = std::max(largest, std::abs(square.data()[i]));
    return largest > 1 / most && largest < most;
  }

  RootInverse<double> root_inverse_;
  SquareProduct product_;
  Matrix<double> square_, k_, work_;
  Matrix<Scalar> r_;
  workspace_t<Normalization, Scalar> workspace_;
};

}}}  // namespace symopt::detail
