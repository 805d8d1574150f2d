// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>
#include <symopt/side.hpp>

#include <algorithm>
#include <concepts>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

// How results are compared. A comparison passes when `error <= tolerance`, so NaN never passes.
namespace symopt_test {

using symopt::Index;
using symopt::Matrix;
using symopt::Shape;
using symopt::Side;

inline constexpr double infinity = std::numeric_limits<double>::infinity();

template <class Derived>
Matrix<double> as_double(const Eigen::MatrixBase<Derived>& block) {
  return block.template cast<double>();
}

inline std::string to_string(Side side) {
  return side == Side::left ? "left" : "right";
}

/// |actual - expected| / scale in the Frobenius norm, and 0 for equal blocks. Infinite when the shapes differ
/// or any entry is not finite.
inline double error_on_scale(const Matrix<double>& actual, const Matrix<double>& expected, double scale) {
  if (actual.rows() != expected.rows() || actual.cols() != expected.cols()) return infinity;
  if (!actual.allFinite() || !expected.allFinite()) return infinity;
  const double distance = (actual - expected).stableNorm();
  return distance == 0 ? 0.0 : distance / scale;
}

/// The error on the scale of the larger of the two.
inline double relative_error(const Matrix<double>& actual, const Matrix<double>& expected) {
  return error_on_scale(actual, expected, std::max(actual.stableNorm(), expected.stableNorm()));
}

/// The largest of several errors; NaN counts as infinite and stays.
class Worst {
 public:
  void add(double error) {
    if (!(error <= value_)) value_ = error > value_ ? error : infinity;
  }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

/// Tests whether two blocks have the same bits, NaN and signed zeros included.
template <class A, class B>
bool same_bits(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  static_assert(std::same_as<typename A::Scalar, typename B::Scalar>);
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j) {
      const auto x = a(i, j);
      const auto y = b(i, j);
      if (std::memcmp(&x, &y, sizeof x) != 0) return false;
    }
  return true;
}

/// The unit in which rounding of a scalar is measured.
template <class Scalar>
inline constexpr double roundoff = static_cast<double>(std::numeric_limits<Scalar>::epsilon());

/// The name of a type, for messages.
template <class T>
std::string type_name() {
  const std::string_view function = __PRETTY_FUNCTION__;
  const auto begin = function.find("T = ") + 4;
  return std::string(function.substr(begin, function.find_first_of(";]", begin) - begin));
}

}  // namespace symopt_test
