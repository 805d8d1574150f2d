// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/linkage.hpp>
#include <symopt/matrix.hpp>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The seed of checks that name none: the environment's SYMOPT_SEED, or a fixed one. Never the clock.
std::uint64_t default_seed();

/// The options of a check. The seed and SYMOPT_REPRODUCE of the environment are read when a check starts.
struct CheckOptions {
  std::uint64_t seed = default_seed();  ///< of all random numbers
  int trials = 64;              ///< on hard inputs with random elements; every generator is tried anyway
  std::vector<Shape> shapes{};  ///< of the blocks; empty: small ones that the group fits
  /// Names of the kinds of gradients that are drawn (see input_kinds); empty: all. For a rule whose domain
  /// is smaller, say so here: a law on less is a weaker law.
  std::vector<std::string> inputs{};
  std::string name{};  ///< of the rule in the report; empty: that of its type, "a callable" for a lambda
};

/// The generator of random numbers for one purpose: a function of the seed and of what the numbers are for,
/// so that a single trial can be repeated without those before it.
std::mt19937_64 engine_for(std::uint64_t seed, std::string_view purpose, std::uint64_t number = 0);

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE std::uint64_t default_seed() {
  const char* text = std::getenv("SYMOPT_SEED");
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 0) : 2605'18106;
}

SYMOPT_CHECK_INLINE std::mt19937_64 engine_for(std::uint64_t seed, std::string_view purpose,
                                               std::uint64_t number) {
  std::uint64_t state = seed;
  const auto mix = [&state](std::uint64_t value) {  // splitmix64
    state += 0x9e3779b97f4a7c15ULL + value;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ULL;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebULL;
    state ^= state >> 31;
  };
  for (const char c : purpose) mix(static_cast<unsigned char>(c));
  mix(number);
  return std::mt19937_64(state);
}
#endif

}}}  // namespace symopt::check
