// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <symopt/stack/routing.hpp>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A trainer's named parameters, as a stack is given them.
namespace symopt_test {

/// A parameter and a gradient in memory of their own.
struct ModelParameter {
  std::string name;
  std::vector<Index> sizes;
  std::vector<float> weights;
  std::vector<float> gradient;
  bool has_gradient = true;

  symopt::TensorView<float> weights_view() { return {weights.data(), sizes}; }
  symopt::TensorView<const float> gradient_view() const { return {gradient.data(), sizes}; }
};

class NamedModel {
 public:
  explicit NamedModel(std::uint64_t seed = default_seed) : random_(seed) {}

  NamedModel& add(std::string name, std::vector<Index> sizes) {
    const auto count =
        static_cast<std::size_t>(std::accumulate(sizes.begin(), sizes.end(), Index(1), std::multiplies<>()));
    parameters.push_back(
        {std::move(name), std::move(sizes), std::vector<float>(count), std::vector<float>(count)});
    fill(parameters.back().weights);
    fill(parameters.back().gradient);
    return *this;
  }

  /// New gradients for all.
  void draw_gradients() {
    for (ModelParameter& parameter : parameters) fill(parameter.gradient);
  }

  std::vector<symopt::NamedTensor<float>> tensors() {
    std::vector<symopt::NamedTensor<float>> tensors;
    for (ModelParameter& parameter : parameters) {
      tensors.push_back({parameter.name, parameter.weights_view()});
      if (parameter.has_gradient) tensors.back().gradient = parameter.gradient_view();
    }
    return tensors;
  }

  ModelParameter& operator[](const std::string& name) {
    return *std::ranges::find(parameters, name, &ModelParameter::name);
  }

  /// All weights, in order.
  std::vector<std::vector<float>> weights() const {
    std::vector<std::vector<float>> all;
    for (const ModelParameter& parameter : parameters) all.push_back(parameter.weights);
    return all;
  }

  /// The next gradients are those of the other model.
  void go_on_drawing_like(const NamedModel& other) { random_ = other.random_; }

  std::vector<ModelParameter> parameters;

 private:
  void fill(std::vector<float>& values) {
    std::normal_distribution<float> entry;
    for (float& value : values) value = entry(random_);
  }

  Random random_;
};

}  // namespace symopt_test
