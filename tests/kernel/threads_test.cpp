// SPDX-License-Identifier: Apache-2.0
// The same bits at any number of threads. Compiled with OpenMP.
#include "support/named_model.hpp"
#include "support/temporary_file.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/pair/pair_optimizer.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/state/state.hpp>

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

namespace threads_test { namespace {

using namespace symopt;
using namespace symopt_test;

const OptimizerOptions options{.learning_rate = 0.1, .nesterov = true, .weight_decay = 0.1};

/// Weights and the gradients of two steps, the same ones whenever they are asked for: making them takes
/// longer than stepping.
const std::vector<Matrix<float>>& start_and_gradients(Shape shape) {
  static std::map<std::pair<Index, Index>, std::vector<Matrix<float>>> made;
  std::vector<Matrix<float>>& blocks = made[{shape.rows, shape.cols}];
  for (Random random(default_seed); blocks.size() < 3;)
    blocks.push_back(gaussian_block(shape, random).cast<float>());
  return blocks;
}

/// Weights, and a copy of them rounded stochastically, after two steps with that many threads.
template <class Rule, int order>
std::pair<Matrix<float>, Matrix<float>> steps(Shape shape, int threads, OptimizerOptions given) {
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
  const std::vector<Matrix<float>>& blocks = start_and_gradients(shape);
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, order> weights = blocks[0];
  Matrix<bfloat16> copy(shape.rows, shape.cols);
  Optimizer<Rule> optimizer(shape.rows, shape.cols, given);
  for (const std::size_t step : {1, 2}) optimizer.step(weights, blocks[step], stochastic(copy, 1));
  return {weights, copy.unaryExpr([](bfloat16 x) { return to_float(x); })};
}

template <class Rule>
void check(OptimizerOptions given = options) {
  // Many chunks; columns in strips and by chunks.
  for (const Shape shape : {Shape{700, 333}, Shape{5000, 60}, Shape{3, 40001}}) {
    CAPTURE(symopt::to_string(shape));
    const auto rows = steps<Rule, Eigen::RowMajor>(shape, 1, given);
    const auto columns = steps<Rule, Eigen::ColMajor>(shape, 1, given);
    for (const int threads : {2, 3, 8}) {
      CAPTURE(threads);
      const auto again = steps<Rule, Eigen::RowMajor>(shape, threads, given);
      CHECK(same_bits(again.first, rows.first));
      CHECK(same_bits(again.second, rows.second));
      const auto columns_again = steps<Rule, Eigen::ColMajor>(shape, threads, given);
      CHECK(same_bits(columns_again.first, columns.first));
      CHECK(same_bits(columns_again.second, columns.second));
    }
  }
}

TEST_CASE("there really are several threads") {
  omp_set_dynamic(0);
  omp_set_num_threads(3);
  CHECK(kernel::thread_count() == 3);
  std::set<int> seen;
  for (int trial = 0; trial < 100 && seen.size() < 2; ++trial)
    kernel::parallel_for(64, [&](Index) {
      volatile double sum = 0;
      for (int k = 0; k < 10000; ++k) sum = sum + k;
#pragma omp critical
      seen.insert(kernel::thread_index());
    });
  CHECK(seen.size() >= 2);
}

TEST_CASE(
    "every piece is worked on once, whatever the number of threads, and an error comes out at the end") {
  omp_set_dynamic(0);
  const auto loops = {
      +[](Index count, const std::function<void(Index)>& work) { kernel::parallel_for(count, work); },
      +[](Index count, const std::function<void(Index)>& work) { kernel::parallel_sweep(count, work); }};
  for (const auto loop : loops)
    for (const int threads : {1, 2, 3, 8, 70})  // the last are more than there are shares
      for (const Index count : {0, 1, 2, 7, 64, 1000}) {
        CAPTURE(threads);
        CAPTURE(count);
        omp_set_num_threads(threads);
        std::vector<std::atomic<int>> times(static_cast<std::size_t>(count));
        loop(count, [&](Index i) { ++times[static_cast<std::size_t>(i)]; });
        CHECK(std::ranges::all_of(times, [](const auto& n) { return n == 1; }));
        if (count < 2) continue;
        CHECK_THROWS_AS(loop(count,
                             [&](Index i) {
                               ++times[static_cast<std::size_t>(i)];
                               if (i == 1) throw std::out_of_range("one");
                             }),
                        std::out_of_range);
        if (threads > 1) CHECK(std::ranges::all_of(times, [](const auto& n) { return n == 2; }));
      }
}

TEST_CASE(
    "a team works on loop after loop, each piece once, and passes on errors of loops and of its program") {
  omp_set_dynamic(0);
  for (const int threads : {1, 2, 3, 8}) {
    CAPTURE(threads);
    omp_set_num_threads(threads);
    constexpr Index count = 37, loops = 300;
    std::vector<Index> sums(count, 0);
    std::set<int> seen;
    kernel::with_team(1e9, [&] {
      CHECK(kernel::thread_count() == threads);
      for (Index loop = 0; loop < loops; ++loop) {
        // What the loop before left is seen by whoever works on this one.
        const std::vector<Index> before = sums;
        const auto work = [&](Index i) {
          CHECK(kernel::thread_count() == 1);  // loops in a chunk are plain ones
          const auto k = static_cast<std::size_t>(i);
          sums[k] = before[count - 1 - k] + loop;
        };
        if (loop % 2 == 0) {
          kernel::parallel_for(count, work);
        } else {
          kernel::parallel_sweep(count, work);
        }
      }
      CHECK_THROWS_AS(kernel::parallel_for(9,
                                           [](Index i) {
                                             if (i == 4) throw std::out_of_range("four");
                                           }),
                      std::out_of_range);
      kernel::with_team(1e9, [&] {  // one team is enough
        kernel::parallel_for(2000, [&](Index) {
          volatile double sum = 0;
          for (int k = 0; k < 2000; ++k) sum = sum + k;
#pragma omp critical
          seen.insert(kernel::thread_index());
        });
      });
    });
    CHECK(std::ranges::all_of(sums, [](Index sum) { return sum == loops * (loops - 1) / 2; }));
    CHECK(*seen.rbegin() < threads);
    CHECK(kernel::led_team() == nullptr);
    CHECK_THROWS_AS(kernel::with_team(1e9, [] { throw std::out_of_range("program"); }), std::out_of_range);
    CHECK(kernel::thread_count() == threads);
    kernel::with_team(1e3, [&] { CHECK(kernel::led_team() == nullptr); });  // too little for a team
  }
}

TEST_CASE("a thread begins with its own share, and takes what fewer threads than shares leave") {
  kernel::SharedChunks chunks(10, 4);
  std::vector<Index> taken;
  chunks.take(2, [&](Index i) { taken.push_back(i); });
  CHECK(taken == std::vector<Index>{5, 6, 7, 8, 9, 0, 1, 2, 3, 4});
  taken.clear();
  chunks.take(0, [&](Index i) { taken.push_back(i); });
  CHECK(taken.empty());
}

TEST_CASE("one, two, three and eight threads give the same bits") {
  CAPTURE(default_seed);
  check<Update<Embedding>>();
  OptimizerOptions horizontal = options;
  horizontal.decay = Decay::horizontal;
  check<Update<LmHead>>(horizontal);
  check<FrobeniusNorm>();
  check<Sign>();
  check<AdamW>({.learning_rate = 0.1, .weight_decay = 0.1});
  const OptimizerOptions plain{.learning_rate = 0.1, .weight_decay = 0.1};
  check<Adaptive<Trivial>>(plain);
  check<Adaptive<Embedding>>(plain);
  check<Adaptive<LmHead>>({.learning_rate = 0.1, .weight_decay = 0.1, .decay = Decay::horizontal});
  check<Adaptive<HiddenMatrix, moments::Block>>(plain);
  check<Adaptive<HiddenMatrix>>(plain);
  check<Update<LmHead, Then<RowNorm, FrobeniusNorm>>>();  // through the general step
}

/// The blocks of a pair, up m x r and down r x n, after two steps with that many threads; the gradient of one
/// of them has rank 1 in the first step, so that its direction is found on all lines.
template <int order>
std::pair<Matrix<float>, Matrix<float>> pair_steps(PairShape shape, int threads, bool is_degenerate) {
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
  Random random(default_seed);
  const auto [m, n, r] = shape;
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, order>
      up = gaussian_block({m, r}, random).cast<float>(),
      down = gaussian_block({r, n}, random).cast<float>();
  PairOptimizer<PairUpdate<LoraPair>> optimizer(m, n, r, options);
  for (int step = 0; step < 2; ++step) {
    Matrix<float> g_up = gaussian_block({m, r}, random).cast<float>();
    const Matrix<float> g_down = gaussian_block({r, n}, random).cast<float>();
    if (is_degenerate && step == 0) g_up.rightCols(r - 1).setZero();
    optimizer.step(up, g_up, down.transpose(), g_down.transpose());
  }
  return {up, down};
}

TEST_CASE("pairs too, in either storage, by squares or on all lines") {
  for (const PairShape& shape :
       {PairShape{2100, 1500, 16}, PairShape{700, 3000, 33}, PairShape{5000, 900, 4}})
    for (const bool is_degenerate : {false, true}) {
      CAPTURE(symopt::to_string(shape));
      CAPTURE(is_degenerate);
      const auto rows = pair_steps<Eigen::RowMajor>(shape, 1, is_degenerate);
      const auto columns = pair_steps<Eigen::ColMajor>(shape, 1, is_degenerate);
      CHECK(relative_error(rows.first.cast<double>(), columns.first.cast<double>()) <= 1e-5);
      CHECK(relative_error(rows.second.cast<double>(), columns.second.cast<double>()) <= 1e-5);
      for (const int threads : {2, 3, 8}) {
        CAPTURE(threads);
        const auto again = pair_steps<Eigen::RowMajor>(shape, threads, is_degenerate);
        CHECK(same_bits(again.first, rows.first));
        CHECK(same_bits(again.second, rows.second));
        const auto columns_again = pair_steps<Eigen::ColMajor>(shape, threads, is_degenerate);
        CHECK(same_bits(columns_again.first, columns.first));
        CHECK(same_bits(columns_again.second, columns.second));
      }
    }
}

TEST_CASE("a gradient that is not finite is found by whichever thread reads it") {
  omp_set_num_threads(3);
  Matrix<float> weights = Matrix<float>::Ones(700, 333), gradient = weights;
  gradient(699, 332) = std::numeric_limits<float>::infinity();
  const Matrix<float> before = weights;
  Optimizer<Update<LmHead>> head(700, 333);
  Optimizer<Update<Embedding>> embedding(700, 333);
  CHECK_THROWS_AS(head.step(weights, gradient), std::invalid_argument);
  CHECK_THROWS_AS(embedding.step(weights, gradient), std::invalid_argument);
  CHECK(same_bits(weights, before));
}

/// A model of several rules, large and small blocks, trained with as many threads as it is told.
class Training {
 public:
  explicit Training(int threads) {
    use(threads);
    model_.add("head", {700, 333}).add("query", {160, 120}).add("down", {6, 40, 48}).add("gain", {9000});
    const OptimizerOptions own{.learning_rate = 0.05, .nesterov = true, .weight_decay = 0.1};
    const auto add = [&]<class Rule>(std::type_identity<Rule>, const char* name,
                                     const OptimizerOptions& given, Layout layout = {}) {
      stack_.add<Rule>(name, model_[name].weights_view(), std::as_const(model_[name]).gradient_view(), given,
                       std::move(layout));
    };
    add(std::type_identity<LmHead>{}, "head", own);
    add(std::type_identity<HiddenMatrix>{}, "query", own, layout::row_heads(4));
    add(std::type_identity<SwigluOutput>{}, "down", own, layout::experts());
    add(std::type_identity<AdamW>{}, "gain", {.learning_rate = 0.01});
  }
  void steps(int count, int threads) {
    use(threads);
    for (int step = 0; step < count; ++step) {
      CHECK(stack_.step().applied);
      model_.draw_gradients();
    }
  }
  std::string saved() const { return interop::state_bytes(stack_); }
  /// Goes on where the other one is; only the optimizer's state comes from the file.
  void resume(const Training& other, const std::string& file) {
    for (std::size_t p = 0; p < model_.parameters.size(); ++p) {
      std::ranges::copy(other.model_.parameters[p].weights, model_.parameters[p].weights.begin());
      std::ranges::copy(other.model_.parameters[p].gradient, model_.parameters[p].gradient.begin());
    }
    model_.go_on_drawing_like(other.model_);
    interop::load_state_bytes(stack_, as_bytes(file));
  }
  std::vector<std::vector<float>> weights() const { return model_.weights(); }

 private:
  static void use(int threads) {
    omp_set_dynamic(0);
    omp_set_num_threads(threads);
  }

  NamedModel model_;
  LayerwiseOptimizer stack_;
};

TEST_CASE("ten steps are five, a save, a load and five, with any number of threads before and after") {
  CAPTURE(default_seed);
  Training through(1);
  through.steps(10, 1);
  for (const int before : {1, 2, 3, 8}) {
    Training first(before);
    first.steps(5, before);
    const std::string file = first.saved();
    for (const int after : {1, 2, 3, 8}) {
      CAPTURE(before);
      CAPTURE(after);
      Training second(after);
      second.resume(first, file);
      CHECK(second.saved() == file);
      CHECK(second.weights() != through.weights());
      second.steps(5, after);
      CHECK(second.weights() == through.weights());
      CHECK(second.saved() == through.saved());
    }
  }
}

}}  // namespace threads_test
