// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/error.hpp>
#include <symopt/optimizer/rule.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <ostream>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The distance of a rule from equivariance, relative to its output; see symmetry_error.
struct SymmetryError {
  /// The violation that one generator shows.
  struct OfGenerator {
    Index generator = 0;  ///< index into Group::generators<double>(shape)
    double error = 0;     ///< the largest over the inputs, relative to the output
  };

  std::vector<OfGenerator> generators;  ///< all of them, in their order
  double worst = 0;                     ///< over the generators
  double mean = 0;                      ///< over the generators
};

/// One line, with the worst generator.
std::ostream& operator<<(std::ostream& out, const SymmetryError& result);

namespace detail {

/// Blocks of one shape, and the directions of a rule for them.
using Blocks = std::vector<WideMatrix>;
using BlocksMap = std::function<Blocks(const Blocks&)>;

/// Errors: Error for no input, or inputs of different shapes.
SymmetryError symmetry_error(const AnyGroup& group, const BlocksMap& rule, const Blocks& inputs);
/// Errors: Error for directions of another shape than their inputs.
void require_shape(Shape direction, Shape input);

/// The directions of a rule in the scalar of its inputs. A stateful rule takes these one after the other.
template <class Rule, class Scalar>
Blocks directions(const Rule& rule, const Blocks& inputs) {
  Blocks result;
  if constexpr (StatefulRule<Rule, Scalar>) {
    const Shape shape = shape_of(inputs.front());
    auto state = symopt::detail::make_state<typename Rule::template State<Scalar>>(shape);
    const Matrix<Scalar> weights = Matrix<Scalar>::Zero(shape.rows, shape.cols);
    Matrix<Scalar> direction = weights;
    for (const WideMatrix& input : inputs) {
      const Matrix<Scalar> gradient = converted<Scalar>(input);
      rule(weights, gradient, state, direction);
      result.push_back(widened(direction));
    }
  } else {
    for (const WideMatrix& input : inputs) {
      const Matrix<Scalar> direction = rule(converted<Scalar>(input));
      require_shape(shape_of(direction), shape_of(input));
      result.push_back(widened(direction));
    }
  }
  return result;
}

template <class Group, class Scalar, class Rule>
SymmetryError symmetry_error_of(const Rule& rule, const Blocks& inputs) {
  static_assert(RealScalar<Scalar>, "symopt computes in float and double; cast the inputs first");
  static_assert(StatefulRule<Rule, Scalar> || symopt::detail::CallableMap<Rule, Scalar>,
                "symmetry_error needs a rule: callable on a matrix, returning one of the same scalar, or "
                "with a State and operator()(weights, gradient, state, direction)");
  const auto map = [&rule](const Blocks& blocks) { return directions<Rule, Scalar>(rule, blocks); };
  return symmetry_error(ErasedGroup<Group, double>(), map, inputs);
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
  return detail::symmetry_error_of<Group, Scalar>(rule, {detail::widened(Matrix<Scalar>(input))});
}

/// The worst over several inputs of one shape.
template <SymmetryGroup Group, class Rule, class Range>
requires(!symopt::detail::EigenObject<Range>) SymmetryError
    symmetry_error(const Rule& rule, const Range& inputs) {
  using Scalar = typename std::remove_cvref_t<decltype(*std::begin(inputs))>::Scalar;
  detail::Blocks blocks;
  for (const auto& input : inputs) blocks.push_back(detail::widened(Matrix<Scalar>(input)));
  return detail::symmetry_error_of<Group, Scalar>(rule, blocks);
}

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE std::ostream& operator<<(std::ostream& out, const SymmetryError& result) {
  if (result.generators.empty()) return out << "symmetry error: the group has no generators";
  const auto worst = std::max_element(result.generators.begin(), result.generators.end(),
                                      [](const auto& a, const auto& b) { return a.error < b.error; });
  return out << "symmetry error: worst " << result.worst << " (generator " << worst->generator << " of "
             << result.generators.size() << "), mean " << result.mean;
}

namespace detail {

SYMOPT_CHECK_INLINE void require_shape(Shape direction, Shape input) {
  symopt::detail::require(direction == input, [&] {
    return "symmetry_error: the rule returned a " + to_string(direction) + " matrix for a " +
           to_string(input) + " block; it must keep the shape";
  });
}

/// The relative error under one element: the directions of the moved inputs less the moved directions, over
/// the size of the directions.
SYMOPT_CHECK_INLINE double error_under(const AnyGroup& group, const AnyGroup::Element& g,
                                       const BlocksMap& rule, const Blocks& inputs, const Blocks& still,
                                       Wide size) {
  Blocks moved_inputs;
  for (const WideMatrix& input : inputs) moved_inputs.push_back(group.on_gradient(g, input));
  const Blocks moved_first = rule(moved_inputs);
  Wide violation = 0;
  for (std::size_t i = 0; i < still.size(); ++i)
    violation = std::hypot(violation, distance(moved_first[i], group.on_update(g, still[i])));
  const double error = violation == 0 ? 0 : static_cast<double>(violation / size);
  return error >= 0 ? error : std::numeric_limits<double>::infinity();
}

SYMOPT_CHECK_INLINE SymmetryError symmetry_error(const AnyGroup& group, const BlocksMap& rule,
                                                 const Blocks& inputs) {
  symopt::detail::require(!inputs.empty(), "symmetry_error needs at least one input");
  const Shape shape = shape_of(inputs.front());
  for (const WideMatrix& input : inputs)
    symopt::detail::require(shape_of(input) == shape, [&] {
      return "symmetry_error: the inputs are " + to_string(shape) + " and " + to_string(shape_of(input)) +
             "; give it blocks of one shape";
    });
  const Blocks still = rule(inputs);
  Wide size = 0;
  for (const WideMatrix& direction : still) size = std::hypot(size, norm(direction));

  SymmetryError result;
  for (const auto& g : group.generators(shape))
    result.generators.push_back(
        {static_cast<Index>(result.generators.size()), error_under(group, g, rule, inputs, still, size)});
  for (const auto& [generator, error] : result.generators) {
    result.worst = std::max(result.worst, error);
    result.mean += error / static_cast<double>(result.generators.size());
  }
  return result;
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
