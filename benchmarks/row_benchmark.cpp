// SPDX-License-Identifier: Apache-2.0
// The steps that memory bounds, beside the limit: a loop with the same streams and no arithmetic. Every
// benchmark counts parameters per second, so that the ratio of two is the ratio of their times.
#include "memory_limit.hpp"

#include <symopt/symopt.hpp>

#include <cstdint>
#include <string>
#include <utility>

#include <omp.h>

namespace {

using namespace symopt;
using namespace symopt_benchmark;

constexpr Shape vocabulary{50304, 768};
constexpr Shape down{768, 3072};
constexpr Shape square{768, 768};

using OneRate = Adaptive<HiddenMatrix, moments::Block>;

/// Steps of a rule on a row-major block.
template <class Rule>
void step(benchmark::State& state, Shape shape, NonFinite policy, bool nesterov = false,
          bool columns = false) {
  const Index size = shape.rows * shape.cols;
  const Memory<float> w(size), g(size);
  OptimizerOptions options{.learning_rate = 1e-3, .weight_decay = 0.1, .non_finite = policy};
  options.nesterov = nesterov;
  Optimizer<Rule> optimizer(shape.rows, shape.cols, options);
  const auto run = [&](auto&& weights, const auto& gradient) {
    for (auto _ : state) optimizer.step(weights, gradient);
  };
  using Columns = Eigen::MatrixXf;
  if (columns) {
    run(Eigen::Map<Columns>(w.data(), shape.rows, shape.cols),
        Eigen::Map<const Columns>(g.data(), shape.rows, shape.cols));
  } else {
    run(Eigen::Map<Matrix<float>>(w.data(), shape.rows, shape.cols),
        Eigen::Map<const Matrix<float>>(g.data(), shape.rows, shape.cols));
  }
  count(state, size, 20);
}

/// The check of a gradient alone: one stream.
void gradient_check(benchmark::State& state, Shape shape) {
  const Index size = shape.rows * shape.cols;
  const Memory<float> g(size);
  const symopt::detail::BlockView<const float> gradient(g.data(), {shape.rows, shape.cols}, {shape.cols, 1});
  for (auto _ : state) benchmark::DoNotOptimize(kernel::all_finite(gradient));
  count(state, size, 4);
}

/// Gate and up matrices in one tensor [2 r, d], a row for each neuron: rows in two parts.
void pair_rows(benchmark::State& state, Layout layout, NonFinite policy) {
  const Index neurons = 3072, width = 768, size = 2 * neurons * width;
  const Memory<float> w(size), g(size);
  LayerwiseOptimizer stack;
  OptimizerOptions options{.learning_rate = 1e-3, .weight_decay = 0.1, .non_finite = policy};
  stack.add<SwigluInput>("gate_up", TensorView<float>(w.data(), {2 * neurons, width}),
                         TensorView<const float>(g.data(), {2 * neurons, width}), options, layout);
  for (auto _ : state) stack.step();
  count(state, size, 20);
}

/// bfloat16 gradients in, and where asked for bfloat16 weights out.
enum class Storage { gradient, copy, split, rounded };
template <class Rule>
void bfloat16_step(benchmark::State& state, Shape shape, Storage storage, Rounding rounding) {
  const Index size = shape.rows * shape.cols;
  const Memory<float> w(storage == Storage::split ? 64 : size);
  const Memory<bfloat16> g(size), halves(size);
  const Memory<std::uint16_t> low(size);
  const auto map = [&]<class T>(const Memory<T>& memory) {
    return Eigen::Map<Matrix<T>>(memory.data(), shape.rows, shape.cols);
  };
  Optimizer<Rule> optimizer(shape.rows, shape.cols, {.learning_rate = 1e-3, .weight_decay = 0.1});
  auto gradient = map(g), high = map(halves);
  auto rest = map(low);
  for (auto _ : state) {
    if (storage == Storage::gradient) optimizer.step(map(w), gradient);
    if (storage == Storage::copy) optimizer.step(map(w), gradient, high);
    if (storage == Storage::split) optimizer.step(split_weights(high, rest), gradient);
    if (storage == Storage::rounded && rounding == Rounding::nearest) optimizer.step(high, gradient);
    if (storage == Storage::rounded && rounding == Rounding::stochastic)
      optimizer.step(stochastic(high, 1), gradient);
  }
  count(state, size, 20);
}

int registered = [] {
  const auto add = [](const std::string& name, auto function, auto... arguments) {
    benchmark::RegisterBenchmark(name.c_str(), function, arguments...)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  constexpr NonFinite checked = NonFinite::throw_error, unchecked = NonFinite::unchecked;
  for (const Shape shape : {vocabulary, down, square}) {
    const std::string at = "/" + to_string(shape);
    add("limit/3_streams" + at, memory_limit<2>, shape);
    add("limit/5_streams" + at, memory_limit<3>, shape);
    add("limit/7_streams" + at, memory_limit<4>, shape);
    add("limit/three_sweeps" + at, three_sweeps_limit, shape);
    add("symopt/gradient_check" + at, gradient_check, shape);
    add("symopt/row_norm" + at, step<Update<Embedding>>, shape, checked, false, false);
    add("symopt/row_norm_unchecked" + at, step<Update<Embedding>>, shape, unchecked, false, false);
    add("symopt/centred_row_norm" + at, step<Update<LmHead>>, shape, checked, false, false);
    add("symopt/column_norm" + at, step<Update<SwigluOutput>>, shape, checked, false, false);
    add("symopt/column_norm_unchecked" + at, step<Update<SwigluOutput>>, shape, unchecked, false, false);
    add("symopt/frobenius_norm" + at, step<FrobeniusNorm>, shape, checked, false, false);
    add("symopt/sign" + at, step<Sign>, shape, checked, false, false);
    add("symopt/adamw" + at, step<AdamW>, shape, checked, false, false);
    add("symopt/adamw_unchecked" + at, step<AdamW>, shape, unchecked, false, false);
    add("symopt/adaptive_rows" + at, step<Adaptive<Embedding>>, shape, checked, false, false);
    add("symopt/adaptive_rows_unchecked" + at, step<Adaptive<Embedding>>, shape, unchecked, false, false);
    add("symopt/adaptive_head" + at, step<Adaptive<LmHead>>, shape, checked, false, false);
    add("symopt/adaptive_columns" + at, step<Adaptive<SwigluOutput>>, shape, checked, false, false);
    add("symopt/adaptive_columns_unchecked" + at, step<Adaptive<SwigluOutput>>, shape, unchecked, false,
        false);
    add("symopt/adaptive_block" + at, step<OneRate>, shape, checked, false, false);
    add("symopt/adaptive_entries" + at, step<Adaptive<Trivial>>, shape, checked, false, false);
  }
  add("symopt/row_norm_nesterov/50304x768", step<Update<Embedding>>, vocabulary, checked, true, false);
  add("symopt/row_norm_column_major/50304x768", step<Update<Embedding>>, vocabulary, checked, false, true);
  add("symopt/centred_row_norm_unchecked/50304x768", step<Update<LmHead>>, vocabulary, unchecked, false,
      false);
  add("symopt/centred_row_norm_column_major/50304x768", step<Update<LmHead>>, vocabulary, checked, false,
      true);
  add("symopt/adamw_column_major/50304x768", step<AdamW>, vocabulary, checked, false, true);
  add("symopt/adaptive_rows_column_major/50304x768", step<Adaptive<Embedding>>, vocabulary, checked, false,
      true);
  add("symopt/adaptive_head_column_major/50304x768", step<Adaptive<LmHead>>, vocabulary, checked, false,
      true);
  add("limit/5_streams/6144x768", memory_limit<3>, Shape{6144, 768});
  add("limit/5_streams_1_thread/50304x768", [](benchmark::State& state) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    memory_limit<3>(state, vocabulary);
    omp_set_num_threads(before);
  });
  for (const auto& [name, policy] :
       {std::pair{"pair_rows", checked}, std::pair{"pair_rows_unchecked", unchecked}}) {
    add(std::string("symopt/") + name + "/6144x768", pair_rows,
        layout::gate_up(GateUp::concatenated, Neurons::paired), policy);
    add(std::string("symopt/") + name + "_interleaved/6144x768", pair_rows,
        layout::gate_up(GateUp::interleaved, Neurons::paired), policy);
  }
  constexpr Rounding nearest = Rounding::nearest, stochastic = Rounding::stochastic;
  const std::string at = "/50304x768";
  add("symopt/row_norm_bfloat16_gradient" + at, bfloat16_step<Update<Embedding>>, vocabulary,
      Storage::gradient, nearest);
  add("symopt/row_norm_bfloat16_copy" + at, bfloat16_step<Update<Embedding>>, vocabulary, Storage::copy,
      nearest);
  add("symopt/row_norm_bfloat16_split" + at, bfloat16_step<Update<Embedding>>, vocabulary, Storage::split,
      nearest);
  add("symopt/row_norm_bfloat16_rounded" + at, bfloat16_step<Update<Embedding>>, vocabulary, Storage::rounded,
      nearest);
  add("symopt/row_norm_bfloat16_stochastic" + at, bfloat16_step<Update<Embedding>>, vocabulary,
      Storage::rounded, stochastic);
  add("symopt/adaptive_rows_bfloat16_copy" + at, bfloat16_step<Adaptive<Embedding>>, vocabulary,
      Storage::copy, nearest);
  add("symopt/adamw_bfloat16_copy" + at, bfloat16_step<AdamW>, vocabulary, Storage::copy, nearest);
  return 0;
}();

}  // namespace
