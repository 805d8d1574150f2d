// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "../search/search_summary.hpp"
#include "../statistics.hpp"
#include "../text.hpp"
#include "experiment_tables.hpp"
#include "markdown_table.hpp"

namespace language_model::page {

/// An architecture and its wider versions, "qwen3" and "qwen3 x2": the best rate of each rule that a wider
/// one was searched with, the loss there, the loss at the rate that is best for the narrow one, and how far
/// that is from AdamW's at its own rate of the narrow one.
inline std::string widths(const std::vector<ArchitectureSummary>& summaries, const std::string& narrow) {
  const auto base = std::ranges::find(summaries, narrow, &ArchitectureSummary::architecture);
  MarkdownTable table(
      {"rule", "model", "best rate", "loss", "loss at the rate of " + narrow, "less AdamW, at these rates"});
  bool is_empty = true;
  for (const std::string& rule : rules) {
    const auto is_wide = [&](const ArchitectureSummary& summary) {
      return summary.architecture.starts_with(narrow + " x") && searched(summary, rule) != nullptr;
    };
    const SideSummary *own = nullptr, *adamw = nullptr;
    if (base != summaries.end()) own = searched(*base, rule), adamw = searched(*base, "AdamW");
    if (own == nullptr || adamw == nullptr || std::ranges::none_of(summaries, is_wide)) continue;
    is_empty = false;
    for (const ArchitectureSummary& summary : summaries) {
      if (&summary != &*base && !is_wide(summary)) continue;
      const SideSummary& side = *searched(summary, rule);
      const SideSummary at_rate = side.only_at(own->best_rate());
      std::string difference;
      if (const SideSummary* reference = searched(summary, "AdamW"); reference != nullptr && rule != "AdamW")
        if (const SideSummary other = reference->only_at(adamw->best_rate());
            other.count() > 0 && at_rate.count() > 0)
          difference = mean_and_interval(paired_differences(at_rate, other));
      table.add({rule, summary.architecture,
                 rate_text(side.best_rate()) + (side.is_interior() ? "" : ", an end of those tried"),
                 mean_and_spread(side.losses_at_best()),
                 at_rate.count() == 0 ? "not tried" : mean_and_spread(at_rate.losses_at_best()), difference});
    }
  }
  return is_empty ? "Not searched yet: `./run demo --architecture " + narrow + " --width 2 --search`.\n"
                  : table.text();
}

}  // namespace language_model::page
