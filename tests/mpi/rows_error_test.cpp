// SPDX-License-Identifier: Apache-2.0
// What one rank finds wrong, all ranks refuse, with nothing changed on any; and each error says where and
// what.
#include "mpi/split_rows.hpp"

#include <symopt/group/head_rotations.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/per_head.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/polar/exact.hpp>

#include <concepts>
#include <limits>
#include <string>

namespace rows_error_test { namespace {

using namespace symopt;
using namespace symopt_test;

const Shape shape{400, 170};
const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1, .parameter = "head"};
const float inf = std::numeric_limits<float>::infinity();

/// The last rank that has rows.
int last_rank() {
  return rank_count() - 1;
}

/// The message of what step() throws on this rank; "" where nothing is.
template <class Exception>
std::string message_of(auto&& step) {
  try {
    step();
  } catch (const Exception& error) {
    return error.what();
  }
  return "";
}

/// A bad gradient on one rank after a good step, then the good gradient again: as if the bad one had not
/// been.
template <class Rule>
void check_refused(float bad) {
  Twins<Rule, float> twins(shape, promised_split(shape), options);
  const Matrix<float> good = gradient_of_kind<float>(0, shape, twins.random);
  twins.step(good);
  const Matrix<float> before = twins.weights;
  Matrix<float> gradient = rows_of(good, twins.range);
  if (own_rank() == last_rank()) gradient(gradient.rows() - 1, 3) = bad;
  const std::string message =
      message_of<NonFiniteGradient>([&] { twins.split_up.step(twins.weights, gradient); });
  CHECK(message.find("parameter 'head': the gradient of rank " + std::to_string(last_rank()) +
                     " has an Inf or NaN; nothing was changed on any rank") != std::string::npos);
  CHECK(same_bits(twins.weights, before));
  CHECK(twins.have_same_state());  // that of the gradients: the weights play no part
  CHECK(twins.split_up.steps() == 1);
  twins.step(good);
  constexpr bool is_polar = std::same_as<Rule, Update<HiddenMatrix>>;
  CHECK((is_polar ? twins.distance(Matrix<float>::Zero(shape.rows, shape.cols)) < 1e-4
                  : twins.have_same_weights()));
}

TEST_CASE("a gradient that is not finite on one rank is refused by all") {
  check_refused<Update<Embedding>>(inf);
  check_refused<Update<LmHead>>(std::numeric_limits<float>::quiet_NaN());
  check_refused<Update<HiddenMatrix>>(-inf);
  check_refused<AdamW>(inf);
  check_refused<Adaptive<LmHead>>(inf);
}

TEST_CASE("or skipped by all, and reported") {
  OptimizerOptions skipping = options;
  skipping.non_finite = NonFinite::skip;
  Twins<Update<LmHead>, float> twins(shape, promised_split(shape), skipping);
  Matrix<float> gradient = gradient_of_kind<float>(0, shape, twins.random);
  twins.step(gradient);
  const Matrix<float> before = twins.weights;
  gradient(shape.rows - 1, 0) = inf;
  const StepReport report = twins.split_up.step(twins.weights, rows_of(gradient, twins.range));
  CHECK(!report.applied);
  CHECK(report.step == 1);
  CHECK(same_bits(twins.weights, before));
}

/// A step that is near the end of the range on one rank alone: whether it stands is decided by all.
template <class Rule>
void check_careful(float entry, double rate, bool stands) {
  OptimizerOptions fast = options;
  fast.learning_rate = rate;
  if (!StatefulRule<Rule, float>) fast.momentum = 0;
  Twins<Rule, float> twins(shape, promised_split(shape), fast);
  Matrix<float> gradient = gradient_of_kind<float>(0, shape, twins.random);
  gradient(shape.rows - 1, 1) = entry;
  const Matrix<float> before = twins.weights;
  const Matrix<float> part = rows_of(gradient, twins.range);
  CAPTURE(stands);
  const auto of_one = message_of<NonFiniteGradient>([&] { twins.alone.step(twins.whole_weights, gradient); });
  const auto of_all = message_of<NonFiniteGradient>([&] { twins.split_up.step(twins.weights, part); });
  CHECK(of_one.empty() == stands);
  CHECK(of_all.empty() == stands);
  CHECK(twins.have_same_weights());
  if (!stands) CHECK(same_bits(twins.weights, before));
  if (!stands) CHECK(of_all.find("would make an Inf or NaN of finite numbers") != std::string::npos);
  // The sums of the momentum that a head keeps are made anew, on all ranks.
  twins.step(gradient_of_kind<float>(0, shape, twins.random));
  CHECK(twins.have_same_weights());
  CHECK(twins.have_same_state());
}

TEST_CASE("a step that may leave the range on one rank is judged by all") {
  check_careful<Update<LmHead>>(1e30F, 0.1, true);
  check_careful<Update<Trivial>>(1e30F, 0.1, true);
  check_careful<Update<Trivial>>(3e38F, 1e5, false);
  check_careful<Update<SharedShift>>(3e38F, 1e5, false);
  check_careful<Adaptive<LmHead>>(1e30F, 0.1, true);
}

TEST_CASE("a wrong argument on one rank throws on all") {
  Twins<Update<LmHead>, float> twins(shape, promised_split(shape), options);
  const Matrix<float> gradient = gradient_of_kind<float>(0, shape, twins.random);
  const Matrix<float> part = rows_of(gradient, twins.range), before = twins.weights;
  const bool is_wrong = own_rank() == last_rank();
  const Matrix<float> given = is_wrong ? Matrix<float>(part.topRows(part.rows() - 1)) : part;
  const std::string message = message_of<Error>([&] { twins.split_up.step(twins.weights, given); });
  CHECK(message.find("the shape of the gradient is") != std::string::npos);
  CHECK(message.find("nothing was changed on any rank") != std::string::npos);
  CHECK((message.find("rank " + std::to_string(last_rank()) + " refused its step") != std::string::npos) ==
        !is_wrong);
  CHECK(same_bits(twins.weights, before));
  twins.step(gradient);
  CHECK(twins.have_same_weights());
}

template <class Rule = Update<LmHead>>
std::string construction_error(Index rows, Index cols, const OptimizerOptions& given, const Rule& rule = {}) {
  return message_of<Error>([&] { mpi::RowOptimizer<Rule>(MPI_COMM_WORLD, rows, cols, given, rule); });
}

TEST_CASE("ranks that were given different things are told apart when the optimizer is made") {
  const bool is_last = own_rank() == last_rank();
  OptimizerOptions other = options;
  if (is_last) other.learning_rate = 0.2;
  const std::string of_options = construction_error(10, 8, other);
  const std::string of_columns = construction_error(10, is_last ? 9 : 8, options);
  const std::string of_rules =
      construction_error<RowNorm>(10, 8, options, RowNorm{.eps = is_last ? 1e-6 : 1e-8});
  if (rank_count() == 1) {
    CHECK(of_options + of_columns + of_rules == "");
    return;
  }
  const std::string last = "but rank " + std::to_string(last_rank()) + " has ";
  for (const std::string& message : {of_options, of_columns, of_rules}) {
    CHECK(message.find("parameter 'head': the ranks that share its rows differ: rank 0 has 8 columns") !=
          std::string::npos);
    CHECK(message.find(last) != std::string::npos);
  }
  CHECK(of_options.find("learning_rate=0.2") != std::string::npos);
  CHECK(of_columns.find(last + "9 columns") != std::string::npos);
  CHECK(of_rules.find("RowNorm.eps=1e-06") != std::string::npos);
}

TEST_CASE("a time-out that is none on one rank throws on all") {
  const double wrong = own_rank() == last_rank() ? -1 : 600;
  const std::string message = message_of<Error>(
      [&] { mpi::RowOptimizer<Update<LmHead>>(MPI_COMM_WORLD, 3, 8, options, {}, {.timeout = wrong}); });
  CHECK(message.find("the time-out is -1") != std::string::npos);
}

TEST_CASE("options out of range on one rank, and parted heads, throw on all") {
  OptimizerOptions wrong = options;
  if (own_rank() == last_rank()) wrong.momentum = 2;
  CHECK(construction_error(10, 8, wrong).find("momentum is 2") != std::string::npos);
  CHECK(construction_error(own_rank() == last_rank() ? -1 : 3, 8, options).find("cannot be -1x8") !=
        std::string::npos);
  using Heads = Update<Product<HeadRotations<Side::left, 4>, RightOrthogonal>>;
  CHECK(construction_error<Heads>(8, 8, options) == "");
  const std::string parted = construction_error<Heads>(6, 8, options);
  CHECK(parted.find("part a head of 4 rows; split the rows with row_partition(shape, ranks, 4)") !=
        std::string::npos);
}

/// A rule of one's own that nobody has told of ranks.
struct Halved {
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return typename Derived::Scalar(0.5) * block;
  }
};

TEST_CASE("rules that cannot be split are known when they are compiled") {
  using symopt::detail::can_split_rows;
  CHECK(can_split_rows<Update<LmHead>, float>());
  CHECK(can_split_rows<Update<HiddenMatrix>, double>());
  CHECK(can_split_rows<AdamW, float>());
  CHECK(!can_split_rows<Halved, float>());
  CHECK(!can_split_rows<Update<HiddenMatrix, Spectral<polar::Exact>>, float>());
  CHECK(!can_split_rows<Update<HiddenMatrix, DualNorm<Spectral<>>>, float>());
  CHECK(!can_split_rows<Update<SwigluOutput, Then<ColumnNorm, Spectral<>>>, float>());
  CHECK(!can_split_rows<HeadSpectral<Side::right, 4>, float>());
}

}}  // namespace rows_error_test
