// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/saved_stack.hpp"

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

// What the fuzzer and the replay of its corpus do with a file.
namespace symopt_test {

/// Loads the bytes into a stack: true when they were its state. Ends the process when they were refused but
/// left a trace, or were loaded into something that cannot step or be saved.
inline bool load_hostile_bytes(const std::string& bytes) {
  static auto trained = std::make_unique<TrainedStack>();
  static const std::string before = trained->bytes();
  const auto require = [](bool good, const char* what) {
    if (good) return;
    std::cerr << what << '\n';
    std::abort();
  };
  try {
    trained->load(bytes);
  } catch (const symopt::interop::FormatError&) {
    require(trained->bytes() == before, "a broken file was loaded by half");
    return false;
  } catch (const symopt::interop::StateMismatch&) {
    require(trained->bytes() == before, "a foreign file was loaded by half");
    return false;
  }
  require(!trained->bytes().empty(), "what was loaded cannot be saved");
  require(trained->step(), "what was loaded cannot step");
  trained = std::make_unique<TrainedStack>();
  return true;
}

}  // namespace symopt_test
