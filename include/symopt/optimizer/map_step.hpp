// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/oriented_buffer.hpp>
#include <symopt/optimizer/direction_step.hpp>
#include <symopt/optimizer/scratch.hpp>
#include <symopt/optimizer/step_input.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

// The steps of a rule that maps the momentum, in either orientation: memory that runs along columns is the
// transposed block under the mirrored map.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A map that is given a projection because it says no word, or another one, about its own.
template <class Map, class Projection>
struct UnderProjection : Map {
  using projection = Projection;
};

/// A rule as a map of memory that runs along rows: itself, or its stages; where the block's memory runs along
/// columns, the mirrored map of the transposed block, with the mirrored projection.
template <Orientation orientation, class Rule>
auto map_along(const Rule& rule) {
  if constexpr (orientation == Orientation::along_columns) {
    using Mirror = std::remove_cvref_t<decltype(mirror(rule))>;
    using Projection = std::remove_cvref_t<decltype(projection_of_t<Rule>{}.mirrored())>;
    if constexpr (HasFusedStep<Mirror> || std::same_as<projection_of_t<Mirror>, Projection>) {
      return mirror(rule);
    } else {
      return UnderProjection<Mirror, Projection>{mirror(rule)};
    }
  } else if constexpr (!HasFusedStep<Rule> && requires { rule.stages(); }) {
    return std::remove_cvref_t<decltype(rule.stages())>(rule.stages());
  } else {
    return rule;
  }
}

/// A rule with the maps that it is in either orientation.
template <class Rule>
class OrientedMap {
 public:
  template <Orientation orientation>
  using Along = decltype(map_along<orientation>(std::declval<const Rule&>()));

  explicit OrientedMap(Rule r)
      : rule(std::move(r)),
        along_rows_(map_along<Orientation::along_rows>(rule)),
        along_columns_(map_along<Orientation::along_columns>(rule)) {}

  Rule rule;

  template <Orientation orientation>
  const Along<orientation>& along() const {
    if constexpr (orientation == Orientation::along_rows) {
      return along_rows_;
    } else {
      return along_columns_;
    }
  }

 private:
  Along<Orientation::along_rows> along_rows_;
  Along<Orientation::along_columns> along_columns_;
};

/// The count of momentum sums that the step of a map keeps for a block of that shape.
template <class Map>
constexpr Index count_of_momentum_sums(Shape shape) {
  if constexpr (requires { requires step_of_t<Map>::keeps_momentum_sums; }) {
    return shape.cols;
  } else {
    return 0;
  }
}

/// The steps of one block under a rule that maps its momentum, with the scratch of each orientation.
template <class Rule, class Scalar>
class MapStep {
  template <Orientation orientation>
  using Map = typename OrientedMap<Rule>::template Along<orientation>;
  template <Orientation orientation>
  using Memory = typename step_of_t<Map<orientation>>::template Memory<Scalar>;
  /// A map's workspace serves its mirror too.
  static constexpr bool takes_turns =
      !HasFusedStep<Map<Orientation::along_rows>> && !HasFusedStep<Map<Orientation::along_columns>>;
  template <Orientation orientation>
  using ScratchMemory = Memory<takes_turns ? Orientation::along_rows : orientation>;

 public:
  /// Takes what a step of that orientation lacks.
  template <Orientation orientation>
  void reserve(const ScratchSource& source, Shape shape, kernel::OrientedBuffer<Scalar>& momentum) {
    Scratch& scratch = scratch_along(orientation);
    if (!scratch.is_empty()) return;
    const Shape lines = orientation == Orientation::along_rows ? shape : transposed(shape);
    momentum.reserve_sums(count_of_momentum_sums<Map<orientation>>(lines));
    scratch.template take<ScratchMemory<orientation>>(source, takes_turns ? shape : lines);
  }

  /// One step, on memory that runs along rows. Returns false, and has changed nothing, where the gradient was
  /// to be checked and is not finite.
  template <Orientation orientation>
  bool run(const OrientedMap<Rule>& maps, const kernel::Streams<Scalar>& streams,
           const StepInput<Scalar>& lines, const auto&... reduction) {
    auto& memory = scratch_along(orientation).template as<ScratchMemory<orientation>>();
    return step_of(maps.template along<orientation>())
        .run(streams, lines.coefficients, lines.check, memory, reduction...);
  }

 private:
  Scratch& scratch_along(Orientation orientation) {
    return orientation == Orientation::along_rows || takes_turns ? along_rows_ : along_columns_;
  }

  Scratch along_rows_, along_columns_;
};

}}}  // namespace symopt::detail
