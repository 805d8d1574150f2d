// SPDX-License-Identifier: Apache-2.0
// Training goes on after a load as if it had not been interrupted, bit for bit, under every kind of rule and
// in every storage.
#include "support/stack_rules.hpp"
#include "support/state_rules.hpp"
#include "support/temporary_file.hpp"
#include "support/thorough.hpp"

#include <symopt/state/state.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace state_resume_test { namespace {

using namespace symopt;
using namespace symopt_test;

template <class Rule>
BasicRole<float> plain_role() {
  return role<Rule, float>(full_options<Rule>());
}

struct NamedRole {
  const char* name;
  BasicRole<float> role;
};

std::vector<NamedRole> all_roles() {
  return {{"polar", plain_role<DerivedPolar>()},
          {"dual", plain_role<DualPolar>()},
          {"head", plain_role<DerivedHead>()},
          {"columns", plain_role<DerivedColumns>()},
          {"callable", plain_role<Lopsided>()},
          {"AdamW", plain_role<AdamW>()},
          {"second moments of a head", plain_role<AdaptiveHead>()},
          {"of columns", plain_role<AdaptiveColumns>()},
          {"of entries", plain_role<AdaptiveEntries>()},
          {"of the shorter side", plain_role<AdaptiveOneSided>()},
          {"visited", plain_role<VisitedLion>()},
          {"adapted", plain_role<AdaptedSum>()},
          {"sized late", plain_role<LateSum>()}};
}

/// A parameter that is trained with gradients from a seed.
struct Run {
  Stored<float> weights;
  Stored<float> gradient;
  std::vector<Shape> shapes;
  LayerwiseOptimizer stack;

  Run(const BasicRole<float>& role, const Storage& storage, Orders orders, RowMask mask = {})
      : weights(storage, orders.weights), gradient(storage, orders.gradient), shapes(storage.blocks) {
    Random random(default_seed);
    weights.set_blocks(gaussian_blocks<float>(shapes, random));
    stack.add("w", role.with(storage.layout).with(std::move(mask)), weights.view(),
              std::as_const(gradient).view());
  }
  void steps(int from, int to) {
    for (int step = from; step < to; ++step) {
      Random random(default_seed + static_cast<std::uint64_t>(step));
      gradient.set_blocks(gaussian_blocks<float>(shapes, random));
      stack.set_schedule_factor(1.0 / (1 + step));
      CHECK(stack.step().applied);
    }
  }
};

bool same_blocks(const Matrices<float>& a, const Matrices<float>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a[i], b[i])) return false;
  return true;
}

TEST_CASE("ten steps are five, a save, a load and five, under every rule and in every storage") {
  CAPTURE(default_seed);
  for (const NamedRole& rule : all_roles())
    for (const Storage& storage : all_storages())
      for (const Orders orders : all_or_next(several_orders)) {
        CAPTURE(rule.name);
        CAPTURE(storage.name);
        CAPTURE(symopt_test::to_string(orders.weights));
        Run through(rule.role, storage, orders), before(rule.role, storage, orders),
            after(rule.role, storage, orders);
        through.steps(0, 10);
        before.steps(0, 5);
        const std::string saved = interop::state_bytes(before.stack);
        after.steps(7, 9);  // a state that is replaced
        after.weights.set_blocks(before.weights.blocks());
        CHECK(interop::load_state_bytes(after.stack, as_bytes(saved)).steps == 5);
        CHECK(after.stack.steps() == 5);
        CHECK(after.stack.schedule_factor() == before.stack.schedule_factor());
        CHECK(interop::state_bytes(after.stack) == saved);
        after.steps(5, 10);
        CHECK(same_blocks(after.weights.blocks(), through.weights.blocks()));
        CHECK(after.weights.surroundings_are_intact());
        // A resumed run without its state is another run.
        Run forgetful(rule.role, storage, orders);
        forgetful.weights.set_blocks(before.weights.blocks());
        forgetful.steps(5, 10);
        CHECK_FALSE(same_blocks(forgetful.weights.blocks(), through.weights.blocks()));
      }
}

TEST_CASE("a state says nothing about how the weights lie in memory") {
  for (const NamedRole& rule : all_roles())
    for (const Storage& storage : all_storages()) {
      CAPTURE(rule.name);
      CAPTURE(storage.name);
      Run rows(rule.role, storage, {}), columns(rule.role, storage, {Order::column_major, Order::gaps});
      rows.steps(0, 3);
      const std::string saved = interop::state_bytes(rows.stack);
      interop::load_state_bytes(columns.stack, as_bytes(saved));
      CHECK(interop::state_bytes(columns.stack) == saved);
    }
}

TEST_CASE("padded rows are saved and loaded with the others") {
  const Storage padded{"padded", {6, 3}, {}, {{6, 3}}, [](Index, Index i, Index j) { return Place{i, j}; }};
  std::vector<bool> scattered(6, true);
  scattered[1] = scattered[4] = false;
  for (const NamedRole& rule : all_roles())
    for (const RowMask& mask : {RowMask::first(4), RowMask(scattered)}) {
      CAPTURE(rule.name);
      CAPTURE(mask.signature());
      Run through(rule.role, padded, {}, mask), before(rule.role, padded, {}, mask),
          after(rule.role, padded, {}, mask);
      through.steps(0, 6);
      before.steps(0, 3);
      after.weights.set_blocks(before.weights.blocks());
      interop::load_state_bytes(after.stack, as_bytes(interop::state_bytes(before.stack)));
      after.steps(3, 6);
      CHECK(same_blocks(after.weights.blocks(), through.weights.blocks()));
    }
}

TEST_CASE("a model is loaded into a stack whose parameters were added in another order") {
  TemporaryFile file("model");
  const Storage storage = all_storages()[0];
  struct Model {
    std::vector<std::unique_ptr<Stored<float>>> memory;
    LayerwiseOptimizer stack;
  };
  const auto make = [&](bool backwards) {
    Model model;
    std::vector<NamedRole> roles = all_roles();
    if (backwards) std::ranges::reverse(roles);
    for (const NamedRole& one : roles) {
      Random random(default_seed);
      auto& weights = *model.memory.emplace_back(std::make_unique<Stored<float>>(storage, Order::dense));
      auto& gradient = *model.memory.emplace_back(std::make_unique<Stored<float>>(storage, Order::dense));
      weights.set_blocks(gaussian_blocks<float>(storage.blocks, random));
      gradient.set_blocks(gaussian_blocks<float>(storage.blocks, random));
      model.stack.add(one.name, one.role.with(storage.layout), weights.view(),
                      std::as_const(gradient).view());
    }
    return model;
  };
  Model forwards = make(false), backwards = make(true);
  for (int step = 0; step < 3; ++step) forwards.stack.step();
  forwards.stack.set_learning_rate("AdamW", 0.125);
  interop::save_state(forwards.stack, file.path);
  interop::load_state(backwards.stack, file.path);
  CHECK(backwards.stack.options("AdamW").learning_rate == 0.125);
  const std::size_t count = forwards.memory.size() / 2;
  for (std::size_t p = 0; p < count; ++p)
    backwards.memory[2 * (count - 1 - p)]->set_blocks(forwards.memory[2 * p]->blocks());
  forwards.stack.step();
  backwards.stack.step();
  for (std::size_t p = 0; p < count; ++p)
    CHECK(same_blocks(backwards.memory[2 * (count - 1 - p)]->blocks(), forwards.memory[2 * p]->blocks()));
}

}}  // namespace state_resume_test
