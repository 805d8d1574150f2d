// SPDX-License-Identifier: Apache-2.0
// After its construction an optimizer allocates nothing.
#include "support/allocation_suite.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace allocation_test { namespace {

using namespace symopt;
using namespace symopt_test;

TEST_CASE("the counter sees operator new, aligned new and Eigen's memory") {
  CHECK(counted([] { CHECK(std::make_unique<int>(3) != nullptr); }) >= 1);
  CHECK(counted([] {
          auto* memory = ::operator new (64, std::align_val_t{64});
          CHECK(memory != nullptr);
          ::operator delete (memory, std::align_val_t{64});
        }) >= 1);
  CHECK(counted([] { CHECK(Matrix<double>::Zero(5, 5).eval().data() != nullptr); }) >= 1);
  volatile int sum = 0;
  CHECK(counted([&] { sum = sum + 1; }) == 0);
}

TEST_CASE_TEMPLATE("rules without products allocate nothing at any size, in every storage order", Scalar,
                   float, double) {
  for (const Shape shape : {small, transposed(small), large}) {
    check_steps<Update<Embedding>, Scalar>(shape, usual, {});
    check_steps<Update<LmHead>, Scalar>(shape, usual, {});
    check_steps<Update<LmHead>, Scalar>(shape, horizontal, {});
    check_steps<Sign, Scalar>(shape, usual, {});
    check_steps<AdamW, Scalar>(shape, {.weight_decay = 0.1}, {});
    check_steps<Adaptive<LmHead>, Scalar>(shape, horizontal, {});
  }
}

TEST_CASE("the other norms and projections allocate nothing either") {
  using BothShifts = Product<RowPermutation, ColumnPermutation, SharedShift, ColumnShift>;
  check_steps<Update<SwigluOutput>, float>(large, usual, {});
  check_steps<Update<SwigluOutput>, double>(small, usual, {});
  check_steps<Update<BothShifts>, float>(large, horizontal, {});
  check_steps<Adaptive<BothShifts>, float>(large, horizontal, {});
  check_steps<Adaptive<SwigluOutput>, float>(large, {.weight_decay = 0.1}, {});
  check_steps<Update<BothShifts, DualNorm<FrobeniusNorm>>, double>(small, usual, {});
}

TEST_CASE("a rule that is only callable allocates its result, as documented") {
  const auto halve = [](const Matrix<double>& block) -> Matrix<double> { return 0.5 * block; };
  const long count =
      allocations_of_steps<decltype(halve), double, Eigen::RowMajor, Eigen::RowMajor>(small, {}, halve);
  CHECK(count >= 3);
}

TEST_CASE(
    "weights may change their storage order between steps without an allocation, after one step in each") {
  Matrix<float> rows = Matrix<float>::Ones(24, 16);
  Eigen::MatrixXf columns = rows;
  const Matrix<float> gradient = Matrix<float>::Ones(24, 16);
  Optimizer<Update<LmHead>> optimizer(24, 16);
  const auto steps = [&] {
    optimizer.step(rows, gradient);
    optimizer.step(columns, gradient);
    optimizer.step(rows, gradient);
  };
  CHECK(counted(steps) > 0);
  CHECK(counted(steps) == 0);
}

}}  // namespace allocation_test
