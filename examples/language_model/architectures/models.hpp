// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "../language_model.hpp"
#include "../model_shape.hpp"
#include "family.hpp"
#include "gpt_oss_neurons.hpp"

namespace language_model {

/// The proportions of the published model at a small width.
ModelShape shape_of(Family family);
/// A model with weights that are drawn from the seed.
std::shared_ptr<LanguageModel> make_model(Family family, const ModelShape& shape, std::uint64_t seed);
/// A gpt-oss with other neurons.
std::shared_ptr<LanguageModel> make_model(const GptOssNeurons& neurons, const ModelShape& shape,
                                          std::uint64_t seed);

}  // namespace language_model
