// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <vector>

namespace language_model {

/// The weight of the routers' balance loss beside the next token's.
inline constexpr double balance_weight = 0.01;

/// The routing of one forward pass of a mixture.
struct RouterPass {
  torch::Tensor load;          ///< [experts], tokens that chose each of them
  torch::Tensor logits;        ///< [tokens, experts], without their history
  torch::Tensor balance_loss;  ///< 1 when the load is even, more when it is not; differentiable
  torch::Tensor z_loss{};      ///< where the model has one; differentiable
};

/// A language model as trainings, evaluations and checks see it.
class LanguageModel : public torch::nn::Module {
 public:
  /// Token numbers [batch, context] to logits [batch, context, vocabulary].
  virtual torch::Tensor forward(const torch::Tensor& tokens) = 0;
  /// The routing of every layer in the latest forward pass; none in a dense model.
  virtual std::vector<const RouterPass*> routers() const = 0;
  /// The part of the loss that the routers add to that of the next token, weights included.
  virtual torch::Tensor router_loss() const = 0;
  /// The matrix [vocabulary, width] whose rows make the logits.
  virtual torch::Tensor head_weight() const = 0;

  /// The loss of the next token with what the routers add to it.
  torch::Tensor with_router_loss(const torch::Tensor& loss) const {
    return routers().empty() ? loss : loss + router_loss();
  }
};

}  // namespace language_model
