// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/symopt.hpp>

#include <cstdint>
#include <vector>

#include "qwen3_shapes.hpp"

/// Weights and gradients of the model, in the trainer's memory.
class Qwen3Model {
 public:
  explicit Qwen3Model(Qwen3Part part, int layers = qwen3_shape::layers) {
    using namespace symopt;
    for (const Qwen3Parameter& parameter : qwen3_shape::parameters(part, layers)) {
      Index size = 1;
      for (const std::int64_t extent : parameter.sizes) size *= extent;
      weights_.emplace_back(Eigen::VectorXf::Random(size) * 0.02F);
      gradients_.emplace_back(Eigen::VectorXf::Random(size) * 1e-3F);
      const std::vector<Index> sizes(parameter.sizes.begin(), parameter.sizes.end());
      tensors_.push_back({parameter.name, TensorView<float>(weights_.back().data(), sizes),
                          TensorView<const float>(gradients_.back().data(), sizes)});
      size_ += size;
    }
  }

  const std::vector<symopt::NamedTensor<float>>& tensors() const { return tensors_; }
  symopt::Index size() const { return size_; }

 private:
  std::vector<Eigen::VectorXf> weights_, gradients_;
  std::vector<symopt::NamedTensor<float>> tensors_;
  symopt::Index size_ = 0;
};

/// The derived updates: the roles of the shipped rule set, whichever part of the model is there.
inline symopt::Routing qwen3_roles() {
  using namespace symopt;
  using namespace qwen3_shape;
  Routing routing;
  routing.add_optional("model.embed_tokens.weight", role<TiedEmbedding>());
  routing.add_optional("**.q_proj.weight", role<HiddenMatrix>().with(layout::row_heads(query_heads)));
  routing.add_optional("**.{k,v}_proj.weight", role<HiddenMatrix>().with(layout::row_heads(key_value_heads)));
  routing.add_optional("**.o_proj.weight", role<HiddenMatrix>().with(layout::column_heads(query_heads)));
  routing.add_optional("**.{gate,up}_proj.weight", role<SwigluInput>());
  routing.add_optional("**.down_proj.weight", role<SwigluOutput>());
  return routing;
}
