// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/memory/overlap.hpp>
#include <symopt/memory/split_weights.hpp>
#include <symopt/memory/weights_view.hpp>
#include <symopt/memory/with_copy.hpp>

#include <concepts>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <type_traits>

// The weights that an optimizer's step is given: plain memory in the optimizer's scalar or in bfloat16,
// stochastic(weights, seed), split_weights(high, low), or with_copy(weights, copy).
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A dense block in somebody's memory, as errors speak of it.
struct MatrixMemory {
  const char* what = "";  ///< "weights' upper half"
  const void* data = nullptr;
  Index width = 0, alignment = 1;  ///< of a scalar, in bytes
  Shape shape{};
  Index inner_size = 0, inner_stride = 1, outer_size = 0, outer_stride = 1;
};
template <class Block>
MatrixMemory memory_of(const char* what, const Block& block) {
  using Scalar = typename Block::Scalar;
  return {what,
          block.data(),
          sizeof(Scalar),
          alignof(Scalar),
          shape_of(block),
          block.innerSize(),
          block.innerStride(),
          block.outerSize(),
          block.outerStride()};
}

/// Throws Error unless the memory is a block of that shape with contiguous lines.
inline void require_block(const MatrixMemory& memory, Shape shape, const std::string& parameter) {
  const Where where{parameter};
  if (memory.shape != shape)
    fail(where,
         joined({"the shape of the ", memory.what, " is ", to_string(memory.shape),
                 " but the optimizer was made for ", to_string(shape), "; make one optimizer per block"}));
  if (memory.inner_stride != 1 && memory.inner_size > 1)
    fail(where, joined({"the inner stride of the ", memory.what, " is ", std::to_string(memory.inner_stride),
                        "; pass memory whose rows or columns are contiguous"}));
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data);
  const bool is_empty = shape.rows == 0 || shape.cols == 0;
  if (!is_empty && address % static_cast<std::uintptr_t>(memory.alignment) != 0)
    fail(where, joined({"the memory of the ", memory.what,
                        " begins between two scalars; it must begin at a multiple of ",
                        std::to_string(memory.alignment), " bytes"}));
}

/// Tests whether two blocks of memory have a byte in common.
inline bool overlap(const MatrixMemory& a, const MatrixMemory& b) {
  AddressAxis of_a[]{{a.outer_size, a.outer_stride * a.width}, {a.inner_size, a.inner_stride * a.width}};
  AddressAxis of_b[]{{b.outer_size, b.outer_stride * b.width}, {b.inner_size, b.inner_stride * b.width}};
  return overlap(addresses_of(a.data, a.width, of_a, 2), addresses_of(b.data, b.width, of_b, 2));
}
inline void require_apart(const char* what, const MatrixMemory& a, const MatrixMemory& b,
                          const std::string& parameter) {
  if (overlap(a, b)) fail({parameter}, joined({what, " overlap in memory; keep them apart"}));
}

/// The one or two blocks of memory that weights are stored in, and their names in errors.
struct WeightsStorage {
  MatrixMemory parts[2];
  int count = 1;
  const char* both = "";                        ///< what errors call the two, where they overlap
  const char* second = "weights and gradient";  ///< and the second with the gradient

  /// Throws Error unless all parts are blocks of that shape and lie apart, from each other and from the
  /// gradient, and the lines of the weights do.
  void require_usable(Shape shape, const MatrixMemory& gradient, const std::string& parameter) const {
    require_block(gradient, shape, parameter);
    for (int k = 0; k < count; ++k) require_block(parts[k], shape, parameter);
    for (int k = 0; k < count; ++k)
      require_apart(k == 0 ? "weights and gradient" : second, parts[k], gradient, parameter);
    if (count == 2) require_apart(both, parts[0], parts[1], parameter);
    for (int k = 0; k < count; ++k)
      require(parts[k].outer_size <= 1 || std::abs(parts[k].outer_stride) >= parts[k].inner_size, {parameter},
              [&] {
                return joined(
                    {"the lines of the ", parts[k].what,
                     " overlap each other, so that some entries would be updated more than once; give them "
                     "memory of their own"});
              });
  }
};

/// The weights of a step in Scalar: the Eigen object whose storage order is theirs, their memory, and the
/// view that the step computes through.
template <class Scalar, class Weights>
struct StepWeights {
  using Storage = Weights;

  StepWeights(Weights& weights, const auto&)
      : memory{{memory_of("weights", weights)}}, view(view_of(weights)) {}

  WeightsStorage memory;
  kernel::WeightsView<Scalar> view;

 private:
  static kernel::WeightsView<Scalar> view_of(Weights& weights) {
    if constexpr (std::same_as<typename Weights::Scalar, Scalar>) {
      return BlockView<Scalar>(weights);
    } else {
      return {BlockView<bfloat16>(weights), kernel::Rounder{}};
    }
  }
};
template <class Scalar, class Weights>
struct StepWeights<Scalar, StochasticallyRounded<Weights>> {
  using Storage = Weights;

  StepWeights(const StochasticallyRounded<Weights>& weights, const auto& rounder)
      : memory{{memory_of("weights", weights.block)}},
        view(BlockView<bfloat16>(weights.block), rounder(weights.seed)) {}

  WeightsStorage memory;
  kernel::WeightsView<Scalar> view;
};
template <class Scalar, class High, class Low>
struct StepWeights<Scalar, SplitWeights<High, Low>> {
  static_assert(std::same_as<Scalar, float>, "split weights are floats: Optimizer<Rule, float>");
  using Storage = High;

  StepWeights(const SplitWeights<High, Low>& weights, const auto&)
      : memory{{memory_of("weights' upper half", weights.high),
                memory_of("weights' lower half", weights.low)},
               2,
               "the weights' halves"},
        view(BlockView<bfloat16>(weights.high), BlockView<std::uint16_t>(weights.low)) {}

  WeightsStorage memory;
  kernel::WeightsView<Scalar> view;
};
template <class Scalar, class Weights, class Copy>
struct StepWeights<Scalar, WithCopy<Weights, Copy>> {
  using Storage = Weights;

  StepWeights(const WithCopy<Weights, Copy>& weights, const auto& rounder)
      : StepWeights(weights.weights, block_of(weights.copy), rounder_of(weights.copy, rounder)) {}

  WeightsStorage memory;
  kernel::WeightsView<Scalar> view;

 private:
  template <class Block>
  StepWeights(Weights& weights, Block& copy, const kernel::Rounder& rounder)
      : memory{{memory_of("weights", weights), memory_of("copy", copy)},
               2,
               "weights and copy",
               "copy and gradient"},
        view(BlockView<float>(weights), BlockView<bfloat16>(copy), rounder) {
    static_assert(is_writable_memory_v<Block>, "the copy must be memory to write into");
    static_assert(std::same_as<Scalar, float> && std::same_as<Scalar, typename Weights::Scalar> &&
                      std::same_as<typename Block::Scalar, bfloat16>,
                  "a copy in bfloat16 goes with weights in float");
  }

  template <class Block>
  static auto& block_of(Block& copy) {
    if constexpr (requires { copy.seed; }) {
      return copy.block;
    } else {
      return copy;
    }
  }
  static kernel::Rounder rounder_of(const auto& copy, const auto& rounder) {
    if constexpr (requires { copy.seed; }) {
      return rounder(copy.seed);
    } else {
      return {};
    }
  }
};

/// Stops the compiler, with a sentence, at weights and gradients whose types no step takes.
template <class Scalar, class Weights, class Gradient>
constexpr bool are_storable() {
  using Storage = typename StepWeights<Scalar, std::remove_cvref_t<Weights>>::Storage;
  using W = typename Storage::Scalar;
  using G = typename Gradient::Scalar;
  static_assert(is_writable_memory_v<Storage>,
                "the weights must be memory to update: a Matrix, Map, Ref or Block");
  static_assert(!std::is_const_v<std::remove_reference_t<Weights>>,
                "the weights are const, and a step changes them");
  static_assert(
      outlives_expression_v<Weights>,
      "the weights are a temporary that ends with the call, and the step with it: pass the matrix that "
      "is trained, or a Map, Ref or Block of it");
  constexpr bool takes_bfloat16 = std::same_as<Scalar, float>;
  static_assert((std::same_as<Scalar, W> || (takes_bfloat16 && std::same_as<W, bfloat16>)) &&
                    (std::same_as<Scalar, G> || (takes_bfloat16 && std::same_as<G, bfloat16>)),
                "weights and gradient must have the optimizer's scalar: Optimizer<Rule, double> for double");
  return true;
}

}}}  // namespace symopt::detail
