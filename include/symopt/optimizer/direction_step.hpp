// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/generic.hpp>
#include <symopt/memory/block_view.hpp>
#include <symopt/memory/buffer.hpp>
#include <symopt/normalization/apply.hpp>
#include <symopt/optimizer/fused_step.hpp>
#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/optimizer/step_range.hpp>

#include <utility>

// The step of a map, on memory that runs along rows: its kernel (fused_step.hpp), or the general step here.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The weights that horizontal decay shrinks, P W, in memory of their own.
template <class Scalar>
class DecayedWeights {
 public:
  DecayedWeights(Shape shape, kernel::ScratchOptions options)
      : entries_(options.decay_is_horizontal ? shape.rows * shape.cols : 0) {}

  /// P W; nothing where all of W decays, or nothing does.
  template <class Projection>
  BlockView<Scalar> under(const kernel::WeightsView<Scalar>& weights,
                          const kernel::StepCoefficients& coefficients, const auto&... reduction) {
    if (coefficients.decay == 0 || !coefficients.decay_is_horizontal) return {};
    MatrixRef<Scalar> decayed = entries_.as(weights.shape());
    const BlockView<Scalar> view(decayed);
    kernel::copy_block(weights, view);
    NoWorkspace none;
    Projection{}.template apply<Scalar>(decayed, none, reduction...);
    return view;
  }

 private:
  kernel::Buffer<Scalar> entries_;
};

/// W <- W - decay W (or P W) - step size * direction, and the momentum, where there is one, advances.
template <class Projection, class Scalar>
void move_along(const kernel::Streams<Scalar>& streams, const kernel::StepCoefficients& coefficients,
                const BlockView<Scalar>& direction, DecayedWeights<Scalar>& decaying,
                const auto&... reduction) {
  const BlockView<Scalar> decayed =
      decaying.template under<Projection>(streams.weights, coefficients, reduction...);
  kernel::move_along(streams, coefficients, direction, decayed.data == nullptr ? nullptr : &decayed);
}

/// The step of a map without a kernel, with the interface of kernel/step.hpp: a sweep that writes what the
/// map is given, the map, a look at the direction where the gradient is checked, and a sweep that advances
/// the momentum and moves the weights. A map that throws changes nothing. `reduction`: nothing, or one that
/// the map's stages take.
template <class Map>
struct DirectionStep {
  const Map& map;

  template <class Scalar>
  struct Memory {
    Memory(Shape shape, kernel::ScratchOptions options)
        : direction(shape.rows * shape.cols), decayed(shape, options), workspace(options.whole(shape)) {}

    kernel::Buffer<Scalar> direction;
    DecayedWeights<Scalar> decayed;
    workspace_t<Map, Scalar> workspace;
  };

  template <class Scalar>
  bool run(const kernel::Streams<Scalar>& streams, const kernel::StepCoefficients& coefficients,
           kernel::Check check, auto& memory, const auto&... reduction) const {
    MatrixRef<Scalar> direction = memory.direction.as(streams.shape());
    const BlockView<Scalar> view(direction);
    if (!kernel::write_next_momentum(streams, coefficients, view) && check == kernel::Check::gradient)
      return false;
    apply_map<Map, Scalar>(map, direction, memory.workspace, reduction...);
    if (check == kernel::Check::gradient && !is_harmless(coefficients, view)) return false;
    move_along<projection_of_t<Map>>(streams, coefficients, view, memory.decayed, reduction...);
    return true;
  }
};

/// The step of a map: its kernel, or the general one.
template <class Map>
auto step_of(const Map& map) {
  if constexpr (HasFusedStep<Map>) {
    return FusedStep<Map>::of(map);
  } else {
    return DirectionStep<Map>{map};
  }
}
template <class Map>
using step_of_t = decltype(step_of(std::declval<const Map&>()));

}}}  // namespace symopt::detail
