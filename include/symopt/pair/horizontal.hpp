// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/pair/metric.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

// The horizontal projection of a pair of directions, along the orbit of its gauge: U_A -= A X, U_B += B X^T
// with
//   X = 1/2 (Pi(A^T A)^-1 Pi(A^T U_A) - Pi(U_B^T B) Pi(B^T B)^-1)
// in the algebra. Orthogonal to the orbit in the metric tr(F_B^T F_B U_A^T U_A) + tr(F_A^T F_A U_B^T U_B). It
// leaves U_A B^T + A U_B^T as it is.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The lines of a side's weights and directions one by one, in double.
template <class Scalar>
class PairLines {
 public:
  explicit PairLines(Index rank) : w(static_cast<std::size_t>(rank)), u(w.size()) {}

  std::vector<double> w, u;  ///< a line of the weights, and of the direction

  /// visit() with every line in w and u; where `is_written`, u goes back.
  void for_each(PairBlocks<Scalar>& side, bool is_written, const auto& visit) {
    for (std::size_t k = 0; k < side.weights.size(); ++k)
      for (Index i = 0; i < side.lines(); ++i) {
        for (Index j = 0; j < side.rank(); ++j) {
          const bool is_row = side.rank_side == Side::right;
          w[static_cast<std::size_t>(j)] =
              static_cast<double>(is_row ? side.weights[k].at(i, j) : side.weights[k].at(j, i));
          u[static_cast<std::size_t>(j)] = static_cast<double>(entry(side, k, i, j));
        }
        visit();
        for (Index j = 0; is_written && j < side.rank(); ++j)
          entry(side, k, i, j) = static_cast<Scalar>(u[static_cast<std::size_t>(j)]);
      }
  }

 private:
  static Scalar& entry(PairBlocks<Scalar>& side, std::size_t block, Index line, Index column) {
    return side.rank_side == Side::right ? side.directions[block](line, column)
                                         : side.directions[block](column, line);
  }
};

/// The projection where elements are r x r matrices. Cost: 4 (m + n) r^2 flops in double.
template <class A, class Scalar>
class PairHorizontalProjection {
 public:
  explicit PairHorizontalProjection(Index rank)
      : lines_(rank), from_a_(rank, rank), from_b_(rank, rank), product_(rank, rank) {}

  void project(PairBlocks<Scalar>& a, PairBlocks<Scalar>& b, const PairMetric<A>& of_a,
               const PairMetric<A>& of_b) {
    add_products(a, from_a_);
    add_products(b, from_b_);
    multiply_inverse(of_a, from_a_);  // Pi(A^T A)^-1 Pi(A^T U_A)
    multiply_inverse(of_b, from_b_);  // the transpose of Pi(U_B^T B) Pi(B^T B)^-1
    const Index size = from_a_.rows();
    for (Index i = 0; i < size; ++i)
      for (Index j = 0; j < size; ++j) product_(i, j) = (from_a_(i, j) - from_b_(j, i)) / 2;  // X
    lines_.for_each(a, true, [&] { add_line(-1, false); });
    lines_.for_each(b, true, [&] { add_line(1, true); });
  }

 private:
  /// sum <- Pi(W^T U).
  void add_products(PairBlocks<Scalar>& side, Matrix<double>& sum) {
    std::fill(sum.data(), sum.data() + sum.size(), 0.0);
    lines_.for_each(side, false, [&] {
      for (Index i = 0; i < sum.rows(); ++i)
        for (Index j = 0; j < sum.cols(); ++j) sum(i, j) += w(i) * u(j);
    });
    A::template project<double>(sum);
  }

  /// x <- J J^T x.
  void multiply_inverse(const PairMetric<A>& metric, Matrix<double>& x) {
    for (const bool is_transposed : {true, false}) {
      const Matrix<double>& root = metric.root_inverse();
      std::fill(product_.data(), product_.data() + product_.size(), 0.0);
      for (Index i = 0; i < x.rows(); ++i)
        for (Index k = 0; k < x.rows(); ++k) {
          const double factor = is_transposed ? root(k, i) : root(i, k);
          for (Index j = 0; j < x.cols(); ++j) product_(i, j) += factor * x(k, j);
        }
      std::swap(x, product_);
    }
  }

  /// u += sign w X, or with X^T.
  void add_line(double sign, bool is_transposed) {
    for (Index k = 0; k < product_.rows(); ++k)
      for (Index j = 0; j < product_.cols(); ++j)
        u(j) += sign * w(k) * (is_transposed ? product_(j, k) : product_(k, j));
  }

  double w(Index i) const { return lines_.w[static_cast<std::size_t>(i)]; }
  double& u(Index i) { return lines_.u[static_cast<std::size_t>(i)]; }

  PairLines<Scalar> lines_;
  Matrix<double> from_a_, from_b_, product_;
};

/// The projection where an element has one number, or a complex one, for each group of columns. Cost: 8 (m +
/// n) r flops in double.
template <class A, class Scalar>
requires HasNumbers<A>
class PairHorizontalProjection<A, Scalar> {
  static constexpr bool is_complex = requires(Index i) { A::second(i, i); };

 public:
  explicit PairHorizontalProjection(Index rank)
      : lines_(rank), x_(static_cast<std::size_t>(rank > 0 ? A::number_count(rank) : 0)), of_b_(x_) {}

  void project(PairBlocks<Scalar>& a, PairBlocks<Scalar>& b, const PairMetric<A>& of_a,
               const PairMetric<A>& of_b) {
    add_products(a, of_a, x_);
    add_products(b, of_b, of_b_);
    for (std::size_t k = 0; k < x_.size(); ++k)
      x_[k] = {(x_[k].real - of_b_[k].real) / 2, (x_[k].imaginary + of_b_[k].imaginary) / 2};
    lines_.for_each(a, true, [&] { add_line(-1, 1); });
    lines_.for_each(b, true, [&] { add_line(1, -1); });
  }

 private:
  struct Number {
    double real = 0, imaginary = 0;
  };

  /// sum <- Pi(W^T W)^-1 Pi(W^T U).
  void add_products(PairBlocks<Scalar>& side, const PairMetric<A>& metric, std::vector<Number>& sum) {
    const Index rank = side.rank();
    std::fill(sum.begin(), sum.end(), Number{});
    lines_.for_each(side, false, [&] {
      for (Index j = 0; j < rank; ++j) sum[of(j, rank)].real += w(j) * u(j);
      if constexpr (is_complex)
        for (Index p = 0; p < A::number_count(rank); ++p) {
          const Index i = A::first(p, rank), j = A::second(p, rank);
          sum[static_cast<std::size_t>(p)].imaginary += w(j) * u(i) - w(i) * u(j);
        }
    });
    const double columns = static_cast<double>(rank) / static_cast<double>(A::number_count(rank));
    for (Index j = 0; j < rank; ++j) {  // the last column of each number decides, as all do
      const double number = metric.numbers()[static_cast<std::size_t>(j)];
      lines_.w[of(j, rank)] = number * number / columns;
    }
    for (std::size_t k = 0; k < sum.size(); ++k) {
      sum[k].real *= lines_.w[k];
      sum[k].imaginary *= lines_.w[k];
    }
  }

  /// u += sign w X, with X or for `turn` -1 its transpose.
  void add_line(double sign, double turn) {
    const auto rank = static_cast<Index>(lines_.w.size());
    for (Index j = 0; j < rank; ++j) u(j) += sign * w(j) * x_[of(j, rank)].real;
    if constexpr (is_complex)
      for (Index p = 0; p < A::number_count(rank); ++p) {
        const double imaginary = sign * turn * x_[static_cast<std::size_t>(p)].imaginary;
        const Index i = A::first(p, rank), j = A::second(p, rank);
        u(i) += imaginary * w(j);
        u(j) -= imaginary * w(i);
      }
  }

  static std::size_t of(Index column, Index rank) {
    return static_cast<std::size_t>(A::number_of(column, rank));
  }
  double w(Index i) const { return lines_.w[static_cast<std::size_t>(i)]; }
  double& u(Index i) { return lines_.u[static_cast<std::size_t>(i)]; }

  PairLines<Scalar> lines_;
  std::vector<Number> x_, of_b_;
};

}}}  // namespace symopt::detail
