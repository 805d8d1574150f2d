// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/pipeline.hpp>
#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/horizontal_projection.hpp>
#include <symopt/normalization/one_sided_spectral.hpp>
#include <symopt/normalization/per_head.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/spectral.hpp>
#include <symopt/optimizer/form_writer.hpp>
#include <symopt/optimizer/moments.hpp>
#include <symopt/optimizer/one_sided_within.hpp>
#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/polar/automatic.hpp>
#include <symopt/polar/minimax_method.hpp>

#include <concepts>
#include <memory>

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

/// A way to a polar factor of a user's that computes itself by libtorch's operations: a member
///   void torch_apply(at::Tensor& blocks, Side gram_side) const
template <class Method>
concept HasTorchPolar = requires(const Method& method, at::Tensor& blocks) {
  method.torch_apply(blocks, Side::left);
};

/// Writes a polar factor; false for a method that is only known by its code. Types derived from those of the
/// library, here and below, are the user's own.
template <class Method>
bool write_polar_factor([[maybe_unused]] const Method& method, FormWriter::GramSide side,
                        FormWriter& writer) {
  if constexpr (HasTorchPolar<Method>) {
    writer.torch_polar(side, std::make_shared<const Method>(method),
                       [](const void* any, at::Tensor& blocks, Side gram_side) {
                         static_cast<const Method*>(any)->torch_apply(blocks, gram_side);
                       });
  } else if constexpr (std::same_as<Method, polar::Zolotarev>) {
    writer.zolotarev(side, method.terms, method.lower_bound, method.upper_bound);
  } else if constexpr (std::same_as<Method, polar::NewtonSchulz> ||
                       std::same_as<Method, polar::PolarExpress>) {
    writer.iteration(side, method.steps, method.coefficients, method.safety, method.eps);
  } else if constexpr (std::same_as<Method, polar::GramNewtonSchulz>) {
    writer.gram_iteration(side, method.steps, method.coefficients, method.safety, method.eps,
                          method.restart_after);
  } else if constexpr (std::same_as<Method, polar::Exact>) {
    writer.exact(side, method.cutoff);
  } else if constexpr (std::same_as<Method, polar::Fast> || std::same_as<Method, polar::MinimaxMethod<2>>) {
    writer.minimax(side, 2);
  } else if constexpr (std::same_as<Method, DefaultPolar> || std::same_as<Method, polar::MinimaxMethod<3>>) {
    writer.minimax(side, 3);
  } else {
    return false;
  }
  return true;
}

template <class Rule>
bool write_stages(const Rule& rule, FormWriter& writer);

/// Writes a stage of the library: that of this type, and of no other; false for one that is only known by its
/// code.
///@{
template <class Stage>
struct StageForm {
  static bool write(const Stage&, FormWriter&) { return false; }
};
template <>
struct StageForm<Identity> {
  static bool write(const Identity&, FormWriter& writer) { return writer.identity(), true; }
};
template <>
struct StageForm<Sign> {
  static bool write(const Sign&, FormWriter& writer) { return writer.sign(), true; }
};
template <>
struct StageForm<FrobeniusNorm> {
  static bool write(const FrobeniusNorm&, FormWriter& writer) { return writer.frobenius_norm(), true; }
};
template <>
struct StageForm<RowNorm> {
  static bool write(const RowNorm& norm, FormWriter& writer) {
    return writer.line_norm(Side::left, norm.eps, norm.divisor), true;
  }
};
template <>
struct StageForm<ColumnNorm> {
  static bool write(const ColumnNorm& norm, FormWriter& writer) {
    return writer.line_norm(Side::right, norm.eps, norm.divisor), true;
  }
};
template <Side... sides>
struct StageForm<HorizontalProjection<sides...>> {
  static bool write(const HorizontalProjection<sides...>& projection, FormWriter& writer) {
    return writer.projection(projection.projects(Side::left), projection.projects(Side::right)), true;
  }
};
template <class Method>
struct StageForm<Spectral<Method>> {
  static bool write(const Spectral<Method>& polar, FormWriter& writer) {
    return write_polar_factor(polar.method, FormWriter::GramSide::shorter, writer);
  }
};
template <Side side, class Method>
struct StageForm<OneSidedSpectral<side, Method>> {
  static bool write(const OneSidedSpectral<side, Method>& polar, FormWriter& writer) {
    using enum FormWriter::GramSide;
    return write_polar_factor(polar.method, side == Side::left ? left : right, writer);
  }
};
template <Side side, int size, class N>
struct StageForm<PerHead<side, size, N>> {
  static bool write(const PerHead<side, size, N>& heads, FormWriter& writer) {
    writer.begin_inner();
    if (!write_stages(heads.normalization, writer)) return false;
    writer.end_per_head(side, size);
    return true;
  }
};
template <class N>
struct StageForm<DualNorm<N>> {
  /// The members are those of DualNorm, which is only declared here.
  template <class Dual>
  static bool write(const Dual& dual, FormWriter& writer) {
    writer.begin_inner();
    if (!write_stages(dual.normalization, writer)) return false;
    writer.end_dual_norm(dual.alpha);
    return true;
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

/// Writes a stage of the library, or a user's with a member torch_apply; false for any other.
template <class Stage>
bool write_stage(const Stage& stage, FormWriter& writer) {
  if constexpr (HasTorchApply<Stage>) {
    writer.torch_map(std::make_shared<const Stage>(stage), [](const void* any, at::Tensor& blocks) {
      static_cast<const Stage*>(any)->torch_apply(blocks);
    });
    return true;
  } else {
    return StageForm<Stage>::write(stage, writer);
  }
}

/// Writes the stages of a rule with P between them, as derive_steps has them; false, with a part of them
/// written, where one of them has no form.
template <class Rule>
bool write_stages(const Rule& rule, FormWriter& writer) {
  using Projection = projection_of_t<Rule>;
  constexpr bool is_projected = is_update<Rule> && !Projection::is_identity;
  bool is_known = true, is_projected_last = is_projected;
  const auto project = [&] {
    writer.projection(Projection::projects(Side::left), Projection::projects(Side::right));
  };
  if (is_projected) project();
  const auto add = [&]<class Stage>(const Stage& stage) {
    is_known = is_known && write_stage(stage, writer);
    if (!is_known) return;
    is_projected_last = is_projected && !stays_horizontal<Projection, Stage>();
    if (is_projected_last) project();
  };
  if constexpr (HasTorchApply<Rule> || !(is_update<Rule> || is_composition<Rule>)) {
    add(rule);
  } else {
    for_each_stage(rule, add);
  }
  if (is_projected && !is_projected_last) project();
  return is_known;
}

template <class Rule>
inline constexpr bool is_adaptive = false;
template <class Group, class Moments>
inline constexpr bool is_adaptive<Adaptive<Group, Moments>> = true;

template <class Group, class Moments>
void write_adaptive(const Adaptive<Group, Moments>& rule, FormWriter& writer) {
  using enum FormWriter::Moments;
  const auto write = [&](FormWriter::Moments moments, int head_rows, int head_columns) {
    writer.adaptive(moments, head_rows, head_columns, rule.beta1, rule.beta2, rule.eps, rule.every);
  };
  if constexpr (std::same_as<Moments, moments::Entries>) {
    write(entries, 0, 0);
  } else if constexpr (std::same_as<Moments, moments::Rows>) {
    write(rows, 0, 0);
  } else if constexpr (std::same_as<Moments, moments::Columns>) {
    write(columns, 0, 0);
  } else if constexpr (std::same_as<Moments, moments::Block>) {
    write(block, 0, 0);
  } else {
    using Within = MomentsWithin<Group, Moments>;
    write(one_sided, Within::head_rows, Within::head_columns);
  }
}

/// Writes a rule as data; false, with a part of it written, for one that is only known by its code.
template <class Rule>
bool write_form(const Rule& rule, FormWriter& writer) {
  using Projection = projection_of_t<Rule>;
  writer.group_projection(Projection::projects(Side::left), Projection::projects(Side::right));
  if constexpr (std::same_as<Rule, AdamW>) {
    writer.adamw(rule.beta1, rule.beta2, rule.eps);
    return true;
  } else if constexpr (is_adaptive<Rule>) {
    write_adaptive(rule, writer);
    return true;
  } else if constexpr (requires { typename Rule::template State<float>; }) {
    return false;
  } else {
    return write_stages(rule, writer);
  }
}

}  // namespace detail

}}  // namespace symopt
