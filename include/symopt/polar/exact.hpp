// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/polar/concept.hpp>
#include <symopt/product/products.hpp>
#include <symopt/scaling.hpp>

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The polar factor by an eigendecomposition of the Gram matrix, in double whatever the scalar.
/// Singular values at or below `cutoff` times the largest give zero: the result is the partial isometry,
/// never completed to an orthogonal matrix, so it keeps every symmetry of the block.
/// Band: singular values are 1 up to rounding, or 0. The Gram squares the condition k: the relative error
/// against a singular value decomposition is about k^2 times the unit roundoff of double. So one that lies
/// just above the cut-off can be some percent off 1: 0.987 for the smallest at a condition of 1.5e7. Default
/// cut-off (for cutoff = 0): max(m, n) units of roundoff of the block's scalar, but never under the noise
/// sqrt(k) * 1.5e-8 that a k x k Gram matrix in double carries. Cost: about 9 k^3 + 4 k^2 n flops; memory two
/// double blocks, packed slabs and the eigensolver's two squares, and k numbers that Eigen's eigensolver
/// takes at each call. Errors: std::invalid_argument for a cutoff outside [0, 1).
struct Exact {
  double cutoff = 0;  ///< relative to the largest singular value; 0 chooses by size and scalar

  /// The scalar of the computation, double; it depends on Scalar so that the eigensolver is compiled where it
  /// is used.
  template <class Scalar>
  using Wide = std::common_type_t<Scalar, double>;

  template <class Scalar>
  struct Workspace {
    Workspace(Shape shape, Side gram_side)
        : block(shape.rows * shape.cols),
          rotated(shape.rows * shape.cols),
          products(extent(shape, gram_side), extent(shape, opposite(gram_side))),
          gram(identity(std::max<Index>(1, extent(shape, gram_side)))),
          solver(gram) {}  // computing once takes all of the solver's memory

    kernel::Buffer<Wide<Scalar>> block;
    kernel::Buffer<Wide<Scalar>> rotated;
    kernel::ProductMemory<Wide<Scalar>> products;
    Matrix<Wide<Scalar>> gram;
    Eigen::SelfAdjointEigenSolver<Matrix<Wide<Scalar>>> solver;

   private:
    static Matrix<Wide<Scalar>> identity(Index size) { return Matrix<Wide<Scalar>>::Identity(size, size); }
  };

  void validate() const {
    if (!(cutoff >= 0.0 && cutoff < 1.0)) throw Error("Exact::cutoff must lie in [0, 1)");
  }

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace) const {
    const Scalar largest = kernel::max_abs(block);
    if (largest == Scalar(0)) return;
    if (!symopt::detail::is_finite(largest)) {
      block.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
      return;
    }
    MatrixRef<Wide<Scalar>> x = workspace.block.as(symopt::detail::shape_of(block));
    x = block.template cast<double>() * kernel::power_of_two_scale(double(largest));
    kernel::gram<Wide<Scalar>>(x, gram_side, workspace.gram, workspace.products);
    workspace.solver.compute(workspace.gram);
    const auto& vectors = workspace.solver.eigenvectors();

    // Rotated into the eigenbasis the lines are orthogonal and their norms are the singular values:
    // normalized there, the lines are rotated back.
    MatrixRef<Wide<Scalar>> rotated = workspace.rotated.as(symopt::detail::shape_of(block));
    if (gram_side == Side::left) {
      rotated.noalias() = vectors.transpose() * x;
      normalize_lines<Scalar>(rotated);
      x.noalias() = vectors * rotated;
    } else {
      rotated.noalias() = x * vectors;
      auto lines = rotated.transpose();
      normalize_lines<Scalar>(lines);
      x.noalias() = rotated * vectors.transpose();
    }
    block = x.template cast<Scalar>();
  }

 private:
  template <class Scalar>
  void normalize_lines(auto& lines) const {
    double largest = 0;
    for (Index i = 0; i < lines.rows(); ++i) largest = std::max(largest, lines.row(i).norm());
    const double threshold = largest * relative_cutoff<Scalar>(symopt::detail::shape_of(lines));
    for (Index i = 0; i < lines.rows(); ++i) {
      const double length = lines.row(i).norm();
      if (length > threshold) {
        lines.row(i) /= length;
      } else {
        lines.row(i).setZero();
      }
    }
  }

  template <class Scalar>
  double relative_cutoff(Shape lines) const {
    if (cutoff > 0) return cutoff;
    const double data_noise = static_cast<double>(std::max(lines.rows, lines.cols)) *
                              static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    const double gram_noise =
        std::sqrt(static_cast<double>(lines.rows) * std::numeric_limits<double>::epsilon());
    return std::max(data_noise, gram_noise);
  }
};

}}}  // namespace symopt::polar
