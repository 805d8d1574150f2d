// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/polar/quintic.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// Polar Express: each step is the best odd quintic for the interval that the steps before it leave.
/// Band with the default eight steps: within 3e-8 of 1 for singular values of at least 1e-3 of the
/// Frobenius norm, 0.45 at 1e-4 of it; with six steps [0.94, 1.01], with five [0.72, 1.13].
/// Cost: 3 k^2 n + k^3 flops per step; memory two Gram matrices and packed slabs.
/// Errors: std::invalid_argument for steps < 1, safety < 1, eps < 0.
/// Source: Amsel, Persson, Musco, Gower, arXiv 2505.16932.
struct PolarExpress {
  int steps = 8;                                    ///< of the iteration
  QuinticList coefficients = lists::polar_express;  ///< past its end the last one repeats
  double safety = 1.0;                              ///< the block is divided by safety * Frobenius norm + eps
  double eps = 0.0;  ///< absolute, for agreement with published code; breaks homogeneity

  template <class Scalar>
  using Workspace = IterationWorkspace<Scalar>;

  void validate() const { validate_iteration("PolarExpress", steps, safety, eps); }

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, IterationWorkspace<Scalar>& workspace,
             const auto&... reduction) const {
    iterate<Scalar>(block, gram_side, coefficients, steps, safety, eps, workspace, reduction...);
  }

  /// The five steps, safety 1.02 and eps 1e-6 of the published Muon. Band [0.84, 1.15].
  static constexpr PolarExpress muon() {
    return {.steps = 5, .coefficients = lists::muon, .safety = 1.02, .eps = 1e-6};
  }
};

}}}  // namespace symopt::polar
