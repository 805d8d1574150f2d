// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/tensor_view.hpp>

#include <ATen/ATen.h>

#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// The memory of a tensor, with its shape and strides: of another device than the CPU for its addresses
/// alone. Scalar: that of the tensor, or const.
template <class Scalar>
TensorView<Scalar> tensor_view(const at::Tensor& tensor) {
  return TensorView<Scalar>(tensor.data_ptr<std::remove_const_t<Scalar>>(),
                            {tensor.sizes().begin(), tensor.sizes().end()},
                            {tensor.strides().begin(), tensor.strides().end()});
}

}}}  // namespace symopt::interop
