// SPDX-License-Identifier: Apache-2.0
// A block whose rows several ranks share steps as one process steps it, to the bit.
#include "mpi/split_rows.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace rows_test { namespace {

using namespace symopt;
using namespace symopt_test;

const Shape many_chunks{600, 230};   // five: some for each of four ranks
const Shape three_chunks{400, 170};  // fewer than ranks
const Shape one_piece{60, 25}, one_row{1, 9}, few_rows{3, 5}, no_rows{0, 4}, no_columns{5, 0};

/// Steps of gradients of these kinds, one after the other.
template <class Rule, class Scalar>
void check_bits(Shape shape, const Split& split, const OptimizerOptions& options,
                std::initializer_list<int> kinds) {
  CAPTURE(symopt::to_string(shape));
  Twins<Rule, Scalar> twins(shape, split, options);
  for (const int kind : kinds) {
    CAPTURE(kind);
    twins.step(gradient_of_kind<Scalar>(kind, shape, twins.random));
    CHECK(twins.have_same_weights());
  }
  CHECK(twins.have_same_state());
  CHECK(twins.alone.steps() == twins.split_up.steps());
}

const OptimizerOptions plain{.learning_rate = 0.1, .weight_decay = 0.1};

/// Where rows need each other: the promised split.
template <class Rule, class Scalar = float>
void check_promised(const OptimizerOptions& options = plain) {
  check_bits<Rule, Scalar>(many_chunks, promised_split(many_chunks), options, {0});
  check_bits<Rule, Scalar>(three_chunks, promised_split(three_chunks), options, {3, 0});
  for (const Shape shape : {one_piece, one_row, no_rows, no_columns})
    check_bits<Rule, Scalar>(shape, promised_split(shape), options, {0, 2});
}
/// Where they do not: any split.
template <class Rule, class Scalar = float>
void check_any(const OptimizerOptions& options = plain) {
  for (const Shape shape : {one_piece, one_row, few_rows, no_rows, no_columns})
    for (const Split& split : {uneven_split(shape), lopsided_split(shape), promised_split(shape)})
      check_bits<Rule, Scalar>(shape, split, options, {1, 2, 3, 4, 0});
}

OptimizerOptions with_nesterov() {
  OptimizerOptions options = plain;
  options.nesterov = true;
  options.scale = Scale::match_rms;
  return options;
}
OptimizerOptions with_horizontal_decay() {
  OptimizerOptions options = plain;
  options.decay = Decay::horizontal;
  return options;
}

TEST_CASE("rules of rows and entries: the bits of one process, at any split") {
  check_any<Update<Embedding>>(with_nesterov());
  check_any<Update<Product<RowPermutation, ColumnPermutation>>>();
  check_any<Identity, double>();
  check_any<AdamW>();
  check_any<Adaptive<Embedding>>();
  check_any<Adaptive<Trivial>>();
}

TEST_CASE("a shared shift: the bits of one process") {
  check_promised<Update<LmHead>>(with_nesterov());
  check_promised<Update<Router>, double>(with_horizontal_decay());
  check_promised<Adaptive<LmHead>>(with_horizontal_decay());
}

TEST_CASE("norms and second moments of columns and of the block: the bits of one process") {
  check_promised<Update<SwigluOutput>>(with_nesterov());
  check_promised<Update<SwigluOutput>, double>();
  check_promised<Update<HiddenMatrix, FrobeniusNorm>, double>(with_nesterov());
  check_promised<Adaptive<SwigluOutput>>();
  check_promised<Adaptive<HiddenMatrix, moments::Block>, double>();
}

TEST_CASE("a projection among other stages goes from rank to rank: the bits of one process, at any split") {
  check_any<Update<SharedShift>>(with_horizontal_decay());
  check_any<Update<SharedShift>, double>();
  check_any<Adaptive<SharedShift>>();
}

TEST_CASE("moments of columns are the same on all ranks, and those of one process") {
  const Shape shape = many_chunks;
  Twins<Adaptive<SwigluOutput>, float> twins(shape, promised_split(shape), plain);
  for (int step = 0; step < 3; ++step) twins.step(gradient_of_kind<float>(0, shape, twins.random));
  CHECK(twins.split_up.state().root_mean_squares() == twins.alone.state().root_mean_squares());
}

TEST_CASE("a split beside the chunks has other bits, by rounding alone, and ranks agree") {
  const Shape shape = many_chunks;
  Twins<Update<LmHead>, float> twins(shape, uneven_split(shape), plain);
  const Matrix<float> start = twins.whole_weights;
  for (int step = 0; step < 3; ++step) twins.step(gradient_of_kind<float>(0, shape, twins.random));
  CHECK(twins.distance(start) < 1e-5);
}

TEST_CASE("weights in bfloat16, in halves and with a copy") {
  const Shape shape = many_chunks;
  const Split split = promised_split(shape);
  const mpi::RowRange own = own_rows(split);
  const Shape part{own.end - own.begin, shape.cols};
  Random random(default_seed);
  const Matrix<bfloat16> start =
      quick_block<float>(shape, random).unaryExpr([](float x) { return to_bfloat16(x); });
  Matrix<bfloat16> whole = start, high = rows_of(start, own), rounded = high, copy(part.rows, part.cols);
  Matrix<std::uint16_t> low = Matrix<std::uint16_t>::Zero(part.rows, part.cols);
  Matrix<float> floats = start.unaryExpr([](bfloat16 x) { return to_float(x); });
  Matrix<float> own_floats = rows_of(floats, own);
  Optimizer<Update<LmHead>> of_rounded(shape.rows, shape.cols, plain),
      of_floats(shape.rows, shape.cols, plain);
  mpi::RowOptimizer<Update<LmHead>> by_rounded(MPI_COMM_WORLD, part.rows, part.cols, plain);
  mpi::RowOptimizer<Update<LmHead>> by_halves(MPI_COMM_WORLD, part.rows, part.cols, plain);
  mpi::RowOptimizer<Update<LmHead>> by_floats(MPI_COMM_WORLD, part.rows, part.cols, plain);
  for (int step = 0; step < 2; ++step) {
    const Matrix<float> gradient = quick_block<float>(shape, random);
    const Matrix<float> part_of_it = rows_of(gradient, own);
    of_rounded.step(whole, gradient);
    of_floats.step(floats, gradient);
    by_rounded.step(rounded, part_of_it);
    by_halves.step(split_weights(high, low), part_of_it);
    by_floats.step(own_floats, part_of_it, copy);
  }
  const auto as_floats = [](const auto& block) {
    return block.unaryExpr([](bfloat16 x) { return to_float(x); }).eval();
  };
  CHECK(same_bits(as_floats(rounded), as_floats(rows_of(whole, own))));
  CHECK(same_bits(own_floats, rows_of(floats, own)));
  CHECK(same_bits(as_floats(copy),
                  own_floats.unaryExpr([](float x) { return to_float(to_bfloat16(x)); }).eval()));
  for (Index i = 0; i < part.rows; ++i)
    for (Index j = 0; j < part.cols; ++j) {
      const auto bits = std::bit_cast<std::uint32_t>(own_floats(i, j));
      if (high(i, j).value != bits >> 16 || low(i, j) != (bits & 0xffffU))
        FAIL("the halves differ at ", i, ", ", j);
    }
}

TEST_CASE("a gradient in columns, with gaps, or as a formula") {
  const Shape shape = three_chunks;
  const Split split = promised_split(shape);
  Twins<Update<LmHead>, float> twins(shape, split, plain);
  const Matrix<float> gradient = quick_block<float>(shape, twins.random);
  twins.alone.step(twins.whole_weights, gradient);
  twins.alone.step(twins.whole_weights, 2 * gradient);
  const Eigen::MatrixXf columns = rows_of(gradient, twins.range);
  twins.split_up.step(twins.weights, columns);
  twins.split_up.step(twins.weights, 2 * rows_of(gradient, twins.range));
  CHECK(twins.have_same_weights());
}

TEST_CASE("the learning rate, its factor, momentum and decay change between steps") {
  const Shape shape = three_chunks;
  Twins<Update<LmHead>, float> twins(shape, promised_split(shape), plain);
  const auto change = [](auto& optimizer) {
    optimizer.set_learning_rate(0.03);
    optimizer.set_schedule_factor(0.5);
    optimizer.set_momentum(0.8);
    optimizer.set_weight_decay(0.3);
  };
  twins.step(gradient_of_kind<float>(0, shape, twins.random));
  change(twins.alone);
  change(twins.split_up);
  twins.step(gradient_of_kind<float>(0, shape, twins.random));
  CHECK(twins.have_same_weights());
}

/// Folds what a rank has, and lets MPI add the ranks' sums.
struct SumByMpi : mpi::detail::RowReduction<float> {
  using mpi::detail::RowReduction<float>::RowReduction;
  mutable std::vector<double> total;

  kernel::Lines gathered(const kernel::Lines& own) const {
    total.assign(static_cast<std::size_t>(own.size), 0.0);
    if (own.count > 0) std::copy_n(kernel::sum_in_place(own), own.size, total.begin());
    MPI_Allreduce(MPI_IN_PLACE, total.data(), static_cast<int>(own.size), MPI_DOUBLE, MPI_SUM,
                  MPI_COMM_WORLD);
    return {total.data(), 1, own.size, own.size};
  }
};

TEST_CASE("a sum by MPI would not have the bits of one process") {
  const Shape shape{1300, 230};
  Random random(default_seed);
  const Matrix<float> whole = quick_block<float>(shape, random);
  const mpi::RowRange own = own_rows(promised_split(shape));
  const Matrix<float> part = rows_of(whole, own);
  const auto sums_of = [](const Matrix<float>& block, const auto& reduction) {
    kernel::ColumnSums sums(Shape{block.rows(), block.cols()});
    const auto add = [&](kernel::Range rows, double* line) {
      for (Index i = rows.begin; i < rows.end; ++i)
        for (Index j = 0; j < block.cols(); ++j) line[j] += std::pow(double(block(i, j)), 2);
    };
    const double* line = sums.over({block.rows(), block.cols()}, add, reduction);
    return std::vector<double>(line, line + block.cols());
  };
  const mpi::detail::RowRanks ranks(MPI_COMM_WORLD);
  const Shape part_shape{part.rows(), part.cols()};
  const auto alone = sums_of(whole, kernel::NoReduction{});
  CHECK(sums_of(part, mpi::detail::RowReduction<float>(ranks, part_shape, "block")) == alone);
  const auto by_mpi = sums_of(part, SumByMpi(ranks, part_shape, "block"));
  Index differing = 0;
  for (std::size_t j = 0; j < alone.size(); ++j) {
    CHECK(by_mpi[j] == doctest::Approx(alone[j]).epsilon(1e-12));
    differing += by_mpi[j] != alone[j] ? 1 : 0;
  }
  CHECK(differing > (rank_count() > 1 ? shape.cols / 4 : -1));
}

TEST_CASE("the split of rows falls on chunks, and gives all ranks as many or one more") {
  for (const Shape shape : {Shape{50304, 768}, Shape{2000, 70}, Shape{100000, 1}, Shape{40, 100000},
                            Shape{7, 3}, Shape{0, 5}, Shape{5, 0}})
    for (const int ranks : {1, 2, 3, 4, 64, 100}) {
      CAPTURE(symopt::to_string(shape));
      CAPTURE(ranks);
      const Split split = mpi::row_partition(shape, ranks);
      REQUIRE(split.size() == static_cast<std::size_t>(ranks));
      CHECK(split.front().begin == 0);
      CHECK(split.back().end == shape.rows);
      const kernel::Chunks chunks = kernel::reduction_chunks(shape);
      Index fewest = shape.rows, most = 0;
      for (std::size_t r = 0; r < split.size(); ++r) {
        if (r > 0) CHECK(split[r].begin == split[r - 1].end);
        CHECK((split[r].begin % chunks.rows_in_chunk == 0 || split[r].begin == shape.rows));
        const Index count = (split[r].end - split[r].begin + chunks.rows_in_chunk - 1) / chunks.rows_in_chunk;
        fewest = std::min(fewest, count);
        most = std::max(most, count);
      }
      if (shape.rows * shape.cols > 65536) {
        CHECK(most <= fewest + 1);
      } else {
        CHECK(split.back().begin == 0);
      }
    }
  const Split heads = mpi::row_partition({12, 64}, 3, 4);
  CHECK(heads[1].begin == 4);
  CHECK(heads[1].end == 8);
  CHECK_THROWS_WITH_AS(mpi::row_partition({12, 64}, 3, 5), doctest::Contains("5 rows together"), Error);
  CHECK_THROWS_WITH_AS(mpi::row_partition({12, 64}, 0), doctest::Contains("0 ranks"), Error);
  CHECK_THROWS_WITH_AS(mpi::row_partition({-1, 64}, 1), doctest::Contains("cannot be -1x64"), Error);
}

}}  // namespace rows_test
