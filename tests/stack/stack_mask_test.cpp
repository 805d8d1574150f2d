// SPDX-License-Identifier: Apache-2.0
// Rows that a mask leaves out are not there: whatever they hold is neither read nor written, and the other
// rows do what the smaller matrix would.
#include "support/stack_rules.hpp"
#include "support/thorough.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <numeric>
#include <stdexcept>

namespace stack_mask_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr int steps = 3;
constexpr std::array orders{Order::dense, Order::gaps, Order::column_major};

/// A mask, and the rows that exist under it by hand.
struct Mask {
  std::string name;
  RowMask mask;
  std::vector<Index> rows;
};

std::vector<Mask> all_masks(Index rows) {
  std::vector<Mask> masks;
  for (const Index count : {Index{0}, Index{1}, rows - 1, rows}) {
    std::vector<Index> first(static_cast<std::size_t>(count));
    std::iota(first.begin(), first.end(), Index{0});
    masks.push_back({"first", RowMask::first(count), first});
  }
  const auto add = [&](const char* name, const auto& exists) {
    std::vector<bool> flags;
    Mask added{name, {}, {}};
    for (Index i = 0; i < rows; ++i) {
      flags.push_back(exists(i));
      if (exists(i)) added.rows.push_back(i);
    }
    added.mask = RowMask(flags);
    masks.push_back(std::move(added));
  };
  add("none", [](Index) { return false; });
  add("all", [](Index) { return true; });
  add("the first half", [&](Index i) { return i < rows / 2; });
  add("the second half", [&](Index i) { return i >= rows / 2; });
  add("all but the first", [](Index i) { return i > 0; });
  add("every other", [](Index i) { return i % 2 == 0; });
  add("scattered", [](Index i) { return i % 3 != 1; });
  add("the last", [&](Index i) { return i == rows - 1; });
  return masks;
}

/// Those whose blocks all have the same number of rows, evenly spaced.
std::vector<Storage> maskable_storages() {
  std::vector<Storage> storages = all_storages();
  std::erase_if(storages, [](const Storage& storage) {
    return storage.name == "paired neurons as columns" ||
           std::ranges::any_of(storage.blocks,
                               [&](Shape shape) { return shape.rows != storage.blocks[0].rows; });
  });
  return storages;
}

template <class Scalar>
Matrix<Scalar> gathered(const Matrix<Scalar>& block, const std::vector<Index>& rows) {
  Matrix<Scalar> part(static_cast<Index>(rows.size()), block.cols());
  for (std::size_t k = 0; k < rows.size(); ++k) part.row(static_cast<Index>(k)) = block.row(rows[k]);
  return part;
}
template <class Scalar>
void scatter(const Matrix<Scalar>& part, const std::vector<Index>& rows, Matrix<Scalar>& block) {
  for (std::size_t k = 0; k < rows.size(); ++k) block.row(rows[k]) = part.row(static_cast<Index>(k));
}

/// The block with what no rule should see in the rows that do not exist.
template <class Scalar>
Matrix<Scalar> with_rubbish(const Matrix<Scalar>& block, const std::vector<Index>& rows) {
  using Limits = std::numeric_limits<Scalar>;
  Matrix<Scalar> spoilt = Matrix<Scalar>::NullaryExpr(block.rows(), block.cols(), [](Index i, Index j) {
    return (i + j) % 3 == 0 ? Limits::quiet_NaN() : (i + j) % 3 == 1 ? -Limits::infinity() : Scalar(1e6);
  });
  scatter(gathered(block, rows), rows, spoilt);
  return spoilt;
}

template <class Scalar>
void check_mask(const AnyRule<Scalar>& rule, const Storage& storage, Orders orders_of_memory,
                const Mask& mask, double tolerance) {
  CAPTURE(rule.name);
  CAPTURE(storage.name);
  CAPTURE(symopt_test::to_string(orders_of_memory.weights));
  CAPTURE(mask.name);
  CAPTURE(mask.rows.size());
  Random random(default_seed);
  const auto draw = [&] {
    Matrices<Scalar> blocks = gaussian_blocks<Scalar>(storage.blocks, random);
    for (Matrix<Scalar>& block : blocks) block = with_rubbish(block, mask.rows);
    return blocks;
  };
  Matrices<Scalar> expected = draw();
  StoredParameter<Scalar> parameter(rule.role, storage, orders_of_memory, expected, mask.mask);
  std::vector<std::function<void(Matrix<Scalar>&, const Matrix<Scalar>&)>> optimizers;
  for (const Shape shape : storage.blocks)
    optimizers.push_back(rule.optimizer({static_cast<Index>(mask.rows.size()), shape.cols}));
  for (int step = 0; step < steps; ++step) {
    const Matrices<Scalar> gradient = draw();
    parameter.step(gradient);
    for (std::size_t b = 0; b < expected.size(); ++b) {
      if (mask.rows.empty()) continue;
      Matrix<Scalar> part = gathered(expected[b], mask.rows);
      optimizers[b](part, gathered(gradient[b], mask.rows));
      scatter(part, mask.rows, expected[b]);
    }
  }
  const Matrices<Scalar> actual = parameter.weights();
  for (std::size_t b = 0; b < expected.size(); ++b) {
    const Matrix<Scalar> part = gathered(actual[b], mask.rows);
    CHECK(relative_error(as_double(part), as_double(gathered(expected[b], mask.rows))) <= tolerance);
    Matrix<Scalar> others = actual[b];
    scatter(gathered(expected[b], mask.rows), mask.rows, others);
    CHECK(same_bits(others, expected[b]));
  }
  CHECK(parameter.surroundings_are_intact());
}

template <class Scalar>
void check_masks(const AnyRule<Scalar>& rule, double tolerance) {
  const std::vector<Orders> memories{
      {}, {Order::gaps, Order::column_major}, {Order::column_major, Order::column_major}};
  for (const Storage& storage : maskable_storages())
    for (const Mask& mask : all_masks(storage.blocks[0].rows))
      for (const Orders memory : all_or_next(memories)) check_mask(rule, storage, memory, mask, tolerance);
}

TEST_CASE_TEMPLATE("absent rows are not seen by polar factors", Rule, DerivedPolar, DualPolar, RowsThenPolar,
                   RouterPolar) {
  check_masks(any_rule<Rule, double>(), 1e-11);
}

TEST_CASE_TEMPLATE("absent rows are not seen by other rules", Rule, DerivedRows, DerivedHead, DerivedColumns,
                   BentNeurons, Lopsided, Sign, AdamW, AdaptiveEntries, AdaptiveRows, AdaptiveHead,
                   AdaptiveColumns, AdaptiveBlock, AdaptiveOneSided) {
  check_masks(any_rule<Rule, double>(), 1e-11);
}

TEST_CASE_TEMPLATE("absent rows are not seen in single precision", Rule, DerivedPolar, DerivedHead, AdamW) {
  check_masks(any_rule<Rule, float>(), 1024 * roundoff<float>);
}

TEST_CASE("what is not finite in a row that exists is found") {
  for (const Order order : orders) {
    const Storage storage = all_storages()[0];
    const Matrices<double> ones{Matrix<double>::Ones(6, 4)};
    StoredParameter<double> parameter(any_rule<DerivedRows, double>().role, storage, {order, order}, ones,
                                      RowMask({true, false, true, true, false, false}));
    Matrices<double> gradient = ones;
    gradient[0](1, 2) = gradient[0](4, 0) = infinity;
    parameter.step(gradient);
    gradient[0](2, 3) = infinity;
    const Matrices<double> before = parameter.weights();
    CHECK_THROWS_AS(parameter.step(gradient), std::invalid_argument);
    CHECK(same_bits(parameter.weights()[0], before[0]));
  }
}

TEST_CASE("the comparison fails for another mask") {
  const Storage storage = all_storages()[0];
  const AnyRule<double> rule = any_rule<DerivedHead, double>();
  Random random(default_seed);
  const Matrices<double> start = gaussian_blocks<double>(storage.blocks, random);
  const Matrices<double> gradient = gaussian_blocks<double>(storage.blocks, random);
  const auto end_of = [&](const RowMask& mask) {
    StoredParameter<double> parameter(rule.role, storage, {}, start, mask);
    parameter.step(gradient);
    return parameter.weights()[0];
  };
  const Matrix<double> scattered = end_of(RowMask({true, false, true, true, false, true}));
  for (const RowMask& other : {RowMask(), RowMask::first(4), RowMask({true, true, true, true, false, true}),
                               RowMask({true, false, true, true, false, false})})
    CHECK(relative_error(end_of(other).row(2), scattered.row(2)) > 1e-3);  // it sees the mean
}

// Masks that change. The step as its definition reads, on the rows that exist; the momentum has all rows.

template <class Rule>
class Definition {
 public:
  explicit Definition(const Matrix<double>& start)
      : weights(start), momentum_(Matrix<double>::Zero(start.rows(), start.cols())) {}

  void step(const Matrix<double>& gradient, const std::vector<Index>& rows) {
    if (rows.empty()) return;
    const OptimizerOptions options = full_options<Rule>();
    const double beta = options.momentum, rate = options.learning_rate;
    const Matrix<double> g = gathered(gradient, rows);
    const Matrix<double> momentum = beta * gathered(momentum_, rows) + (1 - beta) * g;
    scatter(momentum, rows, momentum_);
    const Matrix<double> direction = Rule{}(Matrix<double>(beta * momentum + (1 - beta) * g));
    Matrix<double> part = gathered(weights, rows);
    const Matrix<double> decayed = options.decay == Decay::all ? part : centred(part, Side::left);
    const double aspect =
        std::sqrt(std::max(1.0, static_cast<double>(part.rows()) / static_cast<double>(part.cols())));
    part -= rate * options.weight_decay * decayed + rate * aspect * direction;
    scatter(part, rows, weights);
  }

  Matrix<double> weights;

 private:
  Matrix<double> momentum_;
};

/// Two steps under each of the masks, in turn. Returns false where one of them cannot follow the others.
template <class Rule>
bool check_changing_masks(const Storage& storage, Orders memory, const std::vector<Mask>& masks) {
  CAPTURE(storage.name);
  CAPTURE(symopt_test::to_string(memory.weights));
  Random random(default_seed);
  const Matrices<double> start = gaussian_blocks<double>(storage.blocks, random);
  std::vector<Definition<Rule>> definitions(start.begin(), start.end());
  StoredParameter<double> parameter(symopt::role<Rule, double>(full_options<Rule>()), storage, memory, start);
  bool follows = true;
  std::vector<Index> rows(static_cast<std::size_t>(storage.blocks[0].rows));
  std::iota(rows.begin(), rows.end(), Index{0});
  for (const Mask& mask : masks) {
    try {
      parameter.set_row_mask(mask.mask);
      rows = mask.rows;
    } catch (const std::invalid_argument& error) {  // and nothing has changed, as the coming steps show
      const std::string text = error.what();
      CHECK(text.find("parameter 'weight'") != std::string::npos);
      CHECK(text.find("when the parameter is added") != std::string::npos);
      follows = false;
    }
    for (int step = 0; step < 2; ++step) {
      Matrices<double> gradient = gaussian_blocks<double>(storage.blocks, random);
      for (std::size_t b = 0; b < gradient.size(); ++b) {
        gradient[b] = with_rubbish(gradient[b], rows);
        definitions[b].step(gradient[b], rows);
      }
      parameter.step(gradient);
    }
    for (std::size_t b = 0; b < start.size(); ++b)
      CHECK(relative_error(parameter.weights()[b], definitions[b].weights) <= 1e-11);
  }
  CHECK(parameter.surroundings_are_intact());
  return follows;
}

TEST_CASE_TEMPLATE("rows that go and come back keep weights and momentum", Rule, DerivedPolar, DualPolar,
                   DerivedRows, DerivedHead, RouterPolar, DerivedColumns, Lopsided, Sign) {
  int row_by_row = 0, column_by_column = 0;
  for (const Storage& storage : maskable_storages())
    for (const Order order : orders) {
      const std::vector<Mask> masks = all_masks(storage.blocks[0].rows);
      const auto called = [&](const char* name) {
        return *std::ranges::find_if(masks, [&](const Mask& mask) { return mask.name == name; });
      };
      const Mask all{"all", RowMask(), called("all").rows};
      CHECK(check_changing_masks<Rule>(
          storage, {order, Order::dense},
          {called("the first half"), all, masks[1], called("none"), masks[2], all}));
      const bool follows = check_changing_masks<Rule>(
          storage, {order, Order::dense},
          {called("scattered"), called("the second half"), called("none"), called("the first half"), all});
      ++(follows ? row_by_row : column_by_column);
    }
  CHECK(row_by_row > 10);
  CHECK(column_by_column > 10);
}

TEST_CASE("scattered rows are followed wherever the rows lie one after the other, and refused elsewhere") {
  const std::vector<Storage> storages = all_storages();
  const auto follows = [&](const Storage& storage, Order order) {
    const std::vector<Mask> masks = all_masks(storage.blocks[0].rows);
    return check_changing_masks<DerivedRows>(storage, {order, order}, {masks.back()});
  };
  CHECK(storages[1].name == "transposed");
  CHECK(follows(storages[0], Order::dense));
  CHECK(follows(storages[0], Order::gaps));
  CHECK(!follows(storages[0], Order::column_major));
  CHECK(!follows(storages[1], Order::dense));
  CHECK(!follows(storages[1], Order::gaps));
  CHECK(follows(storages[1], Order::column_major));
}

TEST_CASE("scattered rows given with the parameter may change in every order of memory") {
  const Storage storage = all_storages()[0];
  const std::vector<Mask> masks = all_masks(6);
  for (const Order order : orders) {
    Random random(default_seed);
    const Matrices<double> start = gaussian_blocks<double>(storage.blocks, random);
    StoredParameter<double> parameter(any_rule<DerivedHead, double>().role, storage, {order, order}, start,
                                      masks.back().mask);
    Definition<DerivedHead> definition(start[0]);
    for (const std::size_t m : {masks.size() - 1, masks.size() - 3, std::size_t{2}, masks.size() - 2}) {
      parameter.set_row_mask(masks[m].mask);
      const Matrices<double> gradient = gaussian_blocks<double>(storage.blocks, random);
      parameter.step(gradient);
      definition.step(gradient[0], masks[m].rows);
      CHECK(relative_error(parameter.weights()[0], definition.weights) <= 1e-11);
    }
  }
}

std::string refusal(const auto& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a mask that does not fit is refused, and the one before stays") {
  const Storage storage = all_storages()[0];
  const Matrices<double> start{Matrix<double>::Ones(6, 4)};
  const symopt::BasicRole<double> role = any_rule<DerivedRows, double>().role;
  for (const RowMask& mask : {RowMask::first(7), RowMask({true, false, true})}) {
    const std::string added = refusal([&] { StoredParameter<double>(role, storage, {}, start, mask); });
    CHECK(added.find("parameter 'weight': the row mask") != std::string::npos);

    StoredParameter<double> parameter(role, storage, {}, start, RowMask::first(2));
    const std::string changed = refusal([&] { parameter.set_row_mask(mask); });
    CHECK(changed.find("parameter 'weight': the row mask") != std::string::npos);
    parameter.step(start);
    const Matrix<double> after = parameter.weights()[0];
    CHECK(after.topRows(2).maxCoeff() < 1);
    CHECK(same_bits(after.bottomRows(4), start[0].bottomRows(4)));
  }
}

TEST_CASE("a rule with a state of its own keeps its rows") {
  const Storage storage = all_storages()[0];
  const Matrices<double> start{Matrix<double>::Ones(6, 4)};
  StoredParameter<double> parameter(any_rule<AdamW, double>().role, storage, {}, start, RowMask::first(2));
  const std::string text = refusal([&] { parameter.set_row_mask(RowMask()); });
  CHECK(text.find("parameter 'weight'") != std::string::npos);
  CHECK(text.find("keeps the rows that it was added with") != std::string::npos);
  parameter.step(start);
  CHECK(same_bits(parameter.weights()[0].bottomRows(4), start[0].bottomRows(4)));
}

TEST_CASE("rows that are the columns of paired neurons take no mask") {
  const std::vector<Storage> storages = all_storages();
  const Storage storage = *std::ranges::find_if(
      storages, [](const Storage& each) { return each.name == "paired neurons as columns"; });
  const Matrices<double> start{Matrix<double>::Ones(8, 6)};
  const symopt::BasicRole<double> role = any_rule<DerivedRows, double>().role;
  for (const RowMask& mask :
       {RowMask::first(3), RowMask({true, false, true, true, true, true, true, true})}) {
    const std::string remedy = "paired neurons";
    CHECK(refusal([&] { StoredParameter<double>(role, storage, {}, start, mask); }).find(remedy) !=
          std::string::npos);
    StoredParameter<double> parameter(role, storage, {}, start);
    CHECK(refusal([&] { parameter.set_row_mask(mask); }).find(remedy) != std::string::npos);
  }
}

}}  // namespace stack_mask_test
