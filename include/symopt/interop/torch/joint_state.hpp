// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/tensor_states.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/state/state.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// The state of the parameters of one scalar, on whatever devices they lie, as the state of one stack.
template <class Scalar>
class JointState {
 public:
  JointState(BasicLayerwiseOptimizer<Scalar>& kernels, TensorStack<Scalar>& tensors)
      : kernels_(kernels), tensors_(tensors) {}

  /// The bytes of its file.
  std::string bytes(SaveOptions options = {}) const {
    const StatesOnHost<Scalar> states(tensors_);
    std::string all;
    write_state(table(), options, [&](const void* bytes, std::size_t count) {
      all.append(static_cast<const char*>(bytes), count);
    });
    return all;
  }

  /// Loads such bytes. Errors: those of load_state_bytes; after one nothing has changed.
  void load(std::span<const std::byte> bytes, LoadOptions options = {}) const {
    using symopt::detail::StateAccess;
    StatesOnHost<Scalar> states(tensors_);
    symopt::detail::StateTable joint = table();
    StateReader reader(bytes, "archive", options);
    reader.load(joint);
    states.take();
    const auto middle = joint.parameters.begin() + static_cast<std::ptrdiff_t>(kernels_.size());
    const auto part = [&](auto begin, auto end) {
      return symopt::detail::StateTable{joint.steps, joint.schedule_factor, {begin, end}};
    };
    StateAccess::commit(kernels_, part(joint.parameters.begin(), middle), !options.keep_rates);
    StateAccess::commit(tensors_.base(), part(middle, joint.parameters.end()), !options.keep_rates);
  }

 private:
  symopt::detail::StateTable table() const {
    using symopt::detail::StateAccess;
    symopt::detail::StateTable joint = StateAccess::table(kernels_);
    const symopt::detail::StateTable tensors = StateAccess::table(tensors_.base());
    joint.steps = std::max(joint.steps, tensors.steps);
    joint.parameters.insert(joint.parameters.end(), tensors.parameters.begin(), tensors.parameters.end());
    return joint;
  }

  BasicLayerwiseOptimizer<Scalar>& kernels_;
  TensorStack<Scalar>& tensors_;
};

}}}}  // namespace symopt::interop::detail
