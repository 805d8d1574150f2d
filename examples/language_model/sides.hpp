// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "optimizers.hpp"
#include "training.hpp"

namespace language_model {

/// A way to train, by name.
struct Side {
  std::string name;
  std::function<OptimizerFactory(const ModelShape& shape, const Settings& settings)> with;
};

/// torch's AdamW under a schedule.
inline Side adamw_side(std::string name, Schedule (*schedule)(std::int64_t steps)) {
  return {.name = std::move(name), .with = [=](const ModelShape&, const Settings& settings) {
            return [=](const LanguageModel& model, std::int64_t steps) {
              return scheduled(make_adamw(model, settings), schedule(steps));
            };
          }};
}

/// symopt's stack under a schedule.
inline Side stack_side(std::string name, const Kinds& kinds,
                       Schedule (*schedule)(std::int64_t steps) = constant_then_linear) {
  return {.name = std::move(name), .with = [=](const ModelShape& shape, const Settings& settings) {
            return [=](const LanguageModel& model, std::int64_t steps) {
              return scheduled(make_stack(model, shape, kinds, settings), schedule(steps));
            };
          }};
}

/// The columns of the table, and where that is asked for one with second moments for attention, too.
inline std::vector<Side> columns(bool attention = false) {
  std::vector<Side> sides{adamw_side("AdamW", warmup_cosine), stack_side("derived", {}),
                          stack_side("second moments", second_moments)};
  if (attention) sides.push_back(stack_side("attention too", moments_of_attention_too));
  return sides;
}

/// AdamW for embedding and head, beside derived updates for the rest.
inline constexpr Kinds adamw_for_both{.embedding = Kind::adamw, .head = Kind::adamw};

/// The sides that a search of the demo's own model compares: AdamW under the schedule of the other columns
/// and under its own, these columns, and AdamW for embedding and head.
inline std::vector<Side> searched_sides(bool attention) {
  std::vector<Side> sides = columns(attention);
  sides.front().name += "; warm-up and cosine";
  sides.insert(sides.begin(), adamw_side("AdamW", constant_then_linear));
  sides.push_back(stack_side("AdamW for embedding and head", adamw_for_both));
  return sides;
}

/// Sides that show, beside those of a search, which part of the last column does what: second moments of one
/// of embedding and head and AdamW for the other, beside derived updates for the rest.
inline std::vector<Side> parts(const ModelShape& shape) {
  std::vector<Side> sides{
      stack_side("AdamW for embedding; moments for head", {.embedding = Kind::adamw, .head = Kind::moments}),
      stack_side("moments for embedding; AdamW for head", {.embedding = Kind::moments, .head = Kind::adamw})};
  if (!shape.is_dense())  // where there are no routers, this is the last column
    sides.push_back(
        stack_side("moments for embedding and head", {.embedding = Kind::moments, .head = Kind::moments}));
  return sides;
}

/// To be trained without decay, which the paper's updates do not have; under one schedule.
inline std::vector<Side> without_decay() {
  return {adamw_side("AdamW; no decay", constant_then_linear), stack_side("derived; no decay", {}),
          stack_side("second moments; no decay", second_moments),
          stack_side("AdamW for embedding and head; no decay", adamw_for_both)};
}

}  // namespace language_model
