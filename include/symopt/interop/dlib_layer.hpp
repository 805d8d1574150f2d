// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/named_groups.hpp>
#include <symopt/matrix.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/stack/role.hpp>

#include <dlib/dnn/layers.h>
#include <cstddef>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

// A layer of dlib keeps all that it trains in one tensor; this is what lies in it, by the type of the layer.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// The parts of a layer's tensor: weights with their role, and after them biases, which are under AdamW.
struct DlibTensor {
  std::string name;                   ///< of the layer, in plans and errors: "fc(10)"
  std::vector<Index> sizes;           ///< of the weights: {outputs, inputs}, or {their number} for a vector
  std::vector<Index> strides;         ///< in floats, one for each size
  Index biases = 0;                   ///< their number; 0 for none
  Role role = symopt::role<AdamW>();  ///< of the weights, unless the solver is told another
};

namespace detail {

/// The first word of what a layer prints: "prelu" of "prelu\t (initial_param_value=0.25)".
template <class Layer>
std::string layer_name(const Layer& layer) {
  std::ostringstream printed;
  printed << layer;
  std::string word;
  std::istringstream(printed.str()) >> word;
  return word;
}

/// A matrix of outputs x inputs, row-major, and its biases.
template <class Layer>
DlibTensor matrix_and_biases(const Layer& layer, Index outputs, Index rows, Index columns, Index biases) {
  return {.name = layer_name(layer) + "(" + std::to_string(outputs) + ")",
          .sizes = {rows, columns},
          .strides = {columns, 1},
          .biases = biases,
          .role = symopt::role<HiddenMatrix>()};
}

}  // namespace detail

/// The parts of the tensor of `size` numbers that a layer trains. Any layer that is not listed below has one
/// vector under AdamW: the slope of prelu_, say. For a layer of your own write such a function beside it, in
/// its namespace. dlib does not train affine_ and others whose get_layer_params() is empty.
template <class Layer>
DlibTensor dlib_tensor(const Layer& layer, Index size) {
  return {.name = detail::layer_name(layer), .sizes = {size}, .strides = {1}};
}

/// fc_: inputs x outputs, then a row of biases. The matrix is the transposed one, outputs x inputs, as
/// everywhere in symopt.
template <unsigned long outputs, ::dlib::fc_bias_mode mode>
DlibTensor dlib_tensor(const ::dlib::fc_<outputs, mode>& layer, Index size) {
  const auto rows = static_cast<Index>(layer.get_num_outputs());
  const Index biases = mode == ::dlib::FC_HAS_BIAS && !layer.bias_is_disabled() ? rows : 0;
  DlibTensor tensor = detail::matrix_and_biases(layer, rows, rows, (size - biases) / rows, biases);
  tensor.strides = {1, rows};
  return tensor;
}

/// con_: filters x patch, a patch being channels x rows x columns; then a bias for each filter.
template <long filters, long rows, long columns, int... strides_and_padding>
DlibTensor dlib_tensor(const ::dlib::con_<filters, rows, columns, strides_and_padding...>& layer,
                       Index size) {
  const auto outputs = static_cast<Index>(layer.num_filters());
  const Index biases = layer.bias_is_disabled() ? 0 : outputs;
  return detail::matrix_and_biases(layer, outputs, outputs, (size - biases) / outputs, biases);
}

/// cont_, the transposed convolution: channels of the input x the patch that each of them writes, which is
/// filters x rows x columns; then a bias for each filter.
template <long filters, long rows, long columns, int... strides_and_padding>
DlibTensor dlib_tensor(const ::dlib::cont_<filters, rows, columns, strides_and_padding...>& layer,
                       Index size) {
  const auto outputs = static_cast<Index>(layer.num_filters());
  const Index biases = layer.bias_is_disabled() ? 0 : outputs;
  const Index patch = outputs * rows * columns;
  return detail::matrix_and_biases(layer, outputs, (size - biases) / patch, patch, biases);
}

/// bn_ and layer_norm_: scales, then as many shifts.
///@{
template < ::dlib::layer_mode mode>
DlibTensor dlib_tensor(const ::dlib::bn_<mode>& layer, Index size) {
  return {.name = detail::layer_name(layer), .sizes = {size / 2}, .strides = {1}, .biases = size / 2};
}
inline DlibTensor dlib_tensor(const ::dlib::layer_norm_& layer, Index size) {
  return {.name = detail::layer_name(layer), .sizes = {size / 2}, .strides = {1}, .biases = size / 2};
}
///@}

}}}  // namespace symopt::interop
