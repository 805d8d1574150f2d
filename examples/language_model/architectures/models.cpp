// SPDX-License-Identifier: Apache-2.0
#include "models.hpp"

#include "gemma3.hpp"
#include "gpt_oss.hpp"
#include "olmoe.hpp"
#include "qwen3.hpp"

namespace language_model {

std::string name_of(Family family) {
  switch (family) {
    case Family::qwen3:
      return "qwen3";
    case Family::gemma3:
      return "gemma3";
    case Family::olmoe:
      return "olmoe";
    case Family::gpt_oss:
      break;
  }
  return "gpt-oss";
}

ModelShape shape_of(Family family) {
  switch (family) {
    case Family::qwen3:
      return qwen3_shape();
    case Family::gemma3:
      return gemma3_shape();
    case Family::olmoe:
      return olmoe_shape();
    case Family::gpt_oss:
      break;
  }
  return gpt_oss_shape();
}

std::shared_ptr<LanguageModel> make_model(Family family, const ModelShape& shape, std::uint64_t seed) {
  switch (family) {
    case Family::qwen3:
      return make_qwen3(shape, seed);
    case Family::gemma3:
      return make_gemma3(shape, seed);
    case Family::olmoe:
      return make_olmoe(shape, seed);
    case Family::gpt_oss:
      break;
  }
  return make_gpt_oss(shape, seed);
}

std::shared_ptr<LanguageModel> make_model(const GptOssNeurons& neurons, const ModelShape& shape,
                                          std::uint64_t seed) {
  return make_gpt_oss(shape, seed, neurons);
}

}  // namespace language_model
