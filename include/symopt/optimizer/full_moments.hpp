// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/matrix.hpp>
#include <symopt/product/product_tiles.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The numbers of a symmetric matrix: those on and under the diagonal, row by row.
constexpr Index packed_size(Index size) {
  return size * (size + 1) / 2;
}
/// The first number of row i.
constexpr Index packed_row(Index i) {
  return i * (i + 1) / 2;
}

/// work(row, numbers of that row in the packed matrix) on all threads.
template <class Number, class Work>
void for_each_triangle_row(Number* packed, Index size, Work&& work) {
  kernel::share_work(size, 4.0 * static_cast<double>(size) * static_cast<double>(size),
                     [&](Index i) { work(i, packed + packed_row(i)); });
}

/// 2^exponent, in the range of a double.
inline double power_of_two(std::int64_t exponent) {
  return std::ldexp(1.0, static_cast<int>(std::clamp<std::int64_t>(exponent, -1100, 1000)));
}

/// The matrices that full second moments keep for `cells` cells with k lines on the side of the matrices:
///   V = 4^exponent * moments   running mean of the products, which still has the bias of a start from zero
///   F = 2^-root_exponent * roots   its inverse root, of the step in which that was computed
/// The exponents are there for the range: a square of a gradient may have none in any scalar.
/// Memory: k (k + 1) / 2 doubles and as many Scalars for each cell.
template <class Scalar>
struct FullMoments {
  FullMoments(Index cells, Index k)
      : size(k),
        moments(cells, packed_size(k)),
        roots(cells, packed_size(k)),
        exponents(static_cast<std::size_t>(cells)),
        root_exponents(static_cast<std::size_t>(cells)) {
    moments.setZero();
    roots.setZero();
  }

  Index size;              ///< k
  Matrix<double> moments;  ///< a line for each cell, packed
  Matrix<Scalar> roots;    ///< likewise
  std::vector<std::int64_t> exponents, root_exponents;

  double* moments_of(Index cell) { return moments.data() + cell * moments.cols(); }
  Scalar* roots_of(Index cell) { return roots.data() + cell * roots.cols(); }
  std::int64_t& exponent_of(Index cell) { return exponents[static_cast<std::size_t>(cell)]; }
  std::int64_t& root_exponent_of(Index cell) { return root_exponents[static_cast<std::size_t>(cell)]; }

  /// Throws Error for what no step makes: entries beyond the diagonal of a matrix of products, or exponents
  /// beyond those of doubles.
  void validate() const {
    constexpr std::int64_t largest = 2200;
    constexpr double rounded = 1 + 1e-3;
    for (const auto* all : {&exponents, &root_exponents})
      for (const std::int64_t exponent : *all)
        require(std::abs(std::clamp(exponent, -largest - 1, largest + 1)) <= largest,
                "an exponent of its state is out of range; no step makes that");
    for (Index cell = 0; cell < moments.rows(); ++cell)
      for (Index i = 0; i < size; ++i) {
        const auto diagonal = [&](Index j) { return moments(cell, packed_row(j) + j); };
        require(!(diagonal(i) < 0), "a mean square in its state is negative; no step makes that");
        for (Index j = 0; j < i; ++j)
          require(
              !(std::abs(moments(cell, packed_row(i) + j)) > rounded * std::max(diagonal(i), diagonal(j))),
              "a mean product in its state is larger than the mean squares; no step makes that");
      }
  }
  bool is_finite() const { return all_entries_finite(moments) && all_entries_finite(roots); }
};

/// The trace of a packed matrix.
inline double packed_trace(const double* packed, Index size) {
  double sum = 0;
  for (Index i = 0; i < size; ++i) sum += packed[packed_row(i) + i];
  return sum;
}

}}}  // namespace symopt::detail
