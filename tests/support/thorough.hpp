// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>
#include <vector>

namespace symopt_test {

/// True where the tests have time for every combination: in ./run test --thorough, which sets the variable.
inline bool is_thorough_run() {
  return std::getenv("SYMOPT_TEST_THOROUGH") != nullptr;
}

/// All of them in a thorough run; else one of them, the next one at each call, so that many calls have all.
template <class T>
std::vector<T> all_or_next(const std::vector<T>& all) {
  static std::size_t turn = 0;
  if (is_thorough_run()) return all;
  return {all[turn++ % all.size()]};
}

}  // namespace symopt_test
