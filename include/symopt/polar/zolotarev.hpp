// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/polar/apply_rational.hpp>
#include <symopt/polar/concept.hpp>
#include <symopt/polar/zolotarev_coefficients.hpp>

#include <concepts>
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
  struct Workspace : RationalWorkspace<Scalar> {
    using RationalWorkspace<Scalar>::RationalWorkspace;

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

  template <class Scalar, class Reduction = kernel::NoReduction>
  void apply(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace,
             const Reduction& reduction = {}) const {
    compute_coefficients<Scalar>(workspace);
    const auto choose = [&](const GramNorms& norms) -> ScaledMap {
      return {workspace.coefficients, upper_bound * upper_bound * norms.trace};
    };
    apply_rational<Scalar>(block, gram_side, workspace, choose, reduction);
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
    workspace.coefficients = zolotarev_coefficients(terms, margin<Scalar> * lower_bound / upper_bound);
    workspace.terms = terms;
    workspace.lower_bound = lower_bound;
    workspace.upper_bound = upper_bound;
  }
};

}}}  // namespace symopt::polar
