// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/pipeline.hpp>
#include <symopt/kernel/centred.hpp>
#include <symopt/kernel/column.hpp>
#include <symopt/kernel/entrywise.hpp>
#include <symopt/kernel/frobenius.hpp>
#include <symopt/kernel/row.hpp>
#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/identity.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/step_input.hpp>

// Which rules have a kernel that does their whole step, momentum and weights included, in as few sweeps over
// memory as they need. This is the one place that says so, for Optimizer and LayerwiseOptimizer alike.
//
// FusedStep<Map>::of(map) is that kernel (see kernel/step.hpp for its interface); a map without one goes
// through DirectionStep, which keeps the direction in memory between two sweeps. An update is looked up by
// the pipeline that its group derived. To give a map of your own a kernel, specialise FusedStep for it.
namespace symopt { inline namespace SYMOPT_ABI {

/// The kernel of a map's whole step: none, unless this is specialised with of(map), which returns it.
template <class Map>
struct FusedStep {};

/// One sweep.
template <>
struct FusedStep<Identity> {
  /// The kernel, with the options of the map.
  static kernel::IdentityStep of(const Identity&) { return {}; }
};
/// One sweep.
template <>
struct FusedStep<Sign> {
  /// The kernel, with the options of the map.
  static kernel::SignStep of(const Sign&) { return {}; }
};
/// One sweep.
template <>
struct FusedStep<RowNorm> {
  /// The kernel, with the options of the map.
  static kernel::RowNormStep of(const RowNorm& norm) { return {{norm.eps, norm.divisor}}; }
};
/// Sums of the columns first, then one sweep.
template <>
struct FusedStep<ColumnNorm> {
  /// The kernel, with the options of the map.
  static kernel::ColumnNormStep of(const ColumnNorm& norm) { return {{norm.eps, norm.divisor}}; }
};
/// The norm first, then one sweep.
template <>
struct FusedStep<FrobeniusNorm> {
  /// The kernel, with the options of the map.
  static kernel::FrobeniusStep of(const FrobeniusNorm&) { return {}; }
};

/// P RowNorm P: the head and the router.
template <>
struct FusedStep<detail::Pipeline<HorizontalProjection<Side::left>, RowNorm>> {
  /// The kernel, with the options of the map.
  static kernel::CentredRowNormStep of(const auto& pipeline) {
    const RowNorm& norm = pipeline.template map<0>();
    return {{norm.eps, norm.divisor}};
  }
};

/// One stage and no projection: the stage.
template <class N>
requires requires(const N& map) {
  FusedStep<N>::of(map);
}
struct FusedStep<detail::Pipeline<HorizontalProjection<>, N>> {
  /// The kernel, with the options of the map.
  static auto of(const detail::Pipeline<HorizontalProjection<>, N>& pipeline) {
    return FusedStep<N>::of(pipeline.template map<0>());
  }
};

/// An update: its stages.
template <class Map>
requires requires(const Map& map) {
  FusedStep<std::remove_cvref_t<decltype(map.stages())>>::of(map.stages());
}
struct FusedStep<Map> {
  /// The kernel, with the options of the map.
  static auto of(const Map& map) {
    return FusedStep<std::remove_cvref_t<decltype(map.stages())>>::of(map.stages());
  }
};

namespace detail {

/// A map with a FusedStep, built in or of a user's.
template <class Map>
concept HasFusedStep = requires(const Map& map) {
  FusedStep<Map>::of(map);
};

/// A stateful rule whose whole step is one kernel, on memory that runs along rows: the transposed block where
/// the orientation is along columns. Returns as the steps of kernel/step.hpp do.
///   bool fused_step(const StepInput<Scalar>& lines, Orientation orientation, State<Scalar>& state) const
template <class Rule, class Scalar>
concept FusedStateWithoutMemory = requires(const Rule& rule, typename Rule::template State<Scalar>& state,
                                           const detail::StepInput<Scalar>& lines) {
  rule.fused_step(lines, detail::Orientation::along_rows, state);
};

/// One that works in scratch, made from the shape of the lines and ScratchOptions.
///   template <class Scalar, Orientation orientation> using StepMemory
///   bool fused_step<orientation>(lines, state, StepMemory<Scalar, orientation>& memory) const
template <class Rule, class Scalar>
concept FusedStateWithMemory = requires(
    const Rule& rule, typename Rule::template State<Scalar>& state, const detail::StepInput<Scalar>& lines,
    typename Rule::template StepMemory<Scalar, detail::Orientation::along_rows>& memory) {
  rule.template fused_step<detail::Orientation::along_rows>(lines, state, memory);
};

/// Either.
template <class Rule, class Scalar>
concept HasFusedState = FusedStateWithoutMemory<Rule, Scalar> || FusedStateWithMemory<Rule, Scalar>;

}  // namespace detail

}}  // namespace symopt
