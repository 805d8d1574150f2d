// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/row_norm.hpp>
#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of a GPT-2 by its parameters' names (GPT2LMHeadModel, or GPT2Model without the first word),
/// whose matrices are stored (in, out): q, k and v in one tensor, one block for each head of each; the MLP by
/// neurons; an embedding that is also the head, listed once. Positions have an order, so that their rows are
/// normalized and not exchanged. AdamW for gains and biases.
template <class Scalar = float>
BasicRouting<Scalar> gpt2(
    Index heads, const TransformerRoles<Scalar>& roles = {},
    const BasicRole<Scalar>& positions = role<Update<RightOrthogonal, RowNorm>, Scalar>()) {
  using namespace layout;
  BasicRouting<Scalar> routing;
  routing.set_vectors(roles.other);
  const std::string model = "{transformer.,}", block = model + "h.*.";
  routing.add(model + "wte.weight", roles.tied_embedding);
  routing.add(model + "wpe.weight", positions);
  routing.add(block + "attn.c_attn.weight", roles.attention.with(transposed(row_heads(3 * heads))));
  routing.add(block + "attn.c_proj.weight", roles.attention.with(transposed(column_heads(heads))));
  routing.add(block + "mlp.c_fc.weight", roles.swiglu_input.with(transposed()));
  routing.add(block + "mlp.c_proj.weight", roles.swiglu_output.with(transposed()));
  routing.add_hint("lm_head.weight", "the embedding wte is the head in GPT-2, so leave it out");
  return routing;
}

}}  // namespace symopt
