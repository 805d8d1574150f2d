// SPDX-License-Identifier: Apache-2.0
// States that version 0.1 saved are loaded, and training goes on from them as if it had not been interrupted.
#include "support/inputs.hpp"
#include "support/states_of_0_1.hpp"

#include <symopt/state/state.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace state_of_0_1_test { namespace {

using namespace symopt_test;

/// The largest difference; infinite where one has other numbers, or NaN.
double difference(const auto& a, const auto& b) {
  Worst worst;
  worst.add(a.size() == b.size() && !a.empty() ? 0 : infinity);
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    worst.add(std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return worst.value();
}

std::filesystem::path saved(const char* file) {
  return std::filesystem::path(__FILE__).parent_path().parent_path() / "data" / file;
}

/// Runs that are made alike: one that is never interrupted, one that goes on from the file, and one without
/// its state. The file's steps were rounded by another processor's instructions, perhaps.
template <class Run>
void check_resumes(const char* file, Run through, Run after, Run forgetful, double rounding) {
  through.steps(steps_of_0_1);
  after.go_on_like(through);
  forgetful.go_on_like(through);
  CHECK(symopt::interop::load_state(after.optimizer, saved(file)).steps == steps_of_0_1);
  CHECK(after.optimizer.schedule_factor() == through.optimizer.schedule_factor());
  for (Run* run : {&through, &after, &forgetful}) run->steps(2);
  CHECK(difference(after.weights(), through.weights()) <= rounding);
  CHECK_FALSE(difference(forgetful.weights(), through.weights()) <= 1e-3);
}

TEST_CASE("a stack goes on from a state of version 0.1, whatever its rules, layouts and masks") {
  check_resumes("stack_0.1.safetensors", StackOf01(), StackOf01(), StackOf01(), 1e-5);
}

TEST_CASE("so does the optimizer of one block") {
  check_resumes("head_0.1.safetensors", head_of_0_1(), head_of_0_1(), head_of_0_1(), 1e-13);
  check_resumes("average_0.1.safetensors", average_of_0_1(), average_of_0_1(), average_of_0_1(), 1e-9);
}

TEST_CASE("a state of version 0.1 is written again byte by byte") {
  StackOf01 loaded;
  symopt::interop::load_state(loaded.optimizer, saved("stack_0.1.safetensors"));
  std::ifstream file(saved("stack_0.1.safetensors"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  CHECK(bytes.size() > 1000);
  CHECK(symopt::interop::state_bytes(loaded.optimizer) == bytes);
}

}}  // namespace state_of_0_1_test
