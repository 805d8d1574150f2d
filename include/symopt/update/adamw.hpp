// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/product.hpp>
#include <symopt/group/signed_permutation.hpp>
#include <symopt/update/rule.hpp>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace symopt::inline SYMOPT_ABI {

/// Definition: m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2 entry by entry; the direction
/// is m' / (sqrt(v') + eps) with the bias-corrected m' = m / (1 - beta1^t), v' = v / (1 - beta2^t).
/// Weight decay is the optimizer's, decoupled. Dimensionless: the learning rate is about the change of an
/// entry per step.
/// Largest group: signed permutations of rows and columns. It is not equivariant under rotations, and
/// does not keep horizontal gradients horizontal.
/// Cost: four reads and three writes of a block; state two blocks.
/// Errors: std::invalid_argument for betas outside [0, 1) or eps <= 0.
/// Source: Loshchilov and Hutter, arXiv 1711.05101.
struct AdamW {
  double beta1 = 0.9;    ///< of the mean, in [0, 1)
  double beta2 = 0.999;  ///< of the mean square, in [0, 1)
  double eps = 1e-8;  ///< in the units of a gradient entry

  using largest_group = Product<SignedRowPermutation, SignedColumnPermutation>;

  template <class Scalar>
  struct State {
    explicit State(Shape shape)
        : first(Matrix<Scalar>::Zero(shape.rows, shape.cols)),
          second(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}

    Matrix<Scalar> first;
    Matrix<Scalar> second;
    std::int64_t step = 0;

    void visit(auto&& field) {
      field("first", first);
      field("second", second);
      field("step", step);
    }
  };

  void validate() const {
    const auto require = [](bool good, const char* what) {
      if (!good) throw std::invalid_argument(std::string("symopt: AdamW::") + what);
    };
    require(beta1 >= 0 && beta1 < 1, "beta1 must be at least 0 and less than 1");
    require(beta2 >= 0 && beta2 < 1, "beta2 must be at least 0 and less than 1");
    require(eps > 0 && std::isfinite(eps), "eps must be positive: a zero gradient would divide 0 by 0");
  }

  /// One step of the state, and the direction that it gives. See StatefulRule.
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const noexcept {
    ++state.step;
    const double t = static_cast<double>(state.step);
    const Scalar correction1 = static_cast<Scalar>(1.0 - std::pow(beta1, t));
    const Scalar correction2 = static_cast<Scalar>(1.0 - std::pow(beta2, t));
    state.first = Scalar(beta1) * state.first + Scalar(1.0 - beta1) * gradient;
    state.second = Scalar(beta2) * state.second + Scalar(1.0 - beta2) * gradient.cwiseAbs2();
    direction =
        (state.first.array() / correction1) / ((state.second.array() / correction2).sqrt() + Scalar(eps));
  }
};

static_assert(StatefulRule<AdamW, float> && StatefulRule<AdamW, double>);

}  // namespace symopt
