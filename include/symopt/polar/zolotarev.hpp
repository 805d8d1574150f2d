// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/scaling.hpp>
#include <symopt/kernel/shifted_inverse.hpp>
#include <symopt/polar/concept.hpp>
#include <symopt/polar/zolotarev_coefficients.hpp>

#include <algorithm>
#include <concepts>
#include <limits>
#include <stdexcept>
#include <string>

namespace symopt::inline SYMOPT_ABI::polar {

/// The polar factor by Zolotarev's rational map: with A = M M^T / |M|^2 (Frobenius),
///   M -> gain / |M| * (M + sum_j weight_j (A + shift_j I)^-1 M),
/// `terms` shifted inverses of one small Gram matrix, by Cholesky factorizations.
/// Band: within 6.2 % of 1 for singular values between 1e-3 and 1 of the Frobenius norm; with 2 terms 20 %,
/// 4 terms 1.9 %, 6 terms 0.17 %. In float the rounding of the Gram matrix adds up to 2 % near a thousandth.
/// Smaller singular values come out smaller, at most 1500 times their share of the norm for three terms; none
/// exceeds the band.
/// A shift that the precision of the Gram matrix cannot carry is raised: to two units of roundoff, and
/// where a Cholesky factorization fails fourfold until it does not. What lies below its root comes out
/// smaller then.
/// Cost: 3 k^2 n + terms * k^3 flops; memory three squares of k x k (two where k > 1024), and packed slabs
/// of at most twice the block or 1024 lanes of it.
/// Errors: std::invalid_argument for terms outside of 1 to 8, lower_bound outside of [1e-8, 0.5].
/// Source: Nakatsukasa and Freund, SIAM Review 58, 2016; the shifted inverses in Gram space are symopt's.
struct Zolotarev {
  int terms = 3;              ///< 1 to 8
  double lower_bound = 1e-3;  ///< of the Frobenius norm: singular values above it reach the band

  template <class Scalar>
  struct Workspace {
    Workspace(Shape shape, Side gram_side)
        : products(line_count(shape, gram_side), line_count(shape, opposite(gram_side))),
          square(line_count(shape, gram_side) * kernel::square_stride(line_count(shape, gram_side))),
          diagonal(line_count(shape, gram_side)),
          inverses(line_count(shape, gram_side), line_count(shape, gram_side) <= few_lanes ? 2 : 1) {}

    kernel::ProductMemory<Scalar> products;
    kernel::Buffer<Scalar> square;  // on and under the diagonal the Gram matrix, above it the sum of inverses
    kernel::Buffer<Scalar> diagonal;  // of that sum
    kernel::InverseMemory<Scalar> inverses;
    ZolotarevCoefficients coefficients;  // of the options below, computed once
    int terms = 0;
    double lower_bound = 0;
  };

  void validate() const {
    if (!(terms >= 1 && terms <= ZolotarevCoefficients::most_terms))
      throw std::invalid_argument("symopt: Zolotarev::terms is " + std::to_string(terms) +
                                  "; it must lie in 1 to 8");
    if (!(lower_bound >= 1e-8 && lower_bound <= 0.5))
      throw std::invalid_argument("symopt: Zolotarev::lower_bound must lie in [1e-8, 0.5]");
  }

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace) const {
    const Scalar largest = kernel::largest_entry<Scalar>(block);
    if (largest == Scalar(0)) return;
    if (!std::isfinite(largest)) {
      block.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
      return;
    }
    if (workspace.terms != terms || workspace.lower_bound != lower_bound) {
      workspace.coefficients = zolotarev_coefficients(terms, margin<Scalar> * lower_bound);
      workspace.terms = terms;
      workspace.lower_bound = lower_bound;
    }
    const Index size = line_count(shape_of(block), gram_side);
    const Index stride = kernel::square_stride(size);
    MatrixRef<Scalar> square = workspace.square.as({size, stride}).leftCols(size);
    const Scalar scale = kernel::power_of_two_scale(largest);
    kernel::gram<Scalar>(block, gram_side, square, workspace.products, scale);
    const double trace = square.diagonal().template cast<double>().sum();  // the squared norm

    add_inverses<Scalar>(square, trace, workspace);
    const double factor = workspace.coefficients.gain / std::sqrt(trace);
    kernel::finish_upper_sum<Scalar>(square, workspace.diagonal.data(), Scalar(factor));
    kernel::multiply_square<Scalar>(square, block, gram_side, workspace.products, scale);
  }

 private:
  /// The rounding of a Gram matrix in float moves singular values near a thousandth of the norm by up to 2 %:
  /// the map reaches its band a little before the bound that is promised.
  template <class Scalar>
  static constexpr double margin = std::same_as<Scalar, float> ? 0.9 : 1.0;

  /// Up to here three inverses are computed together: there are few tiles to share, and little memory is
  /// taken.
  static constexpr Index few_lanes = 1024;

  /// Above the diagonal and in workspace.diagonal: I + sum_j weight_j trace (gram + shift_j trace I)^-1.
  template <class Scalar>
  void add_inverses(const MatrixRef<Scalar>& square, double trace, Workspace<Scalar>& workspace) const {
    auto& each = workspace.inverses.each;
    const auto count = static_cast<std::size_t>(terms);
    constexpr double lowest = 2 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    for (std::size_t begin = 0; begin < count; begin += each.size()) {
      const std::size_t used = std::min(each.size(), count - begin);
      for (std::size_t m = 0; m < each.size(); ++m) {
        each[m].status = m < used ? kernel::InverseStatus::pending : kernel::InverseStatus::done;
        if (m < used)
          each[m].shift =
              static_cast<Scalar>(std::max(workspace.coefficients.shift[begin + m], lowest) * trace);
      }
      const auto is_pending = [](const auto& one) { return one.status == kernel::InverseStatus::pending; };
      while (std::any_of(each.begin(), each.end(), is_pending)) {
        kernel::invert_shifted<Scalar>(square, workspace.inverses);
        for (auto& one : each)
          if (one.status == kernel::InverseStatus::not_definite) {
            one.shift *= Scalar(4);
            one.status = kernel::InverseStatus::pending;
          }
      }
      for (std::size_t m = 0; m < used; ++m)
        kernel::add_to_upper_sum<Scalar>(
            each[m], static_cast<Scalar>(-workspace.coefficients.weight[begin + m] * trace), begin + m == 0,
            square, workspace.diagonal.data());
    }
  }
};

static_assert(PolarMethod<Zolotarev>);

}  // namespace symopt::polar
