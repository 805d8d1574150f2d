// SPDX-License-Identifier: Apache-2.0
// How an Update is called: on any expression, into any memory, with its options checked.
#include "support/coupled_inverse_root.hpp"
#include "support/inputs.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

namespace update_interface_test { namespace {

using namespace symopt;
using namespace symopt_test;

using ColumnMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;
using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
using Hybrid = Then<RowNorm, DualNorm<Spectral<>>>;

TEST_CASE_TEMPLATE("an update takes any dense expression", Rule, Update<LmHead>, Update<HiddenMatrix>,
                   Update<SwigluOutput>, Update<LmHead, Hybrid>,
                   Update<Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>>) {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Rule update;
  const Matrix<double> m = gaussian_block({7, 5}, random);
  const Matrix<double> before = m;
  const Matrix<double> expected = update(m);
  CHECK(same_bits(m, before));
  CHECK(same_bits(update(m), expected));

  const ColumnMajor column_major = m;
  CHECK(same_bits(update(column_major), expected));
  CHECK(same_bits(update(0.5 * m + 0.5 * m), expected));
  const Matrix<double> transposed_copy = m.transpose();
  CHECK(same_bits(update(transposed_copy.transpose()), expected));
  Matrix<double> larger = Matrix<double>::Constant(9, 8, 3);
  larger.block(1, 2, 7, 5) = m;
  CHECK(same_bits(update(larger.block(1, 2, 7, 5)), expected));
  CHECK(same_bits(update(ConstMatrixRef<double>(larger.block(1, 2, 7, 5))), expected));
  const Eigen::Matrix<double, 7, 5> fixed = m;
  CHECK(same_bits(update(fixed), expected));
}

TEST_CASE_TEMPLATE("an update writes into the caller's memory, which may be its input", Rule, Update<LmHead>,
                   Update<HiddenMatrix>, Update<SwigluOutput>, Update<LmHead, Hybrid>) {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Rule update;
  const Matrix<double> m = gaussian_block({7, 5}, random);
  const Matrix<double> expected = update(m);

  Matrix<double> direction(7, 5);
  const double* memory = direction.data();
  update(m, direction);
  CHECK(direction.data() == memory);
  CHECK(same_bits(direction, expected));

  Matrix<double> in_place = m;
  update(in_place, in_place);
  CHECK(same_bits(in_place, expected));

  ColumnMajor column_major(7, 5);
  update(m, column_major);
  CHECK(relative_error(column_major, expected) <= 1e-13);
  ColumnMajor column_major_in_place = m;
  update(column_major_in_place, column_major_in_place);
  CHECK(relative_error(column_major_in_place, expected) <= 1e-13);

  Matrix<double> larger = Matrix<double>::Constant(9, 8, 3);
  update(m, larger.block(1, 2, 7, 5));
  CHECK(same_bits(larger.block(1, 2, 7, 5), expected));
  larger.block(1, 2, 7, 5).setConstant(3);
  CHECK(larger == Matrix<double>::Constant(9, 8, 3));

  std::vector<double> scattered(7 * 5 * 2, 3);
  Eigen::Map<Matrix<double>, 0, Strides> every_other(scattered.data(), 7, 5, Strides(10, 2));
  update(m, every_other);
  CHECK(same_bits(Matrix<double>(every_other), expected));
  for (std::size_t i = 1; i < scattered.size(); i += 2) CHECK(scattered[i] == 3);
}

TEST_CASE("a direction of another shape is refused with both shapes") {
  const Update<LmHead> update;
  const Matrix<double> m = Matrix<double>::Ones(4, 3);
  Matrix<double> direction(3, 4);
  CHECK_THROWS_WITH_AS(update(m, direction), doctest::Contains("3x4"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(update(m, direction), doctest::Contains("4x3"), std::invalid_argument);
}

TEST_CASE("options of a normalization out of range are refused when the update is made") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refuses = [](const auto& make, const char* name) {
    CHECK_THROWS_WITH_AS(make(), doctest::Contains(name), std::invalid_argument);
  };
  for (const double eps : {-1.0, nan, infinity}) {
    refuses([=] { return Update<LmHead>(RowNorm{.eps = eps}); }, "eps");
    refuses([=] { return Update<SwigluOutput>(ColumnNorm{.eps = eps}); }, "eps");
    refuses([=] { return RowNorm{.eps = eps}(Matrix<double>::Ones(2, 2)); }, "eps");
    refuses(
        [=] {
          return Update<LmHead, Then<RowNorm, Spectral<>>>({RowNorm{.eps = eps}, Spectral<>{}});
        },
        "eps");
  }
  for (const double alpha : {nan, infinity, -infinity})
    refuses([=] { return Update<HiddenMatrix, DualNorm<Spectral<>>>({.alpha = alpha}); }, "alpha");
  using polar::NewtonSchulz;
  using polar::PolarExpress;
  const auto spectral = [](auto method) {
    return [=] { return Update<HiddenMatrix, Spectral<decltype(method)>>({method}); };
  };
  refuses(spectral(PolarExpress{.steps = 0}), "steps");
  refuses(spectral(PolarExpress{.safety = 0.5}), "safety");
  refuses(spectral(PolarExpress{.safety = nan}), "safety");
  refuses(spectral(PolarExpress{.eps = -1}), "eps");
  refuses(spectral(NewtonSchulz{.steps = -1}), "steps");
  refuses(spectral(NewtonSchulz{.safety = infinity}), "safety");
  refuses(spectral(polar::Exact{.cutoff = 1}), "cutoff");
  refuses(spectral(polar::Exact{.cutoff = -0.1}), "cutoff");
  refuses(spectral(polar::Exact{.cutoff = nan}), "cutoff");
  refuses(spectral(polar::CoupledNewtonSchulz{.eps = 0}), "eps");
  refuses(spectral(polar::GramNewtonSchulz{.steps = 0}), "steps");
  refuses(spectral(polar::GramNewtonSchulz{.restart_after = -2}), "restart_after");
  refuses(spectral(polar::Zolotarev{.terms = 0}), "terms");
  refuses(spectral(polar::Zolotarev{.terms = 9}), "terms");
  refuses(spectral(polar::Zolotarev{.lower_bound = 0}), "lower_bound");
  refuses(spectral(polar::Zolotarev{.lower_bound = nan}), "lower_bound");
  refuses(spectral(polar::CoupledPolarExpress{.steps = 0}), "steps");
  CHECK_THROWS_AS(polar::QuinticList({}), std::invalid_argument);
}

TEST_CASE("heads that do not fill a block are refused with the shape") {
  const Matrix<float> m = Matrix<float>::Ones(6, 5);
  CHECK_THROWS_WITH_AS((HeadSpectral<Side::left, 4>{}(m)), doctest::Contains("6x5"), std::invalid_argument);
  CHECK_THROWS_WITH_AS((Update<HeadRotations<Side::right, 2>>{}(m)), doctest::Contains("6x5"),
                       std::invalid_argument);
  CHECK_NOTHROW((HeadSpectral<Side::left, 3>{}(m)));
}

TEST_CASE("an update keeps its normalization's options") {
  const Update<LmHead> update(RowNorm{.eps = 0.5});
  CHECK(update.normalization().eps == 0.5);
  const Matrix<double> m{{2, 0}, {-2, 0}};
  CHECK(update(m)(0, 0) == doctest::Approx(2 / 2.5));
}

/// A user's normalization in the two forms: callable only, and in place with a mirror.
struct ScaledBySum {
  using largest_group = Product<RowPermutation, ColumnPermutation>;
  template <class Block>
  Matrix<typename Block::Scalar> operator()(const Block& block) const {
    const typename Block::Scalar sum = block.sum();
    return block / (1 + sum * sum);
  }
};
struct FirstColumnKept {
  using largest_group = RowPermutation;
  template <class Block>
  Matrix<typename Block::Scalar> operator()(const Block& block) const {
    Matrix<typename Block::Scalar> result = Matrix<typename Block::Scalar>::Zero(block.rows(), block.cols());
    if (block.cols() > 0) result.col(0) = block.col(0);
    return result;
  }
};

TEST_CASE("a user's callable normalization works alone, in stages and in either storage order") {
  CAPTURE(default_seed);
  Random random(default_seed);
  const Matrix<double> m = gaussian_block({4, 3}, random);
  CHECK(relative_error(Update<RowPermutation, ScaledBySum>{}(m), ScaledBySum{}(m)) <= 1e-15);
  const Update<Product<RowPermutation, SharedShift>, Then<FirstColumnKept, DualNorm<RowNorm>>> update;
  const Matrix<double> first = FirstColumnKept{}(centred(m, Side::left));
  const Matrix<double> expected = centred(DualNorm<RowNorm>{}(first), Side::left);
  CHECK(relative_error(update(m), expected) <= 1e-14);
  ColumnMajor column_major(4, 3);
  update(m, column_major);
  CHECK(relative_error(column_major, expected) <= 1e-14);
}

}}  // namespace update_interface_test
