// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/tensor_view.hpp>

#include <optional>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// A parameter of the trainer: its name and its memory. Without a gradient it is left alone until it gets
/// one.
template <class Scalar>
struct NamedTensor {
  std::string name;                                    ///< as the patterns match it
  TensorView<Scalar> weights;                          ///< what steps write
  std::optional<TensorView<const Scalar>> gradient{};  ///< what steps read; of the same shape
};

}}  // namespace symopt
