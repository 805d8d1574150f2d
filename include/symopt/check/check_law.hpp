// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/first_outputs.hpp>
#include <symopt/check/inputs.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/shrink.hpp>
#include <symopt/check/subject.hpp>
#include <symopt/check/trials.hpp>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// Tries a rule on a law of motions: every generator on inputs of every kind, for a product that fails has a
/// generator that does, and random elements on inputs of random kinds.
Report check_law(const Law& law, const AnyGroup& group, const AnyRule& rule, CheckOptions options);

#ifdef SYMOPT_CHECK_DEFINITIONS
/// The run of check_law.
class LawRun {
 public:
  LawRun(const Law& law, const AnyGroup& group, const AnyRule& rule, CheckOptions options)
      : law_(law),
        group_(group),
        rule_(rule),
        rule_in_float_(rule.has_both_precisions() ? in_float_only(rule) : AnyRule{}),
        options_(std::move(options)),
        kinds_(chosen_kinds(options_.inputs)),
        shapes_(chosen_shapes(options_.shapes, group)),
        trials_({.law = law.name,
                 .rule = options_.name.empty() ? rule.name : options_.name,
                 .group = group.name(),
                 .precision = to_string(rule.precision()),
                 .seed = options_.seed},
                {.nothing_tried = shapes_.empty()
                                      ? "the group's heads fill none of the shapes"
                                      : "the group has no generators, and no random trials were asked for"}),
        large_shapes_(chosen_large_shapes(options_.shapes, group, trials_.seed())) {}

  Report run() && {
    for (const Shape shape : shapes_) try_generators(shape, kinds_);
    for (const Shape shape : large_shapes_) try_generators(shape, some_kinds(shape));
    shapes_.insert(shapes_.end(), large_shapes_.begin(), large_shapes_.end());
    for (int t = 0; t < options_.trials && !shapes_.empty(); ++t) try_random(t);
    return std::move(trials_).conclude();
  }

 private:
  using Kinds = std::vector<const InputKind*>;

  /// An input in the rule's highest precision and, where the rule has both and is well-conditioned there, in
  /// float.
  struct Subjects {
    Subject highest;
    std::optional<Subject> in_float{};
  };

  std::mt19937_64 engine_of(const std::string& purpose, std::uint64_t number = 0) const {
    return engine_for(trials_.seed(), purpose, number);
  }

  /// The kinds of input for large blocks: those that find most violations, and one that the seed draws.
  Kinds some_kinds(Shape shape) const {
    Kinds some;
    std::mt19937_64 engine = engine_of("kinds for " + to_string(shape));
    const InputKind* drawn = kinds_[uniform_index(kinds_.size(), engine)];
    for (const InputKind* kind : kinds_)
      if (kind == drawn || kind->name == "gaussian" || kind->name == "integers" || kind->name == "outlier")
        some.push_back(kind);
    return some;
  }

  /// Weights of a kind; Gaussian ones where the rule does not look at them.
  WideMatrix weights(Shape shape, std::size_t kind, std::mt19937_64& engine) const {
    if (!rule_.sees_weights) return widened(gaussian<double>(shape, engine));
    return widened(kind_named(weight_kinds()[kind % weight_kinds().size()]).draw(shape, engine));
  }

  Subjects subjects_of(Input input, const std::string& where) const {
    Subjects subjects{Subject(rule_, input, engine_of(where, 1))};
    if (input.kind == "gaussian" && rule_.has_both_precisions())
      subjects.in_float.emplace(rule_in_float_, std::move(input), engine_of(where, 2));
    return subjects;
  }

  void try_generators(Shape shape, const Kinds& kinds) {
    const std::vector<Motion> generators = law_.generators(shape);
    const std::vector<Motion> exact = exact_moves(shape);
    // Each kind of gradient meets other weights on every shape.
    std::size_t number = static_cast<std::size_t>(trials_.seed()) + ++generator_runs_;
    for (const InputKind* kind : kinds) {
      if (is_done()) return;
      const std::string where = "shape=" + to_string(shape) + " input=" + std::string(kind->name);
      std::mt19937_64 engine = engine_of(where);
      Input input{std::string(kind->name), weights(shape, number++, engine),
                  law_.prepare(widened(kind->draw(shape, engine)))};
      const bool has_integers = is_integer(input.gradient);
      const Subjects subjects = subjects_of(std::move(input), where);
      for (std::size_t g = 0; g < generators.size(); ++g)
        try_motion(where + " generator=" + std::to_string(g), subjects, generators[g]);
      if (has_integers)
        for (const Motion& move : exact) try_motion(where + " move=" + move.name, subjects, move);
    }
  }

  /// Exchanges and changes of sign in a group that has them by its rotations, to be tried on integers. They
  /// round nothing, so they catch what a rotation excuses: a tie, or a completed singular basis.
  std::vector<Motion> exact_moves(Shape shape) const {
    std::vector<Motion> motions;
    for (const SimpleMove& move : law_.simple_moves(shape)) {
      const SideFamilies families = group_.families().on(move.side);
      const bool is_new = (move.kind == SimpleMove::Kind::swap && !families.permutations) ||
                          (move.kind == SimpleMove::Kind::sign && !families.signs);
      if (is_new) motions.push_back(move.motion());
    }
    return motions;
  }

  void try_random(int number) {
    const std::string id = "trial=" + std::to_string(number);
    std::mt19937_64 engine = engine_of("trial", static_cast<std::uint64_t>(number));
    const Shape shape = shapes_[uniform_index(shapes_.size(), engine)];
    const InputKind& kind = *kinds_[uniform_index(kinds_.size(), engine)];
    Input input{std::string(kind.name), {}, law_.prepare(widened(kind.draw(shape, engine)))};
    input.weights = weights(shape, uniform_index(weight_kinds().size(), engine), engine);
    Motion motion = law_.random(shape, engine);
    motion.name = "random element " + std::to_string(number);
    if (is_wanted(id)) try_motion(id, subjects_of(std::move(input), id), motion);
  }

  bool is_done() const { return law_.stops_at_first_failure && trials_.has_failed(); }
  bool is_wanted(const std::string& id) const {
    return (trials_.wants(id) || trials_.wants(id + in_float)) && !is_done();
  }

  void try_motion(const std::string& id, const Subjects& subjects, const Motion& motion) {
    if (!is_wanted(id)) return;
    Comparison highest = comparison_of(subjects.highest, motion, id);
    highest.outcome.has_varied =
        !highest.outcome.is_defective() && varies(highest.output, subjects.highest.input().weights);
    std::optional<Outcome> lower;
    if (subjects.in_float) {
      lower = comparison_of(*subjects.in_float, motion, id + in_float).outcome;
      if (!highest.outcome.is_ill_posed) highest.outcome.relative_in_float = lower->relative;
      lower->has_varied = false;
    }
    add(id, subjects.highest, motion, std::move(highest.outcome));
    if (lower) add(id + in_float, *subjects.in_float, motion, std::move(*lower));
  }

  Comparison comparison_of(const Subject& subject, const Motion& motion, const std::string& id) const {
    return subject.under(motion,
                         {.is_to_the_bit = law_.is_to_the_bit, .looks_twice = !trials_.has_failed_clearly()},
                         engine_of(id));
  }

  void add(const std::string& id, const Subject& subject, const Motion& motion, Outcome outcome) {
    if (!trials_.wants(id) || is_done()) return;
    outcome.has_moved = outcome.has_moved || !law_.is_about_motion;
    if (outcome.is_violation())
      outcome.failure = [this, &rule = subject.rule(), trial = Trial{id, motion, subject.input()}] {
        return failure_of(trial, rule);
      };
    const WideMatrix& gradient = subject.input().gradient;
    trials_.add({id, subject.input().kind, shape_of(gradient), static_cast<double>(norm(gradient))},
                std::move(outcome));
  }

  bool varies(const WideMatrix& output, const WideMatrix& weights) {
    const bool is_change = rule_.is_change_of_weights;
    return first_outputs_.differs(
        output, is_change ? rounding_of_change(rule_.precision(), weights, output, steps_of_state) : 0);
  }

  Failure failure_of(const Trial& trial, const AnyRule& rule) const {
    Failure failure = Shrink(law_, group_, rule, trials_.seed())(trial);
    if (&rule == &rule_in_float_) failure.reason += "; in float, though not in double";
    return failure;
  }

  static constexpr const char* in_float = " in float";

  const Law& law_;
  const AnyGroup& group_;
  const AnyRule& rule_;
  const AnyRule rule_in_float_;
  CheckOptions options_;
  Kinds kinds_;
  std::vector<Shape> shapes_;
  Trials trials_;
  std::vector<Shape> large_shapes_;
  std::size_t generator_runs_ = 0;
  FirstOutputs first_outputs_;
};

SYMOPT_CHECK_INLINE Report check_law(const Law& law, const AnyGroup& group, const AnyRule& rule,
                                     CheckOptions options) {
  return LawRun(law, group, rule, std::move(options)).run();
}
#endif

}}}  // namespace symopt::check::detail
