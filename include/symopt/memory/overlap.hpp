// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/tensor_view.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

// Whether two pieces of strided memory have a byte in common, exactly: column ranges of one matrix lie
// between the same addresses and have none. The one test of it, for whatever is read and written.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// An axis of strided memory, in bytes.
struct AddressAxis {
  Index size;
  Index stride;
};

/// The addresses of strided elements: runs of bytes, each along every axis. Views its axes, whose strides are
/// positive, the longest first.
struct Addresses {
  std::uintptr_t first = 0;  ///< the lowest
  Index width = 0;           ///< of a run; 0 for memory without elements
  std::span<const AddressAxis> axes{};

  /// From the first byte to one past the last.
  Index extent() const {
    Index bytes = width;
    for (const AddressAxis& axis : axes) bytes += (axis.size - 1) * axis.stride;
    return bytes;
  }
  std::uintptr_t end() const { return first + static_cast<std::uintptr_t>(extent()); }
  /// What lies at one place of the first axis.
  Addresses at(Index i) const {
    return {first + static_cast<std::uintptr_t>(i * axes.front().stride), width, axes.subspan(1)};
  }
  Index count_of_runs() const {
    Index runs = 1;
    for (const AddressAxis& axis : axes) runs *= axis.size;
    return runs;
  }
};

/// The addresses of elements of `width` bytes. Puts the axes in order: one that turns back runs forwards, one
/// that goes nowhere is left out unless `keeps_repeats`, and elements without gaps between them are one run.
inline Addresses addresses_of(const void* data, Index width, std::span<AddressAxis> axes,
                              bool keeps_repeats = false) {
  Addresses memory{reinterpret_cast<std::uintptr_t>(data), width, {}};
  std::size_t count = 0;
  for (AddressAxis axis : axes) {
    if (axis.size == 0) return {};
    if (axis.size == 1 || (axis.stride == 0 && !keeps_repeats)) continue;
    if (axis.stride < 0) memory.first -= static_cast<std::uintptr_t>((axis.size - 1) * -axis.stride);
    axes[count++] = {axis.size, std::abs(axis.stride)};
  }
  axes = axes.first(count);
  std::ranges::sort(axes, std::ranges::greater{}, &AddressAxis::stride);
  for (; !axes.empty() && axes.back().stride == memory.width; axes = axes.first(axes.size() - 1))
    memory.width *= axes.back().size;
  memory.axes = axes;
  return memory;
}

/// The places of the first axis at which something can lie between two addresses.
inline std::array<Index, 2> places_between(const Addresses& memory, std::uintptr_t begin,
                                           std::uintptr_t end) {
  const AddressAxis axis = memory.axes.front();
  const auto inner = static_cast<std::uintptr_t>(memory.at(0).extent());
  const auto stride = static_cast<std::uintptr_t>(axis.stride);
  if (end <= memory.first) return {0, 0};
  const std::uintptr_t from = begin < memory.first + inner ? 0 : (begin - memory.first - inner) / stride + 1;
  const std::uintptr_t to = (end - memory.first - 1) / stride + 1;
  return {static_cast<Index>(std::min(from, static_cast<std::uintptr_t>(axis.size))),
          static_cast<Index>(std::min(to, static_cast<std::uintptr_t>(axis.size)))};
}

/// Whether a byte of the memory lies between two addresses.
inline bool lies_between(const Addresses& memory, std::uintptr_t begin, std::uintptr_t end) {
  if (memory.first >= end || memory.end() <= begin) return false;
  if (memory.axes.empty() || memory.first >= begin) return true;
  const auto [from, to] = places_between(memory, begin, end);
  for (Index i = from; i < to; ++i)
    if (lies_between(memory.at(i), begin, end)) return true;
  return false;
}

inline bool runs_overlap(const Addresses& runs, const Addresses& other) {
  if (runs.axes.empty()) return lies_between(other, runs.first, runs.end());
  const auto [from, to] = places_between(runs, other.first, other.end());
  for (Index i = from; i < to; ++i)
    if (runs_overlap(runs.at(i), other)) return true;
  return false;
}

/// Whether the two have a byte in common. Cost: nothing for memory apart; else a few comparisons for each
/// run, a row say, of the one with fewer. Allocates nothing.
inline bool overlap(const Addresses& a, const Addresses& b) {
  if (a.width == 0 || b.width == 0 || a.end() <= b.first || b.end() <= a.first) return false;
  return a.count_of_runs() <= b.count_of_runs() ? runs_overlap(a, b) : runs_overlap(b, a);
}

/// Whether two places of the axes are the same memory: an axis without a stride, or windows that slide. The
/// axes have kept their repeats. Cost: nothing for axes that enclose each other.
inline bool overlaps_itself(const Addresses& memory) {
  if (memory.axes.empty()) return false;
  if (memory.axes.back().stride == 0) return true;
  const AddressAxis axis = memory.axes.front();
  const Addresses inner = memory.at(0);
  const Index extent = inner.extent();
  for (Index i = 1; i < axis.size && i * axis.stride < extent; ++i)
    if (overlap(inner, memory.at(i))) return true;
  return overlaps_itself(inner);
}

/// The addresses of a tensor, with the axes that they view.
class TensorAddresses {
 public:
  template <class Scalar>
  explicit TensorAddresses(const TensorView<Scalar>& tensor, bool keeps_repeats = false) {
    constexpr auto width = static_cast<Index>(sizeof(Scalar));
    for (std::size_t d = 0; d < tensor.sizes().size(); ++d)
      axes_.push_back({tensor.sizes()[d], tensor.strides()[d] * width});
    addresses_ = addresses_of(tensor.data(), width, axes_, keeps_repeats);
  }
  TensorAddresses(const TensorAddresses&) = delete;
  TensorAddresses& operator=(const TensorAddresses&) = delete;

  const Addresses& get() const { return addresses_; }

 private:
  std::vector<AddressAxis> axes_;
  Addresses addresses_;
};

template <class A, class B>
bool overlap(const TensorView<A>& a, const TensorView<B>& b) {
  return overlap(TensorAddresses(a).get(), TensorAddresses(b).get());
}
template <class Scalar>
bool overlaps_itself(const TensorView<Scalar>& tensor) {
  return overlaps_itself(TensorAddresses(tensor, true).get());
}

}}}  // namespace symopt::detail
