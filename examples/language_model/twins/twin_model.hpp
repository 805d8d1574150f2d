// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/model.hpp>
#include <symopt/interop/torch_tensor.hpp>

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../corpus/batches.hpp"
#include "../evaluation.hpp"
#include "../language_model.hpp"

namespace language_model {

/// The gains of a model's norms in a check.
enum class Gains {
  fixed,   ///< at one: a gain that is trained picks out the axes of the residual stream
  trained  ///< as in trainings
};

/// A model as a check of symopt trains it: on batches that are the same in every training, and in double,
/// where rounding stays small for a hundred steps, or in float.
template <class Scalar = double>
class TwinModel {
 public:
  /// The batch of every step, and one more. Each computation of a loss is announced.
  TwinModel(
      std::shared_ptr<LanguageModel> model, std::vector<Batch> batches, std::int64_t vocabulary,
      Gains gains = Gains::fixed, std::function<void()> on_loss = [] {})
      : model_{std::move(model)}, batches_{std::move(batches)}, on_loss_{std::move(on_loss)} {
    model_->to(torch::CppTypeToScalarType<Scalar>::value);
    for (const auto& item : model_->named_parameters()) {
      torch::Tensor parameter = item.value();
      if (gains == Gains::fixed && is_gain(item.key())) {
        parameter.requires_grad_(false);
      } else {
        parameter.mutable_grad() = torch::zeros_like(parameter);
      }
    }
    numbers_ = torch::arange(vocabulary);
  }

  LanguageModel& model() { return *model_; }

  /// Token i has the number images[i] from now on.
  void rename_tokens(const std::vector<symopt::Index>& images) {
    numbers_ = torch::tensor(std::vector<std::int64_t>(images.begin(), images.end()));
  }

  /// The model as a check sees it; refers to this one.
  symopt::check::Model<Scalar> checked() {
    using symopt::interop::tensor_view;
    std::vector<symopt::NamedTensor<Scalar>> parameters;
    for (const auto& parameter : model_->named_parameters()) {
      const torch::Tensor& weights = parameter.value();
      if (weights.requires_grad())
        parameters.push_back(
            {parameter.key(), tensor_view<Scalar>(weights), tensor_view<const Scalar>(weights.grad())});
    }
    return {std::move(parameters), [this](int step) { return loss_and_gradient(step); }};
  }

 private:
  static bool is_gain(const std::string& name) {
    return name.ends_with("norm.weight") || name.ends_with("gain");
  }

  double loss_and_gradient(int step) {
    on_loss_();
    for (torch::Tensor& parameter : model_->parameters())
      if (parameter.requires_grad()) parameter.mutable_grad().zero_();
    const Batch& batch = batches_.at(static_cast<std::size_t>(step));
    const torch::Tensor loss = model_->with_router_loss(
        next_token_loss(model_->forward(numbers_.index({batch.inputs})), numbers_.index({batch.targets})));
    loss.backward();
    return loss.template item<double>();
  }

  std::shared_ptr<LanguageModel> model_;
  std::vector<Batch> batches_;
  std::function<void()> on_loss_;
  torch::Tensor numbers_;
};

}  // namespace language_model
