// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/group/product.hpp>
#include <symopt/group/signed_permutation.hpp>
#include <symopt/kernel/adamw.hpp>
#include <symopt/memory/oriented_buffer.hpp>
#include <symopt/optimizer/moment_state.hpp>
#include <symopt/optimizer/rule.hpp>
#include <symopt/optimizer/step_input.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2 entry by entry; the direction
/// is m' / (sqrt(v') + eps) with the bias-corrected m' = m / (1 - beta1^t), v' = v / (1 - beta2^t).
/// Weight decay is the optimizer's, decoupled. Dimensionless: the learning rate is about the change of an
/// entry per step.
/// Largest group: signed permutations of rows and columns. It is not equivariant under rotations, and
/// does not keep horizontal gradients horizontal.
/// Cost: one sweep of four reads and three writes of a block, in the order of its memory; state two blocks. A
/// moment below the smallest normal number becomes zero. Errors: std::invalid_argument for betas outside [0,
/// 1) or eps <= 0. Source: Loshchilov and Hutter, arXiv 1711.05101.
struct AdamW {
  double beta1 = 0.9;    ///< of the mean, in [0, 1)
  double beta2 = 0.999;  ///< of the mean square, in [0, 1)
  double eps = 1e-8;     ///< in the units of a gradient entry

  using largest_group = Product<SignedRowPermutation, SignedColumnPermutation>;

  template <class Scalar>
  class State {
   public:
    explicit State(Shape shape) : first_(shape), second_(shape) {}

    /// The moments, rows x cols, read-only.
    auto first() const { return first_.view(); }
    auto second() const { return second_.view(); }

    std::int64_t step = 0;

    void visit(auto&& field) {
      field("first", first_);
      field("second", second_);
      field("step", step);
    }
    /// Throws Error for what no step makes.
    void validate() const { detail::require_means_of_squares(second_.view(), "second"); }
    bool is_finite() const {
      return detail::all_entries_finite(first_.view()) && detail::all_entries_finite(second_.view());
    }

   private:
    friend AdamW;
    kernel::OrientedBuffer<Scalar> first_, second_;  // in the order of the weights' memory
  };

  void options(auto&& field) {
    field("beta1", beta1);
    field("beta2", beta2);
    field("eps", eps);
  }
  void validate() const { detail::require_moment_options("AdamW", beta1, beta2, eps); }
  /// Throws Error for an eps beside which the second moments are not little that become zero in Scalar: in
  /// float it is at least 2.7e-17 with the default betas, so that no step is longer by more than an eighth.
  template <class Scalar>
  void validate_in() const {
    const double lost = std::sqrt(static_cast<double>(std::numeric_limits<Scalar>::min()) / (1 - beta2));
    detail::require_eps_in<Scalar>("AdamW", eps, 8 * lost);
  }

  /// The nominal root mean square of the direction's entries, that of noise: Scale::match_rms leaves AdamW as
  /// it is.
  double root_mean_square(Shape) const { return detail::root_mean_square_of_adamw; }

  /// One step of the state, and the direction that it gives, for whoever does the rest. See StatefulRule.
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const noexcept {
    const kernel::AdamWCoefficients own = coefficients(++state.step);
    state.first_.advance_bound(own.beta1, own.first_weight, std::numeric_limits<double>::infinity());
    const detail::BlockView<Scalar> first = state.first_.for_step(detail::Orientation::along_rows);
    const detail::BlockView<Scalar> second = state.second_.for_step(detail::Orientation::along_rows);
    for (Index i = 0; i < gradient.rows(); ++i)
      for (Index j = 0; j < gradient.cols(); ++j) {
        const Scalar g = gradient.coeff(i, j);
        Scalar &m = first.row(i)[j], &v = second.row(i)[j];
        m = Scalar(own.beta1) * m + Scalar(own.first_weight) * g;
        v = Scalar(own.beta2) * v + (Scalar(own.second_weight) * g) * g;
        direction.coeffRef(i, j) = m * Scalar(own.first_correction) /
                                   (std::sqrt(v) * Scalar(own.second_correction) + Scalar(own.eps));
      }
  }

  /// The whole step in one sweep, on memory that runs along rows: the transposed block where its orientation
  /// is along columns. False, with nothing changed, for a gradient that was to be checked and is
  /// not finite, or beyond the bound that is given. A reduction is not used.
  template <class Scalar>
  bool fused_step(const detail::StepInput<Scalar>& lines, detail::Orientation orientation,
                  State<Scalar>& state, const auto&...) const {
    if (lines.check == kernel::Check::gradient &&
        !kernel::all_below(lines.gradient_exponent(), lines.gradient))
      return false;
    const kernel::AdamWCoefficients own = coefficients(++state.step);
    state.first_.advance_bound(own.beta1, own.first_weight * std::abs(lines.coefficients.gradient_factor),
                               lines.largest_gradient);
    const auto lines_of = [orientation](kernel::OrientedBuffer<Scalar>& moment) {
      return detail::along_rows(moment.for_step(orientation), orientation);
    };
    return kernel::AdamWStep::run<Scalar>({lines.gradient, lines_of(state.first_), lines.weights},
                                          lines_of(state.second_), lines.coefficients, own,
                                          kernel::Check::nothing);
  }

  /// A bound on the entries of the next direction, from that of the first moment; find_bound reads the moment
  /// for it.
  ///@{
  template <class Scalar>
  double largest_direction(const State<Scalar>& state, double largest_gradient) const {
    return detail::largest_of_quotient(state.first_, coefficients(state.step + 1), largest_gradient);
  }
  template <class Scalar>
  void find_bound(State<Scalar>& state) const {
    state.first_.find_bound();
  }
  ///@}

 private:
  kernel::AdamWCoefficients coefficients(std::int64_t step) const {
    return detail::adam_coefficients(beta1, beta2, eps, step);
  }
};

}}  // namespace symopt
