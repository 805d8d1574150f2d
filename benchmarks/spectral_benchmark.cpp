// SPDX-License-Identifier: Apache-2.0
// The default spectral step and its peers, momentum and apply included: five Newton-Schulz steps by the GEMM
// of a BLAS, the same by Eigen, the same in libtorch; other methods of symopt; full second moments on the
// shorter side, and one-sided Shampoo by an eigendecomposition in libtorch; one thread against two; small
// blocks of a stack. Times of one run compare; nothing else does.
#include "spectral_benchmark.hpp"
#include "gemm.hpp"

#include <symopt/symopt.hpp>

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <omp.h>

namespace {

using namespace symopt;

struct ByBlas {
  static void multiply(bool ta, bool tb, float alpha, const Matrix<float>& a, const Matrix<float>& b,
                       float beta, Matrix<float>& c) {
    symopt_benchmark::gemm(ta, tb, alpha, a, b, beta, c);
  }
};
struct ByEigen {
  static void multiply(bool ta, bool tb, float alpha, const Matrix<float>& a, const Matrix<float>& b,
                       float beta, Matrix<float>& c) {
    if (beta == 0) {
      c.setZero();
    } else if (beta != 1) {
      c *= beta;
    }
    if (ta) {
      c.noalias() += alpha * a.transpose() * b;
    } else if (tb) {
      c.noalias() += alpha * a * b.transpose();
    } else {
      c.noalias() += alpha * a * b;
    }
  }
};

/// The step that a C++ user writes by hand.
template <class Products>
class NewtonSchulzByHand {
 public:
  NewtonSchulzByHand(Index rows, Index cols)
      : left_(rows <= cols),
        momentum_(Matrix<float>::Zero(rows, cols)),
        x_(rows, cols),
        next_(rows, cols),
        gram_(std::min(rows, cols), std::min(rows, cols)),
        polynomial_(gram_) {}

  void step(Matrix<float>& weights, const Matrix<float>& gradient) {
    momentum_ = 0.95F * momentum_ + 0.05F * gradient;
    x_ = momentum_ / (momentum_.norm() + 1e-7F);
    for (int i = 0; i < 5; ++i) {
      Products::multiply(!left_, left_, 1, x_, x_, 0, gram_);
      polynomial_ = gram_;
      Products::multiply(false, false, 2.0315F, gram_, gram_, -4.7750F, polynomial_);
      next_ = x_;
      if (left_) {
        Products::multiply(false, false, 1, polynomial_, x_, 3.4445F, next_);
      } else {
        Products::multiply(false, false, 1, x_, polynomial_, 3.4445F, next_);
      }
      x_.swap(next_);
    }
    weights -= 0.02F * x_;
  }

 private:
  bool left_;
  Matrix<float> momentum_, x_, next_, gram_, polynomial_;
};

struct Problem {
  Problem(Index rows, Index cols)
      : weights(Matrix<float>::Random(rows, cols)), gradient(Matrix<float>::Random(rows, cols)) {}
  Matrix<float> weights, gradient;
};

template <class Stepper>
void run(benchmark::State& state, int threads, Shape shape, Stepper&& make) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  Problem problem(shape.rows, shape.cols);
  auto stepper = make(shape);
  for (auto _ : state) {
    stepper.step(problem.weights, problem.gradient);
    benchmark::DoNotOptimize(problem.weights.data());
  }
  omp_set_num_threads(before);
}

void run_torch([[maybe_unused]] benchmark::State& state, [[maybe_unused]] int threads,
               [[maybe_unused]] Index blocks, [[maybe_unused]] Shape shape, [[maybe_unused]] bool batched) {
#ifdef SYMOPT_WITH_TORCH
  auto peer = symopt_benchmark::torch_newton_schulz(blocks, shape.rows, shape.cols, batched, threads);
  for (auto _ : state) peer->step();
#endif
}

void run_torch_shampoo([[maybe_unused]] benchmark::State& state, [[maybe_unused]] int threads,
                       [[maybe_unused]] Shape shape, [[maybe_unused]] int every) {
#ifdef SYMOPT_WITH_TORCH
  auto peer = symopt_benchmark::torch_shampoo(shape.rows, shape.cols, every, threads);
  for (auto _ : state) peer->step();
#endif
}

void run_stack(benchmark::State& state, int threads, Index blocks, Shape shape) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  Problem problem(blocks * shape.rows, shape.cols);
  LayerwiseOptimizer stack;
  stack.add("blocks", role<HiddenMatrix>().with(layout::row_heads(blocks)), problem.weights,
            problem.gradient);
  for (auto _ : state) stack.step();
  state.counters["us_per_block"] =
      benchmark::Counter(static_cast<double>(blocks) * 1e-6,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  omp_set_num_threads(before);
}

using Register = std::pair<std::string, std::function<void(benchmark::State&)>>;

void add(const std::string& name, std::function<void(benchmark::State&)> body) {
  benchmark::RegisterBenchmark(name.c_str(), [body](benchmark::State& state) { body(state); })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

template <class Method>
auto symopt_step() {
  return
      [](Shape shape) { return Optimizer<Update<HiddenMatrix, Spectral<Method>>>(shape.rows, shape.cols); };
}

/// Full second moments with a root every so many steps, past the first ones, which all have one.
auto one_sided_step(int every) {
  return [every](Shape shape) {
    Optimizer<Adaptive<HiddenMatrix>> optimizer(shape.rows, shape.cols, {}, {.every = every});
    Problem problem(shape.rows, shape.cols);
    for (int step = 0; step < every; ++step) optimizer.step(problem.weights, problem.gradient);
    return optimizer;
  };
}

void register_all(int threads) {
  for (const Shape shape :
       {Shape{768, 768}, Shape{768, 3072}, Shape{1024, 1024}, Shape{2048, 2048}, Shape{50304, 768}}) {
    const std::string what = "/spectral/" + to_string(shape);
    add("symopt" + what, [=](auto& state) {
      run(state, threads, shape, [](Shape s) { return Optimizer<Update<HiddenMatrix>>(s.rows, s.cols); });
      state.SetLabel(to_string(polar::Automatic::choice(shape, symopt::detail::smaller_gram(shape))));
    });
    add("symopt_1_thread" + what,
        [=](auto& state) { run(state, 1, shape, symopt_step<polar::Automatic>()); });
    add("fast" + what, [=](auto& state) { run(state, threads, shape, symopt_step<polar::Fast>()); });
    add("fast_1_thread" + what, [=](auto& state) { run(state, 1, shape, symopt_step<polar::Fast>()); });
    add("gram_newton_schulz" + what,
        [=](auto& state) { run(state, threads, shape, symopt_step<polar::GramNewtonSchulz>()); });
    add("newton_schulz_symopt" + what,
        [=](auto& state) { run(state, threads, shape, symopt_step<polar::NewtonSchulz>()); });
    add("newton_schulz_blas" + what, [=](auto& state) {
      run(state, threads, shape, [](Shape s) { return NewtonSchulzByHand<ByBlas>(s.rows, s.cols); });
    });
    add("newton_schulz_blas_1_thread" + what, [=](auto& state) {
      run(state, 1, shape, [](Shape s) { return NewtonSchulzByHand<ByBlas>(s.rows, s.cols); });
    });
    add("newton_schulz_eigen" + what, [=](auto& state) {
      run(state, threads, shape, [](Shape s) { return NewtonSchulzByHand<ByEigen>(s.rows, s.cols); });
    });
    for (const int every : {1, 10}) {
      const std::string steps = every == 1 ? "every_step" : "every_" + std::to_string(every);
      add("one_sided_" + steps + what,
          [=](auto& state) { run(state, threads, shape, one_sided_step(every)); });
#ifdef SYMOPT_WITH_TORCH
      add("shampoo_torch_" + steps + what,
          [=](auto& state) { run_torch_shampoo(state, threads, shape, every); });
#endif
    }
#ifdef SYMOPT_WITH_TORCH
    add("newton_schulz_torch" + what, [=](auto& state) { run_torch(state, threads, 1, shape, true); });
#endif
  }
  add("loop/empty", [=](auto& state) {  // a loop that all threads share, and what waking them takes
    for (auto _ : state) kernel::parallel_for(threads, [](Index i) { benchmark::DoNotOptimize(i); });
  });
  for (const auto& [name, blocks, shape] : {std::tuple{"router", Index(1), Shape{16, 2048}},
                                            {"heads", Index(64), Shape{64, 1024}},
                                            {"experts", Index(32), Shape{1024, 2048}},
                                            {"empty", Index(1000), Shape{1, 16}}}) {
    const std::string what = std::string("/small/") + name;
    add("symopt" + what,
        [=, blocks = blocks, shape = shape](auto& state) { run_stack(state, threads, blocks, shape); });
#ifdef SYMOPT_WITH_TORCH
    add("torch_bmm" + what,
        [=, blocks = blocks, shape = shape](auto& state) { run_torch(state, threads, blocks, shape, true); });
    add("torch_loop" + what, [=, blocks = blocks, shape = shape](auto& state) {
      run_torch(state, threads, blocks, shape, false);
    });
#endif
  }
}

int registered = [] {
  register_all(omp_get_max_threads());
  return 0;
}();

}  // namespace
