// SPDX-License-Identifier: Apache-2.0
// What the flags of the compiler are worth: the milliseconds of a step of a softmax head and of a hidden
// matrix, each the median of seven. The script beside it compiles this with one set of flags after the other.
#include <symopt/symopt.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <iostream>

using namespace symopt;

namespace {

template <class Rule>
double milliseconds_of_step(Index rows, Index columns) {
  Matrix<float> weights = Matrix<float>::Random(rows, columns),
                gradient = Matrix<float>::Random(rows, columns);
  Optimizer<Rule> optimizer(rows, columns);
  optimizer.step(weights, gradient);
  std::array<double, 7> times;
  for (double& time : times) {
    const auto start = std::chrono::steady_clock::now();
    optimizer.step(weights, gradient);
    time = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  std::ranges::nth_element(times, times.begin() + 3);
  return times[3];
}

}  // namespace

int main() {
  std::cout << milliseconds_of_step<Update<LmHead>>(8192, 512) << ' '
            << milliseconds_of_step<Update<HiddenMatrix>>(512, 512) << ' ' << configuration() << '\n';
}
