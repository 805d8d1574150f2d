// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/simd/lanes.hpp>

#include <cstdint>
#include <string_view>

// Random bits by counting: a function of a key and of the place in the block, so that they are the same on
// any thread, in any order and in either storage order, and no generator has a state to keep.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): a bijection in which every bit depends on all.
constexpr std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// The finalizer of MurmurHash3, a bijection of 32 bits in which every bit depends on all; on numbers or on
/// lanes of them.
template <class Bits>
SYMOPT_INLINE Bits mixed_32(Bits x) {
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  return x ^ (x >> 16);
}

/// The key of the random bits of one step of one block.
struct RandomKey {
  std::uint32_t row = 0;
  std::uint32_t column = 0;

  /// A key from the seed, the name of the parameter, its block and the number of the step.
  static RandomKey of(std::uint64_t seed, std::string_view name, std::uint64_t block, std::uint64_t step) {
    std::uint64_t key = mixed(seed);
    for (const char letter : name) key = mixed(key ^ static_cast<unsigned char>(letter));
    key = mixed(mixed(key ^ block) ^ step);
    return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
  }
};

/// 32 random bits for the entry in that row and column: numbers or lanes.
template <class Row, class Column>
SYMOPT_INLINE auto random_bits(RandomKey key, Row row, Column column) {
  const Row of_row = mixed_32<Row>(row ^ key.row);
  const auto both = (column ^ key.column) + of_row;
  return mixed_32(mixed_32(both) ^ key.row);
}

}}}  // namespace symopt::kernel
