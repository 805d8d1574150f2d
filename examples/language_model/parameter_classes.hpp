// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <vector>

#include "model.hpp"

namespace language_model {

/// The parameters of a transformer by the part they play in it.
struct ParameterClasses {
  std::vector<torch::Tensor> embedding;
  std::vector<torch::Tensor> head;
  std::vector<torch::Tensor> attention;      ///< query, key, value, output
  std::vector<torch::Tensor> swiglu_input;   ///< gate, up: a row per neuron
  std::vector<torch::Tensor> swiglu_output;  ///< down: a column per neuron
  std::vector<torch::Tensor> gains;

  std::vector<torch::Tensor> layer_matrices() const {
    std::vector<torch::Tensor> all;
    for (const auto* part : {&attention, &swiglu_input, &swiglu_output}) {
      all.insert(all.end(), part->begin(), part->end());
    }
    return all;
  }
};

inline ParameterClasses classes_of(const Transformer& model) {
  ParameterClasses classes;
  classes.embedding = {model->embedding->weight};
  classes.head = {model->head->weight};
  classes.gains = {model->final_norm->gain};
  for (const Layer& layer : model->layers) {
    const Attention& attention = layer->attention;
    for (const auto* map : {&attention->query, &attention->key, &attention->value, &attention->output}) {
      classes.attention.push_back((*map)->weight);
    }
    classes.swiglu_input.push_back(layer->swiglu->gate->weight);
    classes.swiglu_input.push_back(layer->swiglu->up->weight);
    classes.swiglu_output.push_back(layer->swiglu->down->weight);
    classes.gains.push_back(layer->attention_norm->gain);
    classes.gains.push_back(layer->swiglu_norm->gain);
  }
  return classes;
}

}  // namespace language_model
