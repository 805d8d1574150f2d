// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/law.hpp>
#include <symopt/check/outcome.hpp>
#include <symopt/check/report.hpp>
#include <symopt/finite.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// Makes a failed trial small: the element one that can be said in a few words, the block without the lines
/// that do not matter, its entries zero, one, minus one or powers of two.
class Shrink {
 public:
  Shrink(const Law& law, const AnyGroup& group, const AnyRule& rule, std::uint64_t seed)
      : law_(law), group_(group), rule_(rule), seed_(seed) {}

  Failure operator()(Trial trial);

 private:
  Comparison comparison_of(const Trial& trial) const;
  /// False where the rule refuses the input: it may want whole heads. What fails is kept as the last.
  bool fails(const Trial& trial);
  bool replace_if_it_fails(Trial& trial, Trial simpler);
  /// A simple move or, in a group that has none, a generator in place of a product.
  void simplify_element(Trial& trial);
  /// Rows and columns without which it still fails.
  void remove_lines(Trial& trial);
  /// The move as it is without that line; a group without simple moves has other elements for other shapes.
  void try_motions_of_smaller(Trial& trial, Trial smaller, Side side, Index line);
  /// Small integers in place of all entries at once, for laws about inputs that no single entry may leave.
  void use_integers(Trial& trial);
  /// Entries as zero, one, minus one or a power of two where it still fails.
  void simplify_entries(Trial& trial, WideMatrix Input::*block);
  bool is_prepared(const WideMatrix& gradient) const { return is_equal(law_.prepare(gradient), gradient); }
  Failure described(const Trial& trial) const;

  const Law& law_;
  const AnyGroup& group_;
  const AnyRule& rule_;
  std::uint64_t seed_;
  double clear_ = 0;  // a smaller trial must fail by that much of its output
  std::optional<SimpleMove> move_;
  Comparison last_;  // of the smallest trial so far: a rule that is no function answers otherwise next time
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE Failure Shrink::operator()(Trial trial) {
  last_ = comparison_of(trial);
  const double relative = last_.outcome.relative;
  // A clear violation stays one.
  clear_ = std::max(0.1 * relative, std::min(relative, clear_violation));
  simplify_element(trial);
  remove_lines(trial);
  use_integers(trial);
  simplify_entries(trial, &Input::gradient);
  if (rule_.sees_weights) simplify_entries(trial, &Input::weights);
  remove_lines(trial);
  return described(trial);
}

SYMOPT_CHECK_INLINE Comparison Shrink::comparison_of(const Trial& trial) const {
  return Subject(rule_, trial.input, engine_for(seed_, trial.id))
      .under(trial.motion, {.is_to_the_bit = law_.is_to_the_bit}, engine_for(seed_, trial.id, 1));
}

SYMOPT_CHECK_INLINE bool Shrink::fails(const Trial& trial) {
  try {
    Comparison comparison = comparison_of(trial);
    const Outcome& outcome = comparison.outcome;
    const bool is_alike = outcome.is_violation() && outcome.is_function == last_.outcome.is_function &&
                          outcome.has_shape == last_.outcome.has_shape &&
                          outcome.is_finite == last_.outcome.is_finite;
    if (!is_alike || !(outcome.is_defective() || outcome.relative >= clear_)) return false;
    last_ = std::move(comparison);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

SYMOPT_CHECK_INLINE bool Shrink::replace_if_it_fails(Trial& trial, Trial simpler) {
  if (!is_prepared(simpler.input.gradient) || !fails(simpler)) return false;
  trial = std::move(simpler);
  return true;
}

SYMOPT_CHECK_INLINE void Shrink::simplify_element(Trial& trial) {
  const Shape shape = shape_of(trial.input.gradient);
  Trial simpler = trial;
  for (const SimpleMove& candidate : law_.simple_moves(shape)) {
    simpler.motion = candidate.motion();
    if (!fails(simpler)) continue;
    trial = std::move(simpler);
    move_ = candidate;
    return;
  }
  for (const Motion& generator : law_.generators(shape)) {
    simpler.motion = generator;
    if (!fails(simpler)) continue;
    trial = std::move(simpler);
    return;
  }
}

/// The block without a row (left) or a column (right).
SYMOPT_CHECK_INLINE WideMatrix without_line(const WideMatrix& block, Side side, Index line) {
  const bool is_row = side == Side::left;
  WideMatrix rest(block.rows() - Index(is_row), block.cols() - Index(!is_row));
  for (Index i = 0; i < rest.rows(); ++i)
    for (Index j = 0; j < rest.cols(); ++j)
      rest(i, j) = block(i + (is_row && i >= line), j + (!is_row && j >= line));
  return rest;
}

SYMOPT_CHECK_INLINE void Shrink::remove_lines(Trial& trial) {
  for (const Side side : {Side::left, Side::right})
    for (Index line = extent(shape_of(trial.input.gradient), side); line-- > 0;) {
      if (extent(shape_of(trial.input.gradient), side) == 1) continue;
      Trial smaller = trial;
      smaller.input.gradient = law_.prepare(without_line(trial.input.gradient, side, line));
      smaller.input.weights = without_line(trial.input.weights, side, line);
      if (!group_.fits(shape_of(smaller.input.gradient))) continue;
      try_motions_of_smaller(trial, std::move(smaller), side, line);
    }
}

SYMOPT_CHECK_INLINE void Shrink::try_motions_of_smaller(Trial& trial, Trial smaller, Side side, Index line) {
  if (move_) {
    const auto kept = move_->without(side, line);
    if (!kept) return;
    smaller.motion = kept->motion();
    if (!fails(smaller)) return;
    trial = std::move(smaller);
    move_ = kept;
    return;
  }
  for (const Motion& generator : law_.generators(shape_of(smaller.input.gradient))) {
    smaller.motion = generator;
    if (!fails(smaller)) continue;
    trial = std::move(smaller);
    return;
  }
}

/// Makes the last row (left) or column (right) the one that brings the sum of all to zero.
SYMOPT_CHECK_INLINE void balance_last_line(WideMatrix& block, Side side) {
  const Index last = extent(shape_of(block), side) - 1;
  for (Index k = 0; k < extent(shape_of(block), opposite(side)); ++k) {
    Wide sum_of_others = 0;
    for (Index i = 0; i < last; ++i) sum_of_others += entry_of_line(block, side, i, k);
    entry_of_line(block, side, last, k) = -sum_of_others;
  }
}

SYMOPT_CHECK_INLINE void Shrink::use_integers(Trial& trial) {
  const Shape shape = shape_of(trial.input.gradient);
  constexpr std::uint64_t draws = 12;
  for (std::uint64_t k = 0; k < draws; ++k) {
    std::mt19937_64 engine = engine_for(seed_, "integers", k);
    Trial simpler = trial;
    WideMatrix& gradient = simpler.input.gradient;
    gradient = widened(integers(shape, engine));
    if (!is_prepared(gradient)) balance_last_line(gradient, Side::left);
    if (!is_prepared(gradient)) balance_last_line(gradient, Side::right);
    if (replace_if_it_fails(trial, std::move(simpler))) return;
  }
}

SYMOPT_CHECK_INLINE void Shrink::simplify_entries(Trial& trial, WideMatrix Input::*block) {
  for (Index k = 0; k < (trial.input.*block).size(); ++k) {
    const Wide entry = (trial.input.*block).data()[k];
    if (entry == 0 || !symopt::detail::is_finite(entry)) continue;
    const Wide power = std::copysign(std::exp2(std::round(std::log2(std::abs(entry)))), entry);
    for (const Wide simple : {Wide(0), Wide(1), Wide(-1), power}) {
      if (entry == simple) break;
      Trial simpler = trial;
      (simpler.input.*block).data()[k] = simple;
      if (replace_if_it_fails(trial, std::move(simpler))) break;
    }
  }
}

SYMOPT_CHECK_INLINE Failure Shrink::described(const Trial& trial) const {
  const auto& [outcome, output, actual, expected] = last_;
  Failure failure{
      .reason = law_.violation,
      .counterexample = Counterexample{
          .element = trial.motion.name,
          .input = converted<double>(trial.input.gradient),
          .error = outcome.is_finite ? outcome.relative : infinity,
          .weights = rule_.sees_weights ? converted<double>(trial.input.weights) : Matrix<double>(),
          .of_moved = law_.of_moved,
          .actual = converted<double>(actual),
          .should_be = law_.should_be,
          .expected = converted<double>(expected)}};
  Counterexample& example = *failure.counterexample;
  if (!outcome.is_function) {
    failure.reason = "not a function of its input: two calls on the same input answer differently";
    example.element = "the same input twice";
    example.of_moved = "the first answer";
    example.should_be = "the second answer";
  } else if (!outcome.has_shape) {
    failure.reason = "the output is " + to_string(shape_of(output)) + " for an input of " +
                     to_string(shape_of(trial.input.gradient)) + ", and must have its shape";
    example.of_moved = "the output";
    example.should_be.clear();
  } else if (!outcome.is_finite) {
    failure.reason = "the output is not finite";
  }
  return failure;
}
#endif

}}}  // namespace symopt::check::detail
