// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/tensor_view.hpp>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

template <class Scalar>
void for_each_address(const TensorView<Scalar>& tensor, const auto& visit) {
  if (tensor.dimensions() == 0) {
    visit(tensor.data());
  } else if (tensor.dimensions() == 1) {
    for (Index i = 0; i < tensor.sizes()[0]; ++i) visit(tensor.data() + i * tensor.strides()[0]);
  } else {
    for (Index i = 0; i < tensor.sizes()[0]; ++i) for_each_address(tensor.slice(i), visit);
  }
}

/// True when two tensors have an element in common. Column ranges of one matrix lie between the same
/// addresses but have none: tensors whose addresses meet are compared element by element. Cost: nothing for
/// tensors apart; a bit of memory for each scalar of the common address range otherwise.
template <class Scalar>
bool share_elements(const TensorView<Scalar>& a, const TensorView<Scalar>& b) {
  const auto [a_begin, a_end] = a.address_range();
  const auto [b_begin, b_end] = b.address_range();
  const std::less<Scalar*> before;
  Scalar* const begin = std::max(a_begin, b_begin, before);
  Scalar* const end = std::min(a_end, b_end, before);
  if (!before(begin, end)) return false;

  std::vector<bool> is_of_a(static_cast<std::size_t>(end - begin), false);
  const auto is_common = [&](Scalar* address) { return !before(address, begin) && before(address, end); };
  for_each_address(a, [&](Scalar* address) {
    if (is_common(address)) is_of_a[static_cast<std::size_t>(address - begin)] = true;
  });
  bool is_shared = false;
  for_each_address(b, [&](Scalar* address) {
    if (is_common(address) && is_of_a[static_cast<std::size_t>(address - begin)]) is_shared = true;
  });
  return is_shared;
}

/// True when two indices of a tensor are one element: a dimension of stride 0, or windows that slide. Cost:
/// nothing for dimensions that enclose each other; a bit of memory for each scalar of the address range
/// otherwise.
template <class Scalar>
bool overlaps_itself(const TensorView<Scalar>& tensor) {
  if (tensor.is_empty()) return false;
  std::vector<std::pair<Index, Index>> dimensions;  // stride, size
  for (std::size_t d = 0; d < tensor.sizes().size(); ++d)
    if (tensor.sizes()[d] > 1) dimensions.emplace_back(std::abs(tensor.strides()[d]), tensor.sizes()[d]);
  std::ranges::sort(dimensions, {}, [](const auto& dimension) { return dimension.first; });
  Index extent = 1;  // of the dimensions so far
  bool enclose = true;
  for (const auto& [stride, size] : dimensions) {
    enclose = enclose && stride >= extent;
    extent += (size - 1) * stride;
  }
  if (enclose) return false;

  const auto [begin, end] = tensor.address_range();
  std::vector<bool> is_taken(static_cast<std::size_t>(end - begin), false);
  bool is_shared = false;
  for_each_address(tensor, [&, first = begin](Scalar* address) {
    const auto place = static_cast<std::size_t>(address - first);
    is_shared = is_shared || is_taken[place];
    is_taken[place] = true;
  });
  return is_shared;
}

}}}  // namespace symopt::detail
