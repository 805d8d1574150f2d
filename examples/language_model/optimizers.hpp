// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/gauge.hpp>
#include <symopt/interop/torch.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/schedule.hpp>
#include <symopt/stack/routing.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "language_model.hpp"
#include "model_shape.hpp"
#include "scheduled_optimizer.hpp"
#include "settings.hpp"

namespace language_model {

/// 100 steps of warm-up (a tenth of a short run), then a cosine to zero. Source: arXiv 2605.18106.
inline Schedule warmup_cosine(std::int64_t steps) {
  return symopt::WarmupCosine{.warmup_steps = std::min<std::int64_t>(100, steps / 10), .total_steps = steps};
}

/// Constant, then linear to zero over the last 40 %. Source: arXiv 2605.18106.
inline Schedule constant_then_linear(std::int64_t steps) {
  return symopt::ConstantThenLinear{.total_steps = steps, .decay_share = 0.4};
}

/// One schedule for all groups of an optimizer.
inline ScheduledOptimizer scheduled(std::unique_ptr<torch::optim::Optimizer> optimizer,
                                    const Schedule& schedule) {
  std::vector<Schedule> schedules(optimizer->param_groups().size(), schedule);
  return {std::move(optimizer), std::move(schedules)};
}

/// torch's AdamW for every parameter.
inline std::unique_ptr<torch::optim::Optimizer> make_adamw(const LanguageModel& model,
                                                           const Settings& settings) {
  std::vector<torch::Tensor> embedding, head, tied_embedding, matrices, vectors;
  for (const auto& parameter : model.named_parameters()) {
    const std::string& name = parameter.key();
    const torch::Tensor& weights = parameter.value();
    const bool is_embedding = name.find("embed") != std::string::npos;
    if (weights.is_same(model.head_weight())) {
      (is_embedding ? tied_embedding : head).push_back(weights);
    } else if (is_embedding) {
      embedding.push_back(weights);
    } else {  // the biases of experts are a matrix, a row for each
      (weights.dim() == 1 || name.ends_with("bias") ? vectors : matrices).push_back(weights);
    }
  }
  std::vector<torch::optim::OptimizerParamGroup> groups;
  const auto add = [&](std::vector<torch::Tensor> tensors, double ratio, double weight_decay) {
    if (tensors.empty()) return;
    auto options = std::make_unique<torch::optim::AdamWOptions>(settings.learning_rate * ratio);
    options->betas({settings.beta1, settings.beta2}).weight_decay(weight_decay);
    groups.emplace_back(std::move(tensors), std::move(options));
  };
  add(embedding, settings.embedding, settings.weight_decay);
  add(head, settings.head, settings.weight_decay);
  add(tied_embedding, settings.tied_embedding, settings.weight_decay);
  add(matrices, 1, settings.weight_decay);
  add(vectors, 1, 0);
  return std::make_unique<torch::optim::AdamW>(std::move(groups));
}

/// The kind of rule that updates a parameter class.
enum class Kind {
  map,      ///< the normalization that the group derives: role<LmHead>()
  moments,  ///< Adam with the second moments that the group derives: role<Adaptive<LmHead>>()
  adamw     ///< Adam with a second moment for each entry
};

/// The classes that may have second moments, and whether blocks of which only the product matters step as
/// pairs; all the other matrices have maps.
struct Kinds {
  Kind embedding = Kind::map;
  Kind head = Kind::map;
  Kind router = Kind::map;
  Kind attention = Kind::map;
  bool has_pairs = false;  ///< query and key, value and output, and up and down of the dense model
};

inline constexpr Kinds second_moments{
    .embedding = Kind::moments, .head = Kind::moments, .router = Kind::moments};
/// And full ones for attention: a matrix for each head, or for each of the dense model's.
inline constexpr Kinds moments_of_attention_too{
    .embedding = Kind::moments, .head = Kind::moments, .router = Kind::moments, .attention = Kind::moments};
inline constexpr Kinds gauge_pairs{.has_pairs = true};

/// Query and key of a head under rotary positions, which turn the planes (i, i + size/2).
struct RotaryQueryKey : symopt::Gauge<symopt::algebra::Planes<symopt::algebra::Pairing::halves>,
                                      symopt::LeftOrthogonal, symopt::LeftOrthogonal> {};

/// Who gets which update, by name, in a stack of that scalar. None but the gains has options of its own.
template <class Scalar>
class Routes {
 public:
  static symopt::BasicRouting<Scalar> make(const ModelShape& shape, const Kinds& kinds,
                                           const Settings& settings);

 private:
  template <class Class>
  static symopt::BasicRole<Scalar> role(symopt::Layout layout = {}) {
    return symopt::role<Class, Scalar>(std::move(layout));
  }
  static void add_attention(symopt::BasicRouting<Scalar>& routing, const ModelShape& shape,
                            const Kinds& kinds, const Settings& settings);
  static void add_neurons(symopt::BasicRouting<Scalar>& routing, const ModelShape& shape, const Kinds& kinds);
  /// AdamW; belongs to no class, so that it has to be told its rate.
  static symopt::BasicRole<Scalar> adamw(const Settings& settings, double rate, double weight_decay) {
    return symopt::role<symopt::AdamW, Scalar>({.learning_rate = rate, .weight_decay = weight_decay}, {}, {},
                                               {.beta1 = settings.beta1, .beta2 = settings.beta2});
  }
  /// The role of a class; `ratio` is that of its rate to the stack's.
  template <class Class>
  static symopt::BasicRole<Scalar> role_of(Kind kind, const Settings& settings, double ratio,
                                           symopt::Layout layout = {}) {
    switch (kind) {
      case Kind::moments:
        return symopt::role<symopt::Adaptive<Class>, Scalar>(
            std::move(layout), {}, {.beta1 = settings.beta1, .beta2 = settings.beta2});
      case Kind::adamw:
        return adamw(settings, settings.learning_rate * ratio, settings.weight_decay);
      case Kind::map:
        break;
    }
    return role<Class>(std::move(layout));
  }
};

template <class Scalar>
symopt::BasicRouting<Scalar> Routes<Scalar>::make(const ModelShape& shape, const Kinds& kinds,
                                                  const Settings& settings) {
  using namespace symopt;
  BasicRouting<Scalar> routing;
  routing.add("embedding.weight", role_of<Embedding>(kinds.embedding, settings, settings.embedding));
  routing.add("head.weight", role_of<LmHead>(kinds.head, settings, settings.head));
  add_attention(routing, shape, kinds, settings);
  add_neurons(routing, shape, kinds);
  if (!shape.is_dense())
    routing.add("layers.*.mixture.router.weight", role_of<Router>(kinds.router, settings, 1));
  routing.set_vectors(adamw(settings, settings.learning_rate, 0));
  return routing;
}

template <class Scalar>
void Routes<Scalar>::add_attention(symopt::BasicRouting<Scalar>& routing, const ModelShape& shape,
                                   const Kinds& kinds, const Settings& settings) {
  using namespace symopt;
  const auto hidden_matrix = [&](Layout layout) {
    return role_of<HiddenMatrix>(kinds.attention, settings, 1, std::move(layout));
  };
  if (kinds.has_pairs) {
    const Layout heads = layout::row_heads(shape.heads, layout::transposed());
    routing.add_pair("layers.*.attention.query.weight", "layers.*.attention.key.weight",
                     pair_role<RotaryQueryKey, Scalar>({.a = heads, .b = heads}));
    routing.add_pair("layers.*.attention.output.weight", "layers.*.attention.value.weight",
                     pair_role<ValueOutput, Scalar>({.a = layout::column_heads(shape.heads), .b = heads}));
  } else if (shape.is_dense()) {
    routing.add("layers.*.attention.*.weight", hidden_matrix({}));
  } else {
    routing.add("layers.*.attention.{query,key,value}.weight", hidden_matrix(layout::row_heads(shape.heads)));
    routing.add("layers.*.attention.output.weight", hidden_matrix(layout::column_heads(shape.heads)));
  }
}

template <class Scalar>
void Routes<Scalar>::add_neurons(symopt::BasicRouting<Scalar>& routing, const ModelShape& shape,
                                 const Kinds& kinds) {
  using namespace symopt;
  if (!shape.is_dense()) {  // gate and up are one tensor, so that up alone is no side of a pair
    const Layout neurons = layout::gate_up(GateUp::concatenated, Neurons::paired);
    routing.add("layers.*.mixture.gate_up", role<SwigluInput>(layout::experts(neurons)));
    routing.add("layers.*.mixture.down", role<SwigluOutput>(layout::experts()));
  } else if (kinds.has_pairs) {
    routing.add("layers.*.swiglu.gate.weight", role<SwigluInput>());
    routing.add_pair("layers.*.swiglu.down.weight", "layers.*.swiglu.up.weight",
                     pair_role<NeuronPair, Scalar>({.b = layout::transposed()}));
  } else {
    routing.add("layers.*.swiglu.{gate,up}.weight", role<SwigluInput>());
    routing.add("layers.*.swiglu.down.weight", role<SwigluOutput>());
  }
}

/// symopt's stack on the model's parameters.
inline std::unique_ptr<symopt::interop::TorchOptimizer> make_stack(const LanguageModel& model,
                                                                   const ModelShape& shape,
                                                                   const Kinds& kinds,
                                                                   const Settings& settings) {
  return std::make_unique<symopt::interop::TorchOptimizer>(symopt::interop::parameter_groups(
      model.named_parameters(), Routes<float>::make(shape, kinds, settings), stack_options(settings)));
}

}  // namespace language_model
