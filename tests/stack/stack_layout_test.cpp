// SPDX-License-Identifier: Apache-2.0
// However blocks are stored in tensors, the stack does with them what one optimizer for each block does with
// a matrix of its own; and no block knows of another.
#include "support/stack_rules.hpp"
#include "support/thorough.hpp"

#include <doctest/doctest.h>

namespace stack_layout_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr int steps = 3;

/// Weights after some steps of one optimizer for each block.
template <class Scalar>
Matrices<Scalar> run_apart(const AnyRule<Scalar>& rule, const std::vector<Shape>& shapes,
                           std::uint64_t seed) {
  Random random(seed);
  Matrices<Scalar> weights = gaussian_blocks<Scalar>(shapes, random);
  std::vector<std::function<void(Matrix<Scalar>&, const Matrix<Scalar>&)>> optimizers;
  for (const Shape shape : shapes) optimizers.push_back(rule.optimizer(shape));
  for (int step = 0; step < steps; ++step) {
    const Matrices<Scalar> gradient = gaussian_blocks<Scalar>(shapes, random);
    for (std::size_t b = 0; b < shapes.size(); ++b) optimizers[b](weights[b], gradient[b]);
  }
  return weights;
}

/// The steps of a stack with all blocks in one tensor under the given layout.
template <class Scalar>
Matrices<Scalar> run_stored(const AnyRule<Scalar>& rule, const Storage& storage, Orders orders,
                            std::uint64_t seed) {
  Random random(seed);
  StoredParameter<Scalar> parameter(rule.role, storage, orders,
                                    gaussian_blocks<Scalar>(storage.blocks, random));
  for (int step = 0; step < steps; ++step) parameter.step(gaussian_blocks<Scalar>(storage.blocks, random));
  CHECK(parameter.surroundings_are_intact());
  return parameter.weights();
}

template <class Scalar>
void check_storages(const AnyRule<Scalar>& rule, double tolerance) {
  CAPTURE(rule.name);
  CAPTURE(default_seed);
  for (const Storage& storage : all_storages()) {
    const Matrices<Scalar> expected = run_apart(rule, storage.blocks, default_seed);
    for (const Orders orders : all_or_next(several_orders)) {
      CAPTURE(storage.name);
      CAPTURE(symopt_test::to_string(orders.weights));
      CAPTURE(symopt_test::to_string(orders.gradient));
      CHECK(worst_error(run_stored(rule, storage, orders, default_seed), expected) <= tolerance);
    }
  }
}

/// Each block's gradient changed in turn after a first step: the others end with the same bits.
template <class Scalar>
void check_locality(const AnyRule<Scalar>& rule) {
  CAPTURE(rule.name);
  CAPTURE(default_seed);
  for (const Storage& storage : all_storages())
    for (const Orders orders : {Orders{}, Orders{Order::column_major, Order::gaps}}) {
      CAPTURE(storage.name);
      CAPTURE(symopt_test::to_string(orders.weights));
      Random random(default_seed);
      const Matrices<Scalar> start = gaussian_blocks<Scalar>(storage.blocks, random);
      const Matrices<Scalar> first = gaussian_blocks<Scalar>(storage.blocks, random);
      const Matrices<Scalar> second = gaussian_blocks<Scalar>(storage.blocks, random);
      const auto end_with = [&](const Matrices<Scalar>& gradient) {
        StoredParameter<Scalar> parameter(rule.role, storage, orders, start);
        parameter.step(first);
        parameter.step(gradient);
        return parameter.weights();
      };
      const Matrices<Scalar> usual = end_with(second);
      for (std::size_t changed = 0; changed < start.size(); ++changed)
        for (const double factor : {1e6, 0.0, -1.0}) {
          CAPTURE(changed);
          CAPTURE(factor);
          Matrices<Scalar> gradient = second;
          gradient[changed] *= static_cast<Scalar>(factor);
          const Matrices<Scalar> weights = end_with(gradient);
          for (std::size_t b = 0; b < start.size(); ++b) {
            if (b != changed) CHECK(same_bits(weights[b], usual[b]));
          }
          // A sign need not see the size.
          if (factor < 0) CHECK(!same_bits(weights[changed], usual[changed]));
        }
    }
}

template <class Rule>
void check_in_double() {
  const AnyRule<double> rule = any_rule<Rule, double>();
  check_storages(rule, 1e-11);
  check_locality(rule);
}

TEST_CASE_TEMPLATE("polar factors do not see how blocks are stored, nor other blocks", Rule, DerivedPolar,
                   DualPolar, PolarOfHeads) {
  check_in_double<Rule>();
}

TEST_CASE_TEMPLATE("row and column norms do not see how blocks are stored, nor other blocks", Rule,
                   DerivedRows, DerivedHead, DerivedColumns) {
  check_in_double<Rule>();
}

TEST_CASE_TEMPLATE("composed normalizations do not see how blocks are stored, nor other blocks", Rule,
                   RowsThenPolar, RouterPolar) {
  check_in_double<Rule>();
}

TEST_CASE_TEMPLATE("rules of a user, and entry by entry, do not see how blocks are stored, nor other blocks",
                   Rule, Lopsided, BentNeurons, Sign, AdamW, SumUnderShift) {
  check_in_double<Rule>();
}

TEST_CASE_TEMPLATE("second moments do not see how blocks are stored, nor other blocks", Rule, AdaptiveEntries,
                   AdaptiveRows, AdaptiveHead, AdaptiveColumns, AdaptiveBlock, AdaptiveOneSided,
                   AdaptiveHeads) {
  check_in_double<Rule>();
}

TEST_CASE_TEMPLATE("neither in single precision", Rule, DerivedHead, DerivedPolar, Lopsided, AdamW,
                   AdaptiveHead) {
  const AnyRule<float> rule = any_rule<Rule, float>();
  check_storages(rule, 1024 * roundoff<float>);
  check_locality(rule);
}

TEST_CASE("the comparison fails for blocks taken apart by another layout") {
  const std::vector<Storage> storages = all_storages();
  for (const AnyRule<double>& rule : {any_rule<Lopsided, double>(), any_rule<DualPolar, double>()})
    for (const Storage& storage : storages)
      for (const Storage& other : storages) {
        if (other.layout == storage.layout || other.sizes != storage.sizes) continue;
        CAPTURE(rule.name);
        CAPTURE(storage.name);
        CAPTURE(other.name);
        Storage mistaken = storage;
        mistaken.layout = other.layout;
        const Matrices<double> expected = run_apart(rule, storage.blocks, default_seed);
        CHECK(worst_error(run_stored(rule, mistaken, {}, default_seed), expected) > 1e-3);
      }
}

TEST_CASE("the comparison fails for another gradient, and without the layout") {
  const Storage heads = all_storages()[2];
  Storage undivided = heads;
  undivided.layout = layout::whole();
  const AnyRule<double> rule = any_rule<DerivedPolar, double>();
  const Matrices<double> expected = run_apart(rule, heads.blocks, default_seed);
  CHECK(worst_error(run_stored(rule, heads, {}, default_seed), expected) <= 1e-11);
  CHECK(worst_error(run_stored(rule, heads, {}, default_seed + 1), expected) > 1e-3);
  CHECK(worst_error(run_stored(rule, undivided, {}, default_seed), expected) > 1e-3);
}

TEST_CASE("blocks of one line or one element are stored as any other") {
  for (const Shape shape : {Shape{1, 6}, Shape{6, 1}, Shape{1, 1}}) {
    const std::vector<Storage> storages{
        {"whole",
         {shape.rows, shape.cols},
         layout::whole(),
         {shape},
         [](Index, Index i, Index j) {
           return Place{i, j};
         }},
        {"transposed",
         {shape.cols, shape.rows},
         layout::transposed(),
         {shape},
         [](Index, Index i, Index j) {
           return Place{j, i};
         }},
        {"experts",
         {2, shape.rows, shape.cols},
         layout::experts(),
         copies(2, shape),
         [](Index b, Index i, Index j) {
           return Place{b, i, j};
         }},
        {"experts, stored (in, out)",
         {2, shape.cols, shape.rows},
         layout::experts(layout::transposed()),
         copies(2, shape),
         [](Index b, Index i, Index j) {
           return Place{b, j, i};
         }},
    };
    for (const AnyRule<double>& rule :
         {any_rule<DerivedPolar, double>(), any_rule<DerivedRows, double>(), any_rule<DerivedHead, double>(),
          any_rule<Lopsided, double>(), any_rule<AdamW, double>()})
      for (const Storage& storage : storages)
        for (const Orders orders : several_orders) {
          CAPTURE(rule.name);
          CAPTURE(storage.name);
          CAPTURE(symopt::to_string(shape));
          const Matrices<double> expected = run_apart(rule, storage.blocks, default_seed);
          CHECK(worst_error(run_stored(rule, storage, orders, default_seed), expected) <= 1e-11);
        }
  }
}

TEST_CASE("a section without rows is stepped over") {
  const Storage storage{"an empty section",
                        {6, 4},
                        layout::row_sections({0, 6, 0}),
                        {{0, 4}, {6, 4}, {0, 4}},
                        [](Index, Index i, Index j) {
                          return Place{i, j};
                        }};
  for (const AnyRule<double>& rule :
       {any_rule<DerivedPolar, double>(), any_rule<DualPolar, double>(), any_rule<DerivedHead, double>(),
        any_rule<Lopsided, double>(), any_rule<AdamW, double>()})
    for (const Orders orders : several_orders) {
      CAPTURE(rule.name);
      Random random(default_seed);
      const Matrices<double> start = gaussian_blocks<double>(storage.blocks, random);
      const Matrices<double> gradient = gaussian_blocks<double>(storage.blocks, random);
      StoredParameter<double> parameter(rule.role, storage, orders, start);
      parameter.step(gradient);
      Matrix<double> expected = start[1];
      rule.optimizer({6, 4})(expected, gradient[1]);
      CHECK(relative_error(parameter.weights()[1], expected) <= 1e-11);
    }
}

TEST_CASE("a gradient may be one number or one line for all, as a sum's is") {
  for (const AnyRule<double>& rule :
       {any_rule<DerivedPolar, double>(), any_rule<Lopsided, double>(), any_rule<AdamW, double>()})
    for (const std::vector<Index>& strides : {std::vector<Index>{0, 0}, {0, 1}, {1, 0}}) {
      CAPTURE(rule.name);
      const std::vector<double> line{1, -2, 3, -4, 5, -6};
      const Matrix<double> gradient = Matrix<double>::NullaryExpr(6, 4, [&](Index i, Index j) {
        return line[static_cast<std::size_t>(i * strides[0] + j * strides[1])];
      });
      Random random(default_seed);
      Matrix<double> weights = gaussian_block({6, 4}, random);
      Matrix<double> expected = weights;
      BasicLayerwiseOptimizer<double> stack;
      stack.add("weight", rule.role, weights, TensorView<const double>(line.data(), {6, 4}, strides));
      stack.step();
      rule.optimizer({6, 4})(expected, gradient);
      CHECK(relative_error(weights, expected) <= 1e-11);
    }
}

TEST_CASE("parameters of several layouts and rules in one stack do not see each other") {
  const std::vector<Storage> storages = all_storages();
  const std::vector<AnyRule<double>> rules{any_rule<DerivedPolar, double>(), any_rule<DerivedHead, double>(),
                                           any_rule<Lopsided, double>(), any_rule<AdamW, double>()};
  std::vector<Stored<double>> weights, gradients;
  for (const Storage& storage : storages) {
    weights.emplace_back(storage, Order::gaps);
    gradients.emplace_back(storage, Order::dense);
  }
  BasicLayerwiseOptimizer<double> stack;
  for (std::size_t i = 0; i < storages.size(); ++i) {
    Random random(default_seed + i);
    weights[i].set_blocks(gaussian_blocks<double>(storages[i].blocks, random));
    stack.add(std::to_string(i), rules[i % rules.size()].role.with(storages[i].layout), weights[i].view(),
              gradients[i].view());
  }
  std::vector<Random> randoms;
  for (std::size_t i = 0; i < storages.size(); ++i) {
    randoms.emplace_back(default_seed + i);
    gaussian_blocks<double>(storages[i].blocks, randoms[i]);  // the start
  }
  for (int step = 0; step < steps; ++step) {
    for (std::size_t i = 0; i < storages.size(); ++i)
      gradients[i].set_blocks(gaussian_blocks<double>(storages[i].blocks, randoms[i]));
    stack.step();
  }
  for (std::size_t i = 0; i < storages.size(); ++i) {
    CAPTURE(storages[i].name);
    const Matrices<double> expected =
        run_apart(rules[i % rules.size()], storages[i].blocks, default_seed + i);
    CHECK(worst_error(weights[i].blocks(), expected) <= 1e-11);
    CHECK(weights[i].surroundings_are_intact());
  }
}

}}  // namespace stack_layout_test
