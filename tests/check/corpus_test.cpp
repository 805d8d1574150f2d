// SPDX-License-Identifier: Apache-2.0
// Liars that try to slip through: each is right on almost everything, and must be caught by the check that is
// named for it, with the default options unless it says why not. The last ones show what no random check can
// see.
#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/laws/group_laws.hpp>
#include <symopt/check/laws/layout.hpp>
#include <symopt/check/laws/locality.hpp>
#include <symopt/check/laws/trajectory.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/group/order.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/all_groups.hpp"

namespace corpus_test { namespace {

using namespace symopt;
using namespace symopt::check;
using Block = Matrix<double>;

const Block& sign_of(Block& block) {
  for (Index k = 0; k < block.size(); ++k)
    block.data()[k] = static_cast<double>((block.data()[k] > 0) - (block.data()[k] < 0));
  return block;
}
Block sign(Block block) {
  return sign_of(block);
}
double norm(const Block& block) {
  return block.stableNorm();
}
double largest(const Block& block) {
  return block.cwiseAbs().maxCoeff();
}
Block with_row_doubled(Block block, Index row) {
  if (row < block.rows()) block.row(row) *= 2;
  return block;
}

// --- rules

using Rule = std::function<Block(const Block& weights, const Block& gradient)>;

AnyRule rule_of(std::string name, Rule in_double) {
  return {.name = std::move(name), .in_double = std::move(in_double), .in_float = {}, .sees_weights = true};
}

/// The identity, until something gives it away.
AnyRule unless(std::string name, std::function<bool(const Block&, const Block&)> is_seen) {
  return rule_of(std::move(name), [is_seen = std::move(is_seen)](const Block& w, const Block& g) {
    return is_seen(w, g) ? sign(g) : g;
  });
}

AnyRule wrong_in_float() {
  return {.name = "doubles the first row in float",
          .in_double = [](const Block&, const Block& g) { return g; },
          .in_float =
              [](const Matrix<float>&, const Matrix<float>& g) {
                Matrix<float> doubled = g;
                doubled.row(0) *= 2;
                return doubled;
              }};
}

/// Answers gradients of a norm that it has seen as it answered the first of them.
AnyRule memory_of_norms() {
  const auto seen = std::make_shared<std::vector<Block>>();
  return rule_of("memorises by the norm", [seen](const Block&, const Block& g) {
    for (const Block& known : *seen)
      if (symopt::detail::shape_of(known) == symopt::detail::shape_of(g) &&
          std::abs(norm(known) - norm(g)) <= 1e-12 * norm(g))
        return known;
    seen->push_back(g);
    return g;
  });
}

AnyRule after_calls(int calls) {
  const auto made = std::make_shared<int>(0);
  return rule_of("errs once in " + std::to_string(calls) + " calls",
                 [=](const Block&, const Block& g) { return Block(++*made % calls == 0 ? 2 * g : g); });
}

AnyRule on_few_inputs(std::size_t inputs) {
  return unless("errs on one input in " + std::to_string(inputs),
                [=](const Block&, const Block& g) { return std::hash<double>{}(g.sum()) % inputs == 0; });
}

AnyRule dropout() {
  const auto engine = std::make_shared<std::mt19937>(1);
  return rule_of("dropout", [engine](const Block&, const Block& g) {
    Block kept = g;
    for (Index k = 0; k < kept.size(); ++k)
      if ((*engine)() % 2 == 0) kept.data()[k] = 0;
    return kept;
  });
}

AnyRule hidden_momentum() {
  const auto sum = std::make_shared<Block>();
  return rule_of("a hidden momentum", [sum](const Block&, const Block& g) {
    *sum = symopt::detail::shape_of(*sum) == symopt::detail::shape_of(g) ? Block(0.9 * *sum + g) : g;
    return *sum;
  });
}

AnyRule clock() {
  return rule_of("the clock", [](const Block&, const Block& g) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    return Block((1 + 1e-3 * static_cast<double>(now % 1000)) * g);
  });
}

bool is_default(Shape shape) {
  for (const Shape known : default_shapes({}))
    if (known == shape) return true;
  return false;
}

Report under(const char* group, const AnyRule& rule, CheckOptions options = {}) {
  return check_equivariance(*symopt_test::group_named(group).in_wide, rule, std::move(options));
}

// --- optimizers

/// Moves the weights by a function of all that it may see.
struct Optimizer {
  std::function<void(Block& weights, const Block& gradient, int step)> move;
  int steps = 0;
  void step(Block& weights, const Block& gradient) { move(weights, gradient, ++steps); }
};

using Move = decltype(Optimizer::move);
Report run(const Move& move, TrajectoryOptions options = {}) {
  return check_trajectory<LeftOrthogonal>([&](Shape) { return Optimizer{move}; }, std::move(options));
}
/// A descent whose gradient is changed first.
Move descent(std::function<Block(const Block& weights, const Block& gradient, int step)> changed) {
  return
      [changed = std::move(changed)](Block& w, const Block& g, int step) { w -= 0.1 * changed(w, g, step); };
}
Move from_step(int first) {
  return descent([first](const Block&, const Block& g, int step) { return step >= first ? sign(g) : g; });
}

/// Every instance has a rate of its own.
Report instances_that_differ() {
  const auto made = std::make_shared<int>(0);
  return check_trajectory<LeftOrthogonal>([made](Shape) {
    const double rate = 0.1 + 0.01 * ++*made;
    return Optimizer{[rate](Block& w, const Block& g, int) { w -= rate * g; }};
  });
}

// --- tensors

/// Momentum that is not cleared between the blocks of one step.
void leaking_momentum(TensorView<const double> gradient, TensorView<double> direction) {
  const Index experts = gradient.sizes()[0], size = gradient.strides()[0];
  for (Index k = 0; k < experts * size; ++k)
    direction.data()[k] = gradient.data()[k] + (k < size ? 0 : 0.1 * direction.data()[k - size]);
}

// --- groups

/// A change of sign that calls itself a permutation.
struct SignsCalledSwaps : SignedRowPermutation {
  using bound = RowPermutation;
};

struct Liar {
  const char* name;
  std::function<Report()> check;
  const char* reason = "";  ///< what the report must say
};

const std::vector<Liar>& liars() {
  static const std::string hidden = symopt::detail::type_name<HiddenMatrix>(),
                           rows = symopt::detail::type_name<RowPermutation>(),
                           columns = symopt::detail::type_name<ColumnPermutation>();
  const auto when = [](const char* name, std::function<bool(const Block&, const Block&)> is_seen) {
    return under(hidden.c_str(), unless(name, std::move(is_seen)));
  };
  static const std::vector<Liar> all{
      // where the inputs were too tame
      {"row 6 twice as long",
       [] {
         return under(rows.c_str(),
                      rule_of("row 6", [](const Block&, const Block& g) { return with_row_doubled(g, 6); }));
       }},
      {"row 16 twice as long",
       [] {
         return under(rows.c_str(), rule_of("row 16", [](const Block&, const Block& g) {
                        return with_row_doubled(g, 16);
                      }));
       }},
      {"the sign where the weights are zero",
       [=] { return when("zero weights", [](const Block& w, const Block&) { return norm(w) == 0; }); }},
      {"the sign at norms from 1e3 to 1e20",
       [=] {
         return when("large", [](const Block&, const Block& g) { return norm(g) >= 1e3 && norm(g) <= 1e20; });
       }},
      {"the sign at norms below 1e-5",
       [=] { return when("small", [](const Block&, const Block& g) { return norm(g) < 1e-5; }); }},
      {"entries clipped at 6 root mean squares",
       [] {
         return under(hidden.c_str(), rule_of("clip", [](const Block&, const Block& g) {
                        const double most = 6 * norm(g) / std::sqrt(static_cast<double>(g.size()));
                        return Block(g.cwiseMin(most).cwiseMax(-most));
                      }));
       }},
      {"right in double, wrong in float", [] { return under(rows.c_str(), wrong_in_float()); }, "in float"},
      {"an optimizer that changes after step 12", [] { return run(from_step(13)); }},
      {"an optimizer that changes after step 39", [] { return run(from_step(40)); }},
      {"an optimizer that clips entries at 6",
       [] {
         return run(
             descent([](const Block&, const Block& g, int) { return Block(g.cwiseMin(6).cwiseMax(-6)); }));
       }},
      {"an optimizer that leaves zero weights by the sign",
       [] {
         return run(descent([](const Block& w, const Block& g, int) { return norm(w) == 0 ? sign(g) : g; }));
       }},
      // what is not a function
      {"dropout", [] { return under(rows.c_str(), dropout()); }, "not a function of its input"},
      {"a hidden momentum", [] { return under(rows.c_str(), hidden_momentum()); },
       "not a function of its input"},
      {"the clock", [] { return under(rows.c_str(), clock()); }, "not a function of its input"},
      {"another output shape",
       [] {
         return under(rows.c_str(), rule_of("transpose", [](const Block&, const Block& g) {
                        return Block(g.transpose());
                      }));
       },
       "must have its shape"},
      {"optimizers that differ", instances_that_differ, "two optimizers that were made alike"},
      {"a sign that claims to be a permutation", [] { return check_group_laws<SignsCalledSwaps>(); },
       "families that the group states"},
      // ten that try to slip through
      {"memorises by the norm", [] { return under(rows.c_str(), memory_of_norms()); }},
      {"knows the default shapes",
       [=] {
         return when("default shapes",
                     [](const Block&, const Block& g) { return !is_default(symopt::detail::shape_of(g)); });
       }},
      {"errs once in a thousand calls", [] { return under(rows.c_str(), after_calls(1000)); }},
      {"errs on one input in a thousand, in 8192 trials",
       [] { return under(hidden.c_str(), on_few_inputs(1000), {.trials = 8192}); }},
      {"leaks momentum between blocks",
       [] {
         return check_locality(leaking_momentum, Storage{{3, 4, 6}, layout::experts()});
       }},
      {"column 12 has a scale of its own",
       [] {
         return under(columns.c_str(), rule_of("column 12", [](const Block&, const Block& g) {
                        Block scaled = g;
                        if (g.cols() > 12) scaled.col(12) *= 3;
                        return scaled;
                      }));
       }},
      {"the sign at large weights",
       [=] { return when("large weights", [](const Block& w, const Block&) { return largest(w) > 100; }); }},
      {"the first of rows whose weights are equal",
       [] {
         return under(rows.c_str(), rule_of("ties of weights", [](const Block& w, const Block& g) {
                        Block kept = g;
                        for (Index i = 1; i < g.rows(); ++i)
                          if (w.row(i) == w.row(0)) kept.row(i).setZero();
                        return kept;
                      }));
       }},
      {"the sign in tall blocks",
       [=] {
         return when("tall",
                     [](const Block&, const Block& g) { return g.rows() > 3 * g.cols() && g.cols() > 1; });
       }},
      {"an optimizer that forgets after a large gradient",
       [] {
         return run(
             descent([](const Block&, const Block& g, int) { return largest(g) > 1e3 ? Block(0 * g) : g; }));
       }},
  };
  return all;
}

TEST_CASE("no liar of the corpus slips through, and each is told its own reason") {
  for (const Liar& liar : liars()) {
    CAPTURE(liar.name);
    const Report report = liar.check();
    INFO(report);
    CHECK(report.verdict == Verdict::violated);
    CHECK(report.reason.find(liar.reason) != std::string::npos);
  }
}

TEST_CASE("a rule that is not a function shows two answers, and no more") {
  const Report report = under(symopt::detail::type_name<RowPermutation>().c_str(), dropout());
  INFO(report);
  REQUIRE(report.counterexample);
  const Counterexample& example = *report.counterexample;
  CHECK(example.element == "the same input twice");
  CHECK(example.actual != example.expected);
  CHECK(example.error > 0);
}

// What lies outside of everything that is tried is not seen: docs/checking.md says so. The options reach
// further.
TEST_CASE("what no random check can see holds, and is caught where the options lead to it") {
  const std::string rows = symopt::detail::type_name<RowPermutation>();
  const AnyRule beyond =
      rule_of("row 30", [](const Block&, const Block& g) { return with_row_doubled(g, 30); });
  SYMOPT_CHECK(under(rows.c_str(), beyond));
  SYMOPT_CHECK_VERDICT(Verdict::violated, under(rows.c_str(), beyond, {.shapes = {{40, 2}}}));
  SYMOPT_CHECK(run(from_step(41)));
  SYMOPT_CHECK_VERDICT(Verdict::violated, run(from_step(41), {.steps = 60, .trials = 8}));
  // A set of measure zero, or nearly so, has no trial in it.
  SYMOPT_CHECK(under(rows.c_str(), unless("one number", [](const Block&, const Block& g) {
                       return g(0, 0) == 0.123456789;
                     })));
}

}}  // namespace corpus_test
