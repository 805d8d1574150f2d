// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/linkage.hpp>
#include <symopt/finite.hpp>
#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The scalar of group elements and of differences, one precision above that of a rule in double.
using Wide = long double;
/// A block of wide numbers.
using WideMatrix = Matrix<Wide>;

/// The scalar that a rule computes in.
enum class Precision { in_float, in_double };

constexpr const char* to_string(Precision precision) {
  return precision == Precision::in_float ? "float" : "double";
}

// Algebra by plain loops: Eigen's expressions take longer to compile than all else in a check, and its blocks
// are small.
namespace detail {

using symopt::detail::shape_of;

/// The distance from 1 to the next number.
constexpr double roundoff(Precision precision) {
  return precision == Precision::in_float ? static_cast<double>(std::numeric_limits<float>::epsilon())
                                          : std::numeric_limits<double>::epsilon();
}

/// The smallest positive number.
constexpr double least_number(Precision precision) {
  return precision == Precision::in_float ? static_cast<double>(std::numeric_limits<float>::denorm_min())
                                          : std::numeric_limits<double>::denorm_min();
}

template <class To, class From>
Matrix<To> converted(const Matrix<From>& block) {
  Matrix<To> result(block.rows(), block.cols());
  for (Index k = 0; k < block.size(); ++k) result.data()[k] = static_cast<To>(block.data()[k]);
  return result;
}
template <class Scalar>
WideMatrix widened(const Matrix<Scalar>& block) {
  return converted<Wide>(block);
}

/// The nearest numbers of a precision.
WideMatrix rounded_to(Precision precision, WideMatrix block);

bool is_finite(const WideMatrix& block);
/// Equal shapes and entries.
bool is_equal(const WideMatrix& a, const WideMatrix& b);

/// The Frobenius norm, without overflow; NaN and Inf come out as one of the two.
Wide norm(const WideMatrix& block);
/// a + factor * b, for equal shapes.
WideMatrix sum(WideMatrix a, const WideMatrix& b, Wide factor = 1);
/// The norm of a - b, for equal shapes.
Wide distance(const WideMatrix& a, const WideMatrix& b);
/// The sum of the products of all entries.
Wide inner_product(const WideMatrix& a, const WideMatrix& b);
WideMatrix transpose(const WideMatrix& block);
/// The square matrix with ones in its diagonal.
WideMatrix unit_matrix(Index size);

}  // namespace detail

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

SYMOPT_CHECK_INLINE WideMatrix rounded_to(Precision precision, WideMatrix block) {
  for (Index k = 0; k < block.size(); ++k) {
    Wide& entry = block.data()[k];
    entry = precision == Precision::in_float ? static_cast<Wide>(static_cast<float>(entry))
                                             : static_cast<Wide>(static_cast<double>(entry));
  }
  return block;
}

SYMOPT_CHECK_INLINE bool is_finite(const WideMatrix& block) {
  return std::all_of(block.data(), block.data() + block.size(),
                     [](Wide entry) { return symopt::detail::is_finite(entry); });
}

SYMOPT_CHECK_INLINE bool is_equal(const WideMatrix& a, const WideMatrix& b) {
  return shape_of(a) == shape_of(b) && std::equal(a.data(), a.data() + a.size(), b.data());
}

SYMOPT_CHECK_INLINE Wide norm(const WideMatrix& block) {
  Wide squares = 0, largest = 0;
  for (Index k = 0; k < block.size(); ++k) squares += block.data()[k] * block.data()[k];
  if (symopt::detail::is_finite(squares) && squares >= std::numeric_limits<Wide>::min())
    return std::sqrt(squares);
  for (Index k = 0; k < block.size(); ++k) largest = std::max(largest, std::abs(block.data()[k]));
  if (largest == 0) return squares;
  squares = 0;
  for (Index k = 0; k < block.size(); ++k) squares += std::pow(block.data()[k] / largest, Wide(2));
  return largest * std::sqrt(squares);
}

SYMOPT_CHECK_INLINE WideMatrix sum(WideMatrix a, const WideMatrix& b, Wide factor) {
  for (Index k = 0; k < a.size(); ++k) a.data()[k] += factor * b.data()[k];
  return a;
}

SYMOPT_CHECK_INLINE Wide distance(const WideMatrix& a, const WideMatrix& b) {
  return norm(sum(a, b, -1));
}

SYMOPT_CHECK_INLINE Wide inner_product(const WideMatrix& a, const WideMatrix& b) {
  Wide total = 0;
  for (Index k = 0; k < a.size(); ++k) total += a.data()[k] * b.data()[k];
  return total;
}

SYMOPT_CHECK_INLINE WideMatrix transpose(const WideMatrix& block) {
  WideMatrix result(block.cols(), block.rows());
  for (Index i = 0; i < result.rows(); ++i)
    for (Index j = 0; j < result.cols(); ++j) result(i, j) = block(j, i);
  return result;
}

SYMOPT_CHECK_INLINE WideMatrix unit_matrix(Index size) {
  WideMatrix result = WideMatrix::Zero(size, size);
  for (Index i = 0; i < size; ++i) result(i, i) = 1;
  return result;
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
