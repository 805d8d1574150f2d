// SPDX-License-Identifier: Apache-2.0
#include "roles.hpp"

#include <symopt/optimizer/adaptive.hpp>

namespace char_transformer {

symopt::TransformerRoles<> adaptive_roles() {
  return symopt::adaptive_roles<>();
}

symopt::TransformerRoles<> roles_with_adaptive_mlp() {
  symopt::TransformerRoles<> roles = symopt::adaptive_roles<>();
  roles.swiglu_input = symopt::role<symopt::Adaptive<symopt::SwigluInput>>();
  roles.swiglu_output = symopt::role<symopt::Adaptive<symopt::SwigluOutput>>();
  return roles;
}

symopt::TransformerRoles<> derived_roles() {
  return {};
}

}  // namespace char_transformer
