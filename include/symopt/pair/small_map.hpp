// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/spectral.hpp>
#include <symopt/pair/dense_metric.hpp>
#include <symopt/pair/line_products.hpp>
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

/// The map M -> N(M J) J^T of float blocks of few columns, through r x r matrices: with M J = Q R it is M C,
///   C = J K N(R) J^T,   K with M J K = Q,   R = Q^T M J
/// from the Gram matrix of M in double. One read of M for that, and one read and write for the product: a
/// third of the work of the map on all lines.
template <class Normalization, class Scalar>
class SmallMap {
 public:
  explicit SmallMap(Index rank)
      : gram_(rank),
        root_inverse_(rank),
        product_(rank),
        square_(rank, rank),
        k_(rank, rank),
        work_(rank, rank),
        r_(Matrix<Scalar>::Zero(rank, rank)),
        workspace_({rank, rank}) {}

  /// x, lines x r in memory, or r x lines, <- its image. False, and x as it was, where x has fewer than r
  /// directions or its Gram matrix too few digits.
  bool apply(const Normalization& normalization, MatrixRef<Scalar> x, Side rank_side, const Matrix<double>& j,
             const auto& multiply_left) {
    const Index size = j.rows();
    gram_.clear();
    gram_.template add<Scalar>(shape_of(x), rank_side, [&](Index row, Index col, Index count, Scalar* to) {
      const Scalar* from = &x.coeffRef(row, col);
      std::copy(from, from + count, to);
    });
    gram_.write(square_);
    double longest = 0;
    for (Index i = 0; i < size; ++i) longest = std::max(longest, square_(i, i));
    // In balance, so that neither factor leaves the range where the product does not.
    const Scalar scale = kernel::power_of_two_scale(static_cast<Scalar>(std::sqrt(longest)));
    multiply(square_, j, work_);             // G J
    multiply_transposed(j, work_, square_);  // T = J^T G J
    k_ = square_;
    if (!root_inverse_.invert_gram(k_)) return false;
    multiply_transposed(k_, square_, work_);  // R = K^T T
    if (!is_in_range(work_)) return false;
    for (Index i = 0; i < work_.size(); ++i) r_.data()[i] = static_cast<Scalar>(work_.data()[i]);
    apply_map<Normalization, Scalar>(normalization, r_, workspace_);
    for (Index i = 0; i < work_.size(); ++i) work_.data()[i] = static_cast<double>(r_.data()[i]);
    multiply(k_, work_, square_);
    multiply(j, square_, work_);
    for (Index i = 0; i < size; ++i)
      for (Index c = 0; c < size; ++c) k_(i, c) = j(c, i);
    multiply(work_, k_, square_);  // C
    square_ /= static_cast<double>(scale);
    if (!is_in_range(square_)) return false;
    if (rank_side == Side::left) {
      for (Index i = 0; i < size; ++i)
        for (Index c = 0; c < size; ++c) r_(i, c) = static_cast<Scalar>(square_(c, i));
      multiply_left(r_, x, scale);
    } else {
      for (Index i = 0; i < size; ++i)
        for (Index c = 0; c < size; ++c) product_.entry(i, c) = static_cast<Scalar>(square_(i, c));
      product_.apply(x, scale);
    }
    return true;
  }

 private:
  /// Tests whether the largest entry is one that Scalar holds, with room for products.
  static bool is_in_range(const Matrix<double>& square) {
    double largest = 0;
    for (Index i = 0; i < square.size(); ++i) largest = std::max(largest, std::abs(square.data()[i]));
    return largest > 1e-35 && largest < 1e35;
  }

  /// out <- a b.
  static void multiply(const Matrix<double>& a, const Matrix<double>& b, Matrix<double>& out) {
    std::fill(out.data(), out.data() + out.size(), 0.0);
    for (Index i = 0; i < a.rows(); ++i)
      for (Index k = 0; k < a.cols(); ++k) add_row(a(i, k), b, k, out, i);
  }
  /// out <- a^T b.
  static void multiply_transposed(const Matrix<double>& a, const Matrix<double>& b, Matrix<double>& out) {
    std::fill(out.data(), out.data() + out.size(), 0.0);
    for (Index k = 0; k < a.rows(); ++k)
      for (Index i = 0; i < a.cols(); ++i) add_row(a(k, i), b, k, out, i);
  }
  static void add_row(double factor, const Matrix<double>& b, Index row, Matrix<double>& out, Index to) {
    const double* from = b.data() + row * b.cols();
    double* into = out.data() + to * out.cols();
    for (Index j = 0; j < b.cols(); ++j) into[j] += factor * from[j];
  }
  LineGram<double> gram_;
  RootInverse<double> root_inverse_;
  LineProduct<Scalar> product_;
  Matrix<double> square_, k_, work_;
  Matrix<Scalar> r_;
  workspace_t<Normalization, Scalar> workspace_;
};

}}}  // namespace symopt::detail
