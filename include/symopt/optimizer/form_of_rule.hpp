// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/pipeline.hpp>
#include <symopt/normalization/one_sided_spectral.hpp>
#include <symopt/normalization/per_head.hpp>
#include <symopt/normalization/spectral.hpp>
#include <symopt/optimizer/moments.hpp>
#include <symopt/optimizer/one_sided_within.hpp>
#include <symopt/optimizer/rule_form.hpp>
#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/polar/minimax_method.hpp>

#include <boost/hana/for_each.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

struct Sign;
struct FrobeniusNorm;
struct Identity;
struct RowNorm;
struct ColumnNorm;
struct AdamW;
template <class N>
struct DualNorm;
template <class Group, class Moments>
struct Adaptive;

namespace polar {
struct Zolotarev;
struct GramNewtonSchulz;
struct NewtonSchulz;
struct PolarExpress;
struct Exact;
}  // namespace polar

namespace detail {

/// A map of a user's that computes itself by libtorch's operations: a member
///   void torch_apply(at::Tensor& blocks) const    blocks, batch x m x n, <- their images
template <class Map>
concept HasTorchApply = requires(const Map& map, at::Tensor& blocks) {
  map.torch_apply(blocks);
};

/// A way to a polar factor of a user's that computes itself by libtorch's operations: a member
///   void torch_apply(at::Tensor& blocks, Side gram_side) const
template <class Method>
concept HasTorchPolar = requires(const Method& method, at::Tensor& blocks) {
  method.torch_apply(blocks, Side::left);
};

/// A way to a polar factor as data; nothing for one that is only known by its code.
template <class Method>
std::optional<form::PolarMethod> form_of_polar_method([[maybe_unused]] const Method& method) {
  if constexpr (HasTorchPolar<Method>) {
    return form::TorchPolar(method);
  } else if constexpr (std::same_as<Method, polar::Zolotarev>) {
    return form::Zolotarev{method.terms, method.lower_bound, method.upper_bound};
  } else if constexpr (std::same_as<Method, polar::NewtonSchulz> ||
                       std::same_as<Method, polar::PolarExpress>) {
    return form::Iteration{method.steps, method.coefficients, method.safety, method.eps};
  } else if constexpr (std::same_as<Method, polar::GramNewtonSchulz>) {
    return form::Iteration{method.steps, method.coefficients, method.safety, method.eps,
                           method.restart_after};
  } else if constexpr (std::same_as<Method, polar::Exact>) {
    return form::Exact{method.cutoff};
  } else if constexpr (std::derived_from<Method, polar::MinimaxMethod<2>>) {
    return form::Minimax{2};
  } else if constexpr (std::derived_from<Method, polar::MinimaxMethod<3>>) {
    return form::Minimax{3};
  } else {
    return std::nullopt;
  }
}

/// The side of the Gram matrix that a polar factor goes through; nothing for the shorter one.
///@{
template <class Method>
constexpr std::optional<Side> gram_side_of(const Spectral<Method>&) {
  return std::nullopt;
}
template <Side side, class Method>
constexpr std::optional<Side> gram_side_of(const OneSidedSpectral<side, Method>&) {
  return side;
}
///@}

/// The stages of N of each head.
template <Side side, int size, class N>
std::optional<form::Stage> form_of_heads(const PerHead<side, size, N>& heads);
/// nu^alpha N.
template <class N>
std::optional<form::Stage> form_of_dual_norm(const DualNorm<N>& dual);

template <class Projection>
constexpr form::Projection form_of_projection() {
  return {Projection::projects(Side::left), Projection::projects(Side::right)};
}

template <class Stage>
std::optional<form::Stage> form_of_stage(const Stage& stage);

/// The stages of a rule with P between them, as derive_steps has them; nothing where one of them is no form.
template <class Rule>
std::optional<std::vector<form::Stage>> form_of_stages(const Rule& rule) {
  using Projection = projection_of_t<Rule>;
  constexpr bool is_projected = !Projection::is_identity && requires {
    rule.normalization();
  };
  std::vector<form::Stage> stages;
  const auto project = [&] { stages.emplace_back(form_of_projection<Projection>()); };
  if (is_projected) project();
  bool is_known = true, is_projected_last = is_projected;
  for_each_stage(rule, [&]<class Stage>(const Stage& stage) {
    auto form = form_of_stage(stage);
    is_known = is_known && form.has_value();
    if (!is_known) return;
    stages.push_back(*std::move(form));
    is_projected_last = false;
    if constexpr (is_projected)
      if (!stays_horizontal<Projection, Stage>()) {
        project();
        is_projected_last = true;
      }
  });
  if (is_projected && !is_projected_last) project();
  if (!is_known) return std::nullopt;
  return stages;
}

/// One stage as data; nothing for one that is only known by its code.
template <class Stage>
std::optional<form::Stage> form_of_stage([[maybe_unused]] const Stage& stage) {
  if constexpr (HasTorchApply<Stage>) {
    return form::TorchMap(stage);
  } else if constexpr (std::same_as<Stage, Identity>) {
    return form::Identity{};
  } else if constexpr (std::same_as<Stage, Sign>) {
    return form::Sign{};
  } else if constexpr (std::same_as<Stage, FrobeniusNorm>) {
    return form::FrobeniusNorm{};
  } else if constexpr (std::same_as<Stage, RowNorm>) {
    return form::LineNorm{Side::left, stage.eps, stage.divisor};
  } else if constexpr (std::same_as<Stage, ColumnNorm>) {
    return form::LineNorm{Side::right, stage.eps, stage.divisor};
  } else if constexpr (requires { Stage::projects(Side::left); }) {
    return form_of_projection<Stage>();
  } else if constexpr (requires { gram_side_of(stage); }) {
    const auto method = form_of_polar_method(stage.method);
    if (!method) return std::nullopt;
    return form::PolarFactor{*method, gram_side_of(stage)};
  } else if constexpr (requires { form_of_heads(stage); }) {
    return form_of_heads(stage);
  } else if constexpr (requires { form_of_dual_norm(stage); }) {
    return form_of_dual_norm(stage);
  } else {
    return std::nullopt;
  }
}

template <Side side, int size, class N>
std::optional<form::Stage> form_of_heads(const PerHead<side, size, N>& heads) {
  auto stages = form_of_stages(heads.normalization);
  if (!stages) return std::nullopt;
  return form::Nested(form::PerHead{side, size, *std::move(stages)});
}
template <class N>
std::optional<form::Stage> form_of_dual_norm(const DualNorm<N>& dual) {
  auto stages = form_of_stages(dual.normalization);
  if (!stages) return std::nullopt;
  return form::Nested(form::DualNorm{dual.alpha, *std::move(stages)});
}

template <class Group, class Moments>
form::Adaptive form_of_adaptive(const Adaptive<Group, Moments>& rule) {
  form::Adaptive form{.beta1 = rule.beta1, .beta2 = rule.beta2, .eps = rule.eps, .every = rule.every};
  if constexpr (std::same_as<Moments, moments::Entries>) {
    form.moments = form::Moments::entries;
  } else if constexpr (std::same_as<Moments, moments::Rows>) {
    form.moments = form::Moments::rows;
  } else if constexpr (std::same_as<Moments, moments::Columns>) {
    form.moments = form::Moments::columns;
  } else if constexpr (std::same_as<Moments, moments::Block>) {
    form.moments = form::Moments::block;
  } else {
    form.moments = form::Moments::one_sided;
    form.head_rows = MomentsWithin<Group, Moments>::head_rows;
    form.head_columns = MomentsWithin<Group, Moments>::head_columns;
  }
  return form;
}

/// A rule as data.
template <class Rule>
form::Rule form_of_rule(const Rule& rule) {
  form::Rule form{.projection = form_of_projection<projection_of_t<Rule>>()};
  if constexpr (std::same_as<Rule, AdamW>) {
    form.value = form::AdamW{rule.beta1, rule.beta2, rule.eps};
  } else if constexpr (requires { form_of_adaptive(rule); }) {
    form.value = form_of_adaptive(rule);
  } else if constexpr (!requires { typename Rule::template State<float>; }) {
    if (auto stages = form_of_stages(rule)) form.value = form::Map{*std::move(stages)};
  }
  return form;
}

}  // namespace detail

}}  // namespace symopt
