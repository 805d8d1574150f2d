// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/tensor_stack.hpp>
#include <symopt/interop/torch_tensor.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

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
};

/// A tensor as each kind of stack takes it: its memory, or itself.
///@{
template <class Scalar>
void add_to(BasicLayerwiseOptimizer<Scalar>& stack, const std::string& name, const BasicRole<Scalar>& role,
            const torch::Tensor& tensor) {
  stack.add(name, role, tensor_view<Scalar>(tensor), std::nullopt);
}
template <class Scalar>
void add_to(TensorStack<Scalar>& stack, const std::string& name, const BasicRole<Scalar>& role,
            const torch::Tensor& tensor) {
  stack.add(name, role, tensor);
}
template <class Scalar>
void set_weights(BasicLayerwiseOptimizer<Scalar>& stack, const std::string& name,
                 const torch::Tensor& tensor) {
  stack.set_weights(name, tensor_view<Scalar>(tensor));
}
template <class Scalar>
void set_weights(TensorStack<Scalar>& stack, const std::string& name, const torch::Tensor& tensor) {
  stack.set_weights(name, tensor);
}
template <class Scalar>
void set_gradient(BasicLayerwiseOptimizer<Scalar>& stack, const std::string& name,
                  const torch::Tensor& gradient) {
  if (!gradient.defined()) return stack.set_gradient(name, std::nullopt);
  stack.set_gradient(name, tensor_view<const Scalar>(gradient));
}
template <class Scalar>
void set_gradient(TensorStack<Scalar>& stack, const std::string& name, const torch::Tensor& gradient) {
  stack.set_gradient(name, gradient);
}
///@}

}}}}  // namespace symopt::interop::detail
