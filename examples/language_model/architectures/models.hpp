// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "../language_model.hpp"
#include "../model_shape.hpp"
#include "gpt_oss_neurons.hpp"

namespace language_model {

/// The architectures of the experiments of arXiv 2605.18106.
enum class Family { qwen3, gemma3, olmoe, gpt_oss };

inline constexpr std::array all_families{Family::qwen3, Family::gemma3, Family::olmoe, Family::gpt_oss};

/// "qwen3", "gemma3", "olmoe" or "gpt-oss".
std::string name_of(Family family);
/// The proportions of the published model at a small width.
ModelShape shape_of(Family family);
/// Tests whether the embedding is also the head.
bool is_tied(Family family);
/// A model with weights that are drawn from the seed.
std::shared_ptr<LanguageModel> make_model(Family family, const ModelShape& shape, std::uint64_t seed);
/// A gpt-oss with other neurons.
std::shared_ptr<LanguageModel> make_model(const GptOssNeurons& neurons, const ModelShape& shape,
                                          std::uint64_t seed);

}  // namespace language_model
