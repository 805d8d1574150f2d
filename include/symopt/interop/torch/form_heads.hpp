// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/rule_form.hpp>
#include <symopt/matrix.hpp>
#include <symopt/side.hpp>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// Throws Error that names the parameter unless the heads that stages see fill a block of that shape.
inline void require_heads(const std::vector<form::Stage>& stages, Shape block, const std::string& name) {
  for (const form::Stage& stage : stages) {
    if (const auto* dual = std::get_if<form::Nested<form::DualNorm>>(&stage)) {
      require_heads((*dual)->stages, block, name);
    } else if (const auto* heads = std::get_if<form::Nested<form::PerHead>>(&stage)) {
      const Index size = (*heads)->size;
      symopt::detail::require(extent(block, (*heads)->side) % size == 0, {name}, [&] {
        return "heads of " + std::to_string(size) + " do not fill a block of " + to_string(block);
      });
      require_heads((*heads)->stages,
                    (*heads)->side == Side::left ? Shape{size, block.cols} : Shape{block.rows, size}, name);
    }
  }
}
/// Throws Error that names the parameter unless the heads of a rule fill a block of that shape.
inline void require_heads(const form::Rule& rule, Shape block, const std::string& name) {
  if (const auto* map = std::get_if<form::Map>(&rule.value)) require_heads(map->stages, block, name);
  if (const auto* adaptive = std::get_if<form::Adaptive>(&rule.value))
    for (const auto& [side, size] :
         {std::pair(Side::left, adaptive->head_rows), std::pair(Side::right, adaptive->head_columns)})
      symopt::detail::require(size == 0 || extent(block, side) % size == 0, {name}, [&] {
        return "heads of " + std::to_string(size) + " do not fill a block of " + to_string(block);
      });
}

}}}}  // namespace symopt::interop::detail
