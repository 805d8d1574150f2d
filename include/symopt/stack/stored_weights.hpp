// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/weights_view.hpp>
#include <symopt/memory/overlap.hpp>
#include <symopt/parameter/row_mask.hpp>
#include <symopt/tensor_view.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
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
  /// Likewise for those that hold the weights.
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
};

/// The numbers of the rows that exist, to be put back. Keeping as many again allocates nothing.
template <class Scalar>
class KeptWeights {
 public:
  void keep(const StoredWeights<Scalar>& weights, const RowMask& mask) {
    std::size_t size = 0;
    for_each_number(weights, mask, [&](const auto& number) { size += sizeof number; });
    bytes_.resize(size);
    std::byte* next = bytes_.data();
    for_each_number(weights, mask, [&](const auto& number) {
      std::memcpy(next, &number, sizeof number);
      next += sizeof number;
    });
  }
  void put_back(const StoredWeights<Scalar>& weights, const RowMask& mask) const {
    const std::byte* next = bytes_.data();
    for_each_number(weights, mask, [&](auto& number) {
      std::memcpy(static_cast<void*>(&number), next, sizeof number);
      next += sizeof number;
    });
  }

 private:
  static void for_each_number(const StoredWeights<Scalar>& weights, const RowMask& mask, const auto& visit) {
    const auto visit_all = [&](const auto& blocks) {
      for (const auto& block : blocks)
        for_each_segment(mask.existing(block), [&](Index, Index, auto&& segment) {
          for (Index j = 0; j < segment.size(); ++j) visit(segment.coeffRef(j));
        });
    };
    visit_all(weights.values);
    visit_all(weights.bf16);
    visit_all(weights.low);
  }

  std::vector<std::byte> bytes_;
};

}}}  // namespace symopt::detail
