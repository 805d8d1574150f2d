// SPDX-License-Identifier: Apache-2.0
// coordinate_check FOLDER: the model of this folder at widths 64 to 512, ten steps at one rate under AdamW
// and under symopt's stack. Writes how far entries of the weights move in a step, and how far what the layers
// compute has moved after ten, as coordinate-check.csv, and has gnuplot draw coordinate-check.svg from it.
#include "model.hpp"
#include "optimizers.hpp"
#include "text.hpp"

#include <symopt/update/adaptive.hpp>


#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace char_transformer;

constexpr double rate = 1e-3;
constexpr std::int64_t steps = 10;
constexpr std::uint64_t seeds = 3;

using MakeOptimizer = std::function<OptimizerPointer(const Model&)>;

double root_mean_square(const torch::Tensor& x) {
  return x.square().mean().sqrt().item<double>();
}

/// Root mean squares by name: of the last step's changes of the weights, by class of parameter, over the
/// rate; of what the layers and the head compute for a fixed batch, and of how far that moved from its start.
std::map<std::string, double> measure(const Text& text, std::int64_t width, const MakeOptimizer& make,
                                      std::uint64_t seed) {
  torch::manual_seed(seed);
  Model model(text.characters, width);
  const OptimizerPointer optimizer = make(model);
  std::mt19937_64 random(seed);
  const torch::Tensor probe = next_batch(text, random).slice(1, 0, context);
  const auto computed = [&] {
    const torch::NoGradGuard no_gradients;
    const torch::Tensor features = model->features(probe);
    return std::pair(features, model->head(model->norm(features)));
  };
  const auto before = computed();
  std::map<std::string, torch::Tensor> weights;
  for (std::int64_t step = 0; step < steps; ++step) {
    optimizer->zero_grad();
    loss_on(model, next_batch(text, random)).backward();
    for (const auto& parameter : model->named_parameters())
      weights[parameter.key()] = parameter.value().detach().clone();
    optimizer->step();
  }
  const auto after = computed();
  std::map<std::string, double> found;
  const auto update = [&](const std::string& name) {
    return root_mean_square(model->named_parameters()[name].detach() - weights[name]) / rate;
  };
  found["update_embedding"] = update("embedding.weight");
  found["update_attention"] = update("layer1.attention.query.weight");
  found["update_swiglu"] = update("layer1.mlp.gate.weight");
  found["update_head"] = update("head.weight");
  found["features"] = root_mean_square(after.first);
  found["features_moved"] = root_mean_square(after.first - before.first);
  found["logits"] = root_mean_square(after.second);
  found["logits_moved"] = root_mean_square(after.second - before.second);
  return found;
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 2) throw std::invalid_argument("usage: coordinate_check FOLDER");
  torch::set_num_threads(1);
  const std::filesystem::path folder = arguments[1];
  std::ofstream csv(folder / "coordinate-check.csv");
  csv.exceptions(std::ios::badbit | std::ios::failbit);
  const Text text;

  symopt::TransformerRoles<> second_moments = symopt::adaptive_roles<>();
  second_moments.swiglu_input = symopt::role<symopt::Adaptive<symopt::SwigluInput>>();
  second_moments.swiglu_output = symopt::role<symopt::Adaptive<symopt::SwigluOutput>>();
  const std::vector<std::pair<std::string, MakeOptimizer>> optimizers{
      {"adamw", [](const Model& model) { return make_adamw(model, rate); }},
      {"update", [](const Model& model) { return make_symopt(model, rate, {}); }},
      {"adaptive", [&](const Model& model) { return make_symopt(model, rate, second_moments); }}};
  bool is_first = true;
  for (const auto& [name, make] : optimizers)
    for (const std::int64_t width : {64, 128, 256, 512}) {
      std::map<std::string, double> mean;
      for (std::uint64_t seed = 1; seed <= seeds; ++seed)
        for (const auto& [quantity, value] : measure(text, width, make, seed))
          mean[quantity] += value / static_cast<double>(seeds);
      if (is_first) {
        csv << "optimizer,width";
        for (const auto& [quantity, value] : mean) csv << ',' << quantity;
        csv << '\n';
        is_first = false;
      }
      csv << name << ',' << width;
      for (const auto& [quantity, value] : mean) csv << ',' << value;
      csv << std::endl;
    }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
