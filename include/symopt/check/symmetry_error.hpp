// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/concept.hpp>
#include <symopt/update/rule.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// How far a rule is from equivariance, as numbers of its own output; see symmetry_error.
struct SymmetryError {
  /// What one generator shows.
  struct OfGenerator {
    Index generator = 0;  ///< index into Group::generators<double>(shape)
    double error = 0;     ///< the largest over the inputs, relative to the output
  };

  std::vector<OfGenerator> generators;  ///< all of them, in their order
  double worst = 0;                     ///< over the generators
  double mean = 0;                      ///< over the generators
};

/// One line, with the worst generator.
inline std::ostream& operator<<(std::ostream& out, const SymmetryError& result) {
  if (result.generators.empty()) return out << "symmetry error: the group has no generators";
  const auto worst = std::max_element(result.generators.begin(), result.generators.end(),
                                      [](const auto& a, const auto& b) { return a.error < b.error; });
  return out << "symmetry error: worst " << result.worst << " (generator " << worst->generator << " of "
             << result.generators.size() << "), mean " << result.mean;
}

namespace detail {

/// The directions for the inputs, in double.
template <class Rule, class Scalar>
std::vector<Matrix<double>> directions(const Rule& rule, const std::vector<Matrix<Scalar>>& inputs) {
  std::vector<Matrix<double>> result;
  if constexpr (StatefulRule<Rule, Scalar>) {
    const Shape shape = shape_of(inputs.front());
    auto state = make_state<typename Rule::template State<Scalar>>(shape);
    const Matrix<Scalar> weights = Matrix<Scalar>::Zero(shape.rows, shape.cols);
    Matrix<Scalar> direction = weights;
    for (const Matrix<Scalar>& input : inputs) {
      rule(weights, input, state, direction);
      result.push_back(direction.template cast<double>());
    }
  } else {
    for (const Matrix<Scalar>& input : inputs) {
      const Matrix<Scalar> direction = rule(input);
      if (shape_of(direction) != shape_of(input))
        throw std::invalid_argument("symopt: symmetry_error: the rule returned a " +
                                    to_string(shape_of(direction)) + " matrix for a " +
                                    to_string(shape_of(input)) + " block; it must keep the shape");
      result.push_back(direction.template cast<double>());
    }
  }
  return result;
}

template <class Group, class Rule, class Scalar>
SymmetryError error_over_generators(const Rule& rule, const std::vector<Matrix<Scalar>>& inputs) {
  static_assert(RealScalar<Scalar>, "symopt computes in float and double; cast the inputs first");
  static_assert(StatefulRule<Rule, Scalar> || CallableMap<Rule, Scalar>,
                "symmetry_error needs a rule: callable on a matrix, returning one of the same scalar, or "
                "with a State and operator()(weights, gradient, state, direction)");
  if (inputs.empty()) throw std::invalid_argument("symopt: symmetry_error needs at least one input");
  const Shape shape = shape_of(inputs.front());
  for (const Matrix<Scalar>& input : inputs)
    if (shape_of(input) != shape)
      throw std::invalid_argument("symopt: symmetry_error: the inputs are " + to_string(shape) + " and " +
                                  to_string(shape_of(input)) + "; give it blocks of one shape");

  const std::vector<Matrix<double>> still = directions(rule, inputs);
  double size = 0;
  for (const Matrix<double>& direction : still) size = std::hypot(size, direction.stableNorm());

  SymmetryError result;
  for (const auto& g : Group::template generators<double>(shape)) {
    std::vector<Matrix<Scalar>> moved_inputs;
    for (const Matrix<Scalar>& input : inputs) {
      Matrix<double> moved = input.template cast<double>();
      Group::act_on_gradient(g, moved);
      moved_inputs.push_back(moved.template cast<Scalar>());
    }
    const std::vector<Matrix<double>> moved_first = directions(rule, moved_inputs);
    double distance = 0;
    for (std::size_t i = 0; i < still.size(); ++i) {
      Matrix<double> moved_last = still[i];
      Group::act_on_update(g, moved_last);
      const Matrix<double> difference = moved_first[i] - moved_last;
      // stableNorm may lose a NaN among larger numbers.
      distance = difference.allFinite() ? std::hypot(distance, difference.stableNorm())
                                        : std::numeric_limits<double>::infinity();
    }
    const double error = distance == 0 ? 0.0 : distance / size;
    result.generators.push_back({static_cast<Index>(result.generators.size()),
                                 error >= 0 ? error : std::numeric_limits<double>::infinity()});
  }
  for (const auto& [generator, error] : result.generators) {
    result.worst = std::max(result.worst, error);
    result.mean += error / static_cast<double>(result.generators.size());
  }
  return result;
}

}  // namespace detail

/// The relative violation  |rule(g_* X) - Dg rule(X)| / |rule(X)|  for each generator g of the group, in the
/// Frobenius norm: 0 for an equivariant rule up to rounding, about 1 for one that ignores the symmetry,
/// infinite for a NaN or Inf. To log how soft an approximate equivariance is; for a verdict see the checks of
/// this room. Inputs: a block, any dense expression of float or double, or a range of blocks of one shape.
/// For a range the norms are taken over all inputs together, so that one near zero does not dominate. A
/// stateful rule takes them as the gradients of consecutive steps from a new state, with weights zero. Shifts
/// do not move gradients, so their generators show 0: a shift is measured by conserved(). Generators act in
/// double. No random numbers. A symmetric input, zero above all, shows no violation. Cost: per input, one
/// call of the rule and one more per generator. Errors: std::invalid_argument for no input, or inputs of
/// different shapes. Source: arXiv 2306.00356 (equivariance as a penalty that training measures and relaxes).
template <SymmetryGroup Group, class Rule, class Derived>
SymmetryError symmetry_error(const Rule& rule, const Eigen::MatrixBase<Derived>& input) {
  using Scalar = typename Derived::Scalar;
  return detail::error_over_generators<Group>(rule, std::vector<Matrix<Scalar>>{input});
}

/// The worst over several inputs of one shape.
template <SymmetryGroup Group, class Rule, class Range>
requires(!EigenObject<Range>) SymmetryError symmetry_error(const Rule& rule, const Range& inputs) {
  using Scalar = typename std::remove_cvref_t<decltype(*std::begin(inputs))>::Scalar;
  std::vector<Matrix<Scalar>> blocks;
  for (const auto& input : inputs) blocks.push_back(input);
  return detail::error_over_generators<Group>(rule, blocks);
}

}}}  // namespace symopt::check
