// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/normalization/horizontal_projection.hpp>
#include <symopt/optimizer/adaptive_call.hpp>
#include <symopt/optimizer/adaptive_state.hpp>
#include <symopt/optimizer/adaptive_step.hpp>
#include <symopt/optimizer/moment_state.hpp>
#include <symopt/optimizer/moments.hpp>
#include <symopt/optimizer/one_sided_state.hpp>
#include <symopt/optimizer/one_sided_within.hpp>
#include <symopt/optimizer/root_renewal.hpp>
#include <symopt/optimizer/rule.hpp>
#include <symopt/optimizer/step_input.hpp>
#include <symopt/optimizer/step_range.hpp>
#include <symopt/type_name.hpp>

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI {

/// Adam with the second moments that a symmetry group derives. With P the horizontal projection of the
/// group's shifts, G a gradient and t the step:
///   M <- beta1 M + (1 - beta1) P G          v <- beta2 v + (1 - beta2) mean of (P G)^2
///   direction = P M' / (sqrt(v') + eps),    M' = M / (1 - beta1^t), v' = v / (1 - beta2^t)
/// with one v for each entry, row or column, or for the block: the mean is over what the moments do not tell
/// apart. Where rotations act on both sides, V is a k x k matrix, k the shorter edge of the block (of each
/// head, where the group has heads), here on the left:
///   V <- beta2 V + (1 - beta2) (P G) (P G)^T / n,    direction = P (V' + eps^2 I)^(-1/2) M'
/// So an entry of the direction is as large as under AdamW, whatever the shape, and AdamW's learning
/// rate, betas and decay can be taken over as they are. Weight decay is the optimizer's, decoupled.
///   permutations of the rows, rotations of the columns (Embedding, LmHead, SwigluInput, Router)   Rows
///   rotations of the rows, permutations of the columns (SwigluOutput)                             Columns
///   permutations on both sides, Trivial                                                           Entries
///   rotations of both sides or of one, also within heads (HiddenMatrix)                           OneSided
/// Others by name: Adaptive<Embedding, moments::Block>. A row that is not seen any more dies out like
/// (beta1 / sqrt(beta2))^t.
///
/// Shapes: m x n. Dimensionless: the learning rate is about the change of an entry per step. Equivariant
/// under Group, checked at compile time; 1^T U = 0 for every gradient under a shared shift.
/// The root of V is within 4.4 % of exact on eigenvalues above 1e-6 of the trace, in float within 6 %, and
/// not above it for smaller ones, and finite for every V (polar::inverse_root). It is renewed in the
/// first `every` steps and then every so many; a direction that no gradients could have made with a root of
/// the present V is made again with one. A square block has V on the left, of the block as it is named.
///
/// Memory: a block for the momentum, and a double for each row or column, or one; for Entries a second block;
/// for OneSided k (k + 1) / 2 doubles and as many Scalars for each head, and for the step a direction and
/// what a polar factor takes. Kept are the roots of the mean squares, or products with an exponent, which
/// stay in range where squares would not: finite gradients give finite steps, if not within a factor of two
/// of the largest finite number.
/// Cost: Rows one sweep of five streams, Entries one of seven, Columns two, of six together, as Block; a
/// shift of the rows under Rows three, of seven together, and of the columns under Columns two. Other shifts
/// take memory for a direction, and four sweeps more. OneSided 3 k^2 n flops, and 3 k^3 in steps with a new
/// root, as many as a polar factor takes in every step.
/// Errors: at compile time, moments that Group does not allow; std::invalid_argument for betas outside [0,
/// 1), eps <= 0 or every < 0, and heads that do not fill the block.
/// Source: the groups are those of arXiv 2605.18106, the derivation is in docs/derivation.md. Adam-mini,
/// arXiv 2406.16793, comes to the same moments for an embedding and a head from the blocks of the Hessian,
/// which it knows by the parameters' names; here the group chooses them. OneSided is one-sided Shampoo, arXiv
/// 1802.09568, with means for sums.
template <class Group, class Moments = default_moments_t<Group>>
struct Adaptive {
  static_assert(detail::RequireMoments<Group, Moments>::value);

  double beta1 = 0.9;   ///< of the mean, in [0, 1)
  double beta2 = 0.99;  ///< of the mean square, in [0, 1)
  double eps = 1e-8;    ///< in the units of a gradient entry
  int every = 0;        ///< of OneSided: steps between new roots; 0 stands for 10

 private:
  static constexpr bool is_full = detail::are_full_moments<Moments>;
  template <detail::Orientation orientation>
  using Step = detail::AdaptiveStepAlong<typename detail::MomentsWithin<Group, Moments>::type,
                                         horizontal_projection_t<Group>, orientation>;

 public:
  using group = Group;                                ///< what the rule is equivariant under
  using moments_type = Moments;                       ///< what is told apart
  using projection = horizontal_projection_t<Group>;  ///< P
  /// The families under which the rule is equivariant beside its group's: those common to moments and
  /// projection.
  static constexpr Families families =
      detail::meet(detail::MomentsWithin<Group, Moments>::families, projection::families);

  /// The mean of the gradients and the roots of their mean squares.
  template <class Scalar>
  using State = detail::AdaptiveState<typename detail::MomentsWithin<Group, Moments>::type, Scalar>;

  /// "Adaptive<Rows>", in plans and files, which name the group besides.
  static std::string name() { return "Adaptive<" + detail::type_name<Moments>() + ">"; }
  void options(auto&& field) {
    field("beta1", beta1);
    field("beta2", beta2);
    field("eps", eps);
    if constexpr (is_full) field("every", every);
  }
  void validate() const {
    detail::require_moment_options("Adaptive", beta1, beta2, eps);
    if (every < 0) throw Error("Adaptive::every must not be negative");
  }
  /// Throws Error for an eps below the roots of mean squares that become zero: for Entries in Scalar, for
  /// others, which have theirs in double, there.
  template <class Scalar>
  void validate_in() const {
    using Root = std::conditional_t<std::same_as<Moments, moments::Entries>, Scalar, double>;
    const double lost = static_cast<double>(std::numeric_limits<Root>::min()) / std::sqrt(1 - beta2);
    detail::require_eps_in<Scalar>("Adaptive", eps, lost);
  }
  /// The nominal root mean square of the direction's entries, AdamW's, whose rate carries over:
  /// Scale::match_rms leaves it as it is.
  double root_mean_square(Shape) const { return detail::root_mean_square_of_adamw; }

  /// One step of the state, and the direction that it gives, for whoever does the rest. See StatefulRule.
  /// OneSided takes its scratch at each call.
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state, Direction& direction) const
      noexcept(!is_full) {
    state.bounded_momentum().advance_bound(beta1, 1.0 - beta1, std::numeric_limits<double>::infinity());
    const kernel::AdamWCoefficients own = coefficients(++state.step);
    if constexpr (is_full) {
      detail::one_sided_call<projection>(gradient, state, renewal(state.step), own, direction);
    } else {
      detail::adaptive_call<projection>(gradient, state, own, direction);
    }
  }

  /// Scratch of the whole step.
  template <class Scalar, detail::Orientation orientation>
  using StepMemory = typename Step<orientation>::template Memory<Scalar>;

  /// The whole step, on memory that runs along rows: the transposed block where the orientation is along
  /// columns. False, with nothing changed, for a gradient that was to be checked and is not finite, or
  /// beyond the bound that is given. `reduction`: nothing, or one for rows that several processes share.
  template <detail::Orientation orientation, class Scalar>
  bool fused_step(const detail::StepInput<Scalar>& lines, State<Scalar>& state,
                  StepMemory<Scalar, orientation>& memory, const auto&... reduction) const
      requires(!is_full || sizeof...(reduction) == 0) {
    kernel::StepCoefficients own = lines.coefficients;
    own.beta = beta1;
    own.gradient_weight = 1.0 - beta1;
    own.nesterov = false;
    const detail::BlockView<Scalar> momentum = state.momentum_for(orientation);
    const bool is_applied = Step<orientation>::template run<Scalar>(
        {lines.gradient, detail::along_rows<orientation>(momentum), lines.weights, nullptr,
         lines.gradient_exponent()},
        moments_for<orientation, Scalar>(state), own, coefficients(state.step + 1), lines.check, memory,
        reduction...);
    if (!is_applied) return false;
    constexpr double projected_twice = 4;
    ++state.step;
    state.bounded_momentum().advance_bound(
        beta1, 1.0 - beta1, projected_twice * std::abs(own.gradient_factor) * lines.largest_gradient);
    return true;
  }

  /// A bound on the entries of the next direction, from that of the momentum; find_bound reads the momentum
  /// for it.
  ///@{
  template <class Scalar>
  double largest_direction(const State<Scalar>& state, double largest_gradient) const {
    constexpr double projected = 16;
    const double largest =
        projected *
        detail::largest_of_quotient(state.bounded_momentum(), coefficients(state.step + 1), largest_gradient);
    if constexpr (is_full) {  // a root has at most 1.06 / eps, but for what float makes of it
      const double most = 2 * std::sqrt(static_cast<double>(state.size())) * largest;
      return most <= std::ldexp(1.0, detail::harmless_exponent<Scalar>) ? most : detail::unbounded;
    } else {
      return largest;
    }
  }
  template <class Scalar>
  void find_bound(State<Scalar>& state) const {
    state.bounded_momentum().find_bound();
  }
  ///@}

 private:
  kernel::AdamWCoefficients coefficients(std::int64_t step) const {
    return detail::adam_coefficients(beta1, beta2, eps, step);
  }
  detail::RootRenewal renewal(std::int64_t step) const {
    return detail::root_renewal(beta1, beta2, every, step);
  }
  /// The second moments as the step takes them.
  template <detail::Orientation orientation, class Scalar>
  auto moments_for(State<Scalar>& state) const {
    if constexpr (is_full) {
      return detail::OneSidedMoments<Scalar>{state.matrices(), renewal(state.step + 1)};
    } else {
      return state.template root_lines_for<orientation>();
    }
  }
};

}}  // namespace symopt
