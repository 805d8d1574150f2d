// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/routing.hpp>

#include <string>
#include <vector>

#include "../model_shape.hpp"
#include "../settings.hpp"
#include "family.hpp"

namespace language_model {

/// The ways in which symopt's stack trains an architecture. The gains, biases and sinks have AdamW in all of
/// them.
enum class Rule {
  derived,            ///< what the groups of the parameter classes derive
  paper,              ///< of arXiv 2605.18106: row norms, hybrids for a dense MLP, polar factors for experts
  moments,            ///< second moments that the groups derive for embeddings, head and routers
  adamw_embedding,    ///< AdamW for embedding and head, beside derived updates
  wrong_side,         ///< control: every row norm a column norm, and the other way round
  centred_embedding,  ///< control: the projection of a head for a tied embedding, which has no shift
  one_scale           ///< control: one scale for all experts of a layer
};

/// The rules that differ from each other on an architecture.
std::vector<Rule> rules_of(Family family);
/// "derived", "paper", "second moments", ...
std::string name_of(Rule rule);

/// The rule of every parameter of a model of that family and shape.
symopt::Routing routing_of(Family family, const ModelShape& shape, Rule rule, const Settings& settings);

}  // namespace language_model
