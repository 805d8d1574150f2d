// SPDX-License-Identifier: Apache-2.0
// How the cost of a step grows with rows, columns, edge, experts and threads, and the two limits of the
// machine: memory and products. The points of the pictures.
#include "gemm.hpp"
#include "memory_limit.hpp"

#include <symopt/symopt.hpp>

#include <functional>
#include <string>

#include <omp.h>

namespace {

using namespace symopt;
using namespace symopt_benchmark;

/// Steps of a rule on a block; `flops` are what its arithmetic takes.
template <class Rule>
void step(benchmark::State& state, Shape shape, double flops, int threads) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  const Index size = shape.rows * shape.cols;
  const Memory<float> w(size), g(size);
  Eigen::Map<Matrix<float>> weights(w.data(), shape.rows, shape.cols);
  const Eigen::Map<const Matrix<float>> gradient(g.data(), shape.rows, shape.cols);
  Optimizer<Rule> optimizer(shape.rows, shape.cols);
  for (auto _ : state) optimizer.step(weights, gradient);
  count(state, size, 20);
  state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
  omp_set_num_threads(before);
}

/// Experts under a rule, in one tensor [experts, rows, cols].
template <class Group>
void experts(benchmark::State& state, Index count_of_experts, Shape shape) {
  const Index size = count_of_experts * shape.rows * shape.cols;
  const Memory<float> w(size), g(size);
  const std::vector<Index> sizes{count_of_experts, shape.rows, shape.cols};
  LayerwiseOptimizer stack;
  stack.add("experts", role<Group>().with(layout::experts()), TensorView<float>(w.data(), sizes),
            TensorView<const float>(g.data(), sizes));
  for (auto _ : state) stack.step();
  count(state, size, 20);
}

/// The speed that products reach: one of square matrices by the BLAS.
void product_limit(benchmark::State& state, Index edge) {
  const Matrix<float> a = Matrix<float>::Random(edge, edge), b = Matrix<float>::Random(edge, edge);
  Matrix<float> c = Matrix<float>::Zero(edge, edge);
  for (auto _ : state) {
    gemm(false, false, 1, a, b, 0, c);
    benchmark::DoNotOptimize(c.data());
  }
  const double flops = 2 * double(edge) * double(edge) * double(edge);
  state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

/// Of momentum, norm and apply.
double row_flops(Shape shape) {
  return 8 * double(shape.rows) * double(shape.cols);
}
/// 3 k^2 n for the Gram matrix and the product with the block, k^3 for each of three inverses.
double spectral_flops(Shape shape) {
  const double k = double(std::min(shape.rows, shape.cols)), n = double(std::max(shape.rows, shape.cols));
  return 3 * k * k * n + 3 * k * k * k;
}

using Spectral = Update<HiddenMatrix>;

int registered = [] {
  const auto add = [](const std::string& name, std::function<void(benchmark::State&)> body) {
    benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  const auto add_step = [&]<class Rule>(std::type_identity<Rule>, const std::string& name, Shape shape,
                                        int threads) {
    const double flops = std::same_as<Rule, Spectral> ? spectral_flops(shape) : row_flops(shape);
    add(name, [=](auto& state) { step<Rule>(state, shape, flops, threads); });
  };
  constexpr std::type_identity<Update<Embedding>> row_norm;
  constexpr std::type_identity<Update<LmHead>> centred;
  constexpr std::type_identity<Update<SwigluOutput>> column_norm;
  constexpr std::type_identity<Spectral> spectral;
  const int threads = omp_get_max_threads();

  add("growth/limit/memory", [](auto& state) { memory_limit<3>(state, {50304, 768}); });
  add("growth/limit/products", [](auto& state) { product_limit(state, 2048); });
  for (Index rows = 1024; rows <= 65536; rows *= 2) {
    const Shape shape{rows, 768};
    const std::string at = "/" + std::to_string(rows);
    add_step(row_norm, "growth/rows/row norm" + at, shape, threads);
    add_step(centred, "growth/rows/centred row norm" + at, shape, threads);
    add_step(column_norm, "growth/rows/column norm" + at, shape, threads);
  }
  for (Index cols = 64; cols <= 4096; cols *= 2) {
    const Shape shape{8192, cols};
    const std::string at = "/" + std::to_string(cols);
    add_step(row_norm, "growth/columns/row norm" + at, shape, threads);
    add_step(centred, "growth/columns/centred row norm" + at, shape, threads);
    add_step(column_norm, "growth/columns/column norm" + at, shape, threads);
  }
  for (Index edge = 64; edge <= 2048; edge *= 2)
    add_step(spectral, "growth/edge/spectral/" + std::to_string(edge), {edge, edge}, threads);
  for (Index count = 1; count <= 32; count *= 2) {
    const std::string at = "/" + std::to_string(count);
    add("growth/experts/row norm" + at, [=](auto& state) { experts<SwigluInput>(state, count, {512, 256}); });
    add("growth/experts/spectral" + at, [=](auto& state) {
      experts<HiddenMatrix>(state, count, {512, 256});
    });
  }
  for (int team = 1; team <= threads; ++team) {
    const std::string at = "/" + std::to_string(team);
    add_step(row_norm, "growth/threads/row norm" + at, {50304, 768}, team);
    add_step(centred, "growth/threads/centred row norm" + at, {50304, 768}, team);
    for (const Index edge : {768, 1024, 2048})
      add_step(spectral, "growth/threads/spectral " + std::to_string(edge) + at, {edge, edge}, team);
  }
  return 0;
}();

}  // namespace
