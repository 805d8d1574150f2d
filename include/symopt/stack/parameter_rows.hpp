// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/parameter.hpp>
#include <symopt/stack/plan.hpp>
#include <symopt/stack/state_table.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <sstream>

// A parameter as plans print it, and as files save it.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

template <class Scalar>
PlanRow plan_row(const Parameter<Scalar>& parameter) {
  const OptimizerOptions& options = parameter.options();
  const RuleFacts& facts = parameter.facts();
  const bool has_blocks = parameter.block_count() > 0;
  std::ostringstream scale;
  scale << to_string(options.scale);
  if (options.scale != Scale::none && has_blocks) scale << " " << parameter.scale_factor(options.scale, 0);
  std::optional<double> entry;
  if (has_blocks) entry = parameter.rule().root_mean_square(parameter.shapes().front());
  if (entry) *entry *= options.learning_rate * parameter.scale_factor(options.scale, 0);
  const RowMask& mask = parameter.mask();
  return {.name = parameter.name(),
          .shape = parameter.tensors().shape_text(),
          .layout = to_string(parameter.layout()) + (mask.is_all() ? "" : ", " + mask.to_string()),
          .blocks = blocks_text(parameter.shapes()),
          .group = facts.group,
          .rule = facts.rule,
          .method = facts.method,
          .scale = scale.str(),
          .rate = options.learning_rate,
          .ratio = parameter.ratio(),
          .entry = entry,
          .momentum = facts.keeps_state ? bare_options(facts.options) : momentum_text(options),
          .weight_decay = options.weight_decay,
          .decay = options.decay};
}

template <class Scalar>
SavedParameter saved(const Parameter<Scalar>& parameter) {
  SavedParameter saved{.name = parameter.name(),
                       .sizes = parameter.tensors().sizes(),
                       .scalar = dtype_of<Scalar>(),
                       .layout = to_string(parameter.layout()),
                       .rows = parameter.mask().signature(),
                       .group = parameter.facts().group,
                       .rule = parameter.facts().rule,
                       .rule_options = parameter.facts().options,
                       .options = parameter.options(),
                       .state = parameter.shared_blocks()};
  for (std::size_t b = 0; b < parameter.block_count(); ++b)
    if (!std::ranges::binary_search(parameter.held(), b)) saved.elsewhere.push_back(b);
  return saved;
}

}}}  // namespace symopt::detail
