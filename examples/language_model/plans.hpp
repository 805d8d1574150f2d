// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <stdexcept>
#include <vector>

#include "architecture.hpp"
#include "options.hpp"
#include "training.hpp"

namespace language_model {

/// @throws std::invalid_argument for a device that this libtorch does not have.
inline torch::Device device_of(const Options& options) {
  if (options.device == "cpu") return torch::kCPU;
  if (options.device != "cuda" && !options.device.starts_with("cuda:"))
    throw std::invalid_argument("--device is cpu or cuda, not '" + options.device + "'");
  if (!torch::cuda::is_available())
    throw std::invalid_argument(
        "--device cuda: this libtorch sees no such device; Debian's has none, that of pytorch.org does");
  return torch::Device(options.device);
}

/// The architectures that the options name.
inline std::vector<Architecture> architectures_of(const Options& options) {
  std::vector<Architecture> architectures;
  const bool is_dense = options.architecture == "dense";
  if (is_dense || options.architecture == "mixture")
    architectures.push_back(own_architecture(is_dense, options.attention));
  for (const Family family : families_of(options.architecture))
    architectures.push_back(options.width > 1 ? wide_architecture_of(family, options.width)
                                              : architecture_of(family));
  if (architectures.empty() || (architectures.size() > 1 && !options.search && !options.report))
    throw std::invalid_argument(
        "--architecture is dense, mixture, qwen3, gemma3, olmoe, gpt-oss, or with "
        "--search or --report all, not '" +
        options.architecture + "'");
  if (options.width > 1 && families_of(options.architecture).empty())
    throw std::invalid_argument("--width is for qwen3, gemma3, olmoe and gpt-oss");
  return architectures;
}

/// Tests whether the options name architectures of arXiv 2605.18106.
inline bool is_of_the_paper(const Options& options) {
  return !families_of(options.architecture).empty();
}

/// The training of an architecture that the options ask for.
inline TrainingPlan plan_for(const Architecture& architecture, const Options& options) {
  TrainingPlan plan;
  plan.shape = architecture.shape;
  if (is_of_the_paper(options) || options.quick) plan.sequences = 8;
  if (options.quick) {
    plan.shape = architecture.quick_shape;
    plan.steps = 60;
  }
  if (options.steps != 0) plan.steps = options.steps;
  plan.seed = options.seed;
  plan.device = device_of(options);
  return plan;
}

}  // namespace language_model
