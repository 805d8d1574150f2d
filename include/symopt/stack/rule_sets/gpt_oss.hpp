// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of a gpt-oss by its parameters' names (GptOssForCausalLM): router and experts in every layer,
/// all experts in one tensor stored (in, out), gate and up interleaved: experts.gate_up_proj [E, d, 2r],
/// experts.down_proj [E, r, d]. AdamW for gains, attention sinks and all biases, the experts' [E, n] among
/// them. Source: arXiv 2605.18106.
template <class Scalar = float>
BasicRouting<Scalar> gpt_oss(AttentionHeads heads, Embeddings embeddings = Embeddings::untied,
                             const TransformerRoles<Scalar>& roles = {}) {
  using namespace layout;
  BasicRouting<Scalar> routing = symopt::detail::transformer_routing(heads, embeddings, roles);
  const std::string mlp = "model.layers.*.mlp.";
  routing.add(mlp + "router.weight", roles.router);
  routing.add(mlp + "experts.gate_up_proj",
              roles.swiglu_input.with(experts(transposed(gate_up(GateUp::interleaved, roles.gate_up)))));
  routing.add(mlp + "experts.down_proj", roles.swiglu_output.with(experts(transposed())));
  routing.add(mlp + "experts.{gate_up,down}_proj_bias", roles.other);
  return routing;
}

}}  // namespace symopt
