// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/memory/overlap.hpp>
#include <symopt/memory/row_mask.hpp>
#include <symopt/memory/tensor_view.hpp>
#include <symopt/memory/weights_view.hpp>
#include <symopt/optimizer/kept_weights.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The weights of a parameter as the trainer stores them:
///   values            in Scalar
///   values and bf16   in float, of which each step writes a bfloat16 copy
///   bf16 and low      floats in two halves, see split_weights
///   bf16              nothing but bfloat16: a step is computed in float and rounded
template <class Scalar>
struct WeightsTensors {
  std::optional<TensorView<Scalar>> values{};
  std::optional<TensorView<bfloat16>> bf16{};
  std::optional<TensorView<std::uint16_t>> low{};
  std::optional<std::uint64_t> seed{};  ///< of what is rounded stochastically

  /// call(what errors call it, tensor) for each of them.
  void for_each(const auto& call) const {
    if (values) call("weights", *values);
    if (bf16) call(values ? "copy" : "weights", *bf16);
    if (low) call("weights", *low);
  }
  /// call(tensor) for each tensor that holds the weights: not a copy.
  void for_each_of_weights(const auto& call) const {
    if (values) return call(*values);
    if (bf16) call(*bf16);
    if (low) call(*low);
  }
  const std::vector<Index>& sizes() const { return values ? values->sizes() : bf16->sizes(); }
  std::string shape_text() const { return values ? values->to_string() : bf16->to_string(); }
};

/// The blocks of those tensors.
template <class Scalar>
struct StoredWeights {
  std::vector<BlockView<Scalar>> values{};
  std::vector<BlockView<bfloat16>> bf16{};
  std::vector<BlockView<std::uint16_t>> low{};

  std::size_t count() const { return values.empty() ? bf16.size() : values.size(); }
  /// The axes of what holds a block's weights, without the memory.
  BlockView<Scalar> place(std::size_t b) const {
    if (values.empty()) return {nullptr, bf16[b].rows, bf16[b].cols};
    return {nullptr, values[b].rows, values[b].cols};
  }

  /// The rows of a block that exist.
  kernel::WeightsView<Scalar> view(std::size_t b, const RowMask& mask, const kernel::Rounder& rounder) const {
    if constexpr (std::same_as<Scalar, float>) {
      if (values.empty() && !low.empty()) return {mask.existing(bf16[b]), mask.existing(low[b])};
      if (values.empty()) return {mask.existing(bf16[b]), rounder};
      if (!bf16.empty()) return {mask.existing(values[b]), mask.existing(bf16[b]), rounder};
    }
    return {mask.existing(values[b])};
  }

  /// call(view) for the rows that exist of each of these blocks, for what does not round.
  void for_each_view(const std::vector<std::size_t>& numbers, const RowMask& mask, const auto& call) const {
    for (const std::size_t b : numbers) call(view(b, mask, {}));
  }
  bool are_finite(const std::vector<std::size_t>& numbers, const RowMask& mask) const {
    bool good = true;
    for_each_view(numbers, mask, [&](const auto& view) { good = good && detail::are_finite(view); });
    return good;
  }
};

/// Throws Error that names the parameter unless a tensor has the shape of the weights.
template <class Scalar, class S>
void require_shape_of(const WeightsTensors<Scalar>& weights, const std::string& name, const char* what,
                      const TensorView<S>& tensor) {
  require(tensor.sizes() == weights.sizes(), {name}, [&] {
    return "the " + std::string(what) + " is " + tensor.to_string() + " but the weights are " +
           weights.shape_text() + "; give both in one shape";
  });
}
/// Throws Error that names the parameter unless a copy of the weights, or their lower half, has their shape.
template <class Scalar>
void require_one_shape(const std::string& name, const WeightsTensors<Scalar>& weights) {
  if (weights.values && weights.bf16) require_shape_of(weights, name, "copy", *weights.bf16);
  if (weights.low) require_shape_of(weights, name, "lower half", *weights.low);
}

/// Throws Error that names the parameter unless weights that move elsewhere keep their types, shape and
/// strides.
template <class Scalar>
void require_alike(const std::string& name, const WeightsTensors<Scalar>& moved,
                   const WeightsTensors<Scalar>& before) {
  const bool is_alike = moved.values.has_value() == before.values.has_value() &&
                        moved.low.has_value() == before.low.has_value();
  require(is_alike, {name},
          "the weights are of other types than they were; remove the parameter and add it anew");
  const auto require_same = [&](const auto& now, const auto& then) {
    require(!now || (now->sizes() == then->sizes() && now->strides() == then->strides()), {name}, [&] {
      return "the weights are " + now->to_string() + " but were " + then->to_string() +
             ", or have other strides; remove the parameter and add it anew";
    });
  };
  require_same(moved.values, before.values);
  if (!moved.values) require_same(moved.bf16, before.bf16);
  require_same(moved.low, before.low);
}

}}}  // namespace symopt::detail
