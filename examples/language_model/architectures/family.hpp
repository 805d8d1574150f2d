// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>

namespace language_model {

/// The architectures of the experiments of arXiv 2605.18106.
enum class Family { qwen3, gemma3, olmoe, gpt_oss };

inline constexpr std::array all_families{Family::qwen3, Family::gemma3, Family::olmoe, Family::gpt_oss};

/// "qwen3", "gemma3", "olmoe" or "gpt-oss".
std::string name_of(Family family);
/// Tests whether the embedding is also the head.
inline bool is_tied(Family family) {
  return family == Family::qwen3 || family == Family::gemma3;
}

}  // namespace language_model
