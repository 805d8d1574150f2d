// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/tensor_stack.hpp>
#include <symopt/stack/role.hpp>

#include <torch/types.h>

#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// A tensor as a TensorStack takes it: beside those of bound_tensor.hpp, which take its memory.
///@{
template <class Scalar>
void add_to(TensorStack<Scalar>& stack, const std::string& name, const BasicRole<Scalar>& role,
            const torch::Tensor& tensor) {
  stack.add(name, role, tensor);
}
template <class Scalar>
void set_weights(TensorStack<Scalar>& stack, const std::string& name, const torch::Tensor& tensor) {
  stack.set_weights(name, tensor);
}
template <class Scalar>
void set_gradient(TensorStack<Scalar>& stack, const std::string& name, const torch::Tensor& gradient) {
  stack.set_gradient(name, gradient);
}
///@}

}}}}  // namespace symopt::interop::detail
