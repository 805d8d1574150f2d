// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/model.hpp>
#include <symopt/interop/torch_tensor.hpp>

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "batches.hpp"
#include "evaluation.hpp"
#include "model.hpp"
#include "training.hpp"

namespace language_model {

/// A transformer as a check of symopt trains it: in double, where rounding stays small for a hundred steps;
/// with norm gains that stay at one, for a gain that is trained picks out the axes of the residual stream;
/// and on batches that are the same in every training.
class TwinModel {
 public:
  /// Each computation of a loss is announced.
  TwinModel(
      const Corpus& corpus, const TrainingPlan& plan, std::function<void()> on_loss = [] {})
      : model_{plan.shape, plan.seed}, on_loss_{std::move(on_loss)} {
    model_->to(torch::kDouble);
    for (torch::Tensor& parameter : model_->parameters()) {
      if (parameter.dim() == 1) {
        parameter.requires_grad_(false);
      } else {
        parameter.mutable_grad() = torch::zeros_like(parameter);
      }
    }
    BatchStream stream{corpus.training, static_cast<std::size_t>(plan.sequences),
                       static_cast<std::size_t>(plan.shape.context), plan.seed};
    for (std::int64_t step = 0; step <= plan.steps; ++step) batches_.push_back(stream.next());
    numbers_ = torch::arange(plan.shape.vocabulary);
  }

  Transformer& transformer() { return model_; }

  /// Token i has the number images[i] from now on.
  void rename_tokens(const std::vector<symopt::Index>& images) {
    numbers_ = torch::tensor(std::vector<std::int64_t>(images.begin(), images.end()));
  }

  /// The model as a check sees it; refers to this one.
  symopt::check::Model<double> checked() {
    using symopt::interop::tensor_view;
    std::vector<symopt::NamedTensor<double>> parameters;
    for (const auto& parameter : model_->named_parameters()) {
      const torch::Tensor& weights = parameter.value();
      if (weights.requires_grad())
        parameters.push_back(
            {parameter.key(), tensor_view<double>(weights), tensor_view<const double>(weights.grad())});
    }
    return {std::move(parameters), [this](int step) { return loss_and_gradient(step); }};
  }

 private:
  double loss_and_gradient(int step) {
    on_loss_();
    for (torch::Tensor& parameter : model_->parameters())
      if (parameter.requires_grad()) parameter.mutable_grad().zero_();
    const Batch& batch = batches_.at(static_cast<std::size_t>(step));
    torch::Tensor loss =
        next_token_loss(model_(numbers_.index({batch.inputs})), numbers_.index({batch.targets}));
    if (model_->is_mixture()) loss = loss + balance_weight * model_->balance_loss();
    loss.backward();
    return loss.item<double>();
  }

  Transformer model_;
  std::function<void()> on_loss_;
  std::vector<Batch> batches_;
  torch::Tensor numbers_;
};

}  // namespace language_model
