// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>

#include "../linear.hpp"
#include "../model_shape.hpp"
#include "../rotation.hpp"
#include "norm.hpp"

namespace language_model {

/// The norms of queries and keys, before the rotation.
enum class QueryKeyNorm {
  none,
  each_head,  ///< one gain for the entries of a head
  all_heads   ///< over the entries of all heads together, with a gain for each
};

struct AttentionOptions {
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;
  NormOptions norm{};
  bool has_biases = false;  ///< of all four matrices
  bool has_sinks = false;   ///< a logit of each head beside those of the positions, which has no value
  std::int64_t window = 0;  ///< the latest positions, a token's own included; 0 for all of them
  double rotary_base = 10'000;
};

/// Causal attention with rotary positions and grouped queries: consecutive heads of queries share a head of
/// keys and values.
struct GroupedAttentionImpl : torch::nn::Module {
  GroupedAttentionImpl(const ModelShape& shape, const AttentionOptions& options)
      : heads_{shape.heads},
        key_value_heads_{shape.key_value_heads},
        head_size_{shape.head_size},
        options_{options},
        rotation_{shape.context, shape.head_size, options.rotary_base, torch::kDouble},
        unseen_{unseen(shape.context, options.window)} {
    const std::int64_t queries = heads_ * head_size_, keys = key_value_heads_ * head_size_;
    q_proj = register_module("q_proj", linear(shape.width, queries, options.has_biases));
    k_proj = register_module("k_proj", linear(shape.width, keys, options.has_biases));
    v_proj = register_module("v_proj", linear(shape.width, keys, options.has_biases));
    o_proj = register_module("o_proj", linear(queries, shape.width, options.has_biases));
    if (options.has_sinks) sinks = register_parameter("sinks", torch::zeros({heads_}));
    if (options.query_key_norm != QueryKeyNorm::none) {
      const bool is_each = options.query_key_norm == QueryKeyNorm::each_head;
      q_norm = register_module("q_norm", Norm{is_each ? head_size_ : queries, options.norm});
      k_norm = register_module("k_norm", Norm{is_each ? head_size_ : keys, options.norm});
    }
  }

  torch::Tensor forward(const torch::Tensor& x) {
    const std::int64_t batch = x.size(0), context = x.size(1);
    const auto by_head = [&](const torch::Tensor& y) {
      return y.view({batch, context, -1, head_size_}).transpose(1, 2);
    };
    const torch::Tensor q = rotation_(by_head(normed(q_proj(x), q_norm)));
    const torch::Tensor k = rotation_(by_head(normed(k_proj(x), k_norm)));
    const std::int64_t group = heads_ / key_value_heads_;
    const torch::Tensor queries = q.reshape({batch, key_value_heads_, group * context, head_size_});
    const double scale = 1 / std::sqrt(static_cast<double>(head_size_));
    torch::Tensor logits = torch::matmul(queries * scale, k.transpose(-2, -1))
                               .view({batch, heads_, context, context})
                               .masked_fill(unseen_.to(x.device()), -INFINITY);
    if (options_.has_sinks)
      logits = torch::cat({logits, sinks.view({1, heads_, 1, 1}).expand({batch, -1, context, 1})}, -1);
    torch::Tensor weights = torch::softmax(logits, -1);
    if (options_.has_sinks) weights = weights.slice(-1, 0, context);
    const torch::Tensor mixed = torch::matmul(
        weights.reshape({batch, key_value_heads_, group * context, context}), by_head(v_proj(x)));
    return o_proj(mixed.view({batch, heads_, context, head_size_}).transpose(1, 2).flatten(2));
  }

  torch::nn::Linear q_proj{nullptr}, k_proj{nullptr}, v_proj{nullptr}, o_proj{nullptr};
  torch::Tensor sinks;                    ///< [heads]; undefined where there are none
  Norm q_norm{nullptr}, k_norm{nullptr};  ///< empty where there are none

 private:
  /// Of the entries [.., heads size].
  torch::Tensor normed(const torch::Tensor& y, Norm& norm) const {
    switch (options_.query_key_norm) {
      case QueryKeyNorm::each_head:
        return norm(y.view({y.size(0), y.size(1), -1, head_size_})).flatten(2);
      case QueryKeyNorm::all_heads:
        return norm(y);
      case QueryKeyNorm::none:
        break;
    }
    return y;
  }

  /// [context, context]: true where the token of a row does not see the position of a column.
  static torch::Tensor unseen(std::int64_t context, std::int64_t window) {
    const torch::Tensor all = torch::ones({context, context}, torch::kBool);
    const torch::Tensor future = all.triu(1);
    return window == 0 ? future : future.logical_or(all.tril(-window));
  }

  std::int64_t heads_, key_value_heads_, head_size_;
  AttentionOptions options_;
  Rotation rotation_;
  torch::Tensor unseen_;
};
TORCH_MODULE(GroupedAttention);

}  // namespace language_model
