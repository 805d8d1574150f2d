// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "../options.hpp"

namespace language_model {

/// The table of the trainings of searches: kept with the example, if they are as long as those of the page or
/// are one of these once more.
inline std::filesystem::path table_of(const Options& options) {
  const bool has_usual_length = options.steps == 0 || !options.repeat.empty();
  const bool is_kept = !options.has_output && !options.quick && has_usual_length;
  return is_kept ? "examples/language_model/search.csv" : options.output / "search.csv";
}

}  // namespace language_model
