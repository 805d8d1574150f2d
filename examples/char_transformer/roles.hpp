// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/rule_sets/transformer_roles.hpp>

namespace char_transformer {

/// Second moments for embedding and head, polar factors for attention, row and column norms for SwiGLU.
symopt::TransformerRoles<> adaptive_roles();
/// Second moments for SwiGLU as well.
symopt::TransformerRoles<> roles_with_adaptive_mlp();
/// No second moments, but for gains and positions.
symopt::TransformerRoles<> derived_roles();

}  // namespace char_transformer
