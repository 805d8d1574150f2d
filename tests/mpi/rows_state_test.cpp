// SPDX-License-Identifier: Apache-2.0
// The state of a block whose rows several ranks share: its file is that of one process, byte for byte, and
// loads at any number of ranks and at any split; what one rank refuses all refuse.
#include "mpi/shared_file.hpp"
#include "mpi/split_rows.hpp"

#include <symopt/group/head_rotations.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/interop/mpi/row_state.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace rows_state_test { namespace {

using namespace symopt;
using namespace symopt_test;

const OptimizerOptions plain{.learning_rate = 0.1, .weight_decay = 0.1, .parameter = "head"};

template <class Rule, class Scalar>
mpi::RowOptimizer<Rule, Scalar> rows_optimizer(Shape shape, const Split& split) {
  return {MPI_COMM_WORLD, own_rows(split).end - own_rows(split).begin, shape.cols, plain};
}

/// The bytes that the ranks would write to a file, without the time that a disk takes.
std::string saved(auto& split_up) {
  std::string bytes;
  mpi::detail::save_state_to(
      mpi::detail::RowsState(split_up), {}, "nothing was saved",
      [&](mpi::detail::Failure& failure) { return mpi::detail::BytesOfAll(bytes, failure); });
  return mpi::detail::RowRanks(MPI_COMM_WORLD).text_of(0, bytes);
}
/// Loads what would be a file of these bytes.
interop::LoadReport load(auto& split_up, const std::string& file, interop::LoadOptions options = {}) {
  return mpi::detail::load_state_from(mpi::detail::RowsState(split_up), "file", options, [&] {
    const auto bytes = std::as_bytes(std::span(file));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  });
}

/// A file after two steps, of ranks and of one process, and the next step after each is loaded elsewhere.
template <class Rule, class Scalar = float>
void check(Shape shape, const Split& split, bool goes_on_alike = true) {
  CAPTURE(symopt::to_string(shape));
  Twins<Rule, Scalar> twins(shape, split, plain), resumed(shape, split, plain);
  for (int step = 0; step < 2; ++step) {
    twins.alone.set_schedule_factor(0.5 / (step + 1));
    twins.split_up.set_schedule_factor(0.5 / (step + 1));
    twins.step(quick_block<Scalar>(shape, twins.random));
  }
  const std::string file = interop::state_bytes(twins.alone);
  CHECK((saved(twins.split_up) == file));

  // Rows that move to other ranks: load and save alone.
  for (const Split& other : {uneven_split(shape), lopsided_split(shape)}) {
    if (symopt::detail::rows_together<Rule, Scalar>(Rule{}) > 1) break;
    auto moved = rows_optimizer<Rule, Scalar>(shape, other);
    CHECK(load(moved, file).steps == 2);
    CHECK((saved(moved) == file));
  }

  resumed.weights = twins.weights;
  resumed.whole_weights = twins.whole_weights;
  CHECK(load(resumed.split_up, file).steps == 2);
  CHECK(resumed.split_up.steps() == 2);
  CHECK(resumed.split_up.schedule_factor() == 0.25);
  const std::string of_ranks = saved(twins.split_up);
  (void)interop::load_state_bytes(resumed.alone, std::as_bytes(std::span(of_ranks)));
  const Matrix<Scalar> gradient = quick_block<Scalar>(shape, twins.random);
  twins.step(gradient);
  resumed.step(gradient);
  CHECK(same_bits(resumed.weights, twins.weights));
  CHECK(same_bits(resumed.whole_weights, twins.whole_weights));
  if (goes_on_alike) CHECK(resumed.have_same_weights());
  CHECK((saved(resumed.split_up) == interop::state_bytes(twins.alone)));
}

const Shape three_chunks{400, 170}, one_piece{60, 25}, no_rows{0, 4}, no_columns{5, 0};

template <class Rule, class Scalar = float>
void check_promised() {
  for (const Shape shape : {three_chunks, one_piece, no_rows, no_columns})
    check<Rule, Scalar>(shape, promised_split(shape));
}
/// Splits among which a rank has as many rows as there are columns.
template <class Rule, class Scalar = float>
void check_any() {
  for (const Shape shape : {Shape{6, 2}, Shape{30, 7}, no_rows})
    for (const Split& split : {uneven_split(shape), lopsided_split(shape)}) check<Rule, Scalar>(shape, split);
}

TEST_CASE("momenta: the file of one process, and back") {
  check_any<Update<Embedding>>();
  check_promised<Update<LmHead>>();
  check_any<Update<SharedShift>, double>();
}

TEST_CASE("second moments of entries, rows, columns and the block: the file of one process, and back") {
  check_any<AdamW>();
  check_any<Adaptive<Trivial>, double>();
  check_any<Adaptive<Embedding>>();
  check_promised<Adaptive<LmHead>>();
  check_promised<Adaptive<SwigluOutput>>();
  check_promised<Adaptive<HiddenMatrix, moments::Block>, double>();
}

TEST_CASE("moments of as many columns as a rank has rows lie whole on every rank") {
  const Shape shape{6, 2};  // of which two ranks have 2 and 4 rows
  Optimizer<Adaptive<SwigluOutput>> alone(shape.rows, shape.cols, plain);
  Random random(default_seed);
  Matrix<float> weights = quick_block<float>(shape, random);
  alone.step(weights, quick_block<float>(shape, random));
  for (const Split& split : {uneven_split(shape), lopsided_split(shape), promised_split(shape)}) {
    auto moved = rows_optimizer<Adaptive<SwigluOutput>, float>(shape, split);
    load(moved, interop::state_bytes(alone));
    CHECK(moved.state().root_mean_squares() == alone.state().root_mean_squares());
    CHECK((saved(moved) == interop::state_bytes(alone)));
  }
}

TEST_CASE("polar factors, whose momentum has the bits of one process, and heads") {
  for (const Shape shape : {Shape{36, 12}, Shape{12, 36}})
    check<Update<HiddenMatrix>>(shape, uneven_split(shape), false);
  const Shape shape{96, 40};
  check<Update<Product<HeadRotations<Side::left, 8>, RightOrthogonal>>>(shape, promised_split(shape, 8));
}

TEST_CASE("a file with arrays longer than a message") {
  const Shape shape{700, 400};  // 1.1 MB, all but a row of them on the last rank
  Twins<Update<Embedding>, float> twins(shape, lopsided_split(shape), plain);
  twins.step(quick_block<float>(shape, twins.random));
  const SharedFile file("rows");
  mpi::save_state(twins.split_up, file.path);
  CHECK((contents(file.path) == interop::state_bytes(twins.alone)));
  auto moved = rows_optimizer<Update<Embedding>, float>(shape, uneven_split(shape));
  CHECK(mpi::load_state(moved, file.path).steps == 1);
  CHECK(same_bits(moved.momentum(), rows_of(twins.alone.momentum(), moved.rows())));
}

TEST_CASE("rates come with the state, or stay") {
  auto optimizer = rows_optimizer<AdamW, float>(one_piece, promised_split(one_piece));
  optimizer.set_learning_rate(0.25);
  optimizer.set_schedule_factor(0.125);
  const std::string file = saved(optimizer);
  auto other = rows_optimizer<AdamW, float>(one_piece, promised_split(one_piece));
  load(other, file, {.keep_rates = true});
  CHECK(other.options().learning_rate == 0.1);
  CHECK(other.schedule_factor() == 1);
  load(other, file);
  CHECK(other.options().learning_rate == 0.25);
  CHECK(other.schedule_factor() == 0.125);
}

/// A file after a step, and an optimizer after two, which refuses things.
template <class Rule>
struct Refusing {
  Shape shape{90, 20};
  Twins<Rule, float> twins{shape, uneven_split(shape), plain};
  std::string file, before;

  Refusing() {
    twins.step(quick_block<float>(shape, twins.random));
    file = saved(twins.split_up);
    twins.step(quick_block<float>(shape, twins.random));
    before = saved(twins.split_up);
  }
  /// All ranks throw, and their messages have these words; nothing has changed.
  void check_refused(const auto& load_or_save, const char* words) {
    CHECK_THROWS_WITH(load_or_save(), doctest::Contains(words));
    CHECK((saved(twins.split_up) == before));
    CHECK(twins.split_up.steps() == 2);
  }
};

/// Puts a number in the place of the last one of an array of a file.
std::string with_last(std::string file, const std::string& array, float number) {
  const interop::Safetensors parsed(std::as_bytes(std::span(file)), "file");
  const auto bytes = parsed.tensors().at(array).bytes;
  const auto last = bytes.data() - reinterpret_cast<const std::byte*>(file.data()) +
                    static_cast<std::ptrdiff_t>(bytes.size() - sizeof number);
  std::memcpy(file.data() + last, &number, sizeof number);
  return file;
}

TEST_CASE("a load that one rank refuses changes nothing on any") {
  Refusing<AdamW> refusing;
  auto& optimizer = refusing.twins.split_up;
  const SharedFile file("there");
  if (own_rank() == 0) std::ofstream(file.path, std::ios::binary) << refusing.file;
  MPI_Barrier(MPI_COMM_WORLD);
  const bool is_last = own_rank() == rank_count() - 1;
  const std::filesystem::path missing = file.path.string() + ".missing";
  refusing.check_refused([&] { mpi::load_state(optimizer, is_last ? missing : file.path); }, "missing");
  // A state that looks at what it was given: the last rank's rows alone have what no step makes.
  refusing.check_refused([&] { load(optimizer, with_last(refusing.file, "head/0/second", -1)); },
                         "is negative");
  refusing.check_refused(
      [&] {
        load(optimizer, with_last(refusing.file, "head/0/first", std::numeric_limits<float>::infinity()));
      },
      "Inf or NaN");
  Optimizer<AdamW> other(refusing.shape.rows + 1, refusing.shape.cols, plain);
  refusing.check_refused([&] { load(optimizer, interop::state_bytes(other)); }, "[91,20]");
  mpi::load_state(optimizer, file.path);
  CHECK((saved(optimizer) == refusing.file));
}

TEST_CASE("ranks that read different files are told so, with nothing changed") {
  Refusing<Update<LmHead>> refusing;
  const SharedFile file("one"), other("another");
  if (own_rank() == 0) std::ofstream(file.path, std::ios::binary) << refusing.file;
  if (own_rank() == 0) std::ofstream(other.path, std::ios::binary) << refusing.before;
  MPI_Barrier(MPI_COMM_WORLD);
  const bool is_last = own_rank() == rank_count() - 1;
  if (rank_count() > 1)
    refusing.check_refused(
        [&] { mpi::load_state(refusing.twins.split_up, is_last ? other.path : file.path); },
        "have read different files");
}

TEST_CASE("a save that one rank refuses leaves the old file on all") {
  Refusing<AdamW> refusing;
  auto& optimizer = refusing.twins.split_up;
  refusing.check_refused([&] { mpi::save_state(optimizer, "/nowhere/at/all.safetensors"); }, "/nowhere");

  load(optimizer, with_last(refusing.file, "head/0/first", std::numeric_limits<float>::infinity()),
       {.allow_non_finite = true});
  const SharedFile file("old");
  if (own_rank() == 0) std::ofstream(file.path, std::ios::binary) << "old";
  MPI_Barrier(MPI_COMM_WORLD);
  CHECK_THROWS_WITH(mpi::save_state(optimizer, file.path), doctest::Contains("Inf or NaN"));
  CHECK(contents(file.path) == "old");
  mpi::save_state(optimizer, file.path, {.allow_non_finite = true});
  CHECK(contents(file.path) != "old");
}

/// A rule of one's own whose state is no list of rows: it is stored by columns.
struct ByColumns {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : momentum(Matrix<Scalar>::Zero(shape.cols, shape.rows)) {}
    Matrix<Scalar> momentum;
    void visit(auto&& field) { field("momentum", momentum); }
  };
  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    state.momentum = gradient.transpose();
    direction = gradient;
  }
};

TEST_CASE("a state that is no list of rows is refused") {
  using mpi::detail::extents_of_a_row;
  CHECK(extents_of_a_row<AdamW, float>({}, 3) == std::vector<Index>{1, 1, 0});
  CHECK(extents_of_a_row<Adaptive<SwigluOutput>, float>({}, 3) == std::vector<Index>{1, 0, 0});
  CHECK(extents_of_a_row<Adaptive<Embedding>, float>({}, 1) == std::vector<Index>{1, 1, 0});
  CHECK(extents_of_a_row<Update<LmHead>, float>({}, 0) == std::vector<Index>{1});
  CHECK_THROWS_WITH_AS((extents_of_a_row<ByColumns, float>({}, 3)),
                       doctest::Contains("ByColumns cannot be saved by several processes"), Error);
}

}}  // namespace rows_state_test
