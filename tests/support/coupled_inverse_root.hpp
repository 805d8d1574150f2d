// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/polar/quintic.hpp>

#include <utility>

// The inverse roots with which the reference implementation of arXiv 2605.18106 took polar factors, for the
// replay of its published runs. They need a ridge in the Gram matrix, which breaks homogeneity: the library
// has better ones.
namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The memory of a coupled iteration: five Gram-sized squares and what products work in.
template <class Scalar>
struct CoupledWorkspace {
  CoupledWorkspace(Shape shape, Side gram_side)
      : products(extent(shape, gram_side), extent(shape, opposite(gram_side))),
        y(side_of(shape, gram_side)),
        z(y),
        residual(y),
        factor(y),
        product(y) {}

  kernel::ProductMemory<Scalar> products;
  Matrix<Scalar> y, z, residual, factor, product;

 private:
  static Matrix<Scalar> side_of(Shape shape, Side gram_side) {
    const Index size = extent(shape, gram_side);
    return Matrix<Scalar>::Zero(size, size);
  }
};

/// block <- (C + eps I)^(-1/2) block with C the Gram matrix on that side, by the coupled iteration
/// Y <- Y T, Z <- T Z from Y = (C + eps I) / s, Z = I, where Y tends to the root and Z to its inverse.
/// `norm_factor` and `norm_eps` give s = norm_factor * |C + eps I|_F + norm_eps; `set_factor` makes T
/// from Y and Z. Cost per step: three products of squares, 6 k^3 flops.
template <class Scalar>
void apply_coupled_inverse_root(MatrixRef<Scalar> block, Side gram_side, int steps, double eps,
                                double norm_factor, double norm_eps, CoupledWorkspace<Scalar>& workspace,
                                auto set_factor) {
  Matrix<Scalar>& y = workspace.y;
  Matrix<Scalar>& z = workspace.z;
  Matrix<Scalar>& product = workspace.product;
  if (kernel::max_abs(block) == Scalar(0)) return;
  kernel::gram<Scalar>(block, gram_side, y, workspace.products);
  y.diagonal().array() += Scalar(eps);
  const Scalar s = static_cast<Scalar>(kernel::norm(y) * norm_factor + norm_eps);
  y /= s;
  z.setIdentity();
  for (int step = 0; step < steps; ++step) {
    set_factor(step);
    product.noalias() = y * workspace.factor;
    y.swap(product);
    product.noalias() = workspace.factor * z;
    z.swap(product);
  }
  kernel::multiply_square<Scalar>(MatrixRef<Scalar>(z), block, gram_side, workspace.products);
  block /= std::sqrt(s);
}

/// Throws unless the options of a coupled iteration are usable.
inline void validate_coupled(const char* method, int steps, double eps) {
  validate_steps(method, steps);
  if (!(eps > 0.0) || !symopt::detail::is_finite(eps))
    throw Error(std::string(method) +
                "::eps must be finite and positive: a singular Gram matrix has no "
                "inverse root");
}

/// The inverse square root by the coupled Newton-Schulz iteration, for agreement with published runs.
/// T = (3 I - Z Y) / 2.
/// Band: singular values tend to 1 from below, s / sqrt(s^2 + eps); after few steps small ones are far
/// from it. Not for rank-deficient blocks in float: the iteration loses the symmetry of Z Y and grows.
/// Cost: k^2 n + 6 k^3 per step + 2 k^2 n flops. Errors: std::invalid_argument for steps < 1, eps <= 0.
/// Source: the reference implementation of arXiv 2605.18106; Higham, "Functions of Matrices", eq. 6.35.
struct CoupledNewtonSchulz {
  int steps = 5;      ///< of the iteration
  double eps = 1e-8;  ///< absolute, added to the Gram's diagonal: breaks homogeneity

  template <class Scalar>
  using Workspace = CoupledWorkspace<Scalar>;

  void validate() const { validate_coupled("CoupledNewtonSchulz", steps, eps); }

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, CoupledWorkspace<Scalar>& workspace) const {
    auto& w = workspace;
    apply_coupled_inverse_root<Scalar>(block, gram_side, steps, eps, 1.0, 0.0, workspace, [&](int) {
      w.factor.noalias() = Scalar(-0.5) * w.z * w.y;
      w.factor.diagonal().array() += Scalar(1.5);
    });
  }
};

/// The inverse square root by the coupled iteration with Polar Express coefficients, for agreement
/// with published runs. With R = I - Z Y symmetrized, T = (a + b + c) I - (b + 2 c) R + c R^2.
/// Band: after five steps [0.72, 1.13] for singular values whose squares are at least 1e-6 of the
/// Gram's norm; more steps tend to 1. Not for rank-deficient blocks in float.
/// Cost: k^2 n + 8 k^3 per step + 2 k^2 n flops. Errors: std::invalid_argument for steps < 1, eps <= 0.
/// Source: the reference implementation of arXiv 2605.18106.
struct CoupledPolarExpress {
  int steps = 5;      ///< of the iteration
  double eps = 1e-8;  ///< absolute, added to the Gram's diagonal: breaks homogeneity
  QuinticList coefficients = lists::polar_express;  ///< past its end the last one repeats

  template <class Scalar>
  using Workspace = CoupledWorkspace<Scalar>;

  void validate() const { validate_coupled("CoupledPolarExpress", steps, eps); }

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, CoupledWorkspace<Scalar>& workspace) const {
    auto& w = workspace;
    apply_coupled_inverse_root<Scalar>(block, gram_side, steps, eps, 1.02, eps, workspace, [&](int step) {
      const Quintic& q = coefficients[step];
      w.product.noalias() = w.z * w.y;
      w.residual = Scalar(-0.5) * (w.product + w.product.transpose());
      w.residual.diagonal().array() += Scalar(1);
      w.factor.noalias() = Scalar(q.c) * w.residual * w.residual;
      w.factor -= Scalar(q.b + 2 * q.c) * w.residual;
      w.factor.diagonal().array() += Scalar(q.a + q.b + q.c);
    });
  }
};

}}}  // namespace symopt::polar
