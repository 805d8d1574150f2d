// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/polar/minimax_method.hpp>

#include <cmath>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The memory of inverse_root for k x k matrices that are Gram matrices of that side of a block.
template <class Scalar>
struct InverseRootWorkspace : RationalWorkspace<Scalar> {
  InverseRootWorkspace(Shape shape, Side gram_side)
      : RationalWorkspace<Scalar>(shape, gram_side), size(extent(shape, gram_side)) {}

  /// The matrix, k x k, as inverse_root takes it.
  MatrixRef<Scalar> matrix() { return this->square.as({size, kernel::square_stride(size)}).leftCols(size); }

  Index size;
};

/// workspace.matrix() <- F(A), an approximation of A^(-1/2) for the symmetric positive semidefinite A of
/// which the lower triangle stands there: the map of polar::Automatic in place of 1 / sqrt(x).
///
/// Band: for eigenvalues x of at least 1e-6 of the trace sqrt(x) F(x) is within 4.4 % of 1, in float within
/// 6 %. For smaller ones it does not exceed this band, and F is at most 2140 / sqrt(trace) (2200 in float),
/// also for zero and for what rounding made negative: F is smooth, with no cut between them. A zero matrix
/// stays zero, one that is not finite becomes NaN. A number becomes 1 / sqrt(x), exactly.
///
/// Cost: 3 k^3 flops. The trace must lie well within the range of Scalar.
template <class Scalar>
void inverse_root(InverseRootWorkspace<Scalar>& workspace) {
  MatrixRef<Scalar> square = workspace.matrix();
  if (workspace.size == 1) {
    Scalar& x = square.coeffRef(0, 0);
    if (x != Scalar(0)) x = Scalar(1) / std::sqrt(x);
    return;
  }
  const GramNorms norms = detail::norms_of<Scalar>(square, workspace.diagonal);
  if (norms.trace == 0) {
    square.setZero();
  } else if (!symopt::detail::is_finite(norms.norm)) {  // which is NaN where the trace is not finite
    square.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
  } else {
    detail::evaluate<Scalar>(square, norms.trace, minimax_map_for<Scalar, 3>(norms), workspace);
  }
}

}}}  // namespace symopt::polar
