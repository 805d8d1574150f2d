// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch_tensor.hpp>
#include <symopt/stack/role.hpp>

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// The memory of a tensor as a stack was last told of it.
struct BoundTensor {
  torch::Tensor tensor{};  // held, so that its address is not another's
  std::string name{};
  std::vector<std::int64_t> sizes{}, strides{};
  torch::Device device = torch::kCPU;
  torch::Dtype type = torch::kFloat;
  const void* weights = nullptr;
  const void* gradient = nullptr;
  std::vector<std::int64_t> gradient_strides{};
  torch::Tensor stand_in{};  // read in place of the gradient, by stacks that need one of given strides
};

/// A tensor as stacks of memory take it. Other stacks have overloads of their own.
///@{
template <class Stack, class Scalar>
void add_to(Stack& stack, const std::string& name, const BasicRole<Scalar>& role,
            const torch::Tensor& tensor) {
  stack.add(name, role, tensor_view<Scalar>(tensor), std::nullopt);
}
template <class Stack>
void set_weights(Stack& stack, const std::string& name, const torch::Tensor& tensor) {
  stack.set_weights(name, tensor_view<typename Stack::scalar_type>(tensor));
}
template <class Stack>
void set_gradient(Stack& stack, const std::string& name, const torch::Tensor& gradient) {
  if (!gradient.defined()) return stack.set_gradient(name, std::nullopt);
  stack.set_gradient(name, tensor_view<const typename Stack::scalar_type>(gradient));
}
///@}

}}}}  // namespace symopt::interop::detail
