// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/polar/quintic.hpp>

#include <concepts>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The steps of PolarExpress or NewtonSchulz taken in the space of the Gram matrix R = X X^T: with
/// Z = a I + b R + c R^2 a step is Q <- Q Z, R <- R Z^2, and X is multiplied by Q once, at the end. All of
/// these commute and are symmetric, so a product costs half.
/// The rounding errors in R grow as the smallest singular values do, by a^2 a step. A restart multiplies X by
/// Q early and forms its Gram matrix anew: by default after the second step in float, never in double. Band:
/// that of the list; for the default six steps of Polar Express [0.94, 1.01] for singular values between 1e-3
/// and 1 of the Frobenius norm, in float [0.92, 1.03]. Cost: 3 k^2 n for each start, 4 k^3 per step, 2 k^3
/// less for the last; memory four Gram matrices and packed slabs. Errors: std::invalid_argument for steps <
/// 1, safety < 1, eps < 0, restart_after < -1. Source: the polynomials of QuinticList.
struct GramNewtonSchulz {
  static constexpr int where_needed = -1;  ///< restart_after: what the scalar's rounding asks for

  int steps = 6;                                    ///< at least 1
  QuinticList coefficients = lists::polar_express;  ///< of the steps
  int restart_after = where_needed;                 ///< so many steps; 0 never
  double safety = 1.0;                              ///< the block is divided by safety * Frobenius norm + eps
  double eps = 0.0;  ///< absolute, for agreement with published code; breaks homogeneity

  template <class Scalar>
  struct Workspace {
    Workspace(Shape shape, Side gram_side)
        : products(extent(shape, gram_side), extent(shape, opposite(gram_side))),
          gram(extent(shape, gram_side) * kernel::square_stride(extent(shape, gram_side))),
          factor(gram),
          step(gram),
          product(gram) {}

    kernel::ProductMemory<Scalar> products;
    kernel::Buffer<Scalar> gram;
    kernel::Buffer<Scalar> factor;
    kernel::Buffer<Scalar> step;
    kernel::Buffer<Scalar> product;
  };

  void validate() const {
    validate_iteration("GramNewtonSchulz", steps, safety, eps);
    if (restart_after < where_needed)
      throw Error("GramNewtonSchulz::restart_after is a number of steps, 0 for never, or where_needed");
  }

  template <class Scalar, class Reduction = kernel::NoReduction>
  void apply(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace,
             const Reduction& reduction = {}) const {
    const Scalar largest = reduction.largest(kernel::max_abs(block));
    if (largest == Scalar(0)) return;
    const Scalar scale = kernel::power_of_two_scale(largest);
    block *= scale;
    block /= static_cast<Scalar>(reduction.norm(kernel::norm(block)) * safety + eps * double(scale));
    const int wanted = restart_after != where_needed ? restart_after : std::same_as<Scalar, float> ? 2 : 0;
    const int first = wanted > 0 && wanted < steps ? wanted : steps;
    const double flops = 3.0 * static_cast<double>(extent(symopt::detail::shape_of(block), gram_side)) *
                         static_cast<double>(block.size());
    kernel::with_team(flops, [&] {
      run<Scalar>(block, gram_side, 0, first, workspace, reduction);
      if (first < steps) run<Scalar>(block, gram_side, first, steps, workspace, reduction);
    });
  }

 private:
  /// block <- the steps [begin, end) of it.
  template <class Scalar>
  void run(MatrixRef<Scalar> block, Side gram_side, int begin, int end, Workspace<Scalar>& workspace,
           const auto& reduction) const {
    const Index size = extent(symopt::detail::shape_of(block), gram_side);
    const auto view = [&](kernel::Buffer<Scalar>& buffer) {
      return MatrixRef<Scalar>(buffer.as({size, kernel::square_stride(size)}).leftCols(size));
    };
    MatrixRef<Scalar> gram = view(workspace.gram), z = view(workspace.step), q = view(workspace.factor),
                      product = view(workspace.product);
    kernel::ProductMemory<Scalar>& products = workspace.products;
    kernel::lower_gram<Scalar>(block, gram_side, gram, products);
    reduction.sum_lower(gram);
    kernel::symmetrize_from_lower<Scalar>(gram);
    for (int step = begin; step < end; ++step) {
      const Quintic& coefficient = coefficients[step];
      kernel::symmetric_product<Scalar>(gram, gram, z, products);
      z = Scalar(coefficient.c) * z + Scalar(coefficient.b) * gram;
      z.diagonal().array() += Scalar(coefficient.a);
      if (step == begin) {
        q = z;
      } else {
        kernel::symmetric_product<Scalar>(q, z, product, products);
        q = product;
      }
      if (step + 1 == end) break;
      kernel::symmetric_product<Scalar>(gram, z, product, products);
      kernel::symmetric_product<Scalar>(product, z, gram, products);
    }
    kernel::multiply_square<Scalar>(q, block, gram_side, products);
  }
};

}}}  // namespace symopt::polar
