// SPDX-License-Identifier: Apache-2.0
#include "support/inputs.hpp"

#include <symopt/check/laws/conserved.hpp>
#include <symopt/check/symmetry_error.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <array>
#include <list>
#include <sstream>

namespace symmetry_error_test { namespace {

using namespace symopt;
using namespace symopt_test;
using check::conserved;
using check::drift;
using check::symmetry_error;
using check::SymmetryError;

Matrix<double> drawn(Shape shape, std::uint64_t offset = 0) {
  Random random(default_seed + offset);
  return gaussian_block(shape, random);
}

struct MaxAbs {
  template <class Derived>
  auto operator()(const Eigen::MatrixBase<Derived>& block) const {
    const auto largest = block.cwiseAbs().maxCoeff();
    return (block / (largest > 0 ? largest : 1)).eval();
  }
};

TEST_CASE("an equivariant rule shows rounding, one that is not shows its violation") {
  CAPTURE(default_seed);
  const Matrix<double> input = drawn({6, 4});
  CHECK(symmetry_error<Embedding>(RowNorm{}, input).worst <= 1e-15);
  CHECK(symmetry_error<HiddenMatrix>(Spectral<>{}, input).worst <= 1e-13);
  CHECK(symmetry_error<Product<RowPermutation, ColumnPermutation>>(Sign{}, input).worst == 0);
  CHECK(symmetry_error<RightOrthogonal>(Sign{}, input).worst > 0.1);
  CHECK(symmetry_error<RightOrthogonal>(MaxAbs{}, input).worst > 0.01);
  CHECK(symmetry_error<LeftOrthogonal>(RowNorm{}, input).worst > 0.1);
  CHECK(symmetry_error<Embedding>(RowNorm{}, input.cast<float>()).worst <= 1e-6);
  CHECK(symmetry_error<RightOrthogonal>(Sign{}, input.cast<float>()).worst > 0.1);
}

TEST_CASE("the numbers are those of the definition") {
  const Matrix<double> input{{3, 4}};
  const double c = std::cos(1.0), s = std::sin(1.0);
  // Generators of O(2): one radian, and the first reflection.
  const SymmetryError result = symmetry_error<RightOrthogonal>(Sign{}, input);
  REQUIRE(result.generators.size() == 2);
  const Matrix<double> moved{{3 * c - 4 * s, 3 * s + 4 * c}};
  const Matrix<double> expected{{c - s, s + c}};
  const double turn = (Sign{}(moved)-expected).norm() / std::sqrt(2.0);
  CHECK(result.generators[0].generator == 0);
  CHECK(result.generators[0].error == doctest::Approx(turn));
  CHECK(result.generators[1].generator == 1);
  CHECK(result.generators[1].error == 0);
  CHECK(result.worst == result.generators[0].error);
  CHECK(result.mean == doctest::Approx(turn / 2));
}

TEST_CASE("a softly broken rule shows how softly") {
  const Matrix<double> input = drawn({5, 3});
  const auto broken = [](double amount) {
    return
        [amount](const Matrix<double>& block) -> Matrix<double> { return block + amount * block.cwiseAbs(); };
  };
  CHECK(symmetry_error<RightOrthogonal>(broken(0), input).worst <= 1e-15);
  const double small = symmetry_error<RightOrthogonal>(broken(1e-3), input).mean;
  const double large = symmetry_error<RightOrthogonal>(broken(1e-2), input).mean;
  CHECK(small > 1e-4);
  CHECK(large / small == doctest::Approx(10).epsilon(0.05));
}

TEST_CASE("a range of inputs is one larger input, whatever holds it") {
  const Matrix<double> a = drawn({4, 3}), b = drawn({4, 3}, 1);
  const double one = symmetry_error<RightOrthogonal>(Sign{}, a).worst;
  const SymmetryError many = symmetry_error<RightOrthogonal>(Sign{}, std::vector<Matrix<double>>{a, b});
  CHECK(symmetry_error<RightOrthogonal>(Sign{}, std::array<Matrix<double>, 1>{a}).worst == one);
  CHECK(symmetry_error<RightOrthogonal>(Sign{}, std::list<Eigen::MatrixXd>{a, b}).worst == many.worst);
  CHECK(many.worst != one);
  // A zero input adds nothing to either norm.
  const Matrix<double> zero = Matrix<double>::Zero(4, 3);
  CHECK(symmetry_error<RightOrthogonal>(Sign{}, std::vector<Matrix<double>>{a, zero}).worst == one);
  CHECK(symmetry_error<RightOrthogonal>(Sign{}, zero).worst == 0);
  CHECK(symmetry_error<RightOrthogonal>(Sign{}, 2 * a.topRows(2)).worst > 0.1);
}

TEST_CASE("a stateful rule takes the inputs as consecutive gradients") {
  const std::vector<Matrix<double>> gradients{drawn({5, 3}), drawn({5, 3}, 1), drawn({5, 3}, 2)};
  CHECK(symmetry_error<Product<RowPermutation, ColumnPermutation>>(AdamW{}, gradients).worst <= 1e-15);
  CHECK(symmetry_error<RightOrthogonal>(AdamW{}, gradients).worst > 0.1);
  const std::vector<Matrix<double>> reversed(gradients.rbegin(), gradients.rend());
  CHECK(symmetry_error<RightOrthogonal>(AdamW{}, reversed).worst !=
        symmetry_error<RightOrthogonal>(AdamW{}, gradients).worst);
}

TEST_CASE("NaN, Inf and an output where none may be are infinitely wrong") {
  const Matrix<double> input = drawn({3, 3});
  const auto bad = [](double value) {
    return [value](const Matrix<double>& block) -> Matrix<double> {
      Matrix<double> result = block;
      result(1, 1) = value;
      return result;
    };
  };
  CHECK(symmetry_error<RightOrthogonal>(bad(std::nan("")), input).worst == infinity);
  CHECK(symmetry_error<RightOrthogonal>(bad(infinity), input).worst == infinity);
  // Zero where the input stands, not zero where it has been moved to.
  const Matrix<double> corner{{0, 1}, {0, 0}};
  const auto first_row_first = [](const Matrix<double>& block) -> Matrix<double> {
    return block(1, 0) * Matrix<double>::Ones(2, 2);
  };
  CHECK(symmetry_error<Product<RowPermutation, ColumnPermutation>>(first_row_first, corner).worst == 0);
  const Matrix<double> edge{{1, 0}, {0, 0}};
  CHECK(symmetry_error<RowPermutation>(first_row_first, edge).worst == infinity);
}

TEST_CASE("groups without generators, single lines, and the printed line") {
  CHECK(symmetry_error<Trivial>(Sign{}, drawn({2, 2})).generators.empty());
  CHECK(symmetry_error<Trivial>(Sign{}, drawn({2, 2})).worst == 0);
  CHECK(symmetry_error<RowPermutation>(Sign{}, drawn({1, 4})).generators.empty());
  CHECK(symmetry_error<Embedding>(RowNorm{}, drawn({4, 1})).worst <= 1e-15);
  CHECK(symmetry_error<SharedShift>(Sign{}, drawn({2, 2})).worst == 0);
  std::ostringstream text;
  text << SymmetryError{{{0, 0.25}, {1, 0.75}}, 0.75, 0.5} << '\n'
       << symmetry_error<Trivial>(Sign{}, drawn({2, 2}));
  CHECK(text.str() ==
        "symmetry error: worst 0.75 (generator 1 of 2), mean 0.5\n"
        "symmetry error: the group has no generators");
}

TEST_CASE("wrong inputs are refused") {
  CHECK_THROWS_WITH_AS(symmetry_error<RightOrthogonal>(Sign{}, std::vector<Matrix<double>>{}),
                       doctest::Contains("at least one input"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      symmetry_error<RightOrthogonal>(Sign{}, std::vector<Matrix<double>>{drawn({2, 3}), drawn({3, 2})}),
      doctest::Contains("2x3 and 3x2"), std::invalid_argument);
  const auto truncate = [](const Matrix<double>& block) -> Matrix<double> { return block.topRows(1); };
  CHECK_THROWS_WITH_AS(symmetry_error<RightOrthogonal>(truncate, drawn({2, 3})),
                       doctest::Contains("must keep the shape"), std::invalid_argument);
}

TEST_CASE("what is conserved is the mean along the shifts of the group") {
  const Matrix<double> weights{{1, 2, 3}, {3, 6, -1}};
  const Matrix<double> row{{2, 4, 1}};
  const Matrix<double> column{{2}, {8.0 / 3}};
  CHECK(conserved(LmHead{}, weights).mean_row == row);
  CHECK(conserved(LmHead{}, weights).mean_column.size() == 0);
  CHECK(conserved<LmHead>(weights).mean_row == row);
  CHECK(conserved<ColumnShift>(weights).mean_row.size() == 0);
  CHECK(relative_error(conserved<ColumnShift>(weights).mean_column, column) <= 1e-15);
  const auto both = conserved(Product<SharedShift, ColumnShift>{}, weights);
  CHECK(both.mean_row == row);
  CHECK(relative_error(both.mean_column, column) <= 1e-15);
  CHECK(conserved<Embedding>(weights).empty());
  CHECK(conserved<Trivial>(weights).empty());
  CHECK_FALSE(both.empty());
}

TEST_CASE("means of any expression, in double") {
  const Eigen::MatrixXf large = Eigen::MatrixXf::Constant(1 << 16, 2, 0.1F);
  const Matrix<double> mean = conserved<SharedShift>(large).mean_row;
  CHECK(std::abs(mean(0, 0) - static_cast<double>(0.1F)) <= 1e-14);
  CHECK(conserved<SharedShift>(2 * large.topRows(3)).mean_row(0, 1) == static_cast<double>(0.2F));
  CHECK(conserved<SharedShift>(Matrix<double>(0, 3)).mean_row == Matrix<double>::Zero(1, 3));
  CHECK(conserved<ColumnShift>(Matrix<double>(3, 0)).mean_column == Matrix<double>::Zero(3, 1));
}

TEST_CASE("a derived update conserves it and AdamW does not") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> start = gaussian_block({7, 4}, random);
  const auto drift_of = [&](auto optimizer) {
    Random gradients(default_seed + 1);
    Matrix<double> weights = start;
    for (int step = 0; step < 20; ++step)
      optimizer.step(weights, centred(gaussian_block({7, 4}, gradients), Side::left));
    return drift(conserved(LmHead{}, start), conserved(LmHead{}, weights));
  };
  const OptimizerOptions options{.learning_rate = 0.1};
  CHECK(drift_of(Optimizer<Update<LmHead>, double>(7, 4, options)) <= 1e-14);
  CHECK(drift_of(Optimizer<AdamW, double>(7, 4, options)) > 1e-3);
  CHECK(drift_of(Optimizer<RowNorm, double>(7, 4, options)) > 1e-3);
}

TEST_CASE("drift is a distance") {
  const Matrix<double> weights{{1, 2}, {3, 4}};
  Matrix<double> moved = weights;
  moved.rowwise() += Eigen::RowVector2d(3, 4);
  CHECK(drift(conserved<SharedShift>(weights), conserved<SharedShift>(moved)) == doctest::Approx(5));
  CHECK(drift(conserved<Embedding>(weights), conserved<Embedding>(moved)) == 0);
  std::ostringstream text;
  text << conserved<Product<SharedShift, ColumnShift>>(weights) << '\n' << conserved<Embedding>(weights);
  CHECK(text.str() == "mean row 2 3, mean column 1.5 3.5\nnothing is conserved");
}

}}  // namespace symmetry_error_test
