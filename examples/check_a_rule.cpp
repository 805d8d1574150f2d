// SPDX-License-Identifier: Apache-2.0
// Is a rule equivariant under a group? A check that holds, one that fails and its counterexample, what a
// shift asks for, a whole optimizer, a negative control, and the largest group of a rule that nobody has
// classified.
#include <symopt/check.hpp>
#include <symopt/symopt.hpp>

#include <algorithm>
#include <iostream>

using namespace symopt;
using namespace symopt::check;

/// A clip of the rows: rows longer than 1 become as long as 1.
const auto clip_rows = [](const auto& gradient) {
  auto clipped = gradient.eval();
  for (Index i = 0; i < clipped.rows(); ++i)
    clipped.row(i) /= std::max(clipped.row(i).norm(), 1 + 0 * clipped(i, 0));
  return clipped;
};

/// An optimizer for the head of a model, as a user would set it up.
const auto head_with_decay = [](Shape shape) {
  return Optimizer<Update<LmHead>>(shape.rows, shape.cols, {.learning_rate = 0.1, .weight_decay = 0.1});
};

int main() {
  const Report rows = check_equivariance<Embedding>(clip_rows, {.seed = 7});
  std::cout << rows << '\n';  // holds

  const Report rotated = check_equivariance<HiddenMatrix>(clip_rows, {.seed = 7});
  std::cout << rotated << '\n';  // violated: rows keep their length only while they stay rows

  const Report control = expect_violation<RightOrthogonal>(AdamW{});
  const Report horizontal = check_horizontal<LmHead>(Update<LmHead>{});
  const Report invariant = check_shift_invariant<LmHead>(Update<LmHead>{});

  const Report run = check_trajectory<LmHead>(head_with_decay, {.seed = 7});
  std::cout << run << '\n';  // violated: decay shrinks the mean row, which the loss cannot see

  const Classification row = classify(clip_rows, {.seed = 7});
  std::cout << row;

  const bool is_as_claimed = rows && rotated.verdict == Verdict::violated && control && horizontal &&
                             invariant && run.verdict == Verdict::violated && row.group() == "B | O";
  return is_as_claimed ? 0 : 1;
}
