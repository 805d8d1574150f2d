// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/tensor_view.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

// Tests whether two pieces of strided memory have a byte in common, exactly: column ranges of one matrix lie
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
  std::uintptr_t first = 0;           ///< the lowest
  Index width = 0;                    ///< of a run; 0 for memory without elements
  const AddressAxis* axes = nullptr;  ///< as many as `count`
  int count = 0;

  /// The bytes from the first to the last, gaps included.
  Index extent() const {
    Index bytes = width;
    for (int k = 0; k < count; ++k) bytes += (axes[k].size - 1) * axes[k].stride;
    return bytes;
  }
  std::uintptr_t end() const { return first + static_cast<std::uintptr_t>(extent()); }
  /// The addresses of the elements at one place of the first axis.
  Addresses at(Index i) const {
    return {first + static_cast<std::uintptr_t>(i * axes[0].stride), width, axes + 1, count - 1};
  }
  Index count_of_runs() const {
    Index runs = 1;
    for (int k = 0; k < count; ++k) runs *= axes[k].size;
    return runs;
  }
};

/// The addresses of elements of `width` bytes along `count` axes. Puts the axes in order: one that turns back
/// runs forwards, one that goes nowhere is left out unless `keeps_repeats`, and elements without gaps between
/// them are one run.
inline Addresses addresses_of(const void* data, Index width, AddressAxis* axes, int count,
                              bool keeps_repeats = false) {
  Addresses memory{reinterpret_cast<std::uintptr_t>(data), width, axes, 0};
  for (int k = 0; k < count; ++k) {
    AddressAxis axis = axes[k];
    if (axis.size == 0) return {};
    if (axis.size == 1 || (axis.stride == 0 && !keeps_repeats)) continue;
    if (axis.stride < 0) {
      axis.stride = -axis.stride;
      memory.first -= static_cast<std::uintptr_t>((axis.size - 1) * axis.stride);
    }
    int place = memory.count++;
    for (; place > 0 && axes[place - 1].stride < axis.stride; --place) axes[place] = axes[place - 1];
    axes[place] = axis;
  }
  for (; memory.count > 0 && axes[memory.count - 1].stride == memory.width; --memory.count)
    memory.width *= axes[memory.count - 1].size;
  return memory;
}

/// The places of the first axis at which something can lie between two addresses.
struct Places {
  Index from, to;
};
inline Places places_between(const Addresses& memory, std::uintptr_t begin, std::uintptr_t end) {
  if (end <= memory.first) return {0, 0};
  const auto size = static_cast<std::uintptr_t>(memory.axes[0].size);
  const auto stride = static_cast<std::uintptr_t>(memory.axes[0].stride);
  const auto inner = static_cast<std::uintptr_t>(memory.at(0).extent());
  const std::uintptr_t from = begin < memory.first + inner ? 0 : (begin - memory.first - inner) / stride + 1;
  const std::uintptr_t to = (end - memory.first - 1) / stride + 1;
  return {static_cast<Index>(from < size ? from : size), static_cast<Index>(to < size ? to : size)};
}

/// Tests whether a byte of the memory lies between two addresses.
inline bool lies_between(const Addresses& memory, std::uintptr_t begin, std::uintptr_t end) {
  if (memory.first >= end || memory.end() <= begin) return false;
  if (memory.count == 0 || memory.first >= begin) return true;
  const auto [from, to] = places_between(memory, begin, end);
  for (Index i = from; i < to; ++i)
    if (lies_between(memory.at(i), begin, end)) return true;
  return false;
}

inline bool runs_overlap(const Addresses& runs, const Addresses& other) {
  if (runs.count == 0) return lies_between(other, runs.first, runs.end());
  const auto [from, to] = places_between(runs, other.first, other.end());
  for (Index i = from; i < to; ++i)
    if (runs_overlap(runs.at(i), other)) return true;
  return false;
}

/// Tests whether two memories have a byte in common. Cost: nothing for memory apart; else a few comparisons
/// for each run, a row say, of the one with fewer. Allocates nothing.
inline bool overlap(const Addresses& a, const Addresses& b) {
  if (a.width == 0 || b.width == 0 || a.end() <= b.first || b.end() <= a.first) return false;
  return a.count_of_runs() <= b.count_of_runs() ? runs_overlap(a, b) : runs_overlap(b, a);
}

/// Tests whether two places of the axes share memory: an axis without a stride, or windows that slide. The
/// axes have kept their repeats. Cost: nothing for axes that enclose each other.
inline bool overlaps_itself(const Addresses& memory) {
  if (memory.count == 0) return false;
  if (memory.axes[memory.count - 1].stride == 0) return true;
  const AddressAxis axis = memory.axes[0];
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
    addresses_ =
        addresses_of(tensor.data(), width, axes_.data(), static_cast<int>(axes_.size()), keeps_repeats);
  }
  TensorAddresses(TensorAddresses&&) = default;  // the axes stay where they are
  TensorAddresses& operator=(TensorAddresses&&) = default;

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
