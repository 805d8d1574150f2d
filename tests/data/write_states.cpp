// SPDX-License-Identifier: Apache-2.0
// Writes the states of this folder; see README.md.
#include "support/states_of_0_1.hpp"

#include <symopt/state/state.hpp>

namespace {

template <class Run>
void write(Run run, const std::string& path) {
  run.steps(symopt_test::steps_of_0_1);
  symopt::interop::save_state(run.optimizer, path);
}

}  // namespace

int main() {
  write(symopt_test::StackOf01(), "stack_0.1.safetensors");
  write(symopt_test::head_of_0_1(), "head_0.1.safetensors");
  write(symopt_test::average_of_0_1(), "average_0.1.safetensors");
}
