// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <torch/torch.h>

#include <memory>

namespace char_transformer {

using OptimizerPointer = std::unique_ptr<torch::optim::Optimizer>;

/// Before: AdamW for all parameters, with a weight decay of 0.1, as all of these have.
OptimizerPointer make_adamw(const Model& model, double rate);

/// After: second moments for embedding and head, polar factors for attention, row and column norms for
/// SwiGLU.
OptimizerPointer make_symopt(const Model& model, double rate);

/// Second moments for SwiGLU as well.
OptimizerPointer make_symopt_with_adaptive_mlp(const Model& model, double rate);

/// No second moments, but for gains and positions, which have AdamW.
OptimizerPointer make_symopt_without_adaptive(const Model& model, double rate);

}  // namespace char_transformer
