// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iomanip>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include "corpus/corpus.hpp"
#include "race.hpp"
#include "text.hpp"

namespace language_model {

inline void print_introduction(std::ostream& out, const Corpus& corpus, const TrainingPlan& plan,
                               const std::string& architecture, std::size_t trainings) {
  const ModelShape& shape = plan.shape;
  out << "King James text: " << grouped(static_cast<std::int64_t>(corpus.training_tokens()))
      << " tokens to train on, " << grouped(static_cast<std::int64_t>(corpus.held_out_tokens()))
      << " held out; vocabulary " << grouped(corpus.vocabulary.size()) << ",\n"
      << fixed(100 * corpus.unknown_share, 1) << " % of the tokens are unknown to it.\n"
      << "Transformer, " << architecture << ": " << shape.layers << " layers of width " << shape.width << ", "
      << shape.heads << " heads, context " << shape.context << ",\n"
      << (shape.is_dense() ? std::string("one gated MLP")
                           : std::to_string(shape.experts) + " experts in each, " +
                                 std::to_string(shape.chosen) + " for a token,")
      << " of " << shape.neurons << " neurons.\n"
      << trainings << " trainings from seed " << plan.seed << ", side by side: " << grouped(plan.steps)
      << " steps of " << grouped(plan.tokens_per_step()) << " tokens.\n";
}

/// The comparison, 80 columns wide at most.
inline void print_table(std::ostream& out, const TrainingPlan& plan, const Race& race) {
  constexpr int label_width = 40, least_width = 12, gap = 2;
  const auto width = [&](const Runner& runner) {
    return std::max(least_width, gap + static_cast<int>(runner.name.size()));
  };
  const auto compare = [&](std::string_view label, auto figure) {
    out << std::left << std::setw(label_width) << label << std::right;
    for (const Runner& runner : race) out << std::setw(width(runner)) << figure(runner.result);
    out << '\n';
  };
  const auto readable = [](double value) {
    return std::abs(value) < 1e-3 ? scientific(value) : fixed(value, 3);
  };

  out << std::string(label_width, ' ');
  int total_width = label_width;
  for (const Runner& runner : race) {
    out << std::setw(width(runner)) << runner.name;
    total_width += width(runner);
  }
  out << '\n' << std::string(static_cast<std::size_t>(total_width), '-') << '\n';
  compare("validation loss, nats per token", [](const auto& r) { return fixed(r.end.loss, 4); });
  compare("  perplexity", [](const auto& r) { return fixed(std::exp(r.end.loss), 2); });
  compare("training loss, last twentieth", [](const auto& r) { return fixed(r.final_training_loss(), 4); });
  compare("drift of the mean logit", [&](const auto& r) { return readable(r.mean_logit_drift()); });
  compare("drift of the head's mean row", [&](const auto& r) { return readable(r.mean_row_drift); });
  if (!plan.shape.is_dense()) {
    compare("routers: entropy of the load, 1 is even",
            [](const auto& r) { return fixed(r.end.routers.load_entropy, 3); });
    compare("  share of dead experts, %",
            [](const auto& r) { return fixed(100 * r.end.routers.dead_fraction, 1); });
    compare("  drift of the mean logit",
            [&](const auto& r) { return readable(r.router_mean_logit_drift()); });
    compare("  largest logit", [](const auto& r) { return fixed(r.end.routers.largest_logit, 2); });
  }
  compare("time per step, ms", [](const auto& r) { return fixed(1e3 * r.seconds_per_step, 1); });
  compare("  the update's part of it, ms",
          [](const auto& r) { return fixed(1e3 * r.update_seconds_per_step, 1); });
  compare("  the update's share of it, %",
          [](const auto& r) { return fixed(100 * r.update_seconds_per_step / r.seconds_per_step, 1); });
  compare("tokens per second", [&](const auto& r) {
    return grouped(std::llround(static_cast<double>(plan.tokens_per_step()) / r.seconds_per_step));
  });
  compare("the optimizer's state, MB",
          [](const auto& r) { return fixed(static_cast<double>(r.state_bytes) / 1e6, 2); });

  for (const Runner& runner : std::span(race).subspan(1)) {
    const double gain = race.front().result.end.loss - runner.result.end.loss;
    out << "The validation loss of " << runner.name << " is " << fixed(std::abs(gain), 4) << " nats "
        << (gain > 0 ? "lower" : "higher") << " than that of " << race.front().name << ".\n";
  }
}

}  // namespace language_model
