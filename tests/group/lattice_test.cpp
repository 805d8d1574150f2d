// SPDX-License-Identifier: Apache-2.0
// The table of docs/derivation.md, row by row, as classify() measures it: the largest group of each map on
// either side, the three properties E, H, I under a shift of the rows, and the degree of homogeneity.
#include <symopt/check/laws/classify.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <Eigen/SVD>

#include <sstream>
#include <stdexcept>
#include <string>

namespace lattice_test { namespace {

using namespace symopt;
using namespace symopt::check;

std::string yes_or_no(Verdict verdict) {
  return verdict == Verdict::holds ? "y" : verdict == Verdict::violated ? "n" : to_string(verdict);
}

/// "B | O, E y H n I n, degree 0 exact", as the rule's measured row.
std::string row_of(const Classification& row) {
  std::string text = row.group() + ", E " + yes_or_no(row.equivariant) + " H " + yes_or_no(row.horizontal) +
                     " I " + yes_or_no(row.shift_invariant);
  if (!row.degree) return text;
  std::ostringstream degree;
  degree << *row.degree;
  return text + ", degree " + degree.str() + (row.is_exact ? " exact" : "");
}

template <class Rule>
void check_row(const char* name, const Rule& rule, const std::string& expected, int head_size = 0) {
  CAPTURE(std::string(name));
  CheckOptions options{.trials = 16};
  if (head_size > 0) options.shapes = {{4, 4}, {6, 4}};
  const Classification row = classify(rule, options, head_size);
  std::ostringstream text;
  text << row;
  INFO(text.str());
  CHECK(row_of(row) == expected);
}

/// m <- 0.9 m + g, and g + 0.9 m as the direction.
struct HeavyBall {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> momentum;
  };
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    state.momentum = Scalar(0.9) * state.momentum + gradient;
    direction = gradient + Scalar(0.9) * state.momentum;
  }
};

/// m <- 0.9 m + 0.1 g, which is the direction.
struct Average {
  template <class Scalar>
  using State = HeavyBall::State<Scalar>;
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    state.momentum = Scalar(0.9) * state.momentum + Scalar(0.1) * gradient;
    direction = state.momentum;
  }
};

/// The sign of a mean of momentum and gradient.
struct Lion {
  template <class Scalar>
  using State = HeavyBall::State<Scalar>;
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    direction = (Scalar(0.9) * state.momentum + Scalar(0.1) * gradient).cwiseSign();
    state.momentum = Scalar(0.99) * state.momentum + Scalar(0.01) * gradient;
  }
};

/// The gradient over the root of the mean of its squares.
struct RmsProp {
  template <class Scalar>
  using State = HeavyBall::State<Scalar>;
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    state.momentum = Scalar(0.9) * state.momentum + Scalar(0.1) * gradient.cwiseAbs2();
    direction = gradient.array() / (state.momentum.array().sqrt() + Scalar(1e-8));
  }
};

const auto over = [](const Matrix<double>& x, double size) -> Matrix<double> {
  return x / (size > 0 ? size : 1);
};
const auto singular_values = [](const Matrix<double>& x) -> Eigen::VectorXd {
  return Eigen::JacobiSVD<Eigen::MatrixXd>(x).singularValues();
};
const auto spectral_scaling = [](const Matrix<double>& x) { return over(x, singular_values(x).maxCoeff()); };
const auto nuclear_scaling = [](const Matrix<double>& x) { return over(x, singular_values(x).sum()); };
const auto largest_entry = [](const Matrix<double>& x) -> Matrix<double> {
  const double largest = x.cwiseAbs().maxCoeff();
  return x / (largest > 0 ? largest : 1);
};
const auto clip = [](const Matrix<double>& x) -> Matrix<double> { return x.cwiseMax(-0.5).cwiseMin(0.5); };
// By singular values: the inverse root of the Gram itself is NaN at a scale of 1e30.
const auto damped = [](const Matrix<double>& x) -> Matrix<double> {
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Eigen::ArrayXd sigma = svd.singularValues();
  return svd.matrixU() * (sigma / (sigma.square() + 0.3).sqrt()).matrix().asDiagonal() *
         svd.matrixV().transpose();
};
const auto power_iteration = [](const Matrix<double>& x) -> Matrix<double> {
  Eigen::VectorXd v = Eigen::VectorXd::Unit(x.cols(), 0);
  for (int i = 0; i < 3; ++i) v = (x.transpose() * (x * v)).normalized();
  const double norm = (x * v).norm();
  return x / (norm > 0 ? norm : 1);
};
const auto decay = [](const Matrix<double>& w, const Matrix<double>&) -> Matrix<double> { return w; };
const auto horizontal_decay = [](const Matrix<double>& w, const Matrix<double>&) -> Matrix<double> {
  return HorizontalProjection<Side::left>{}(w);
};
const auto l2 = [](const Matrix<double>& w, const Matrix<double>& x) -> Matrix<double> {
  return x + 0.1 * w;
};
const auto cautious = [](const Matrix<double>& w, const Matrix<double>& x) -> Matrix<double> {
  return (x.array() * w.array() > 0).select(x, 0.0);
};
const auto cautious_decay = [](const Matrix<double>& w, const Matrix<double>& x) -> Matrix<double> {
  return (x.array() * w.array() > 0).select(w, 0.0);
};

constexpr RowNorm row_norm{.eps = 0};

TEST_CASE("maps of the momentum that rotations of both sides leave") {
  check_row("Identity", Identity{}, "O | O, E y H y I n, degree 1 exact");
  check_row("heavy ball with Nesterov", HeavyBall{}, "O | O, E y H y I n, degree 1 exact");
  check_row("average with a start at zero", Average{}, "O | O, E y H y I n, degree 1 exact");
  check_row("spectral norm scaling", spectral_scaling, "O | O, E y H y I n, degree 0 exact");
  check_row("nuclear norm scaling", nuclear_scaling, "O | O, E y H y I n, degree 0 exact");
  check_row("Adaptive, one rate", Adaptive<HiddenMatrix, moments::Block>{}, "O | O, E y H y I n");
  check_row("Adaptive, one-sided", Adaptive<HiddenMatrix>{}, "O | O, E y H y I n");
  check_row("FrobeniusNorm", FrobeniusNorm{}, "O | O, E y H y I n, degree 0 exact");
  check_row("Spectral", Spectral<>{}, "O | O, E y H y I n, degree 0 exact");
  check_row("LeftSpectral", LeftSpectral<>{}, "O | O, E y H y I n, degree 0 exact");
  check_row("RightSpectral, exact", RightSpectral<polar::Exact>{}, "O | O, E y H y I n, degree 0 exact");
  check_row("Newton-Schulz", Spectral<polar::NewtonSchulz>{}, "O | O, E y H y I n, degree 0 exact");
  check_row("damped", damped, "O | O, E y H y I n");
}

TEST_CASE("maps that see the entries") {
  check_row("largest entry", largest_entry, "B | B, E y H y I n, degree 0 exact");
  check_row("clip", clip, "B | B, E y H n I n");
  check_row("Sign", Sign{}, "B | B, E y H n I n, degree 0 exact");
  check_row("AdamW", AdamW{}, "B | B, E y H n I n");
  check_row("Adaptive, entries", Adaptive<Trivial>{}, "B | B, E y H n I n");
  check_row("RMSProp", RmsProp{}, "B | B, E y H n I n");
  check_row("Lion", Lion{}, "B | B, E y H n I n, degree 0 exact");
}

TEST_CASE("maps that see the lines of one side") {
  check_row("RowNorm", row_norm, "B | O, E y H n I n, degree 0 exact");
  check_row("RowNorm with the default eps", RowNorm{}, "B | O, E y H n I n");
  check_row("Adaptive, rows", Adaptive<Embedding>{}, "B | O, E y H n I n");
  check_row("Adaptive, columns", Adaptive<SwigluOutput>{}, "O | B, E y H y I n");
  check_row("Adaptive, rows of a head", Adaptive<LmHead>{}, "+-S | O, E y H y I y");
  check_row("Adaptive, one-sided within heads",
            Adaptive<Product<HeadRotations<Side::left, 2>, RightOrthogonal>>{}, "R_2 | O, E y H n I n", 2);
  check_row("Adaptive, one-sided of a head", Adaptive<LmHead, moments::OneSided>{}, "St | O, E y H y I y");
  check_row("ColumnNorm", ColumnNorm{.eps = 0}, "O | B, E y H y I n, degree 0 exact");
  check_row("HeadSpectral", HeadSpectral<Side::left, 2>{}, "R_2 | O, E y H n I n, degree 0 exact", 2);
  check_row("heads over their norms", PerHead<Side::left, 2, FrobeniusNorm>{},
            "R_2 | O, E y H n I n, degree 0 exact", 2);
  check_row("RowNorm, then Spectral", Then<RowNorm, Spectral<>>{row_norm, Spectral<>{}},
            "B | O, E y H n I n, degree 0 exact");
  check_row("Spectral, then RowNorm", Then<Spectral<>, RowNorm>{Spectral<>{}, row_norm},
            "B | O, E y H n I n, degree 0 exact");
  // Of degree 1 on blocks that the fixed vector is no help for.
  check_row("power iteration from a fixed vector", power_iteration, "O | signs, E y H y I n");
}

TEST_CASE("projected maps") {
  check_row("centring", HorizontalProjection<Side::left>{}, "St | O, E y H y I y, degree 1 exact");
  check_row("P RowNorm P", Update<LmHead>{}, "+-S | O, E y H y I y");
  check_row("P Spectral P", Update<LmHead, Spectral<>>{}, "St | O, E y H y I y, degree 0 exact");
}

TEST_CASE("rules that see the weights") {
  check_row("weight decay", decay, "GL | GL, E n H n I y, degree 0 exact");
  check_row("horizontal weight decay", horizontal_decay, "St | GL, E y H y I y, degree 0 exact");
  check_row("L2 term", l2, "O | O, E n H n I n");
  check_row("cautious mask of the gradient", cautious, "B | B, E n H n I n, degree 1 exact");
  check_row("cautious mask of the decay", cautious_decay, "Mon | Mon, E n H n I n, degree 0 exact");
}

TEST_CASE("powers of the dual norm are found as degrees, and exact where a root of two is not needed") {
  check_row("PolarGrad", DualNorm<Spectral<>>{.alpha = 1}, "O | O, E y H y I n, degree 1 exact");
  const Classification row = classify(DualNorm<Sign>{.alpha = 0.3}, {.trials = 16});
  REQUIRE(row.degree);
  CHECK(*row.degree == 0.3);
}

TEST_CASE("a rule that does nothing has no group, an odd one has the sign of the block") {
  check_row(
      "zero", [](const Matrix<double>& x) -> Matrix<double> { return 0 * x; },
      "vacuous, E vacuous H vacuous I vacuous");
  check_row(
      "odd",
      [](const Matrix<double>& x) -> Matrix<double> {
        Matrix<double> y = x;
        y(0, 0) *= 2;
        y.row(0).reverseInPlace();
        return y + 0.5 * x.cwiseSign() * x(0, 0) * x(0, 0);
      },
      "signs | +-1, E y H n I n");
}

TEST_CASE("a row prints itself, with a counterexample for each side") {
  std::ostringstream text;
  text << classify(RowNorm{.eps = 0}, {.seed = 7, .trials = 8});
  const std::string row = text.str();
  INFO(row);
  CHECK(row.starts_with(
      "RowNorm: B | O\n  using largest_group = Product<SignedRowPermutation, RightOrthogonal>;\n"
      "  shift of the rows: E yes, H no, I no\n"
      "  homogeneous of degree 0, to the bit under powers of two\n"
      "  not left rotations: left rotation (0,1) by "));
}

TEST_CASE("homogeneity can be checked alone, and a wrong degree is caught") {
  CHECK(check_homogeneous(Spectral<>{}, 0).verdict == Verdict::holds);
  CHECK(check_homogeneous_to_the_bit(Spectral<>{}, 0).verdict == Verdict::holds);
  CHECK(check_homogeneous(Spectral<>{}, 1).verdict == Verdict::violated);
  CHECK(check_homogeneous(RowNorm{}, 0).verdict == Verdict::violated);
  const auto rounded = [](const Matrix<double>& x) -> Matrix<double> {
    const double norm = x.stableNorm();
    return norm > 0 ? Matrix<double>(x * std::pow(norm, -1.0 / 3)) : x;
  };
  CHECK(check_homogeneous(rounded, 2.0 / 3).verdict == Verdict::holds);
}

}}  // namespace lattice_test
