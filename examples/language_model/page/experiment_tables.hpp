// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../search/search_summary.hpp"
#include "../statistics.hpp"
#include "../text.hpp"
#include "markdown_table.hpp"

// The tables of docs/experiments.md, from the trainings of a search.

namespace language_model::page {

/// The rules whose rates are searched, in the order of the tables.
inline const std::vector<std::string> rules{"AdamW",
                                            "AdamW; warm-up and cosine",
                                            "paper",
                                            "derived",
                                            "second moments",
                                            "attention too",
                                            "AdamW for embedding and head",
                                            "wrong side",
                                            "centred embedding",
                                            "one scale for experts"};

/// How much worse than the best rate another may be, in nats, to be in its valley.
inline constexpr double valley_depth = 0.05;

/// The searches of one rule on one architecture; null where it was tried at one rate alone or not at all.
inline const SideSummary* searched(const ArchitectureSummary& summary, const std::string& rule) {
  const SideSummary* side = summary.find(rule);
  return side != nullptr && side->by_rate().size() > 1 ? side : nullptr;
}

inline bool has_routers(const ArchitectureSummary& summary) {
  return std::ranges::any_of(summary.sides, [](const auto& side) {
    return side.second.mean_at_best(&SearchedTraining::load_entropy) > 0;
  });
}

inline std::string bold(const std::string& text) {
  return "**" + text + "**";
}
inline std::string with_sign(double value) {
  return (value < 0 ? "−" : "+") + fixed(std::abs(value), 4);
}

inline bool are_finite(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

/// "3.4143 ± 0.0049": mean and standard deviation; of one number without the second.
inline std::string mean_and_spread(const std::vector<double>& losses) {
  if (!are_finite(losses)) return "diverged";
  return or_dash(mean(losses), 4) + (losses.size() < 2 ? "" : " ± " + fixed(spread(losses), 4));
}

/// "−0.0317 (−0.0328 to −0.0306)": mean and Student's interval of 95 %; of one number without the interval.
inline std::string mean_and_interval(const std::vector<double>& differences) {
  if (differences.empty()) return "";
  if (!are_finite(differences)) return "diverged";
  const double middle = mean(differences), half = half_interval(differences);
  if (!std::isfinite(half)) return with_sign(middle);
  return with_sign(middle) + " (" + with_sign(middle - half) + " to " + with_sign(middle + half) + ")";
}

/// A word for an interval: "lower", "higher", or that these seeds do not tell.
inline std::string verdict(const std::vector<double>& differences) {
  if (differences.size() < 2) return "too few trainings";
  if (!are_finite(differences)) return "diverged";
  const double middle = mean(differences), half = half_interval(differences);
  if (middle + half < 0) return "lower";
  return middle - half > 0 ? "higher" : "not told apart";
}

/// Words behind the loss of a search that has fewer trainings than its command makes; none for a whole one.
inline std::string note_of(const SideSummary& side) {
  return side.is_complete() ? "" : ", only " + std::to_string(side.count()) + " trainings";
}

/// All architectures, a column for each rule: mean and standard deviation at its best rate, the lowest bold
/// where all searches of the row are whole.
inline std::string overview(const std::vector<ArchitectureSummary>& summaries,
                            const std::vector<std::string>& columns) {
  MarkdownTable::Cells head{""};
  head.insert(head.end(), columns.begin(), columns.end());
  MarkdownTable table(head);
  for (const ArchitectureSummary& summary : summaries) {
    double lowest = std::numeric_limits<double>::infinity();
    bool is_whole = true;
    for (const std::string& rule : columns)
      if (const SideSummary* side = searched(summary, rule)) {
        lowest = std::min(lowest, mean(side->losses_at_best()));
        is_whole = is_whole && side->is_complete();
      }
    MarkdownTable::Cells row{summary.architecture};
    for (const std::string& rule : columns) {
      const SideSummary* side = searched(summary, rule);
      if (side == nullptr) {
        row.emplace_back();
        continue;
      }
      const std::string loss = mean_and_spread(side->losses_at_best());
      const bool is_best = is_whole && mean(side->losses_at_best()) == lowest;
      row.push_back((is_best ? bold(loss) : loss) + note_of(*side));
    }
    table.add(row);
  }
  return table.text();
}

/// Rules side by side: the losses of all architectures that have whole searches of the first two, the lowest
/// bold where the row has all, and the costs on some of them.
inline std::string side_by_side(const std::vector<ArchitectureSummary>& summaries,
                                const std::vector<std::string>& columns,
                                const std::set<std::string>& with_costs) {
  MarkdownTable::Cells head{""};
  head.insert(head.end(), columns.begin(), columns.end());
  MarkdownTable table(head);
  const auto whole = [](const ArchitectureSummary& summary, const std::string& rule) {
    const SideSummary* side = searched(summary, rule);
    return side != nullptr && side->is_complete() ? side : nullptr;
  };
  const auto add_row = [&](const ArchitectureSummary& summary, const std::string& what, const auto& text_of) {
    MarkdownTable::Cells row{what + ", " + summary.architecture};
    for (const std::string& rule : columns) {
      const SideSummary* side = whole(summary, rule);
      row.push_back(side == nullptr ? "" : text_of(*side));
    }
    table.add(row);
  };
  const auto is_shown = [&](const ArchitectureSummary& summary) {
    return whole(summary, columns[0]) != nullptr && whole(summary, columns[1]) != nullptr;
  };
  for (const ArchitectureSummary& summary : summaries) {
    if (!is_shown(summary)) continue;
    double lowest = std::numeric_limits<double>::infinity();
    for (const std::string& rule : columns) {
      const SideSummary* side = whole(summary, rule);
      // Nothing is lowest where something is missing.
      lowest = side == nullptr ? -std::numeric_limits<double>::infinity()
                               : std::min(lowest, mean(side->losses_at_best()));
    }
    add_row(summary, "validation loss", [&](const SideSummary& side) {
      const std::vector<double> losses = side.losses_at_best();
      return mean(losses) == lowest ? bold(mean_and_spread(losses)) : mean_and_spread(losses);
    });
  }
  for (const ArchitectureSummary& summary : summaries) {
    if (!with_costs.contains(summary.architecture) || !is_shown(summary)) continue;
    add_row(summary, "the optimizer's state, MB", [](const SideSummary& side) {
      return or_dash(side.lowest(&SearchedTraining::state_bytes) / 1e6, 2);
    });
    add_row(summary, "time of the update, ms",
            [](const SideSummary& side) { return or_dash(side.shortest_update_ms(), 1); });
  }
  return table.text();
}

/// The rules of one architecture, each at its best rate: losses, differences from AdamW, and costs.
inline std::string best(const ArchitectureSummary& summary) {
  const SideSummary* adamw = searched(summary, "AdamW");
  MarkdownTable table(
      {"rule", "rate", "loss", "less AdamW", "the same, rate by the other seeds", "state, MB", "update, ms"});
  for (const std::string& rule : rules) {
    const SideSummary* side = searched(summary, rule);
    if (side == nullptr) continue;
    const bool is_compared = adamw != nullptr && side != adamw;
    table.add({rule, rate_text(side->best_rate()) + (side->is_interior() ? "" : ", an end of those tried"),
               mean_and_spread(side->losses_at_best()) + note_of(*side),
               is_compared ? mean_and_interval(paired_differences(*side, *adamw)) : "",
               is_compared ? mean_and_interval(differences_by_others_rate(*side, *adamw)) : "",
               or_dash(side->lowest(&SearchedTraining::state_bytes) / 1e6, 2),
               or_dash(side->shortest_update_ms(), 1)});
  }
  return table.text();
}

/// Load and logits of the routers at the best rate of each rule, for every architecture that has some.
inline std::string routers(const std::vector<ArchitectureSummary>& summaries) {
  MarkdownTable table({"", "rule", "entropy of the load", "dead experts, %", "largest logit"});
  for (const ArchitectureSummary& summary : summaries) {
    if (!has_routers(summary)) continue;
    for (const std::string& rule : rules)
      if (const SideSummary* side = searched(summary, rule))
        table.add({summary.architecture, rule,
                   or_dash(side->mean_at_best(&SearchedTraining::load_entropy), 3),
                   or_dash(100 * side->mean_at_best(&SearchedTraining::dead_share), 1),
                   or_dash(side->mean_at_best(&SearchedTraining::largest_logit), 1)});
  }
  return table.text();
}

/// The mean loss of every rule at every rate, the best bold, and how many trainings diverged.
inline std::string rates(const ArchitectureSummary& summary) {
  std::set<double> all;
  for (const std::string& rule : rules)
    if (const SideSummary* side = searched(summary, rule))
      for (const auto& [rate, trainings] : side->by_rate()) all.insert(rate);
  MarkdownTable::Cells head{"rule"};
  for (const double rate : all) head.push_back(rate_text(rate));
  MarkdownTable table(head);
  for (const std::string& rule : rules) {
    const SideSummary* side = searched(summary, rule);
    if (side == nullptr) continue;
    MarkdownTable::Cells row{rule};
    for (const double rate : all) {
      std::string& cell = row.emplace_back();
      const auto tried = side->by_rate().find(rate);
      if (tried == side->by_rate().end()) continue;
      const std::vector<double> losses = side->losses_at(rate);
      if (const std::size_t diverged = side->count_diverged(rate); diverged > 0) {
        cell = std::to_string(diverged) + " of " + std::to_string(tried->second.size()) + " diverged";
      } else {
        cell = rate == side->best_rate() ? bold(mean_and_spread(losses)) : mean_and_spread(losses);
      }
    }
    table.add(row);
  }
  return table.text();
}

/// "4 (0.00075 to 0.003)": the highest over the lowest of the rates around the best one at which nothing
/// diverged and the mean loss is at most valley_depth above the best, "at least 4" where the valley reaches
/// an end of the rates that were tried; and how many trainings diverged at all rates.
inline std::string valley_of(const SideSummary& side) {
  const auto is_in_valley = [&](const auto& of_rate) {
    const double rate = of_rate.first;
    return side.count_diverged(rate) == 0 &&
           mean(side.losses_at(rate)) <= mean(side.losses_at_best()) + valley_depth;
  };
  const auto& by_rate = side.by_rate();
  auto first = by_rate.find(side.best_rate()), last = first;
  if (!is_in_valley(*first)) return "diverged at every rate";
  while (first != by_rate.begin() && is_in_valley(*std::prev(first))) --first;
  while (std::next(last) != by_rate.end() && is_in_valley(*std::next(last))) ++last;
  const bool is_cut = first == by_rate.begin() || std::next(last) == by_rate.end();
  std::size_t diverged = 0;
  for (const auto& [rate, trainings] : by_rate) diverged += side.count_diverged(rate);
  return (is_cut ? "at least " : "") + fixed(last->first / first->first, 0) + " (" + rate_text(first->first) +
         " to " + rate_text(last->first) + ")" +
         (diverged == 0
              ? ""
              : "; " + std::to_string(diverged) + " of " + std::to_string(side.count()) + " diverged");
}

/// A row for each rule and a column for each architecture, with text_of(its searches).
inline std::string by_rule(const std::vector<ArchitectureSummary>& summaries, const auto& text_of) {
  MarkdownTable::Cells head{"rule"};
  for (const ArchitectureSummary& summary : summaries) head.push_back(summary.architecture);
  MarkdownTable table(head);
  for (const std::string& rule : rules) {
    MarkdownTable::Cells row{rule};
    for (const ArchitectureSummary& summary : summaries) {
      const SideSummary* side = searched(summary, rule);
      row.push_back(side == nullptr ? "" : text_of(*side));
    }
    if (std::ranges::any_of(row.begin() + 1, row.end(), std::not_fn(&std::string::empty))) table.add(row);
  }
  return table.text();
}

inline std::string valleys(const std::vector<ArchitectureSummary>& summaries) {
  return by_rule(summaries, [](const SideSummary& side) { return valley_of(side) + note_of(side); });
}

/// "6 of 15, from 0.003 on": in how many trainings the loss, as a mean over a twentieth of the steps, rose
/// above that of the first twentieth, and the lowest rate of one; empty where no curve is known.
inline std::string rises_of(const SideSummary& side) {
  std::size_t known = 0, risen = 0;
  double lowest = std::numeric_limits<double>::infinity();
  for (const auto& [rate, trainings] : side.by_rate())
    for (const SearchedTraining& training : trainings) {
      if (training.curve.size() < 2) continue;
      ++known;
      if (!training.has_risen()) continue;
      ++risen;
      lowest = std::min(lowest, rate);
    }
  if (known == 0) return "";
  return std::to_string(risen) + " of " + std::to_string(known) +
         (risen == 0 ? "" : ", from " + rate_text(lowest) + " on");
}

inline std::string rises(const std::vector<ArchitectureSummary>& summaries) {
  return by_rule(summaries, rises_of);
}

/// A rule and one that it is compared with.
struct Comparison {
  std::string rule, reference;
};

/// Differences at the best rates, on every architecture that has both rules; what is found of one comparison
/// alone, and bold where it also stands for all of the table together.
inline std::string comparisons(const std::vector<ArchitectureSummary>& summaries,
                               const std::vector<Comparison>& pairs) {
  std::vector<MarkdownTable::Cells> rows;
  std::vector<std::size_t> compared;  // numbers of rows
  std::vector<double> probabilities;  // of these
  for (const auto& [rule, reference_rule] : pairs)
    for (const ArchitectureSummary& summary : summaries) {
      const SideSummary *side = searched(summary, rule), *reference = searched(summary, reference_rule);
      if (side == nullptr || reference == nullptr) continue;
      const std::vector<double> at_best = paired_differences(*side, *reference),
                                by_others = differences_by_others_rate(*side, *reference);
      const bool is_clear = verdict(at_best) == verdict(by_others);
      rows.push_back({rule + " less " + reference_rule, summary.architecture, mean_and_interval(at_best),
                      mean_and_interval(by_others), is_clear ? verdict(at_best) : "not told apart"});
      if (at_best.size() < 2) continue;  // a search that has just begun
      compared.push_back(rows.size() - 1);
      probabilities.push_back(probability_by_chance(at_best));
    }
  if (rows.empty()) return "Not searched yet: `./run demo --architecture all --search`.\n";
  MarkdownTable table({"compared", "", "at the best rates", "rates by the other seeds", "found"});
  const std::vector<bool> stands = holm(probabilities);
  for (std::size_t i = 0; i < compared.size(); ++i) {
    std::string& found = rows[compared[i]].back();
    if (stands[i] && (found == "lower" || found == "higher")) found = bold(found);
  }
  for (const MarkdownTable::Cells& row : rows) table.add(row);
  return table.text();
}

/// All that was trained at one rate, the lowest loss first, and the differences from one of them; without
/// these where there is none of that name.
inline std::string at_one_rate(const ArchitectureSummary& summary, double rate,
                               const std::string& reference) {
  struct Row {
    std::string name;
    SideSummary at_rate;
  };
  std::vector<Row> rows;
  for (const auto& [name, side] : summary.sides) {
    if (!side.by_rate().contains(rate)) continue;
    rows.push_back({.name = name, .at_rate = side.only_at(rate)});
  }
  std::ranges::stable_sort(rows, {}, [](const Row& row) {
    const double loss = mean(row.at_rate.losses_at_best());
    return std::isfinite(loss) ? loss : std::numeric_limits<double>::infinity();
  });
  const auto other = std::ranges::find(rows, reference, &Row::name);
  MarkdownTable::Cells head{"rules", "loss", "seeds"};
  if (other != rows.end()) head.push_back("less " + reference);
  MarkdownTable table(head);
  for (const auto& [name, side] : rows) {
    MarkdownTable::Cells row{name, mean_and_spread(side.losses_at_best()), std::to_string(side.count())};
    if (other != rows.end())
      row.push_back(name == reference ? "" : mean_and_interval(paired_differences(side, other->at_rate)));
    table.add(row);
  }
  return table.text();
}

}  // namespace language_model::page
