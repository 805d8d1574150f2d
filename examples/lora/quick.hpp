// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <language_model/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <string>

#include "fine_tuning.hpp"

namespace lora {

/// The largest relative difference of two trainings' losses, step by step and at the end; infinite if one of
/// them diverged.
inline double difference(const TrainingResult& one, const TrainingResult& other) {
  if (one.training_loss.size() != other.training_loss.size()) return INFINITY;
  double largest = std::abs(one.end.loss - other.end.loss) / one.end.loss;
  for (std::size_t i = 0; i < one.training_loss.size(); ++i)
    largest =
        std::max(largest, std::abs(one.training_loss[i] - other.training_loss[i]) / one.training_loss[i]);
  return std::isfinite(largest) ? largest : INFINITY;
}

/// Fine-tunes a tiny model in double from starts that are one model, written in two ways: LoraPair must have
/// equal losses, up to rounding, and the rules that look at one block must not. Every loss must fall.
/// @returns whether it is so.
inline bool pass_quick_checks(const TrainingPlan& base_plan, const TrainingPlan& plan) {
  constexpr double rounding = 1e-11, visible = 1e-3;
  constexpr std::size_t tokens = 60'000;
  const Testaments texts = read_testaments(plan.shape.vocabulary, tokens);
  Transformer base = train_base(texts.old_testament, base_plan, {});
  bool passed = true;
  const auto require = [&](bool good, const std::string& what) {
    if (!good) std::cerr << "lora: " << what << '\n';
    passed = passed && good;
  };
  std::cout << "largest relative difference of the losses of " << plan.steps << " steps in double\n"
            << std::setw(16) << "" << std::setw(28) << "down times 30" << std::setw(28) << "turned\n";
  for (const Method& method : methods()) {
    const auto trained = [&](const Start& start) {
      return fine_tune(base, texts.new_testament, plan, method, method.rate, start, {}, torch::kDouble);
    };
    const TrainingResult usual = trained(usual_start()), scaled = trained(badly_scaled_start());
    const TrainingResult non_zero = trained(non_zero_start(plan.seed)),
                         turned = trained(turned_start(plan.seed));
    const double by_scale = difference(usual, scaled), by_turn = difference(non_zero, turned);
    std::cout << std::setw(16) << method.name << std::setw(28) << by_scale << std::setw(28) << by_turn
              << '\n';
    require(usual.improved() && non_zero.improved(), "a loss of " + method.name + " did not fall");
    if (method.name == lora_pair().name) {
      require(scaled.improved() && turned.improved(), "a loss of a pair written in another way did not fall");
      require(by_scale <= rounding && by_turn <= rounding, method.name + " sees how a pair is written");
    } else {
      require(by_scale > visible && by_turn > visible,
              method.name + " does not see how a pair is written, so that the comparison shows nothing");
    }
  }
  return passed;
}

}  // namespace lora
