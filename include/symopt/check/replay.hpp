// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/linkage.hpp>
#include <symopt/check/report.hpp>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The environment's SYMOPT_REPRODUCE as one check reads it: its seed, and one of its trials or all of them.
/// The line is `law|rule|group|seed=7 trial`, so it reaches the check that printed it through any test
/// framework, and all others go on as usual.
struct Replay {
  std::uint64_t seed = 0;
  std::string trial;  ///< empty: the whole check

  bool is_one_trial() const { return !trial.empty(); }
  bool wants(const std::string& id) const { return trial.empty() || trial == id; }
};

/// The line that repeats a trial, or the whole check.
std::string reproduce_line(const Report& report, const std::string& trial);

/// Nothing when the environment asks nothing of the check. Otherwise the report's seed becomes the line's.
std::optional<Replay> replay_of(Report& report);

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE std::string heading_of(const Report& report) {
  return report.law + "|" + report.rule + "|" + report.group + "|seed=";
}

SYMOPT_CHECK_INLINE std::string reproduce_line(const Report& report, const std::string& trial) {
  return "SYMOPT_REPRODUCE=\"" + heading_of(report) + std::to_string(report.seed) +
         (trial.empty() ? "" : " " + trial) + "\"";
}

SYMOPT_CHECK_INLINE std::optional<Replay> replay_of(Report& report) {
  const char* text = std::getenv("SYMOPT_REPRODUCE");
  const std::string heading = heading_of(report);
  if (text == nullptr || !std::string_view(text).starts_with(heading)) return std::nullopt;
  const char* rest = text + heading.size();
  char* end = nullptr;
  Replay replay{std::strtoull(rest, &end, 0), end};
  replay.trial.erase(0, replay.trial.find_first_not_of(' '));
  report.seed = replay.seed;
  return replay;
}
#endif

}}}  // namespace symopt::check::detail
