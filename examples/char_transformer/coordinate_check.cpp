// SPDX-License-Identifier: Apache-2.0
// coordinate_check FOLDER [STEPS [WIDEST]]: the model of this folder at widths from 64 to 512, ten steps at
// one rate under AdamW and under symopt's stack. Writes how far entries of the weights move in a step and
// what the layers compute as coordinate-check.csv, and has gnuplot draw coordinate-check.svg from it.
#include "model.hpp"
#include "optimizers.hpp"
#include "text.hpp"

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
constexpr std::uint64_t seeds = 3;

using MakeOptimizer = std::function<OptimizerPointer(const Model&, double rate)>;

double root_mean_square(const torch::Tensor& x) {
  return x.square().mean().sqrt().item<double>();
}

/// Root mean squares by name, after these steps: of the last step's changes of the weights, over the rate; of
/// what the layers and the head compute for a fixed batch, and of how far that moved from its start.
std::map<std::string, double> measure(const Text& text, std::int64_t width, std::int64_t steps,
                                      const MakeOptimizer& make, std::uint64_t seed) {
  torch::manual_seed(seed);
  Model model(text.characters, width);
  const OptimizerPointer optimizer = make(model, rate);
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
  double sum = 0, entries = 0;
  for (const auto& parameter : model->named_parameters()) {
    const torch::Tensor update = (parameter.value().detach() - weights[parameter.key()]) / rate;
    if (update.dim() != 2) continue;
    found[parameter.key()] = root_mean_square(update);
    sum += update.square().sum().item<double>();
    entries += static_cast<double>(update.numel());
  }
  found["update"] = std::sqrt(sum / entries);
  found["computed_features"] = root_mean_square(after.first);
  found["computed_features_moved"] = root_mean_square(after.first - before.first);
  found["computed_logits"] = root_mean_square(after.second);
  found["computed_logits_moved"] = root_mean_square(after.second - before.second);
  return found;
}

void draw(const std::filesystem::path& folder) {
  std::ofstream(folder / "coordinate-check.gnuplot") << R"(
set terminal svg size 760,330 font "sans-serif,12" background "#ffffff"
set output "coordinate-check.svg"
set datafile separator ","
set border 3 linecolor "#606060"
set tics nomirror out scale 0.6
set grid ytics linecolor "#dddddd" linetype 1
set logscale x 2
set xtics (64, 128, 256, 512)
set xrange [55:600]
set xlabel "width" offset 0,0.3
set title font ",12"
of(name) = "< grep -e optimizer -e '^".name."' coordinate-check.csv"
array names[3] = ["adamw", "update", "adaptive"]
array titles[3] = ["AdamW", "Update", "Adaptive"]
array colours[3] = ["#d1600a", "#1560a8", "#2a8a4a"]
set multiplot layout 1,3 margins 0.05,0.99,0.17,0.86 spacing 0.075
set style data linespoints
set key inside top right spacing 1.2 samplen 2
set title "step of a weight, over the rate"
set yrange [0:1.2]
plot for [i=1:3] of(names[i]) using "width":"update" pt 7 ps 0.6 lw 1.8 lc rgb colours[i] title titles[i]
unset key
set title "what the layers compute"
set yrange [0:3.5]
plot for [i=1:3] of(names[i]) using "width":"computed_features" pt 7 ps 0.6 lw 1.8 lc rgb colours[i]
set title "how far the logits moved"
set logscale y
set ytics (0.03, 0.1, 0.3, 1, 3)
set yrange [0.03:4]
plot for [i=1:3] of(names[i]) using "width":"computed_logits_moved" pt 7 ps 0.6 lw 1.8 lc rgb colours[i]
)";
  // The shell gets the directory through the environment, so that no character in it needs quoting.
  ::setenv("COORDINATE_CHECK", std::filesystem::absolute(folder).c_str(), 1);
  if (std::system(R"(cd "$COORDINATE_CHECK" && gnuplot coordinate-check.gnuplot)") != 0)
    throw std::runtime_error("gnuplot could not draw coordinate-check.svg; its package is gnuplot-nox");
}

}  // namespace

int main(int count, char** arguments) try {
  if (count < 2) throw std::invalid_argument("usage: coordinate_check FOLDER [STEPS [WIDEST]]");
  torch::set_num_threads(1);
  const std::filesystem::path folder = arguments[1];
  const std::int64_t steps = count > 2 ? std::atoll(arguments[2]) : 10;
  const std::int64_t widest = count > 3 ? std::atoll(arguments[3]) : 512;
  std::ofstream csv(folder / "coordinate-check.csv");
  csv.exceptions(std::ios::badbit | std::ios::failbit);
  const Text text;

  const std::vector<std::pair<std::string, MakeOptimizer>> optimizers{
      {"adamw", make_adamw},
      {"update", make_symopt_without_adaptive},
      {"adaptive", make_symopt_with_adaptive_mlp}};
  bool is_first = true, is_as_stated = true;
  for (const auto& [name, make] : optimizers)
    for (std::int64_t width = 64; width <= widest; width *= 2) {
      std::map<std::string, double> mean;
      for (std::uint64_t seed = 1; seed <= seeds; ++seed)
        for (const auto& [quantity, value] : measure(text, width, steps, make, seed))
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
      // A polar factor's entries have the size that the stack's units promise, at every width.
      if (name != "adamw" && !(std::abs(mean["layer1.attention.query.weight"] - 0.2) < 0.01))
        is_as_stated = false;
    }
  draw(folder);
  return is_as_stated ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
