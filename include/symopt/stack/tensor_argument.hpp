// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/memory/split_weights.hpp>
#include <symopt/memory/tensor_view.hpp>
#include <symopt/memory/with_copy.hpp>
#include <symopt/stack/stored_weights.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

// The weights, gradients and copies that a stack is given, as tensors: a TensorView, or an Eigen object that
// stays.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The scalar of an Eigen object or of a TensorView, without const.
template <class Given>
struct StoredScalar {
  using type = void;
};
template <class Given>
requires requires {
  typename Given::Scalar;
}
struct StoredScalar<Given> {
  using type = typename Given::Scalar;
};
template <class Scalar>
struct StoredScalar<TensorView<Scalar>> {
  using type = std::remove_const_t<Scalar>;
};
template <class Given>
using stored_scalar_t = typename StoredScalar<std::remove_cvref_t<Given>>::type;

/// The memory of what a stack is given, in the scalar that it must have.
template <class Wanted, class Given>
TensorView<Wanted> tensor_of(Given&& given) {
  using Plain = std::remove_cvref_t<Given>;
  if constexpr (requires { given.sizes(); }) {
    static_assert(std::convertible_to<Plain, TensorView<Wanted>>,
                  "the tensor must have the stack's scalar, and weights must be writable");
    return given;
  } else if constexpr (!EigenObject<Plain>) {
    static_assert(EigenObject<Plain>,
                  "a stack needs memory with a shape: an Eigen object, or for a pointer "
                  "TensorView<float>(pointer, {rows, cols})");
  } else {
    static_assert(is_memory_v<Plain>,
                  "a stack needs memory to look at: a Matrix, Map, Ref, Block or TensorView");
    static_assert(outlives_expression_v<Given>,
                  "a stack keeps views: give it a matrix that stays, or a Map of memory that does");
    static_assert(std::is_const_v<Wanted> || is_writable_memory_v<Given&>,
                  "the weights must be memory to update, not read-only");
    static_assert(
        std::same_as<typename Plain::Scalar, std::remove_const_t<Wanted>>,
        "weights and gradient must have the stack's scalar: BasicLayerwiseOptimizer<double> for double");
    return TensorView<Wanted>(std::forward<Given>(given));
  }
}

/// A gradient in Scalar, or of a stack in float in bfloat16; std::nullopt and an optional without a value are
/// none.
template <class Scalar, class Gradient>
auto gradient_of(Gradient&& gradient) {
  using Stored = std::conditional_t<std::same_as<Scalar, float> &&
                                        std::same_as<detail::stored_scalar_t<Gradient>, bfloat16>,
                                    bfloat16, Scalar>;
  using Tensor = std::optional<TensorView<const Stored>>;
  if constexpr (std::same_as<std::remove_cvref_t<Gradient>, std::nullopt_t>) {
    return Tensor();
  } else if constexpr (requires { gradient.has_value(); }) {
    return gradient ? Tensor(tensor_of<const Stored>(*std::forward<Gradient>(gradient))) : Tensor();
  } else {
    return Tensor(tensor_of<const Stored>(std::forward<Gradient>(gradient)));
  }
}

/// Weights in one of the four storages: see WeightsTensors. What is in bfloat16 goes with a stack in float.
///@{
template <class Scalar, class Weights>
WeightsTensors<Scalar> weights_of(Weights&& weights) {
  if constexpr (std::same_as<Scalar, float> && std::same_as<stored_scalar_t<Weights>, bfloat16>) {
    return {.bf16 = tensor_of<bfloat16>(std::forward<Weights>(weights))};
  } else {
    return {.values = tensor_of<Scalar>(std::forward<Weights>(weights))};
  }
}
template <class Scalar, class Weights>
requires std::same_as<Scalar, float> WeightsTensors<Scalar> weights_of(
    StochasticallyRounded<Weights> weights) {
  return {.bf16 = tensor_of<bfloat16>(weights.block), .seed = weights.seed};
}
template <class Scalar, class High, class Low>
requires std::same_as<Scalar, float> WeightsTensors<Scalar> weights_of(SplitWeights<High, Low> weights) {
  return {.bf16 = tensor_of<bfloat16>(weights.high), .low = tensor_of<std::uint16_t>(weights.low)};
}
template <class Scalar, class Weights, class Copy>
requires std::same_as<Scalar, float> WeightsTensors<Scalar> weights_of(WithCopy<Weights, Copy> weights) {
  if constexpr (requires { weights.copy.seed; }) {
    return {.values = tensor_of<float>(weights.weights),
            .bf16 = tensor_of<bfloat16>(weights.copy.block),
            .seed = weights.copy.seed};
  } else {
    return {.values = tensor_of<float>(weights.weights), .bf16 = tensor_of<bfloat16>(weights.copy)};
  }
}
///@}

/// A vector of tensors that share a partner.
template <class Given>
concept SeveralTensors = !EigenObject<std::remove_cvref_t<Given>> && requires(Given & given) {
  given.size();
  given[0];
};

/// The number of tensors that are given.
template <class Given>
std::size_t tensor_count(Given& given) {
  if constexpr (SeveralTensors<Given>) {
    return given.size();
  } else {
    return 1;
  }
}
/// Throws Error unless the address of a tensor with elements is one where a scalar can be.
template <class Element>
void require_memory(const std::string& name, const char* what, const TensorView<Element>& tensor) {
  if (tensor.is_empty()) return;
  require(tensor.data() != nullptr, {name}, [&] {
    return "the memory of the " + std::string(what) + " is a null pointer; give memory of the shape " +
           tensor.to_string() + ", and std::nullopt for a gradient that is not there";
  });
  require(reinterpret_cast<std::uintptr_t>(tensor.data()) % alignof(Element) == 0, {name}, [&] {
    return "the memory of the " + std::string(what) +
           " begins between two scalars; it must begin at a multiple of " + std::to_string(alignof(Element)) +
           " bytes";
  });
}

/// Throws Error unless the weights and that memory lie apart.
template <class Scalar, class Stored>
void require_apart(const char* what, const std::string& name, const WeightsTensors<Scalar>& weights,
                   const TensorView<Stored>& other) {
  weights.for_each_of_weights([&](const auto& tensor) {
    require(!overlap(tensor, other), {name},
            [&] { return "weights and " + std::string(what) + " overlap in memory; keep them apart"; });
  });
}

/// Throws Error unless the tensors of the weights are memory of one shape in which every element is once.
template <class Scalar>
void require_tensors(const std::string& name, const WeightsTensors<Scalar>& weights) {
  weights.for_each([&](const char* what, const auto& tensor) {
    require_memory(name, what, tensor);
    require(!overlaps_itself(tensor), {name, tensor.to_string()},
            "some of its elements are the same memory, so that they would be updated "
            "more than once; give the tensor that was expanded or unfolded");
  });
  require_one_shape(name, weights);
}

/// Throws Error unless the weights are memory that a step can update.
template <class Scalar>
void require_usable(const std::string& name, const WeightsTensors<Scalar>& weights) {
  require_tensors(name, weights);
  if (weights.values && weights.bf16)
    require_apart("copy", name, WeightsTensors<Scalar>{.values = weights.values}, *weights.bf16);
  if (weights.low)
    require(!overlap(*weights.bf16, *weights.low), {name},
            "the weights' halves overlap in memory; keep them apart");
}

}}}  // namespace symopt::detail
