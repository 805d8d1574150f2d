// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/full_moments.hpp>
#include <symopt/interop/torch/map_stages.hpp>
#include <symopt/interop/torch/rule_form.hpp>
#include <symopt/kernel/adamw.hpp>
#include <symopt/kernel/coefficients.hpp>
#include <symopt/optimizer/moment_state.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// The steps of rules on batches of blocks by libtorch's operations: how a state advances, and the direction.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// An array of a rule's state, as files name it, and its shape for one block.
struct BatchArray {
  std::string name;
  std::vector<std::int64_t> sizes;
  at::ScalarType type;
};

/// The arrays of the state of a rule for blocks of a shape.
struct BatchArrays {
  std::int64_t rows, cols;
  at::ScalarType type;

  std::vector<BatchArray> operator()(const form::Unknown&) const { return {}; }
  std::vector<BatchArray> operator()(const form::Map&) const { return {block("momentum")}; }
  std::vector<BatchArray> operator()(const form::Pair&) const { return {block("momentum")}; }
  std::vector<BatchArray> operator()(const form::AdamW&) const { return {block("first"), block("second")}; }
  std::vector<BatchArray> operator()(const form::Adaptive& rule) const {
    const auto numbers = [](std::int64_t count) {
      return BatchArray{"root_mean_squares", {count}, at::kDouble};
    };
    switch (rule.moments) {
      case form::Moments::entries:
        return {block("momentum"), block("root_mean_squares")};
      case form::Moments::rows:
        return {block("momentum"), numbers(rows)};
      case form::Moments::columns:
        return {block("momentum"), numbers(cols)};
      case form::Moments::block:
        return {block("momentum"), numbers(1)};
      case form::Moments::one_sided:
        break;
    }
    const Cells cells(rule, rows, cols);
    const std::string side = cells.side() == Side::left ? "left_" : "right_";
    const std::vector<std::int64_t> squares{cells.count(), cells.size(), cells.size()};
    return {block("momentum"),
            {side + "moments", squares, at::kDouble},
            {side + "roots", squares, type},
            {side + "root_exponents", {cells.count()}, at::kLong}};
  }

 private:
  BatchArray block(const char* name) const { return {name, {rows, cols}, type}; }
};

/// Tests whether the rule treats every entry alike, so that blocks of all shapes are one batch of entries.
inline bool is_entrywise(const form::Rule& rule) {
  if (const auto* map = std::get_if<form::Map>(&rule.value))
    return std::all_of(map->stages.begin(), map->stages.end(),
                       [](const form::Stage& stage) { return is_entrywise(stage); });
  if (const auto* adaptive = std::get_if<form::Adaptive>(&rule.value))
    return adaptive->moments == form::Moments::entries && rule.projection.is_identity();
  return std::holds_alternative<form::AdamW>(rule.value);
}

/// One step of a batch: the state advances, and the direction is returned, in memory that may be the state's.
struct RuleStep {
  const form::Rule& rule;
  const at::Tensor& gradient;                ///< batch x m x n, or entries; not written
  std::vector<at::Tensor>& state;            ///< the arrays, each batch x ...
  const kernel::StepCoefficients& momentum;  ///< of a rule that maps it
  std::int64_t step;                         ///< of the batch, counted from 1

  at::Tensor operator()() const { return std::visit(*this, rule.value); }

  at::Tensor operator()(const form::Unknown&) const { return gradient; }
  at::Tensor operator()(const form::Pair&) const { return gradient; }  // by PairBatch
  at::Tensor operator()(const form::Map& map) const {
    at::Tensor& average = state[0];
    average.mul_(momentum.beta).add_(gradient, momentum.gradient_weight);
    if (!momentum.nesterov) return through_stages(average, map.stages);
    return through_stages((average * momentum.beta).add_(gradient, momentum.gradient_weight), map.stages);
  }
  at::Tensor operator()(const form::AdamW& adam) const {
    const auto own = symopt::detail::adam_coefficients(adam.beta1, adam.beta2, adam.eps, step);
    state[0].mul_(own.beta1).add_(gradient, own.first_weight);
    state[1].mul_(own.beta2).addcmul_(gradient, gradient, own.second_weight);
    return (state[0] * own.first_correction).div_(state[1].sqrt().mul_(own.second_correction).add_(own.eps));
  }
  at::Tensor operator()(const form::Adaptive& adaptive) const {
    const auto own = symopt::detail::adam_coefficients(adaptive.beta1, adaptive.beta2, adaptive.eps, step);
    const at::Tensor horizontal = projected(gradient, rule.projection);
    at::Tensor direction = adaptive.moments == form::Moments::one_sided
                               ? FullMomentsStep{adaptive, own, step}(horizontal, state)
                               : over_roots(adaptive, own, horizontal);
    return projected(direction, rule.projection);
  }

 private:
  /// M' / (sqrt(v') + eps), the roots of mean squares in the state.
  at::Tensor over_roots(const form::Adaptive& adaptive, const kernel::AdamWCoefficients& own,
                        const at::Tensor& horizontal) const {
    at::Tensor &average = state[0], &roots = state[1];
    average.mul_(own.beta1).add_(horizontal, own.first_weight);
    if (adaptive.moments == form::Moments::entries) {
      // A root that is near 1 would be rounded to another beta: what is lost of it is rounded much less.
      const at::Tensor kept = at::add(roots, roots, std::sqrt(own.beta2) - 1.0);
      at::hypot_out(roots, kept, horizontal * std::sqrt(own.second_weight));
      return (average * own.first_correction).div_((roots * own.second_correction).add_(own.eps));
    }
    const std::int64_t rows = horizontal.size(-2), cols = horizontal.size(-1);
    const bool is_rows = adaptive.moments == form::Moments::rows;
    const std::vector<std::int64_t> along = is_rows ? std::vector<std::int64_t>{-1}
                                            : adaptive.moments == form::Moments::columns
                                                ? std::vector<std::int64_t>{-2}
                                                : std::vector<std::int64_t>{-2, -1};
    const double count = static_cast<double>(along.size() == 2 ? rows * cols : is_rows ? cols : rows);
    const at::Tensor norms = norms_along(horizontal, along);
    const at::Tensor added = norms.reshape(roots.sizes()) * std::sqrt(own.second_weight / count);
    roots.copy_(at::hypot(roots * std::sqrt(own.beta2), added));
    const at::Tensor divisors = (roots * own.second_correction).add_(own.eps).mul_(1 / own.first_correction);
    return divided(average, divisors.reshape(norms.sizes()));
  }
};

}}}}  // namespace symopt::interop::detail
