// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/pipeline.hpp>
#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/horizontal_projection.hpp>
#include <symopt/normalization/one_sided_spectral.hpp>
#include <symopt/normalization/per_head.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/spectral.hpp>
#include <symopt/optimizer/moments.hpp>
#include <symopt/optimizer/one_sided_within.hpp>
#include <symopt/optimizer/rule_form.hpp>
#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/polar/automatic.hpp>
#include <symopt/polar/minimax_method.hpp>

#include <concepts>
#include <optional>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

struct Sign;
struct FrobeniusNorm;
struct Identity;
struct AdamW;
template <class N>
struct DualNorm;
template <class Group, class Moments>
struct Adaptive;
template <class Group, class N>
class Update;
template <class First, class... Rest>
struct Then;

namespace polar {
struct Zolotarev;
struct GramNewtonSchulz;
struct NewtonSchulz;
struct PolarExpress;
struct Exact;
struct Fast;
}  // namespace polar

namespace detail {

/// A map of a user's that computes itself by libtorch's operations: a member
///   void torch_apply(at::Tensor& blocks) const    blocks, batch x m x n, <- their images
template <class Map>
concept HasTorchApply = requires(const Map& map, at::Tensor& blocks) {
  map.torch_apply(blocks);
};

template <class Projection>
constexpr form::Projection form_of_projection() {
  return {Projection::projects(Side::left), Projection::projects(Side::right)};
}

/// A way to a polar factor of a user's that computes itself by libtorch's operations: a member
///   void torch_apply(at::Tensor& blocks, Side gram_side) const
template <class Method>
concept HasTorchPolar = requires(const Method& method, at::Tensor& blocks) {
  method.torch_apply(blocks, Side::left);
};

/// A way to a polar factor as data; nothing for one that is only known by its code. Types derived from those
/// of the library, here and below, are the user's own.
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
  } else if constexpr (std::same_as<Method, polar::Fast> || std::same_as<Method, polar::MinimaxMethod<2>>) {
    return form::Minimax{2};
  } else if constexpr (std::same_as<Method, DefaultPolar> || std::same_as<Method, polar::MinimaxMethod<3>>) {
    return form::Minimax{3};
  } else {
    return std::nullopt;
  }
}

/// A polar factor through the Gram matrix of that side, of the shorter one where none is named.
template <class Method>
std::optional<form::Stage> form_of_polar_factor(const Method& method, std::optional<Side> gram_side) {
  const auto form = form_of_polar_method(method);
  if (!form) return std::nullopt;
  return form::PolarFactor{*form, gram_side};
}

template <class Rule>
std::optional<std::vector<form::Stage>> form_of_stages(const Rule& rule);

/// A stage of the library as data: that of this type, and of no other.
///@{
template <class Stage>
struct StageForm {
  static std::optional<form::Stage> of(const Stage&) { return std::nullopt; }
};
template <>
struct StageForm<Identity> {
  static std::optional<form::Stage> of(const Identity&) { return form::Identity{}; }
};
template <>
struct StageForm<Sign> {
  static std::optional<form::Stage> of(const Sign&) { return form::Sign{}; }
};
template <>
struct StageForm<FrobeniusNorm> {
  static std::optional<form::Stage> of(const FrobeniusNorm&) { return form::FrobeniusNorm{}; }
};
template <>
struct StageForm<RowNorm> {
  static std::optional<form::Stage> of(const RowNorm& norm) {
    return form::LineNorm{Side::left, norm.eps, norm.divisor};
  }
};
template <>
struct StageForm<ColumnNorm> {
  static std::optional<form::Stage> of(const ColumnNorm& norm) {
    return form::LineNorm{Side::right, norm.eps, norm.divisor};
  }
};
template <Side... sides>
struct StageForm<HorizontalProjection<sides...>> {
  static std::optional<form::Stage> of(const HorizontalProjection<sides...>&) {
    return form_of_projection<HorizontalProjection<sides...>>();
  }
};
template <class Method>
struct StageForm<Spectral<Method>> {
  static std::optional<form::Stage> of(const Spectral<Method>& polar) {
    return form_of_polar_factor(polar.method, std::nullopt);
  }
};
template <Side side, class Method>
struct StageForm<OneSidedSpectral<side, Method>> {
  static std::optional<form::Stage> of(const OneSidedSpectral<side, Method>& polar) {
    return form_of_polar_factor(polar.method, side);
  }
};
template <Side side, int size, class N>
struct StageForm<PerHead<side, size, N>> {
  static std::optional<form::Stage> of(const PerHead<side, size, N>& heads) {
    auto stages = form_of_stages(heads.normalization);
    if (!stages) return std::nullopt;
    return form::Nested(form::PerHead{side, size, *std::move(stages)});
  }
};
template <class N>
struct StageForm<DualNorm<N>> {
  /// The members are those of DualNorm, which is only declared here.
  template <class Dual>
  static std::optional<form::Stage> of(const Dual& dual) {
    auto stages = form_of_stages(dual.normalization);
    if (!stages) return std::nullopt;
    return form::Nested(form::DualNorm{dual.alpha, *std::move(stages)});
  }
};
///@}

/// The rule is an update or a composition of the library, which have stages; any other is one itself.
///@{
template <class Rule>
inline constexpr bool is_update = false;
template <class Group, class N>
inline constexpr bool is_update<Update<Group, N>> = true;
template <class Rule>
inline constexpr bool is_composition = false;
template <class... Ns>
inline constexpr bool is_composition<Then<Ns...>> = true;
///@}

/// The stages of a rule with P between them, as derive_steps has them; nothing where one of them is no form.
template <class Rule>
std::optional<std::vector<form::Stage>> form_of_stages(const Rule& rule) {
  using Projection = projection_of_t<Rule>;
  constexpr bool is_projected = is_update<Rule> && !Projection::is_identity;
  std::vector<form::Stage> stages;
  bool is_known = true, is_projected_last = is_projected;
  const auto project = [&] { stages.emplace_back(form_of_projection<Projection>()); };
  if (is_projected) project();
  const auto add = [&]<class Stage>(const Stage& stage) {
    std::optional<form::Stage> form;
    if constexpr (HasTorchApply<Stage>) {
      form = form::TorchMap(stage);
    } else {
      form = StageForm<Stage>::of(stage);
    }
    is_known = is_known && form.has_value();
    if (!is_known) return;
    stages.push_back(*std::move(form));
    is_projected_last = is_projected && !stays_horizontal<Projection, Stage>();
    if (is_projected_last) project();
  };
  if constexpr (HasTorchApply<Rule> || !(is_update<Rule> || is_composition<Rule>)) {
    add(rule);
  } else {
    for_each_stage(rule, add);
  }
  if (is_projected && !is_projected_last) project();
  if (!is_known) return std::nullopt;
  return stages;
}

template <class Rule>
inline constexpr bool is_adaptive = false;
template <class Group, class Moments>
inline constexpr bool is_adaptive<Adaptive<Group, Moments>> = true;

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
  } else if constexpr (is_adaptive<Rule>) {
    form.value = form_of_adaptive(rule);
  } else if constexpr (!requires { typename Rule::template State<float>; }) {
    if (auto stages = form_of_stages(rule)) form.value = form::Map{*std::move(stages)};
  }
  return form;
}

}  // namespace detail

}}  // namespace symopt
