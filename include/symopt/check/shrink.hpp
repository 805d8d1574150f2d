// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/law.hpp>
#include <symopt/check/report.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The gradient without a line, and the trial's own element or any of a smaller block.
inline WideMatrix without_line(const WideMatrix& block, Side side, Index line) {
  WideMatrix rest = side == Side::left ? WideMatrix(block.rows() - 1, block.cols())
                                       : WideMatrix(block.rows(), block.cols() - 1);
  for (Index i = 0; i < rest.rows(); ++i)
    for (Index j = 0; j < rest.cols(); ++j)
      rest(i, j) = block(i + (side == Side::left && i >= line), j + (side == Side::right && j >= line));
  return rest;
}

/// Makes a failed trial small: the element one that can be said in a few words, the block without the lines
/// that do not matter, its entries zero, one, minus one or powers of two.
class Shrink {
 public:
  Shrink(const Law& law, const AnyGroup& group, const AnyRule& rule, std::uint64_t seed)
      : law_(law), group_(group), rule_(rule), seed_(seed) {}

  Counterexample operator()(Trial trial) {
    const double relative = outcome_of(trial).relative;
    // A clear violation stays one: a control asks for a hundredth.
    clear_ = std::max(0.1 * relative, std::min(relative, 0.01));
    simplify_element(trial);
    remove_lines(trial);
    use_integers(trial);
    simplify_entries(trial, &Input::gradient);
    if (rule_.sees_weights) simplify_entries(trial, &Input::weights);
    remove_lines(trial);
    return described(trial);
  }

 private:
  Outcome outcome_of(const Trial& trial) const {
    return Subject(rule_, trial.input, engine_for(seed_, trial.id))
        .under(trial.motion, law_.is_to_the_bit, engine_for(seed_, trial.id, 1));
  }

  /// False where the rule refuses the input: it may want whole heads.
  bool fails(const Trial& trial) const {
    try {
      const Outcome outcome = outcome_of(trial);
      return outcome.is_violation() && (!outcome.is_finite || outcome.relative >= clear_);
    } catch (const std::invalid_argument&) {
      return false;
    }
  }

  bool replace_if_it_fails(Trial& trial, Trial simpler) const {
    if (law_.prepare(simpler.input.gradient) != simpler.input.gradient || !fails(simpler)) return false;
    trial = std::move(simpler);
    return true;
  }

  /// A simple move or, in a group that has none, a generator in place of a product.
  void simplify_element(Trial& trial) {
    const Shape shape = shape_of(trial.input.gradient);
    for (const SimpleMove& candidate : law_.simple_moves(shape)) {
      Trial simpler = trial;
      simpler.motion = candidate.motion(shape);
      if (!fails(simpler)) continue;
      trial = std::move(simpler);
      move_ = candidate;
      return;
    }
    for (const Motion& generator : law_.generators(shape)) {
      Trial simpler = trial;
      simpler.motion = generator;
      if (!fails(simpler)) continue;
      trial = std::move(simpler);
      return;
    }
  }

  /// Rows and columns without which it still fails.
  void remove_lines(Trial& trial) {
    for (const Side side : {Side::left, Side::right})
      for (Index line = line_count(shape_of(trial.input.gradient), side); line-- > 0;) {
        if (line_count(shape_of(trial.input.gradient), side) == 1) continue;
        Trial smaller = trial;
        smaller.input.gradient = law_.prepare(without_line(trial.input.gradient, side, line));
        smaller.input.weights = without_line(trial.input.weights, side, line);
        if (!group_.fits(shape_of(smaller.input.gradient))) continue;
        try_motions_of_smaller(trial, std::move(smaller), side, line);
      }
  }

  /// The move as it is without that line; a group without simple moves has other elements for other shapes.
  void try_motions_of_smaller(Trial& trial, Trial smaller, Side side, Index line) {
    const Shape shape = shape_of(smaller.input.gradient);
    if (move_) {
      const auto kept = move_->without(side, line);
      if (!kept) return;
      smaller.motion = kept->motion(shape);
      if (!fails(smaller)) return;
      trial = std::move(smaller);
      move_ = kept;
      return;
    }
    for (const Motion& generator : law_.generators(shape)) {
      smaller.motion = generator;
      if (!fails(smaller)) continue;
      trial = std::move(smaller);
      return;
    }
  }

  /// Small integers in place of all entries at once, for laws about inputs that no single entry may leave.
  void use_integers(Trial& trial) const {
    const Shape shape = shape_of(trial.input.gradient);
    constexpr int draws = 12;
    for (int k = 0; k < draws; ++k) {
      std::mt19937_64 engine = engine_for(seed_, "integers", static_cast<std::uint64_t>(k));
      Trial simpler = trial;
      WideMatrix& gradient = simpler.input.gradient;
      gradient = widened(integers(shape, engine));
      if (law_.prepare(gradient) != gradient) gradient.bottomRows(1) -= gradient.colwise().sum().eval();
      if (law_.prepare(gradient) != gradient) gradient.rightCols(1) -= gradient.rowwise().sum().eval();
      if (replace_if_it_fails(trial, std::move(simpler))) return;
    }
  }

  /// Entries as zero, one, minus one or a power of two where it still fails.
  void simplify_entries(Trial& trial, WideMatrix Input::*block) const {
    for (Index k = 0; k < (trial.input.*block).size(); ++k) {
      const Wide entry = (trial.input.*block).data()[k];
      if (entry == 0 || !std::isfinite(entry)) continue;
      const Wide power = std::copysign(std::exp2(std::round(std::log2(std::abs(entry)))), entry);
      for (const Wide simple : {Wide(0), Wide(1), Wide(-1), power}) {
        if (entry == simple) break;
        Trial simpler = trial;
        (simpler.input.*block).data()[k] = simple;
        if (replace_if_it_fails(trial, std::move(simpler))) break;
      }
    }
  }

  Counterexample described(const Trial& trial) const {
    const Outcome outcome = outcome_of(trial);
    const auto narrow = [](const WideMatrix& block) -> Matrix<double> { return block.cast<double>(); };
    return {.element = trial.motion.name,
            .input = narrow(trial.input.gradient),
            .error = outcome.is_finite ? outcome.relative : std::numeric_limits<double>::infinity(),
            .weights = rule_.sees_weights ? narrow(trial.input.weights) : Matrix<double>(),
            .of_moved = law_.of_moved,
            .actual = narrow(outcome.actual),
            .should_be = law_.should_be,
            .expected = narrow(outcome.expected)};
  }

  const Law& law_;
  const AnyGroup& group_;
  const AnyRule& rule_;
  std::uint64_t seed_;
  double clear_ = 0;  // a smaller trial must fail by that much of its output
  std::optional<SimpleMove> move_;
};

}}}  // namespace symopt::check::detail
