// SPDX-License-Identifier: Apache-2.0
// Is a rule equivariant under a group? A first check, a failing one and its counterexample, a negative
// control, a rule with state, and the largest group of a rule that nobody has classified.
#include <symopt/check.hpp>
#include <symopt/symopt.hpp>

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

/// Decoupled weight decay as a rule of its own.
const auto decay = [](const auto& weights, const auto&) { return weights.eval(); };

int main() {
  const Report rows = check_equivariance<Embedding>(clip_rows, {.seed = 7});
  std::cout << rows;
  const Report rotations = check_equivariance<HiddenMatrix>(clip_rows, {.seed = 7});
  std::cout << rotations;

  const Report control = expect_violation<RightOrthogonal>(AdamW{});
  const Report projected = check_horizontal<LmHead>(Update<LmHead>{});
  const Report shifted = check_shift_invariant<LmHead>(Update<LmHead>{});
  const Report decayed = check_equivariance<SharedShift>(decay);

  const Classification row = classify(clip_rows, {.seed = 7});
  std::cout << row;

  const bool is_as_claimed = rows && rotations.verdict == Verdict::violated && control && projected &&
                             shifted && decayed.verdict == Verdict::violated && row.group() == "B | O";
  return is_as_claimed ? 0 : 1;
}
