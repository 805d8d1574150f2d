// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/coupled_inverse_root.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// Published trajectories. Each file of the golden folder is one run of one block: options, initial weights, a
// gradient per step and the weights after it. The formulas are in tests/golden/README.md. They are replayed
// with the rule that a file names by a class Replays:
//   whole(run, options, rule, also_in_float)     of a matrix
//   laid_out(run, options, layout, rule)         of a tensor that the layout takes apart
//   with_method(method)                          the method of a polar factor, as that class computes it
namespace golden_test { namespace {

using namespace symopt;

struct Trajectory {
  std::string optimizer;
  std::vector<Index> sizes;
  std::map<std::string, std::string> options;
  std::vector<std::vector<double>> weights;    // steps + 1 tensors, row-major
  std::vector<std::vector<double>> gradients;  // steps

  Shape shape() const {
    if (sizes.size() != 2) throw std::runtime_error("this needs a layout: the tensor is not a matrix");
    return {sizes[0], sizes[1]};
  }
  Matrix<double> matrix(const std::vector<double>& values) const {
    return Eigen::Map<const Matrix<double>>(values.data(), shape().rows, shape().cols);
  }
  std::string option(const std::string& key, const std::string& otherwise) const {
    const auto found = options.find(key);
    return found == options.end() ? otherwise : found->second;
  }
  double number(const std::string& key, double otherwise) const {
    const auto found = options.find(key);
    return found == options.end() ? otherwise : std::stod(found->second);
  }
  bool flag(const std::string& key, bool otherwise) const {
    const std::string value = option(key, otherwise ? "True" : "False");
    if (value != "True" && value != "False")
      throw std::runtime_error("option " + key + " is neither True nor False: " + value);
    return value == "True";
  }
  /// Options that nobody reads would make a run agree by accident.
  void require_only(const std::set<std::string>& known) const {
    for (const auto& [key, value] : options)
      if (!known.contains(key)) throw std::runtime_error("unknown option " + key + " " + value);
  }
};

std::vector<double> read_numbers(std::istringstream& line, const std::vector<Index>& sizes) {
  const Index count = std::accumulate(sizes.begin(), sizes.end(), Index{1}, std::multiplies<>{});
  std::vector<double> numbers(static_cast<std::size_t>(count));
  for (double& number : numbers)
    if (!(line >> number)) throw std::runtime_error("a line has too few numbers");
  if (std::string rest; line >> rest) throw std::runtime_error("a line has too many numbers");
  return numbers;
}

Trajectory read_trajectory(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot be read");
  Trajectory run;
  std::size_t steps = 0;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string word;
    if (!(line >> word)) continue;
    if (word == "optimizer") {
      line >> run.optimizer;
    } else if (word == "shape") {
      for (Index size = 0; line >> size;) run.sizes.push_back(size);
    } else if (word == "steps") {
      line >> steps;
    } else if (word == "option") {
      std::string key, value;
      line >> key >> value;
      run.options[key] = value;
    } else if (word == "weights" || word == "gradient") {
      std::size_t step = 0;
      line >> step;
      auto& series = word == "weights" ? run.weights : run.gradients;
      if (step != series.size() + (word == "weights" ? 0 : 1) && step != series.size())
        throw std::runtime_error("steps are not in order");
      series.push_back(read_numbers(line, run.sizes));
    } else {
      throw std::runtime_error("unknown line: " + word);
    }
  }
  if (steps == 0 || run.gradients.size() != steps || run.weights.size() != steps + 1)
    throw std::runtime_error("the number of steps does not match");
  return run;
}

/// The largest errors of one file's replays in both storage orders, in double and, where it is tried, in
/// float.
struct Verdict {
  double in_double = 0;
  double in_float = 0;
};

// Groups whose rows (or columns, for the transposed orientation) may be permuted, with and without shift.
using Rows = Embedding;
using CentredRows = LmHead;
using Columns = SwigluOutput;
using CentredColumns = Product<LeftOrthogonal, ColumnPermutation, ColumnShift>;

/// The layout that the file's word for the gate and up matrices of experts means.
Layout gate_up_of(const std::string& orientation, Neurons neurons) {
  if (orientation == "olmoe_gate_up_pair")
    return layout::experts(layout::gate_up(GateUp::concatenated, neurons));
  if (orientation == "gpt_oss_gate_up_pair")
    return layout::experts(layout::transposed(layout::gate_up(GateUp::interleaved, neurons)));
  throw std::runtime_error("unknown orientation " + orientation);
}

/// Chooses the group by orientation and centring, and the normalization's mirror for columns.
template <class Replays, class RowNormalization>
Verdict under_group(const Trajectory& run, const OptimizerOptions& options, const RowNormalization& rule,
                    bool also_in_float = true) {
  const std::string orientation = run.option("orientation", "row");
  const bool centred = run.flag("center_rows", false);
  if (orientation.ends_with("_pair"))
    return Replays::laid_out(run, options, gate_up_of(orientation, Neurons::paired),
                             Update<SwigluInput, RowNormalization>(rule));
  if (orientation == "row") {
    if (centred)
      return Replays::whole(run, options, Update<CentredRows, RowNormalization>(rule), also_in_float);
    return Replays::whole(run, options, Update<Rows, RowNormalization>(rule), also_in_float);
  }
  if (orientation != "col") throw std::runtime_error("unknown orientation " + orientation);
  const auto mirrored = rule.mirrored();
  using ColumnNormalization = std::remove_const_t<decltype(mirrored)>;
  if (run.sizes.size() == 3)
    return Replays::laid_out(run, options, layout::experts(), Update<Columns, ColumnNormalization>(mirrored));
  if (centred)
    return Replays::whole(run, options, Update<CentredColumns, ColumnNormalization>(mirrored), also_in_float);
  return Replays::whole(run, options, Update<Columns, ColumnNormalization>(mirrored), also_in_float);
}

OptimizerOptions ema_options(const Trajectory& run) {
  return {.learning_rate = run.number("lr", 1e-3),
          .momentum = run.number("beta", 0.95),
          .weight_decay = run.number("weight_decay", 0.0)};
}

template <class Replays>
Verdict run_row_norm(const Trajectory& run) {
  run.require_only({"lr", "beta", "weight_decay", "eps", "center_rows", "orientation"});
  return under_group<Replays>(run, ema_options(run), RowNorm{.eps = run.number("eps", 1e-8)});
}

/// The polar factor through the left or right Gram of the matrix as oriented, by the backend of the file.
template <class Replays>
Verdict with_polar_factor(const Trajectory& run, bool left, auto use) {
  const int steps = static_cast<int>(run.number("num_steps", 5));
  const double eps = run.number("eps", 1e-8);
  const std::string backend = run.option("backend", "polar_express");
  const auto on_side = [&](auto method) {
    using Method = decltype(method);
    return left ? use(LeftSpectral<Method>{method}) : use(RightSpectral<Method>{method});
  };
  if (backend == "polar_express")
    return on_side(Replays::with_method(polar::CoupledPolarExpress{.steps = steps, .eps = eps}));
  if (backend == "newton_schulz")
    return on_side(Replays::with_method(polar::CoupledNewtonSchulz{.steps = steps, .eps = eps}));
  throw std::runtime_error("unknown backend " + backend);
}

/// The coupled iterations lose a Gram that centring made singular in float: these agree in double only.
bool stable_in_float(const Trajectory& run, bool left) {
  return !(left && run.flag("center_rows", false));
}

template <class Replays>
Verdict run_polar(const Trajectory& run, bool left) {
  run.require_only(
      {"lr", "beta", "weight_decay", "eps", "center_rows", "orientation", "alpha", "backend", "num_steps"});
  return with_polar_factor<Replays>(run, left, [&](auto polar_factor) {
    return under_group<Replays>(run, ema_options(run),
                                DualNorm<decltype(polar_factor)>{run.number("alpha", 1.0), polar_factor},
                                stable_in_float(run, left));
  });
}

template <class Replays>
Verdict run_hybrid(const Trajectory& run) {
  run.require_only({"lr", "beta", "weight_decay", "eps", "center_rows", "orientation", "alpha", "backend",
                    "num_steps", "order", "left"});
  const bool left = run.flag("left", false);
  const std::string order = run.option("order", "polar_then_row");
  const RowNorm row_norm{.eps = run.number("eps", 1e-8)};
  return with_polar_factor<Replays>(run, left, [&](auto polar_factor) {
    using Dual = DualNorm<decltype(polar_factor)>;
    const Dual dual{run.number("alpha", 1.0), polar_factor};
    const bool in_float = stable_in_float(run, left);
    if (order == "row_then_polar")
      return under_group<Replays>(run, ema_options(run), Then<RowNorm, Dual>(row_norm, dual), in_float);
    if (order == "polar_then_row")
      return under_group<Replays>(run, ema_options(run), Then<Dual, RowNorm>(dual, row_norm), in_float);
    throw std::runtime_error("unknown order " + order);
  });
}

/// Muon on a matrix, on attention's heads, or on experts.
template <class Replays>
Verdict run_muon(const Trajectory& run) {
  run.require_only({"lr", "mu", "momentum", "weight_decay", "nesterov", "layout", "num_heads", "head_dim",
                    "expert_layout"});
  const OptimizerOptions options{.learning_rate = run.number("lr", 1e-3),
                                 .momentum = run.number("mu", run.number("momentum", 0.95)),
                                 .momentum_convention = MomentumConvention::heavy_ball,
                                 .nesterov = run.flag("nesterov", true),
                                 .weight_decay = run.number("weight_decay", 0.0),
                                 .scale = Scale::aspect};
  using Muon = Spectral<polar::PolarExpress>;
  const Update<HiddenMatrix, Muon> rule(Muon{polar::PolarExpress::muon()});
  const auto laid_out = [&](const Layout& layout) { return Replays::laid_out(run, options, layout, rule); };

  const std::string heads = run.option("layout", "none");
  const auto count = static_cast<Index>(run.number("num_heads", 1));
  if (heads == "qkv") return laid_out(layout::row_heads(count));
  if (heads == "o") return laid_out(layout::column_heads(count));
  if (heads != "none") throw std::runtime_error("unknown layout " + heads);

  const std::string experts = run.option("expert_layout", "none");
  if (experts == "none") return Replays::whole(run, options, rule);
  if (experts == "row") return laid_out(layout::experts());
  if (experts == "col") return laid_out(layout::experts(layout::transposed()));
  // The published code takes gpt-oss's gate and up as they are stored, (in, out), and scales by that shape.
  if (experts == "gpt_oss_gate_up_pair")
    return laid_out(layout::experts(
        layout::transposed(layout::gate_up(GateUp::interleaved, Neurons::apart, layout::transposed()))));
  return laid_out(gate_up_of(experts, Neurons::apart));
}

template <class Replays>
Verdict run_trajectory(const Trajectory& run) {
  if (run.optimizer == "RowNormM") return run_row_norm<Replays>(run);
  if (run.optimizer == "RightPolarGradM") return run_polar<Replays>(run, false);
  if (run.optimizer == "LeftPolarGradM") return run_polar<Replays>(run, true);
  if (run.optimizer == "HybridPolarGradM") return run_hybrid<Replays>(run);
  if (run.optimizer == "Muon" || run.optimizer == "BatchedExpertMuonPolarExpress")
    return run_muon<Replays>(run);
  throw std::runtime_error("unknown optimizer " + run.optimizer);
}

std::filesystem::path golden_folder() {
  const char* folder = std::getenv("SYMOPT_GOLDEN_DIR");
  return folder != nullptr && *folder != '\0' ? folder : SYMOPT_GOLDEN_DEFAULT_DIR;
}

/// Replays all files, and checks that they agree to 1e-9 in double and to 2e-5 in float.
template <class Replays>
void replay_all() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder()))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  REQUIRE_MESSAGE(!files.empty(), "no golden files in ", golden_folder().string());

  std::size_t agree = 0;
  for (const auto& file : files) {
    CAPTURE(file.filename().string());
    try {
      const Verdict verdict = run_trajectory<Replays>(read_trajectory(file));
      CHECK(verdict.in_double <= 1e-9);
      CHECK(verdict.in_float <= 2e-5);
      if (verdict.in_double <= 1e-9 && verdict.in_float <= 2e-5) ++agree;
    } catch (const std::exception& error) {
      FAIL_CHECK("cannot run ", file.filename().string(), ": ", std::string(error.what()));
    }
  }
  CHECK(agree == files.size());
  std::cout << "golden: " << agree << " files agree" << std::endl;
}

}}  // namespace golden_test
