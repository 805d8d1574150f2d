// SPDX-License-Identifier: Apache-2.0
// Rules that look right and are not, each beside an honest one. The check that is named for a liar must catch
// it, must let the honest rule pass, and must say so in a message that is enough to see what is wrong.
#include <symopt/check.hpp>
#include <symopt/frame/frame_average.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <Eigen/SVD>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace liar_test { namespace {

using namespace symopt;
using namespace symopt::check;

template <class Block>
using Scalar = typename std::remove_cvref_t<Block>::Scalar;
template <class Block>
using Vector = Eigen::Matrix<Scalar<Block>, Eigen::Dynamic, 1>;

// --- callables on a matrix

template <bool complete>
Matrix<double> polar_by_svd(const Matrix<double>& x) {
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const double cut = 1e-10 * svd.singularValues()(0);
  const Eigen::VectorXd ones = svd.singularValues().unaryExpr(
      [cut](double sigma) { return complete || (sigma > cut && sigma > 0) ? 1.0 : 0.0; });
  return svd.matrixU() * ones.asDiagonal() * svd.matrixV().transpose();
}

/// The block over its largest singular value, as a power iteration from the first axis finds it.
const auto by_power_iteration = [](const auto& x) {
  Vector<decltype(x)> v = Vector<decltype(x)>::Unit(x.cols(), 0);
  for (int i = 0; i < 3; ++i) v = (x.transpose() * (x * v)).normalized();
  const auto norm = (x * v).norm();
  return (x / (norm > 0 ? norm : 1)).eval();
};
const auto nan = [](const auto& x) {
  return (x * std::numeric_limits<Scalar<decltype(x)>>::quiet_NaN()).eval();
};
const auto zero = [](const auto& x) { return (0 * x).eval(); };
const auto sign_of_zero_is_one = [](const auto& x) {
  return x.unaryExpr([](auto entry) { return entry < 0 ? decltype(entry)(-1) : decltype(entry)(1); }).eval();
};
const auto scale_by_row_number = [](const auto& x) {
  return (Vector<decltype(x)>::LinSpaced(x.rows(), 1, 2).asDiagonal() * x).eval();
};
/// The first of the longest rows, or all of them.
template <bool breaks_ties>
Matrix<double> longest_rows(const Matrix<double>& x) {
  const Eigen::VectorXd lengths = x.rowwise().squaredNorm();
  Index first = 0;
  const double longest = lengths.maxCoeff(&first);
  Matrix<double> kept = Matrix<double>::Zero(x.rows(), x.cols());
  for (Index i = 0; i < x.rows(); ++i)
    if (breaks_ties ? i == first : lengths(i) == longest) kept.row(i) = x.row(i);
  return kept;
}

const HorizontalProjection<Side::left> project;
const HorizontalProjection<Side::right> project_on_wrong_axis;
const auto row_norm_centred = [](const auto& x) { return project(RowNorm{}(project(x))); };
const auto row_norm_not_centred_last = [](const auto& x) { return RowNorm{}(project(x)); };
const auto row_norm_centred_on_wrong_axis = [](const auto& x) {
  return project_on_wrong_axis(RowNorm{}(project_on_wrong_axis(x)));
};

/// Rounds to a grid as the machine is told to round.
struct Quantized {
  double grid;
  template <class Block>
  Block operator()(const Block& x) const {
    return x.unaryExpr([this](auto entry) {
      using Entry = decltype(entry);
      return static_cast<Entry>(grid * std::nearbyint(static_cast<double>(entry) / grid));
    });
  }
};
/// Lines of eight entries over their norms.
Matrix<double> eights_over_norm(const Matrix<double>& x) {
  Matrix<double> result = x;
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < x.cols(); j += 8) {
      auto eight = result.row(i).segment(j, std::min<Index>(8, x.cols() - j));
      if (const double norm = eight.norm(); norm > 0) eight /= norm;
    }
  return result;
}

// --- optimizers

/// Does not look at its gradient.
struct Constant {
  void step(Matrix<double>& weights, const Matrix<double>&) { weights.array() -= 0.1; }
};
/// Makes its weights another shape.
struct Growing {
  void step(Matrix<double>& weights, const Matrix<double>&) {
    weights = Matrix<double>::Ones(weights.rows() + 40, weights.cols());
  }
};
const auto constant_steps = [](Shape) { return Constant{}; };
const auto growing_steps = [](Shape) { return Growing{}; };
/// A preconditioner of the weights, which are singular in some starts.
struct LeftPreconditioned {
  void step(Matrix<double>& weights, const Matrix<double>& gradient) {
    const Matrix<double> gram =
        weights.transpose() * weights + 1e-4 * Matrix<double>::Identity(weights.cols(), weights.cols());
    weights -= Matrix<double>(1e-5 * gradient * gram.inverse());
  }
};

/// The columns made orthonormal one after the other.
template <class Scalar>
Matrix<Scalar> orthonormal_columns(Matrix<Scalar> a) {
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index k = 0; k < j; ++k) a.col(j) -= a.col(k).dot(a.col(j)) * a.col(k);
    a.col(j).normalize();
  }
  return a;
}

/// Signs in a basis that follows the gradients by a step of a power iteration. Rotations move a basis, and so
/// its start as well, which is the identity.
struct InOwnBasis {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : basis(Matrix<Scalar>::Identity(shape.cols, shape.cols)) {}
    Matrix<Scalar> basis;
  };
  template <class W, class G, class Scalar, class D>
  void operator()(const W&, const G& gradient, State<Scalar>& state, D& direction) const {
    state.basis = orthonormal_columns<Scalar>(gradient.transpose() * gradient * state.basis + state.basis);
    direction = (gradient * state.basis).cwiseSign() * state.basis.transpose();
  }
};

template <class Rule, class Scalar = double>
auto optimizer(OptimizerOptions options = {.learning_rate = 0.1}) {
  return [=](Shape shape) { return Optimizer<Rule, Scalar>(shape.rows, shape.cols, options); };
}
constexpr OptimizerOptions decayed_by(Decay decay, double rate = 0.1, double weight_decay = 0.3) {
  OptimizerOptions options{.learning_rate = rate};
  options.weight_decay = weight_decay;
  options.decay = decay;
  return options;
}

// --- a stack of experts

/// Each expert over its own norm, or all over one.
template <bool are_coupled>
void experts_over_norm(TensorView<const double> gradient, TensorView<double> direction) {
  const Index experts = are_coupled ? 1 : gradient.sizes()[0];
  const Index size = gradient.sizes()[0] * gradient.strides()[0] / experts;
  for (Index e = 0; e < experts; ++e) {
    const Eigen::Map<const Eigen::VectorXd> own(gradient.data() + e * size, size);
    const double norm = own.stableNorm();
    Eigen::Map<Eigen::VectorXd>(direction.data() + e * size, size) = own / (norm > 0 ? norm : 1);
  }
}
const Storage experts{{3, 4, 6}, layout::experts()};

struct Liar {
  std::string name;
  Verdict verdict;
  std::function<Report()> liar;
  std::function<Report()> honest;
};

const std::vector<Liar>& liars() {
  using enum Verdict;
  using Signed = Product<SignedRowPermutation, SignedColumnPermutation>;
  static const std::vector<Liar> all{
      {"power iteration from a fixed vector", violated,
       [] { return check_equivariance<HiddenMatrix>(by_power_iteration); },
       [] { return check_equivariance<HiddenMatrix>(FrobeniusNorm{}); }},
      {"NaN output", violated, [] { return check_equivariance<HiddenMatrix>(nan); },
       [] { return check_equivariance<HiddenMatrix>(Identity{}); }},
      {"zero output", vacuous, [] { return check_equivariance<HiddenMatrix>(zero); },
       [] { return check_equivariance<HiddenMatrix>(Identity{}); }},
      {"Sign(0) = 1", violated, [] { return check_equivariance<Signed>(sign_of_zero_is_one); },
       [] { return check_equivariance<Signed>(Sign{}); }},
      {"a scale that depends on the row index", violated,
       [] { return check_equivariance<RowPermutation>(scale_by_row_number); },
       [] { return check_equivariance<RowPermutation>(RowNorm{}); }},
      {"an SVD-completed polar factor", violated,
       [] { return check_equivariance<HiddenMatrix>(polar_by_svd<true>); },
       [] { return check_equivariance<HiddenMatrix>(polar_by_svd<false>); }},
      {"unprojected decay under a shift", violated,
       [] { return check_trajectory<LmHead>(optimizer<Update<LmHead>>(decayed_by(Decay::all))); },
       [] { return check_trajectory<LmHead>(optimizer<Update<LmHead>>(decayed_by(Decay::horizontal))); }},
      {"little decay in float", violated,
       [] {
         const OptimizerOptions little = decayed_by(Decay::all, 3e-4, 1e-2);
         return check_trajectory<LmHead>(optimizer<Update<LmHead>, float>(little), {.trials = 4});
       },
       [] {
         const OptimizerOptions little = decayed_by(Decay::horizontal, 3e-4, 1e-2);
         return check_trajectory<LmHead>(optimizer<Update<LmHead>, float>(little), {.trials = 4});
       }},
      {"a grid to which the machine rounds", violated,
       [] { return check_equivariance<HiddenMatrix>(Quantized{1e-4}); },
       [] { return check_equivariance<SignedRowPermutation>(Quantized{1e-4}); }},
      {"steps that do not look at the gradient", vacuous,
       [] { return check_trajectory<RowPermutation>(constant_steps); },
       [] { return check_trajectory<RowPermutation>(optimizer<Update<Embedding>>(), {.trials = 4}); }},
      {"the same as a rule", vacuous, [] { return check_equivariance<RowPermutation>(constant_steps); },
       [] { return check_equivariance<RowPermutation>(optimizer<Update<Embedding>>()); }},
      {"weights that change their shape", violated,
       [] { return check_trajectory<RowPermutation>(growing_steps); },
       [] { return check_trajectory<RowPermutation>(optimizer<Update<LmHead>>(), {.trials = 4}); }},
      {"the same as a rule, too", violated, [] { return check_equivariance<RowPermutation>(growing_steps); },
       [] { return check_equivariance<SignedRowPermutation>(optimizer<AdamW>()); }},
      {"experts coupled by one scale", violated,
       [] { return check_locality(experts_over_norm<true>, experts); },
       [] { return check_locality(experts_over_norm<false>, experts); }},
      {"Adam under rotations", violated, [] { return check_trajectory<Embedding>(optimizer<AdamW>()); },
       [] { return check_trajectory<Signed>(optimizer<AdamW>()); }},
      {"a basis initialised at I", violated,
       [] { return check_trajectory<RightOrthogonal>(optimizer<InOwnBasis>()); },
       [] { return check_trajectory<RightOrthogonal>(optimizer<FrameAveraged<RightOrthogonal, AdamW>>()); }},
      {"top-k rows on ties", violated, [] { return check_equivariance<RowPermutation>(longest_rows<true>); },
       [] { return check_equivariance<RowPermutation>(longest_rows<false>); }},
      {"row norm without the final centring", violated,
       [] { return check_horizontal<LmHead>(row_norm_not_centred_last); },
       [] { return check_horizontal<LmHead>(row_norm_centred); }},
      {"centring over the wrong axis", violated,
       [] { return check_shift_invariant<LmHead>(row_norm_centred_on_wrong_axis); },
       [] { return check_shift_invariant<LmHead>(row_norm_centred); }},
  };
  return all;
}

std::vector<std::string> lines_of(const Report& report) {
  std::stringstream text;
  text << report;
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST_CASE("every liar is caught by the check that is named for it, and no honest rule is") {
  CHECK(liars().size() == 19);
  for (const Liar& liar : liars()) {
    CAPTURE(liar.name);
    const Report caught = liar.liar();
    INFO(caught);
    CHECK(caught.verdict == liar.verdict);
    CHECK_FALSE(bool(caught));
    const Report honest = liar.honest();
    INFO(honest);
    CHECK(honest.verdict == Verdict::holds);
    CHECK(honest.worst <= 0.5);
  }
}

TEST_CASE("what is said of a liar is small, fits a terminal and shows what came out") {
  for (const Liar& liar : liars()) {
    if (liar.verdict == Verdict::vacuous) continue;
    CAPTURE(liar.name);
    const Report report = liar.liar();
    INFO(report);
    REQUIRE(report.counterexample);
    const Counterexample& example = *report.counterexample;
    CHECK((report.law == "locality" || example.input.size() <= 6));
    CHECK_FALSE(report.reason.empty());
    CHECK_FALSE(example.of_moved.empty());
    if (std::isfinite(example.error)) {
      CHECK(example.actual != example.expected);
      CHECK(example.error >= 0.01);
    } else {
      const bool says_why = report.reason.find("not finite") != std::string::npos ||
                            report.reason.find("shape") != std::string::npos;
      CHECK(says_why);
    }
    const auto lines = lines_of(report);
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) CHECK(lines[i].size() <= 80);
    CHECK(lines.back().starts_with("  again: SYMOPT_REPRODUCE=\""));
  }
}

TEST_CASE("an optimizer that amplifies the rounding of its weights is honest") {
  const auto preconditioned = [](Shape) { return LeftPreconditioned{}; };
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Report report = check_trajectory<LeftOrthogonal>(
        preconditioned, {.seed = seed, .steps = 8, .inputs = {"gaussian", "half-rank"}});
    INFO(report);
    CHECK(report.verdict == Verdict::holds);
  }
}

TEST_CASE("an output that cannot be compared is no negative control") {
  int calls = 0;
  const auto changing = [&calls](const Matrix<double>& x) { return Matrix<double>(x * (1 + ++calls % 7)); };
  const auto transposed = [](const Matrix<double>& x) { return Matrix<double>(x.transpose()); };
  const auto over_squares = [](const Matrix<double>& x) { return Matrix<double>(x / x.squaredNorm()); };
  for (const Report& report :
       {expect_violation<RightOrthogonal>(nan), expect_violation<RightOrthogonal>(changing),
        expect_violation<RightOrthogonal>(transposed), expect_violation<RightOrthogonal>(over_squares)}) {
    INFO(report);
    CHECK(report.verdict == Verdict::violated);
    CHECK(report.reason.find("no violation that can be measured") != std::string::npos);
  }
  // One that is wrong besides is one.
  const auto wrong_and_nan = [](const Matrix<double>& x) {
    return Matrix<double>(scale_by_row_number(x) / x.squaredNorm());
  };
  CHECK(expect_violation<RowPermutation>(wrong_and_nan));
}

TEST_CASE("a rule that sees eight columns at a time is no rule of all of them") {
  const Classification row = classify(eights_over_norm);
  INFO(row);
  CHECK(row.right.has(GeneratorKind::signs));
  CHECK_FALSE(row.right.has(GeneratorKind::permutations));
  CHECK_FALSE(row.right.has(GeneratorKind::rotations));
  const Classification rounded = classify(Quantized{1e-4});
  CHECK_FALSE(rounded.left.has(GeneratorKind::rotations));
  CHECK_FALSE(rounded.right.has(GeneratorKind::rotations));
}

}}  // namespace liar_test
