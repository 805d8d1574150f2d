// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/law.hpp>
#include <symopt/check/replay.hpp>
#include <symopt/check/report.hpp>
#include <symopt/check/shrink.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// Tries a rule on a law and reaches the verdict.
class LawCheck {
 public:
  LawCheck(Law law, const AnyGroup& group, const AnyRule& rule, CheckOptions options)
      : law_(std::move(law)), group_(group), rule_(rule), options_(std::move(options)) {
    report_.law = law_.name;
    report_.rule = rule.name;
    report_.group = group.name();
    report_.seed = options_.seed;
    report_.precision = rule.is_float_only() ? "float" : "double";
    kinds_ = chosen_kinds(options_.inputs);
    options_.shapes = chosen_shapes(options_.shapes, group);
    replay_ = replay_of(report_);
  }

  Report run() {
    for (const Shape shape : options_.shapes) run_generators(shape);
    for (int t = 0; t < options_.trials && !options_.shapes.empty(); ++t) run_random(t);
    conclude();
    return std::move(report_);
  }

 private:
  std::mt19937_64 engine_of(const std::string& purpose, std::uint64_t number = 0) const {
    return engine_for(report_.seed, purpose, number);
  }

  /// Every generator on inputs of every kind: a product that fails has a generator that does.
  void run_generators(Shape shape) {
    const std::vector<Motion> generators = law_.generators(shape);
    const std::vector<Motion> exact = exact_moves(shape);
    for (const InputKind* kind : kinds_) {
      const std::string where = "shape=" + symopt::to_string(shape) + " input=" + std::string(kind->name);
      std::mt19937_64 engine = engine_of(where);
      Input input{std::string(kind->name), widened(gaussian<double>(shape, engine)),
                  law_.prepare(widened(kind->draw(shape, engine)))};
      const Subject subject(rule_, std::move(input), engine_of(where, 1));
      for (std::size_t g = 0; g < generators.size(); ++g)
        run_trial(where + " generator=" + std::to_string(g), subject, generators[g]);
      if (is_integer(subject.input().gradient))
        for (const Motion& move : exact) run_trial(where + " move=" + move.name, subject, move);
    }
  }

  /// Exchanges and changes of sign in a group that has them by its rotations, to be tried on integers. They
  /// round nothing, so they catch what a rotation excuses: a tie, or a completed singular basis.
  std::vector<Motion> exact_moves(Shape shape) const {
    std::vector<Motion> motions;
    for (const SimpleMove& move : law_.simple_moves(shape)) {
      const SideFamilies families = group_.families().on(move.side);
      const bool is_new = (move.kind == SimpleMove::Kind::swap && !families.swaps) ||
                          (move.kind == SimpleMove::Kind::sign && !families.signs);
      if (is_new) motions.push_back(move.motion(shape));
    }
    return motions;
  }

  /// A random element on an input of a random kind.
  void run_random(int number) {
    const std::string id = "trial=" + std::to_string(number);
    std::mt19937_64 engine = engine_of("trial", static_cast<std::uint64_t>(number));
    const auto any_of = [&](const auto& choices) -> const auto& {
      return choices[std::uniform_int_distribution<std::size_t>(0, choices.size() - 1)(engine)];
    };
    const Shape shape = any_of(options_.shapes);
    const InputKind& kind = *any_of(kinds_);
    Input input{std::string(kind.name), {}, law_.prepare(widened(kind.draw(shape, engine)))};
    input.weights = widened(gaussian<double>(shape, engine));
    Motion motion = law_.random(shape, engine);
    motion.name = "random element " + std::to_string(number);
    if (is_wanted(id)) run_trial(id, Subject(rule_, std::move(input), engine_of(id, 1)), motion);
  }

  bool is_wanted(const std::string& id) const {
    return (!replay_ || replay_->wants(id)) && !(law_.stops_at_first_failure && failed_);
  }

  void run_trial(const std::string& id, const Subject& subject, const Motion& motion) {
    if (!is_wanted(id)) return;
    const Outcome outcome = subject.under(motion, law_.is_to_the_bit, engine_of(id));
    ++report_.trials;
    has_moved_ =
        has_moved_ || outcome.has_moved_gradient || (rule_.sees_weights && outcome.has_moved_weights);
    note_output(outcome);
    if (outcome.is_ill_posed) {
      ++report_.ill_posed;
      ++ill_posed_kinds_[subject.input().kind];
      if (doubt_.empty()) doubt_ = subject.doubt();
    } else {
      const double error = outcome.is_finite ? outcome.error : std::numeric_limits<double>::infinity();
      report_.errors.push_back(error);
      if (!(error <= report_.worst)) report_.worst = error;
    }
    if (outcome.is_violation()) {
      // The first one, unless it is slight and there is a clear one.
      constexpr double clear = 0.01;
      const bool is_clear = !outcome.is_finite || outcome.relative >= clear;
      if (!failed_ || (is_clear && !has_failed_clearly_)) failed_ = {id, motion, subject.input()};
      has_failed_clearly_ = has_failed_clearly_ || is_clear;
    }
    if (subject.input().kind == "gaussian" && !outcome.is_ill_posed && rule_.in_float && rule_.in_double)
      note_ladder(subject.input(), motion, outcome.relative);
  }

  /// A rule whose output never changes obeys too many laws.
  void note_output(const Outcome& outcome) {
    if (!outcome.is_finite) return;
    for (const WideMatrix& known : first_outputs_)
      if (shape_of(known) == shape_of(outcome.output)) {
        output_varies_ = output_varies_ || known != outcome.output;
        return;
      }
    first_outputs_.push_back(outcome.output);
  }

  void note_ladder(const Input& input, const Motion& motion, double relative_in_double) {
    std::mt19937_64 engine = engine_of("ladder");
    const Evaluation<float> still(rule_, input.weights, input.gradient, engine);
    const Outcome outcome = try_motion(rule_, still, motion, false, engine);
    largest_in_double_ = std::max(largest_in_double_, relative_in_double);
    largest_in_float_ = std::max(largest_in_float_, outcome.relative);
  }

  void conclude() {
    std::sort(report_.errors.begin(), report_.errors.end());
    if (largest_in_double_ > 0) report_.ladder_ratio = largest_in_float_ / largest_in_double_;
    report_.reproduce = reproduce_line(report_, failed_ ? failed_->id : "");
    const bool is_one_trial = replay_ && replay_->is_one_trial();
    if (failed_) {
      report_.counterexample = Shrink(law_, group_, rule_, report_.seed)(*failed_);
      conclude(Verdict::violated,
               std::isfinite(report_.counterexample->error) ? law_.violation : "the output is not finite");
    } else if (report_.trials == 0) {
      conclude(Verdict::vacuous, is_one_trial ? "SYMOPT_REPRODUCE names no trial of this check"
                                 : options_.shapes.empty()
                                     ? "the group's heads fill none of the shapes"
                                     : "the group has no generators, and no random trials were asked for");
    } else if (!is_one_trial && !output_varies_) {
      conclude(Verdict::vacuous, "the rule's output is the same for every input");
    } else if (!is_one_trial && law_.is_about_motion && !has_moved_) {
      conclude(Verdict::vacuous, "no element of the group moved any input");
    } else if (2 * report_.ill_posed > report_.trials) {
      conclude(Verdict::inconclusive, reason_of_doubt());
    } else {
      conclude(Verdict::holds,
               is_one_trial ? "that trial does; only the one of SYMOPT_REPRODUCE was run" : "");
    }
  }

  void conclude(Verdict verdict, std::string reason) {
    report_.verdict = verdict;
    report_.reason = std::move(reason);
  }

  std::string reason_of_doubt() const {
    const auto most = std::max_element(ill_posed_kinds_.begin(), ill_posed_kinds_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const std::string share =
        std::to_string(report_.ill_posed) + " of " + std::to_string(report_.trials) + " trials";
    if (!doubt_.empty()) return "the rule calls its own output approximate in " + share + ": " + doubt_;
    return "rounding decides the output in " + share + ", most of them on '" + most->first +
           "': a rank cut-off, a tie, or a zero row under centring";
  }

  Law law_;
  const AnyGroup& group_;
  const AnyRule& rule_;
  CheckOptions options_;
  std::vector<const InputKind*> kinds_;
  std::optional<Replay> replay_;
  Report report_;
  bool has_moved_ = false;
  bool output_varies_ = false;
  std::vector<WideMatrix> first_outputs_;  // of each shape
  std::map<std::string, int> ill_posed_kinds_;
  std::string doubt_;
  std::optional<Trial> failed_;
  bool has_failed_clearly_ = false;
  double largest_in_double_ = 0, largest_in_float_ = 0;
};

}}}  // namespace symopt::check::detail
