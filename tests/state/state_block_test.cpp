// SPDX-License-Identifier: Apache-2.0
// The optimizer of one block goes on after a load as if it had not been interrupted, bit for bit.
#include "support/inputs.hpp"
#include "support/state_rules.hpp"
#include "support/temporary_file.hpp"

#include <symopt/frame/frame_average.hpp>
#include <symopt/state/state.hpp>

#include <doctest/doctest.h>

namespace state_block_test { namespace {

using namespace symopt;
using namespace symopt_test;

template <class Rule, class Scalar, int order>
void check_one_block(Rule rule = {}) {
  CAPTURE(symopt_test::type_name<Rule>());
  using Weights = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, order>;
  const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.01};
  using BlockRun = std::pair<Weights, Optimizer<Rule, Scalar>>;
  const auto start = [&] {
    Random random(default_seed);
    return BlockRun(gaussian_block({5, 4}, random).cast<Scalar>(),
                    Optimizer<Rule, Scalar>(5, 4, options, rule));
  };
  const auto steps = [](BlockRun& run, int from, int to) {
    for (int step = from; step < to; ++step) {
      Random random(default_seed + static_cast<std::uint64_t>(step));
      run.second.set_learning_rate(1.0 / (7 + step));
      run.second.step(run.first, gaussian_block({5, 4}, random).cast<Scalar>());
    }
  };
  TemporaryFile file("one_block");
  BlockRun through = start(), before = start(), after = start();
  steps(through, 0, 10);
  steps(before, 0, 5);
  interop::save_state(before.second, file.path);
  steps(after, 3, 5);  // a state that is replaced
  after.first = before.first;
  CHECK(interop::load_state(after.second, file.path).steps == 5);
  CHECK(after.second.steps() == 5);
  CHECK(after.second.options().learning_rate == before.second.options().learning_rate);
  steps(after, 5, 10);
  CHECK(same_bits(after.first, through.first));
}

TEST_CASE_TEMPLATE("the optimizer of one block resumes likewise", Scalar, float, double) {
  check_one_block<Update<LmHead>, Scalar, Eigen::RowMajor>();
  check_one_block<Update<HiddenMatrix>, Scalar, Eigen::ColMajor>();
  check_one_block<AdamW, Scalar, Eigen::RowMajor>();
  check_one_block<VisitedLion, Scalar, Eigen::ColMajor>();
  check_one_block<LateSum, Scalar, Eigen::RowMajor>();
}

TEST_CASE("an average over frames resumes in the frame that it was in") {
  check_one_block<FrameAveraged<Embedding, AdamW>, float, Eigen::RowMajor>();
  check_one_block<FrameAveraged<HiddenMatrix, AdamW>, float, Eigen::RowMajor>();
}

}}  // namespace state_block_test
