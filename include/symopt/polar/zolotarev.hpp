// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/polar/concept.hpp>
#include <symopt/polar/zolotarev_coefficients.hpp>
#include <symopt/product/inverse_sum.hpp>
#include <symopt/scaling.hpp>

#include <algorithm>
#include <concepts>
#include <limits>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The polar factor by Zolotarev's rational map: with A = M M^T / |M|^2 (Frobenius),
///   M -> gain / |M| * (M + sum_j weight_j (A + shift_j I)^-1 M),
/// `terms` shifted inverses of one small Gram matrix, by Cholesky factorizations.
/// Band: within 6.3 % of 1 for singular values between 1e-3 and 1 of the Frobenius norm; with 2 terms 20.3 %,
/// 4 terms 1.9 %, 6 terms 0.18 %; 3 terms between 1e-3 and 0.5, 4.3 %. In float, where one singular value
/// holds the norm, the rounding of the Gram matrix adds up to 3 % near a thousandth, 5 % with 4 terms and 8 %
/// with 6: the closer a map is to the sign, the more it follows the rounding. Smaller singular values come
/// out smaller, at most 1500 times their share of the norm for three terms; none exceeds the band, but for
/// one above the upper bound. A shift that the precision of the Gram matrix cannot carry is raised: to two
/// units of roundoff, and where a Cholesky factorization fails fourfold until it does not. What lies below
/// its root comes out smaller then. Cost: 3 k^2 n + terms * k^3 flops; memory four squares of k x k (three
/// where k > 832, two where k > 1024), and packed slabs of at most twice the block or 1024 lanes of it.
/// Errors: std::invalid_argument for terms outside of 1 to 8, lower_bound outside of [1e-8, 0.5], upper_bound
/// outside of [2 lower_bound, 1].
/// Source: Nakatsukasa and Freund, SIAM Review 58, 2016; the shifted inverses in Gram space are symopt's.
struct Zolotarev {
  int terms = 3;              ///< 1 to 8
  double lower_bound = 1e-3;  ///< of the Frobenius norm: singular values above it reach the band
  double upper_bound = 1;     ///< of the Frobenius norm: what no singular value exceeds

  template <class Scalar>
  struct Workspace {
    Workspace(Shape shape, Side gram_side)
        : products(extent(shape, gram_side), extent(shape, opposite(gram_side))),
          square(extent(shape, gram_side) * kernel::square_stride(extent(shape, gram_side))),
          diagonal(extent(shape, gram_side)),
          inverses(extent(shape, gram_side), inverses_at_once(extent(shape, gram_side))) {}

    kernel::ProductMemory<Scalar> products;
    kernel::Buffer<Scalar> square;  // on and under the diagonal the Gram matrix, above it the sum of inverses
    kernel::Buffer<Scalar> diagonal;  // of that sum
    kernel::InverseMemory<Scalar> inverses;
    ZolotarevCoefficients coefficients;  // of the options below, computed once
    int terms = 0;
    double lower_bound = 0, upper_bound = 0;
  };

  void validate() const {
    if (!(terms >= 1 && terms <= ZolotarevCoefficients::most_terms))
      throw Error("Zolotarev::terms is " + std::to_string(terms) + "; it must lie in 1 to 8");
    if (!(lower_bound >= 1e-8 && lower_bound <= 0.5))
      throw Error("Zolotarev::lower_bound must lie in [1e-8, 0.5]");
    if (!(upper_bound >= 2 * lower_bound && upper_bound <= 1))
      throw Error("Zolotarev::upper_bound must lie in [2 lower_bound, 1]");
  }

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace) const {
    apply_chosen<Scalar>(block, gram_side, workspace, [this](const auto&) { return *this; });
  }

  /// Bounds on a block's singular values s from its Gram matrix, without an eigensolver.
  template <class Scalar>
  class Spectrum {
   public:
    /// The spectrum of a Gram matrix with its trace; the scratch holds a number for each of its rows.
    Spectrum(const MatrixRef<Scalar>& square, double trace, kernel::Buffer<Scalar>& scratch)
        : square_(square), trace_(trace), scratch_(scratch) {}

    /// (sum of s^2)^2 / sum of s^4: from 1 to the rank, which it is when all are equal. No singular value
    /// exceeds its fourth root's part of the Frobenius norm. Cost: k^2.
    double effective_rank() const {
      const Index size = square_.rows();
      Scalar* rows = scratch_.data();
      kernel::share_work(size, 4.0 * static_cast<double>(square_.size()), [&](Index i) {
        rows[i] = (square_.row(i) * static_cast<Scalar>(1 / trace_)).squaredNorm();
      });
      double sum = 0;
      for (Index i = 0; i < size; ++i) sum += static_cast<double>(rows[i]);
      return 1 / sum;
    }

   private:
    MatrixRef<Scalar> square_;
    double trace_;
    kernel::Buffer<Scalar>& scratch_;
  };

  /// block <- its polar factor, under options that are chosen by the block: choose(spectrum) returns them.
  template <class Scalar, class Choose>
  static void apply_chosen(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace,
                           Choose&& choose) {
    const Scalar largest = kernel::largest_entry<Scalar>(block);
    if (largest == Scalar(0)) return;
    if (!symopt::detail::is_finite(largest)) {
      block.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
      return;
    }
    const Index size = extent(symopt::detail::shape_of(block), gram_side);
    const Index stride = kernel::square_stride(size);
    MatrixRef<Scalar> square = workspace.square.as({size, stride}).leftCols(size);
    const Scalar scale = kernel::power_of_two_scale(largest);
    kernel::gram<Scalar>(block, gram_side, square, workspace.products, scale);
    const double trace = square.diagonal().template cast<double>().sum();

    const Zolotarev chosen = choose(Spectrum<Scalar>{square, trace, workspace.diagonal});
    chosen.compute_coefficients<Scalar>(workspace);
    sum_inverses<Scalar>(square, trace, workspace);
    kernel::multiply_square<Scalar>(square, block, gram_side, workspace.products, scale);
  }

 private:
  /// The rounding of a Gram matrix in float moves singular values near a thousandth of the norm by up to 2 %:
  /// the map reaches its band a little before the bound that is promised.
  template <class Scalar>
  static constexpr double margin = std::same_as<Scalar, float> ? 0.9 : 1.0;

  /// Computes the coefficients on [lower_bound, upper_bound], those on [lower_bound / upper_bound, 1] with
  /// the singular values scaled by upper_bound.
  template <class Scalar>
  void compute_coefficients(Workspace<Scalar>& workspace) const {
    if (workspace.terms == terms && workspace.lower_bound == lower_bound &&
        workspace.upper_bound == upper_bound)
      return;
    ZolotarevCoefficients& c = workspace.coefficients;
    c = zolotarev_coefficients(terms, margin<Scalar> * lower_bound / upper_bound);
    for (std::size_t j = 0; j < static_cast<std::size_t>(terms); ++j) {
      c.shift[j] *= upper_bound * upper_bound;
      c.weight[j] *= upper_bound * upper_bound;
    }
    c.gain /= upper_bound;
    workspace.terms = terms;
    workspace.lower_bound = lower_bound;
    workspace.upper_bound = upper_bound;
  }

  /// Few lanes are few tiles to share, and take little memory: their inverses are computed together.
  static constexpr int inverses_at_once(Index lanes) { return lanes <= 832 ? 3 : lanes <= 1024 ? 2 : 1; }

  /// square <- gain / |M| (I + sum_j weight_j trace (square + shift_j trace I)^-1).
  template <class Scalar>
  static void sum_inverses(MatrixRef<Scalar> square, double trace, Workspace<Scalar>& workspace) {
    auto& each = workspace.inverses.each;
    const ZolotarevCoefficients& map = workspace.coefficients;
    const auto terms = static_cast<std::size_t>(map.terms);
    constexpr double lowest = 2 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    kernel::InverseSum<Scalar> sum{square, workspace.diagonal.data()};
    const std::size_t batches = (terms + each.size() - 1) / each.size();
    for (std::size_t batch = 0; batch < batches; ++batch) {
      const std::size_t begin = terms * batch / batches, used = terms * (batch + 1) / batches - begin;
      for (std::size_t m = 0; m < each.size(); ++m) {
        each[m].status = m < used ? kernel::InverseStatus::pending : kernel::InverseStatus::done;
        each[m].weight = 0;
        if (m >= used) continue;
        each[m].shift = static_cast<Scalar>(std::max(map.shift[begin + m], lowest) * trace);
        each[m].weight = static_cast<Scalar>(-map.weight[begin + m] * trace);
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
      sum.add(workspace.inverses, used, batch == 0, batch + 1 == batches,
              static_cast<Scalar>(map.gain / std::sqrt(trace)));
    }
  }
};

}}}  // namespace symopt::polar
