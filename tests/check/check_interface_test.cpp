// SPDX-License-Identifier: Apache-2.0
// How checks are called: every kind of rule and of group, options, the two variables of the environment,
// cost.
#include <symopt/check.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <string>

#include "support/group_list.hpp"

namespace check_interface_test { namespace {

using namespace symopt;
using namespace symopt::check;
using symopt_test::CyclicRows;

/// A variable of the environment while it lives.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Environment() { ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

/// The part of the line that a user would copy.
std::string value_of(const std::string& reproduce) {
  const std::string prefix = "SYMOPT_REPRODUCE=\"";
  REQUIRE(reproduce.starts_with(prefix));
  REQUIRE(reproduce.ends_with('"'));
  return reproduce.substr(prefix.size(), reproduce.size() - prefix.size() - 1);
}

/// Keeps the first row in which the largest length is found.
const auto longest_row = [](const Matrix<double>& x) -> Matrix<double> {
  Matrix<double> kept = Matrix<double>::Zero(x.rows(), x.cols());
  Index longest = 0;
  x.rowwise().squaredNorm().maxCoeff(&longest);
  kept.row(longest) = x.row(longest);
  return kept;
};

// --- rules

/// Says of itself that its output is no more than near the right one.
struct Approximate {
  struct Said {
    bool is_exact = false;
    const char* reason = "sampled";
  };
  Said report(const auto&) const { return {}; }
  auto operator()(const auto& x) const { return x.cwiseSign().eval(); }
};

struct Momentum {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : sum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> sum;
  };
  template <class W, class G, class Scalar, class D>
  void operator()(const W&, const G& gradient, State<Scalar>& state, D& direction) const {
    state.sum += gradient;
    direction = state.sum;
  }
};

struct Plain {
  void step(Matrix<float>& weights, const Matrix<float>& gradient) { weights -= 0.1F * gradient; }
};

TEST_CASE(
    "a rule is generic, for one scalar, of weights too, with a state, an Update, or a factory of "
    "optimizers") {
  SYMOPT_CHECK(check_equivariance<Embedding>([](const auto& m) { return RowNorm{}(m); }));
  SYMOPT_CHECK(check_equivariance<Embedding>(Update<Embedding>{}));
  SYMOPT_CHECK(check_equivariance<HiddenMatrix>(Momentum{}));
  SYMOPT_CHECK(check_equivariance<HiddenMatrix>([](const auto& w, const auto& g) { return (w + g).eval(); }));
  SYMOPT_CHECK(check_equivariance<HiddenMatrix>([](Index, Index) { return Plain{}; }));

  const auto factory = [](Shape shape) {
    return Optimizer<Update<Embedding>, double>(shape.rows, shape.cols, {.learning_rate = 0.1});
  };
  const Report report = check_equivariance<Embedding>(factory);
  SYMOPT_CHECK(report);
  // Clang names the defaults of a template too.
  CHECK(report.rule.starts_with("Optimizer<Update<Embedding"));
  CHECK(report.rule.ends_with(">, double>"));
  CHECK(report.precision == "double");
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_equivariance<HiddenMatrix>(factory));
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_equivariance<LmHead>([](Shape shape) {
                         return Optimizer<Update<LmHead>, double>(
                             shape.rows, shape.cols, {.learning_rate = 0.1, .weight_decay = 0.1});
                       }));
}

TEST_CASE("a rule for float alone is checked in float, and the report says so") {
  const Report report =
      check_equivariance<Embedding>([](const Matrix<float>& x) -> Matrix<float> { return RowNorm{}(x); });
  SYMOPT_CHECK(report);
  CHECK(report.precision == "float");
  CHECK(to_string(report).find("in float, for the rule has no double") != std::string::npos);
  CHECK(report.ladder_ratio == 0);
  CHECK(check_equivariance<Embedding>(RowNorm{}).precision == "double");
  CHECK(check_equivariance<Embedding>(in_float_only(any_rule(RowNorm{}))).precision == "float");
}

TEST_CASE("a counterexample of a rule that sees weights shows them") {
  const Report report =
      check_equivariance<LmHead>([](const auto& w, const auto& g) { return (0.1 * w + g).eval(); });
  SYMOPT_CHECK_VERDICT(Verdict::violated, report);
  CHECK(report.counterexample->element == "weights with 1 added to all of column 0");
  CHECK(to_string(report).find("W = [[") != std::string::npos);
  CHECK(report.counterexample->expected ==
        report.counterexample->input + 0.1 * report.counterexample->weights);
}

TEST_CASE("an output that is not finite is a violation, also where only a neighbour of the input shows it") {
  // NaN for every gradient but small integers.
  const auto brittle = [](const Matrix<double>& x) -> Matrix<double> {
    if (x == x.array().round().matrix()) return x;
    return std::numeric_limits<double>::quiet_NaN() * x;
  };
  const Report report = check_equivariance<RowPermutation>(brittle, {.trials = 0, .inputs = {"integers"}});
  SYMOPT_CHECK_VERDICT(Verdict::violated, report);
  CHECK(report.reason == "the output is not finite");
  CHECK(report.worst == std::numeric_limits<double>::infinity());
}

TEST_CASE("a violation of a billionth is one, a few roundings are not") {
  const auto off_by = [](double amount) {
    return check_equivariance<RightOrthogonal>(
        [amount](const Matrix<double>& x) -> Matrix<double> {
          return x + amount * x.norm() * x.unaryExpr([](double entry) { return std::sin(entry); });
        },
        {.inputs = {"gaussian", "condition-3"}});
  };
  SYMOPT_CHECK_VERDICT(Verdict::violated, off_by(1e-9));
  SYMOPT_CHECK(off_by(1e-16));
}

TEST_CASE("exchanges and signs are tried on integers under rotations too") {
  // Rounding excuses a tie, unless nothing is rounded.
  const Report report = check_equivariance<LeftOrthogonal>(
      [](const Matrix<double>& x) -> Matrix<double> {
        const bool is_first_longest = x.row(0).squaredNorm() >= x.row(x.rows() - 1).squaredNorm();
        const bool is_integer = x == x.array().round().matrix();
        return is_integer && !is_first_longest ? Matrix<double>(2 * x) : x;
      },
      {.inputs = {"integers"}});
  SYMOPT_CHECK_VERDICT(Verdict::violated, report);
}

TEST_CASE("a rule that calls its output approximate makes a check inconclusive, with its reason") {
  const Report report = check_equivariance<RightOrthogonal>(Approximate{});
  SYMOPT_CHECK_VERDICT(Verdict::inconclusive, report);
  CHECK(report.reason.find("approximate") != std::string::npos);
  CHECK(report.reason.find("sampled") != std::string::npos);
}

TEST_CASE("where rounding decides, the report names the inputs") {
  const auto chaotic = [](const Matrix<double>& x) -> Matrix<double> {
    return x.unaryExpr([](double entry) { return std::sin(1e18 * entry); });
  };
  const Report report = check_equivariance<RowPermutation>(chaotic, {.inputs = {"gaussian", "condition-3"}});
  SYMOPT_CHECK_VERDICT(Verdict::inconclusive, report);
  CHECK(report.reason.find("most of them on '") != std::string::npos);
}

// --- groups

TEST_CASE("a user's group goes through the same calls") {
  using Group = Product<CyclicRows, RightOrthogonal, SharedShift>;
  SYMOPT_CHECK(check_group_laws<Group>());
  SYMOPT_CHECK(check_action_laws<Group>());
  SYMOPT_CHECK(check_equivariance<Group>(Update<Group>{}));
  SYMOPT_CHECK(check_horizontal<Group>(Update<Group>{}));
  SYMOPT_CHECK(check_shift_invariant<Group>(Update<Group>{}));
  SYMOPT_CHECK(check_trajectory<Group>(
      [](Shape shape) { return Optimizer<Update<Group>, double>(shape.rows, shape.cols); }, {.trials = 8}));
  SYMOPT_CHECK(expect_violation<CyclicRows>(longest_row));
  const Report report = check_equivariance<CyclicRows>(longest_row);
  CHECK(report.counterexample->element == "generator 0");
  CHECK(report.group == "CyclicRows");
  CHECK(check::symmetry_error<CyclicRows>(longest_row, Matrix<double>(Matrix<double>::Ones(3, 2))).worst >
        0.5);
}

TEST_CASE("a group without a type of its own does too") {
  const OneSidedGroup scalings(Side::left, GeneratorKind::positive_scalings);
  SYMOPT_CHECK(check_equivariance(scalings, [](const auto& w, const auto&) { return w.eval(); }));
  SYMOPT_CHECK(expect_violation(scalings, Identity{}));
  CHECK_THROWS_AS(check_horizontal(scalings, Identity{}), std::invalid_argument);
}

/// The cyclic shifts as docs/adding-a-group.md teaches them: they divide by the number of rows.
struct DividingRows : CyclicRows {
  template <class Scalar>
  static Element<Scalar> random(Shape shape, auto& engine) {
    return {static_cast<Index>(engine() % static_cast<std::uint64_t>(shape.rows))};
  }
};
/// A group like that, which says that it takes what it cannot.
struct SaysItTakesAll : RowPermutation {
  using bound = RowPermutation;
  template <class Scalar>
  static Element<Scalar> identity(Shape shape) {
    if (shape.rows == 0) ++empty_blocks;
    return RowPermutation::identity<Scalar>(shape);
  }
  static inline int empty_blocks = 0;
};

TEST_CASE("blocks without rows or columns are for groups that say they take them") {
  SYMOPT_CHECK(check_group_laws<DividingRows>());  // and nothing is divided by zero
  CHECK_FALSE(ErasedGroup<DividingRows>().takes_empty_blocks());
  CHECK_FALSE(ErasedGroup<Product<DividingRows, RightOrthogonal>>().takes_empty_blocks());
  CHECK(ErasedGroup<Embedding>().takes_empty_blocks());
  SYMOPT_CHECK(check_group_laws<SaysItTakesAll>());
  CHECK(SaysItTakesAll::empty_blocks > 0);
}

// --- options

TEST_CASE("a rule and an optimizer get the name that the options give them") {
  const auto identity = [](const auto& g) { return g.eval(); };
  CHECK(check_equivariance<Embedding>(identity).rule == "a callable");
  const Report report = check_equivariance<Embedding>(identity, {.name = "nothing"});
  CHECK(report.rule == "nothing");
  CHECK(report.reproduce.find("equivariance|nothing|") != std::string::npos);
  CHECK(
      check_trajectory<Embedding>([](Index, Index) { return Plain{}; }, {.trials = 1, .name = "SGD"}).rule ==
      "SGD");
}

TEST_CASE("a report says what was tried") {
  const Report report = check_equivariance<RowPermutation>(longest_row, {.seed = 7});
  int trials = 0, ill_posed = 0;
  for (const Tried& kind : report.inputs) {
    trials += kind.trials;
    ill_posed += kind.ill_posed;
  }
  CHECK(report.inputs.size() == input_kinds().size());
  CHECK(trials == report.trials);
  CHECK(ill_posed == report.ill_posed);
  CHECK(report.shapes.size() == default_shapes({}).size() + large_shapes({}, 7).size());
  CHECK(report.smallest_input < 1e-28);
  CHECK(report.largest_input > 1e29);
  INFO(report);
  CHECK(to_string(report).find("11 shapes from 1x1 to ") != std::string::npos);
}

TEST_CASE("large shapes reach 17 rows and 19 columns, tall and wide, and whole heads, at every seed") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::vector<Shape> shapes = large_shapes({}, seed);
    CHECK(shapes[0].rows == 17);
    CHECK(shapes[0].cols <= 5);
    CHECK(shapes[1].rows <= 5);
    CHECK(shapes[1].cols == 19);
    CHECK(shapes[2].rows >= 7);
    for (const Shape shape : large_shapes(families_of<HeadRotations<Side::left, 3>>, seed))
      CHECK(shape.rows % 3 == 0);
  }
  CHECK(large_shapes({}, 1) != large_shapes({}, 2));
}

TEST_CASE("trials, shapes and inputs change what is tried; what would say nothing is refused") {
  const auto trials = [](CheckOptions options) {
    return check_equivariance<HiddenMatrix>(FrobeniusNorm{}, options).trials;
  };
  CHECK(trials({.trials = 128}) >= trials({}) + 64);  // some once more in float
  CHECK(trials({.shapes = {{5, 3}}}) < trials({}));
  CHECK(trials({.inputs = {"gaussian", "rank-1"}}) < trials({}));
  const auto refuses = [&](const CheckOptions& options, const char* words) {
    CHECK_THROWS_WITH_AS(trials(options), doctest::Contains(words), std::invalid_argument);
  };
  refuses({.shapes = {{0, 3}}}, "0x3");
  refuses({.inputs = {"gausian"}}, "no kind 'gausian'; known are gaussian, integers");
  refuses({.inputs = {"zero", "zero"}}, "twice");
  const Report unfilled = check_equivariance<HeadRotations<Side::left, 4>>(RowNorm{}, {.shapes = {{6, 4}}});
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, unfilled);
  CHECK(unfilled.reason.find("heads fill none") != std::string::npos);
}

TEST_CASE("the same seed gives the same report, another seed other trials") {
  const Report first = check_equivariance<HiddenMatrix>(Spectral<>{}, {.seed = 7});
  const Report second = check_equivariance<HiddenMatrix>(Spectral<>{}, {.seed = 7});
  const Report other = check_equivariance<HiddenMatrix>(Spectral<>{}, {.seed = 8});
  CHECK(first.errors == second.errors);
  CHECK(first.errors != other.errors);
  {
    const Environment seed("SYMOPT_SEED", "7");
    CHECK(check_equivariance<HiddenMatrix>(Spectral<>{}).errors == first.errors);
    CHECK(check_equivariance<HiddenMatrix>(Spectral<>{}, {.seed = 8}).errors == other.errors);
  }
  CHECK(check_equivariance<HiddenMatrix>(Spectral<>{}).seed == 260518106);
}

// --- the line that repeats

TEST_CASE("the line of a failure repeats that trial alone, whatever the seed is now") {
  const Report report = check_equivariance<RowPermutation>(longest_row, {.seed = 7});
  REQUIRE(report.verdict == Verdict::violated);
  const Environment line("SYMOPT_REPRODUCE", value_of(report.reproduce));
  const Report again = check_equivariance<RowPermutation>(longest_row);
  SYMOPT_CHECK_VERDICT(Verdict::violated, again);
  CHECK(again.trials == 1);
  CHECK(again.seed == 7);
  CHECK(again.reproduce == report.reproduce);
  CHECK(to_string(again).substr(0, 200) == to_string(report).substr(0, 200));
  CHECK(check_equivariance<Embedding>(RowNorm{}).trials > 1);  // another check goes on as usual
  // Once the rule is mended, that trial holds.
  const auto mended = [](const Matrix<double>& x) -> Matrix<double> { return 2 * x; };
  const Report after = check_equivariance<RowPermutation>(mended);
  SYMOPT_CHECK(after);
  CHECK(after.trials == 1);
}

TEST_CASE("the line of a check that holds repeats the whole check") {
  const Report report = check_equivariance<Embedding>(RowNorm{}, {.seed = 9});
  const Environment line("SYMOPT_REPRODUCE", value_of(report.reproduce));
  const Report again = check_equivariance<Embedding>(RowNorm{});
  CHECK(again.errors == report.errors);
  CHECK(again.seed == 9);
}

TEST_CASE("a line for a trial that there is not says so") {
  const Environment line("SYMOPT_REPRODUCE", "equivariance|RowNorm|Embedding|seed=9 trial=4000");
  const Report report = check_equivariance<Embedding>(RowNorm{});
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, report);
  CHECK(report.reason == "SYMOPT_REPRODUCE names no trial of this check");
}

TEST_CASE("trajectories, locality, layouts and the laws of groups have such lines too") {
  const auto adamw = [](Shape shape) { return Optimizer<AdamW, double>(shape.rows, shape.cols); };
  const Report run = check_trajectory<RightOrthogonal>(adamw, {.seed = 7});
  {
    const Environment line("SYMOPT_REPRODUCE", value_of(run.reproduce));
    const Report again = check_trajectory<RightOrthogonal>(adamw);
    SYMOPT_CHECK_VERDICT(Verdict::violated, again);
    CHECK(again.trials < run.trials);
    CHECK(again.counterexample->error == run.counterexample->error);
  }
  const Storage experts{{2, 3, 4}, layout::experts()}, heads{{6, 4}, layout::row_heads(2)};
  const auto repeats = [](const auto& check) {
    const Report report = check(CheckOptions{.seed = 7});
    const Environment line("SYMOPT_REPRODUCE", value_of(report.reproduce));
    const Report again = check(CheckOptions{});
    CHECK(again.seed == 7);
    CHECK(again.errors == report.errors);
  };
  repeats([&](CheckOptions options) { return check_locality(Update<Embedding>{}, experts, options); });
  repeats([&](CheckOptions options) { return check_layout(Update<Embedding>{}, experts, heads, options); });
  repeats([](CheckOptions options) { return check_group_laws<Embedding>(options); });
}

/// Moves nothing by its generators.
struct IdleRows : RowPermutation {
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    return {identity<Scalar>(shape)};
  }
};

TEST_CASE("a failure of locality, of a layout or of a group has a line that repeats it alone") {
  const auto second_entry_added = [](TensorView<const double> gradient, TensorView<double> direction) {
    for (Index i = 0; i < 24; ++i) direction.data()[i] = gradient.data()[i] + gradient.data()[1];
  };
  const Storage experts{{2, 3, 4}, layout::experts()},
      transposed{{2, 4, 3}, layout::experts(layout::transposed())};
  const auto repeats = [](const auto& check) {
    const Report report = check(CheckOptions{.seed = 7});
    SYMOPT_CHECK_VERDICT(Verdict::violated, report);
    const Environment line("SYMOPT_REPRODUCE", value_of(report.reproduce));
    const Report again = check(CheckOptions{});
    SYMOPT_CHECK_VERDICT(Verdict::violated, again);
    CHECK(again.trials == 1);
    CHECK(again.reason.substr(0, 40) == report.reason.substr(0, 40));
    CHECK(again.reproduce == report.reproduce);
  };
  repeats([&](CheckOptions options) { return check_locality(second_entry_added, experts, options); });
  repeats(
      [&](CheckOptions options) { return check_layout(second_entry_added, experts, transposed, options); });
  repeats([](CheckOptions options) { return check_group_laws<IdleRows>(options); });
}

// --- cost

TEST_CASE("a default check of a 16 x 24 rule under a product group takes less than a second") {
  long calls = 0;
  const auto counted = [&calls](const Matrix<double>& x) -> Matrix<double> {
    ++calls;
    return RowNorm{}(x);
  };
  const std::clock_t begin = std::clock();
  const Report report = check_equivariance<Embedding>(counted, {.shapes = {{16, 24}}});
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  SYMOPT_CHECK(report);
  // Six for a trial, and six for the input, which the generators share and random elements do not.
  CHECK(calls <= 6 * (report.trials + static_cast<long>(input_kinds().size()) + 64));
  CHECK(report.trials <= 1500);
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
  CHECK(seconds < 1);
#else
  CHECK(seconds < 30);
#endif
}

}}  // namespace check_interface_test
