// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/kernel/adamw.hpp>
#include <symopt/optimizer/full_moments.hpp>
#include <symopt/polar/inverse_root.hpp>
#include <symopt/product/products.hpp>
#include <symopt/scaling.hpp>
#include <symopt/side.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The steps of the full second moments of one cell, G its gradient, on the left (on the right with G^T for
/// G):
///   advance   V <- beta2 V + (1 - beta2) G G^T / n
///   renew     F <- (V / (1 - beta2^t) + eps^2 I)^(-1/2)
///   apply     M -> F M
/// A cell has the root of one step until it is renewed.
template <class Scalar>
class MomentsCell {
 public:
  MomentsCell(FullMoments<Scalar>& moments, Index cell, Side side,
              polar::InverseRootWorkspace<Scalar>& workspace)
      : moments_(moments), cell_(cell), side_(side), workspace_(workspace) {}

  /// A gradient that is multiplied by a factor.
  void advance(const MatrixRef<Scalar>& gradient, double gradient_factor,
               const kernel::AdamWCoefficients& own) {
    const Scalar largest = kernel::largest_entry<Scalar>(gradient);
    const Scalar scale = kernel::power_of_two_scale(largest);
    MatrixRef<Scalar> products = workspace_.matrix();
    kernel::lower_gram<Scalar>(gradient, side_, products, workspace_.products, scale);

    // The products are G G^T in units of 4^exponent, their weight here a mantissa.
    int factor_exponent = 0;
    const double mantissa = std::frexp(gradient_factor, &factor_exponent);
    const double terms = static_cast<double>(std::max<Index>(1, extent(shape_of(gradient), opposite(side_))));
    const double weight = own.second_weight * mantissa * mantissa / terms;
    const std::int64_t exponent = factor_exponent - std::int64_t{std::ilogb(scale)};

    double* packed = moments_.moments_of(cell_);
    const double added = weight * products.diagonal().template cast<double>().sum();
    const std::int64_t before = moments_.exponent_of(cell_);
    const std::int64_t unit = unit_of(packed_trace(packed, moments_.size), before, added, exponent);
    const double keep = own.beta2 * power_of_two(2 * (before - unit));
    const double add = weight * power_of_two(2 * (exponent - unit));
    for_each_triangle_row(packed, moments_.size, [&](Index i, double* row) {
      for (Index j = 0; j <= i; ++j) row[j] = keep * row[j] + add * static_cast<double>(products.coeff(i, j));
    });
    moments_.exponent_of(cell_) = unit;
  }

  /// The root of the present moments; it is ready to be applied.
  void renew(const kernel::AdamWCoefficients& own) {
    const double* packed = moments_.moments_of(cell_);
    const double correction = own.second_correction * own.second_correction;
    const double mean = packed_trace(packed, moments_.size) * correction /
                        static_cast<double>(std::max<Index>(1, moments_.size));
    const std::int64_t exponent = moments_.exponent_of(cell_);
    std::int64_t unit = std::ilogb(own.eps);
    if (mean > 0 && is_finite(mean)) unit = std::max(unit, exponent + half(std::ilogb(mean)));

    // In units of 4^unit eigenvalues of a usual size are near 1.
    const double factor = correction * power_of_two(2 * (exponent - unit));
    const double eps = std::ldexp(own.eps, static_cast<int>(-unit));
    MatrixRef<Scalar> matrix = workspace_.matrix();
    for_each_triangle_row(packed, moments_.size, [&](Index i, const double* row) {
      for (Index j = 0; j <= i; ++j) matrix.coeffRef(i, j) = static_cast<Scalar>(factor * row[j]);
      matrix.coeffRef(i, i) = static_cast<Scalar>(factor * row[i] + eps * eps);
    });
    polar::inverse_root<Scalar>(workspace_);

    for_each_triangle_row(moments_.roots_of(cell_), moments_.size, [&](Index i, Scalar* row) {
      for (Index j = 0; j <= i; ++j) row[j] = matrix.coeff(i, j);
    });
    moments_.root_exponent_of(cell_) = unit;
  }

  /// The root as it was kept; it is ready to be applied.
  void recall() {
    MatrixRef<Scalar> matrix = workspace_.matrix();
    for_each_triangle_row(moments_.roots_of(cell_), moments_.size, [&](Index i, const Scalar* row) {
      for (Index j = 0; j <= i; ++j) matrix.coeffRef(i, j) = matrix.coeffRef(j, i) = row[j];
    });
  }

  /// block <- F block.
  void apply(MatrixRef<Scalar> block) {
    constexpr int largest = std::numeric_limits<Scalar>::max_exponent - 2;
    const std::int64_t exponent = -moments_.root_exponent_of(cell_);
    const std::int64_t first = std::clamp<std::int64_t>(exponent, -largest, largest);
    kernel::multiply_square<Scalar>(workspace_.matrix(), block, side_, workspace_.products,
                                    std::ldexp(Scalar(1), static_cast<int>(first)));
    if (exponent != first) block *= static_cast<Scalar>(power_of_two(exponent - first));
  }

 private:
  /// The half of an exponent, rounded towards that of smaller numbers.
  static std::int64_t half(int exponent) { return exponent / 2 - (exponent % 2 < 0 ? 1 : 0); }

  /// The unit of the next moments: the present one, unless the larger of what was and what is added has moved
  /// far away from it.
  static std::int64_t unit_of(double before, std::int64_t unit, double added, std::int64_t unit_of_added) {
    constexpr std::int64_t most_apart = 64;
    std::int64_t level = std::numeric_limits<std::int64_t>::min();
    const auto raise = [&](double trace, std::int64_t exponent) {
      if (trace > 0 && is_finite(trace)) level = std::max(level, exponent + half(std::ilogb(trace)));
    };
    raise(before, unit);
    raise(added, unit_of_added);
    const bool is_near =
        level == std::numeric_limits<std::int64_t>::min() || std::abs(level - unit) <= most_apart;
    return is_near ? unit : level;
  }

  FullMoments<Scalar>& moments_;
  Index cell_;
  Side side_;
  polar::InverseRootWorkspace<Scalar>& workspace_;
};

}}}  // namespace symopt::detail
