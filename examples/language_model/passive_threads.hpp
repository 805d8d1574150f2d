// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cstdlib>

namespace language_model {

/// Makes OpenMP's threads sleep while they wait, by starting the program anew if need be: OpenMP reads its
/// environment before main does. Threads that spin would take the cores from the training next to them.
inline void ensure_passive_threads(char** arguments) {
  constexpr auto variable = "OMP_WAIT_POLICY";
  if (std::getenv(variable) != nullptr) return;
  ::setenv(variable, "passive", 1);
  ::execv("/proc/self/exe",
          arguments);  // returns only if it fails, and then spinning threads will have to do
}

}  // namespace language_model
