// SPDX-License-Identifier: Apache-2.0
#include "rules.hpp"

#include <symopt/derive/then.hpp>
#include <symopt/derive/update.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/spectral.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/stack/rule_sets/gemma3.hpp>
#include <symopt/stack/rule_sets/gpt_oss.hpp>
#include <symopt/stack/rule_sets/olmoe.hpp>
#include <symopt/stack/rule_sets/qwen3.hpp>

#include <cstdint>

namespace language_model {

namespace {

using namespace symopt;

/// The group of a router with a z-loss, which sees the shift of all logits.
using RouterWithZLoss = Product<RowPermutation, RightOrthogonal>;

/// The group of a matrix whose columns, not rows, change places: of none of the matrices that it is used for.
using WrongSide = Product<LeftOrthogonal, ColumnPermutation>;

bool has_z_loss(Family family) {
  return family == Family::olmoe;
}

AdamW adamw(const Settings& settings) {
  return {.beta1 = settings.beta1, .beta2 = settings.beta2};
}

/// AdamW at a ratio to the layers' rate.
Role adamw_role(const Settings& settings, double ratio, double weight_decay) {
  return role<AdamW>({.learning_rate = settings.learning_rate * ratio, .weight_decay = weight_decay}, {}, {},
                     adamw(settings));
}

/// Second moments of a group.
template <class Group>
Role moments_role(const Settings& settings) {
  return role<Adaptive<Group>>(Layout{}, {}, {.beta1 = settings.beta1, .beta2 = settings.beta2});
}

/// A rule at the ratio of a class that is not its own.
template <class ClassOrRule>
Role role_at(const Settings& settings, double ratio) {
  return role<ClassOrRule>({.learning_rate = settings.learning_rate * ratio,
                            .momentum = settings.momentum,
                            .weight_decay = settings.weight_decay,
                            .scale = Scale::match_rms});
}

TransformerRoles<> derived_roles(Family family, const Settings& settings) {
  TransformerRoles<> roles;
  if (has_z_loss(family)) roles.router = role<RouterWithZLoss>();
  roles.other = adamw_role(settings, 1, 0);
  return roles;
}

TransformerRoles<> roles_of(Family family, bool is_dense, Rule rule, const Settings& settings) {
  TransformerRoles<> roles = derived_roles(family, settings);
  switch (rule) {
    case Rule::derived:
    case Rule::one_scale:  // whose experts have roles of their own
      break;
    case Rule::paper:
      roles.router = role<Router>();  // centred, whatever the loss
      if (is_dense) {
        roles.swiglu_input = role<Update<SwigluInput, Then<RowNorm, Spectral<>>>>();
        roles.swiglu_output = role<Update<SwigluOutput, Then<ColumnNorm, Spectral<>>>>();
      } else {
        roles.swiglu_input = role<Update<SwigluInput, Spectral<>>>();
        roles.swiglu_output = role<Update<SwigluOutput, Spectral<>>>();
        roles.gate_up = Neurons::apart;
      }
      break;
    case Rule::moments:
      roles.embedding = moments_role<Embedding>(settings);
      roles.tied_embedding = moments_role<TiedEmbedding>(settings);
      roles.head = moments_role<LmHead>(settings);
      roles.router =
          has_z_loss(family) ? moments_role<RouterWithZLoss>(settings) : moments_role<Router>(settings);
      break;
    case Rule::adamw_embedding:
      roles.embedding = adamw_role(settings, settings.embedding, settings.weight_decay);
      roles.tied_embedding = adamw_role(settings, settings.tied_embedding, settings.weight_decay);
      roles.head = adamw_role(settings, settings.head, settings.weight_decay);
      break;
    case Rule::wrong_side:
      roles.embedding = role_at<WrongSide>(settings, settings.embedding);
      roles.tied_embedding = role_at<WrongSide>(settings, settings.tied_embedding);
      roles.head = role_at<WrongSide>(settings, settings.head);
      roles.router = role<WrongSide>();
      roles.swiglu_input = role<WrongSide>();
      roles.swiglu_output = role<Product<RowPermutation, RightOrthogonal>>();
      break;
    case Rule::centred_embedding:
      roles.tied_embedding = role_at<LmHead>(settings, settings.tied_embedding);
      break;
  }
  return roles;
}

Routing routing_of(Family family, const ModelShape& shape, const TransformerRoles<>& roles) {
  const AttentionHeads heads{.query = shape.heads, .key_value = shape.key_value_heads};
  switch (family) {
    case Family::qwen3:
      return qwen3(heads, Embeddings::tied, roles);
    case Family::gemma3:
      return gemma3(heads, roles);
    case Family::olmoe:
      return olmoe(heads, Embeddings::untied, roles);
    case Family::gpt_oss:
      break;
  }
  return gpt_oss(heads, Embeddings::untied, roles);
}

/// The gradient at one size for each tensor of experts. The exact names go before the patterns of the rule
/// set.
void share_scale(Routing& routing, std::int64_t layers) {
  const Role whole = role<Update<Trivial, FrobeniusNorm>>(layout::as_matrix());
  for (std::int64_t layer = 0; layer < layers; ++layer)
    for (const char* tensor : {"gate_up_proj", "down_proj"})
      routing.add("model.layers." + std::to_string(layer) + ".mlp.experts." + tensor, whole);
}

}  // namespace

std::vector<Rule> rules_of(Family family) {
  return {Rule::derived,    Rule::paper,
          Rule::moments,    Rule::adamw_embedding,
          Rule::wrong_side, is_tied(family) ? Rule::centred_embedding : Rule::one_scale};
}

std::string name_of(Rule rule) {
  switch (rule) {
    case Rule::derived:
      return "derived";
    case Rule::paper:
      return "paper";
    case Rule::moments:
      return "second moments";
    case Rule::adamw_embedding:
      return "AdamW for embedding and head";
    case Rule::wrong_side:
      return "wrong side";
    case Rule::centred_embedding:
      return "centred embedding";
    case Rule::one_scale:
      break;
  }
  return "one scale for experts";
}

Routing routing_of(Family family, const ModelShape& shape, Rule rule, const Settings& settings) {
  Routing routing = routing_of(family, shape, roles_of(family, shape.is_dense(), rule, settings));
  if (rule == Rule::one_scale) share_scale(routing, shape.layers);
  return routing;
}

}  // namespace language_model
