// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/polar/quintic.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// Newton-Schulz: the same polynomial step repeated on X (or any list of steps given as values).
/// Band: that of the list; for the default, five of the tuned steps, singular values between 1e-3
/// and 1 of the Frobenius norm come out in [0.47, 1.21]: fast, but never equal to 1. Use
/// lists::cubic or lists::quintic with more steps to converge.
/// Cost: 3 k^2 n + k^3 flops per step; memory two Gram matrices and packed slabs.
/// Errors: std::invalid_argument for steps < 1, safety < 1, eps < 0.
/// Source: kellerjordan.github.io/posts/muon; Higham, "Functions of Matrices", section 8.3.
struct NewtonSchulz {
  int steps = 5;                             ///< of the iteration
  QuinticList coefficients = lists::jordan;  ///< past its end the last one repeats
  double safety = 1.0;                       ///< the block is divided by safety * Frobenius norm + eps
  double eps = 0.0;  ///< absolute, for agreement with published code; breaks homogeneity

  template <class Scalar>
  using Workspace = IterationWorkspace<Scalar>;

  void validate() const { validate_iteration("NewtonSchulz", steps, safety, eps); }

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, IterationWorkspace<Scalar>& workspace,
             const auto&... reduction) const {
    iterate<Scalar>(block, gram_side, coefficients, steps, safety, eps, workspace, reduction...);
  }
};

}}}  // namespace symopt::polar
