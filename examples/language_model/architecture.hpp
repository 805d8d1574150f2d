// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "architectures/models.hpp"
#include "architectures/rules.hpp"
#include "model.hpp"
#include "search/rate_grid.hpp"
#include "settings.hpp"
#include "sides.hpp"
#include "training.hpp"

namespace language_model {

/// A model by name, and the ways to train it.
struct Architecture {
  std::string name;
  ModelShape shape;
  ModelShape quick_shape;  ///< a tiny one
  ModelFactory make;
  Settings settings{};         ///< of all its trainings, but for the rate of a search
  std::vector<Side> columns;   ///< of the table of the demo
  std::vector<Side> searched;  ///< whose rates a search compares
  RateGrid rates{};            ///< with which that begins
  std::size_t seeds = 3;       ///< for each rate
  bool has_parts = false;      ///< whether it also tells apart the parts of the columns
};

/// The demo's own model; as it is, or with one SwiGLU of as many neurons for a token in place of the experts.
/// A search of the dense one compares the column with second moments for attention in any case.
inline Architecture own_architecture(bool is_dense, bool has_attention_column) {
  Architecture own{
      .name = is_dense ? "dense" : "mixture",
      .shape = {},
      .quick_shape = {.width = 32, .layers = 1, .heads = 2, .experts = 4, .neurons = 48, .context = 32},
      .make = [](const ModelShape& shape, std::uint64_t seed) -> std::shared_ptr<LanguageModel> {
        return Transformer{shape, seed}.ptr();
      },
      .columns = columns(has_attention_column),
      .searched = searched_sides(is_dense || has_attention_column),
      .has_parts = true};
  if (is_dense) {
    for (ModelShape* shape : {&own.shape, &own.quick_shape}) {
      shape->experts = 0;
      shape->neurons *= shape->chosen;
    }
  }
  return own;
}

/// A tiny shape with the same proportions.
inline ModelShape tiny(ModelShape shape) {
  shape.width /= 4;
  shape.layers = 2;
  shape.head_size /= 4;
  shape.neurons /= 4;
  shape.context /= 2;
  shape.window /= 2;
  return shape;
}

/// symopt's stack by a rule of the architecture, under the schedule of all its trainings.
inline Side rule_side(Family family, Rule rule) {
  return {.name = name_of(rule), .with = [=](const ModelShape& shape, const Settings& settings) {
            return [=](const LanguageModel& model, std::int64_t steps) {
              return scheduled(make_stack(model, family, shape, rule, settings), constant_then_linear(steps));
            };
          }};
}

/// A shape of equal proportions at a multiple of the width, with heads of equal size.
inline ModelShape widened(ModelShape shape, std::int64_t factor) {
  shape.width *= factor;
  shape.heads *= factor;
  shape.key_value_heads *= factor;
  shape.neurons *= factor;
  return shape;
}

/// An architecture of arXiv 2605.18106. All its trainings, AdamW's too, have one schedule.
inline Architecture architecture_of(Family family) {
  const Side adamw = adamw_side("AdamW", constant_then_linear);
  Architecture result{.name = name_of(family),
                      .shape = shape_of(family),
                      .quick_shape = tiny(shape_of(family)),
                      .make = [family](const ModelShape& shape,
                                       std::uint64_t seed) { return make_model(family, shape, seed); },
                      .columns = {adamw, rule_side(family, Rule::paper), rule_side(family, Rule::moments)},
                      .searched = {adamw}};
  if (family == Family::gemma3) result.settings.tied_embedding = 18;
  for (const Rule rule : rules_of(family)) result.searched.push_back(rule_side(family, rule));
  return result;
}

/// An architecture of the paper, `factor` times as wide. Its search asks whether the best rates of the
/// smaller model are the best ones here too: for AdamW and the two rules that are better there, at three
/// rates or more, with one seed.
inline Architecture wide_architecture_of(Family family, std::int64_t factor) {
  Architecture wide = architecture_of(family);
  wide.name += " x" + std::to_string(factor);
  wide.shape = widened(wide.shape, factor);
  wide.searched = {wide.searched.front(), rule_side(family, Rule::moments),
                   rule_side(family, Rule::adamw_embedding)};
  wide.rates = RateGrid({0.75e-3, 1.5e-3, 3e-3});
  wide.seeds = 1;
  return wide;
}

/// The families of the paper's architectures that a name stands for: one, or for "all" all of them; none for
/// another name.
inline std::vector<Family> families_of(std::string_view name) {
  std::vector<Family> families;
  for (const Family family : all_families)
    if (name == "all" || name == name_of(family)) families.push_back(family);
  return families;
}

}  // namespace language_model
