// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/gauge.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/stack/routing.hpp>

#include <utility>

#include "kinds.hpp"
#include "model_shape.hpp"
#include "settings.hpp"

namespace language_model {

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

}  // namespace language_model
