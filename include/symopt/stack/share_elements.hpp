// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/tensor_view.hpp>

#include <algorithm>
#include <functional>
#include <type_traits>
#include <vector>

namespace symopt::detail {

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

}  // namespace symopt::detail
