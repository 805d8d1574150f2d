// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/motion.hpp>
#include <symopt/check/shrink.hpp>
#include <symopt/check/subject.hpp>
#include <symopt/check/trials.hpp>
#include <symopt/finite.hpp>

#include <functional>
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
        options_(std::move(options)),
        kinds_(chosen_kinds(options_.inputs)),
        shapes_(chosen_shapes(options_.shapes, group)),
        trials_({.law = law.name,
                 .rule = rule.name,
                 .group = group.name(),
                 .precision = to_string(rule.precision()),
                 .seed = options_.seed},
                {.nothing_tried =
                     shapes_.empty() ? "the group's heads fill none of the shapes"
                                     : "the group has no generators, and no random trials were asked for"}) {}

  Report run() && {
    for (const Shape shape : shapes_) try_generators(shape);
    for (int t = 0; t < options_.trials && !shapes_.empty(); ++t) try_random(t);
    return std::move(trials_).conclude();
  }

 private:
  std::mt19937_64 engine_of(const std::string& purpose, std::uint64_t number = 0) const {
    return engine_for(trials_.seed(), purpose, number);
  }

  void try_generators(Shape shape) {
    const std::vector<Motion> generators = law_.generators(shape);
    const std::vector<Motion> exact = exact_moves(shape);
    for (const InputKind* kind : kinds_) {
      if (is_done()) return;
      const std::string where = "shape=" + to_string(shape) + " input=" + std::string(kind->name);
      std::mt19937_64 engine = engine_of(where);
      Input input{std::string(kind->name), widened(gaussian<double>(shape, engine)),
                  law_.prepare(widened(kind->draw(shape, engine)))};
      const Subject subject(rule_, std::move(input), engine_of(where, 1));
      for (std::size_t g = 0; g < generators.size(); ++g)
        try_motion(where + " generator=" + std::to_string(g), subject, generators[g]);
      if (is_integer(subject.input().gradient))
        for (const Motion& move : exact) try_motion(where + " move=" + move.name, subject, move);
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
      if (is_new) motions.push_back(move.motion());
    }
    return motions;
  }

  void try_random(int number) {
    const std::string id = "trial=" + std::to_string(number);
    std::mt19937_64 engine = engine_of("trial", static_cast<std::uint64_t>(number));
    const auto index_below = [&engine](std::size_t size) {
      return std::uniform_int_distribution<std::size_t>(0, size - 1)(engine);
    };
    const Shape shape = shapes_[index_below(shapes_.size())];
    const InputKind& kind = *kinds_[index_below(kinds_.size())];
    Input input{std::string(kind.name), {}, law_.prepare(widened(kind.draw(shape, engine)))};
    input.weights = widened(gaussian<double>(shape, engine));
    Motion motion = law_.random(shape, engine);
    motion.name = "random element " + std::to_string(number);
    if (is_wanted(id)) try_motion(id, Subject(rule_, std::move(input), engine_of(id, 1)), motion);
  }

  bool is_done() const { return law_.stops_at_first_failure && trials_.has_failed(); }
  bool is_wanted(const std::string& id) const { return trials_.wants(id) && !is_done(); }

  void try_motion(const std::string& id, const Subject& subject, const Motion& motion) {
    if (!is_wanted(id)) return;
    Comparison comparison = subject.under(motion, law_.is_to_the_bit, engine_of(id));
    Outcome& outcome = comparison.outcome;
    outcome.has_moved = outcome.has_moved || !law_.is_about_motion;
    outcome.has_varied = outcome.is_finite && varies(comparison.output);
    if (subject.input().kind == "gaussian" && !outcome.is_ill_posed && rule_.has_both_precisions())
      outcome.relative_in_float = subject.relative_in_float(motion, engine_of("ladder"));
    if (outcome.is_violation())
      outcome.failure = [this, trial = Trial{id, motion, subject.input()}] { return failure_of(trial); };
    trials_.add({id, subject.input().kind}, std::move(outcome));
  }

  /// A rule whose output never changes obeys too many laws.
  bool varies(const WideMatrix& output) {
    for (const WideMatrix& first : first_outputs_)
      if (symopt::detail::shape_of(first) == symopt::detail::shape_of(output))
        return !is_equal(first, output);
    first_outputs_.push_back(output);
    return false;
  }

  Failure failure_of(const Trial& trial) const {
    Counterexample example = Shrink(law_, group_, rule_, trials_.seed())(trial);
    return {symopt::detail::is_finite(example.error) ? law_.violation : "the output is not finite",
            std::move(example)};
  }

  const Law& law_;
  const AnyGroup& group_;
  const AnyRule& rule_;
  CheckOptions options_;
  std::vector<const InputKind*> kinds_;
  std::vector<Shape> shapes_;
  Trials trials_;
  std::vector<WideMatrix> first_outputs_;  // of each shape
};

SYMOPT_CHECK_INLINE Report check_law(const Law& law, const AnyGroup& group, const AnyRule& rule,
                                     CheckOptions options) {
  return LawRun(law, group, rule, std::move(options)).run();
}
#endif

}}}  // namespace symopt::check::detail
