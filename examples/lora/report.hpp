// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <language_model/race.hpp>
#include <language_model/text.hpp>

#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "fine_tuning.hpp"

namespace lora {

using language_model::Race;

inline void print_introduction(std::ostream& out, const Testaments& texts, const TrainingPlan& base,
                               const TrainingPlan& plan) {
  using language_model::grouped;
  const auto tokens = [](const Corpus& corpus) {
    return grouped(static_cast<std::int64_t>(corpus.training_tokens())) + " tokens to train on, " +
           grouped(static_cast<std::int64_t>(corpus.held_out_tokens())) + " held out";
  };
  out << "Old Testament: " << tokens(texts.old_testament) << ".\n"
      << "New Testament: " << tokens(texts.new_testament) << ".\n"
      << "Transformer: " << base.shape.layers << " layers of width " << base.shape.width << ", "
      << base.shape.heads << " heads, one SwiGLU of " << base.shape.neurons << " neurons, context "
      << base.shape.context << ".\n"
      << "Base model: " << grouped(base.steps) << " steps of " << grouped(base.tokens_per_step())
      << " tokens on the Old Testament, by AdamW.\n"
      << "Fine-tuning: " << grouped(plan.steps) << " steps of " << grouped(plan.tokens_per_step())
      << " tokens on the New Testament, LoRA of rank " << Adapters::rank << " on all matrices.\n";
}

/// A rate in two digits: 3.2e-03.
inline std::string rate_text(double rate) {
  return language_model::scientific(rate);
}

/// The comparison, 80 columns wide at most. `again` has the badly scaled start at rates of its own.
inline void print_table(std::ostream& out, const std::vector<Method>& compared, const Race& usual,
                        const Race& badly_scaled, const Race& again) {
  using language_model::fixed;
  constexpr int label_width = 35, width = 15;
  const auto row = [&](std::string_view label, auto figure) {
    out << std::left << std::setw(label_width) << label << std::right;
    for (std::size_t i = 0; i < compared.size(); ++i) out << std::setw(width) << figure(i);
    out << '\n';
  };
  const auto end = [](const Race& race) {
    return [&race](std::size_t i) { return fixed(race[i].result.end.loss, 4); };
  };
  out << '\n';
  row("", [&](std::size_t i) { return compared[i].name; });
  out << std::string(label_width + width * compared.size(), '-') << '\n';
  row("validation loss before", [&](std::size_t i) { return fixed(usual[i].result.start.loss, 4); });
  row("after, as LoRA starts", end(usual));
  row("after, down times 30, same rate", end(badly_scaled));
  row("  at a rate of its own", end(again));
  row("rate", [&](std::size_t i) { return rate_text(compared[i].rate); });
  row("  of its own, down times 30", [&](std::size_t i) { return rate_text(compared[i].rate_badly_scaled); });
  row("training loss, last twentieth",
      [&](std::size_t i) { return fixed(usual[i].result.final_training_loss(), 4); });
  row("time per step, ms", [&](std::size_t i) { return fixed(1e3 * usual[i].result.seconds_per_step, 1); });
  row("  the update's part of it, ms",
      [&](std::size_t i) { return fixed(1e3 * usual[i].result.update_seconds_per_step, 1); });
  row("the optimizer's state, MB",
      [&](std::size_t i) { return fixed(static_cast<double>(usual[i].result.state_bytes) / 1e6, 2); });
}

}  // namespace lora
