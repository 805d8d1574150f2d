// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <bit>
#include <concepts>
#include <cstdint>

namespace symopt { inline namespace SYMOPT_ABI {

/// The upper half of a float: 8 bits of exponent, 8 of precision. A storage type: gradients come in it and
/// weights go out in it, nothing is computed in it. Eigen's, so that matrices, maps and blocks of it are
/// memory like any other.
using bfloat16 = Eigen::bfloat16;
static_assert(sizeof(bfloat16) == sizeof(std::uint16_t));

/// The rounding of a float to a bfloat16.
///   nearest     the nearest one, of two equally near ones the even one
///   stochastic  the one above or the one below, with probabilities that make the mean exact: a weight that
///               moves by less than half a unit in the last place still moves on average
enum class Rounding { nearest, stochastic };

constexpr const char* to_string(Rounding rounding) {
  return rounding == Rounding::nearest ? "nearest" : "stochastic";
}

namespace detail {

/// bfloat16 memory that a step writes by stochastic rounding: see stochastic.
template <class Block>
struct StochasticallyRounded {
  Block& block;        ///< what is written
  std::uint64_t seed;  ///< of the random bits
};

}  // namespace detail

/// Says that a step rounds stochastically what it writes to `block`, bfloat16 memory of any storage order
/// that outlives the call. The random bits are a function of the seed, the parameter's name, the number of
/// the step and the entry's row and column: the same at any number of threads, in any storage order, and
/// after a restart. So two optimizers round alike unless OptimizerOptions::parameter or the seed tells them
/// apart; a stack's parameters have names.
///   optimizer.step(stochastic(weights, 1), gradient);
template <class Block>
detail::StochasticallyRounded<Block> stochastic(Block& block, std::uint64_t seed) {
  static_assert(detail::is_writable_memory_v<Block> && std::same_as<typename Block::Scalar, bfloat16>,
                "what is rounded stochastically is bfloat16 memory: a Matrix, Map, Ref or Block");
  return {block, seed};
}

/// Exact.
inline float to_float(bfloat16 x) {
  return std::bit_cast<float>(std::uint32_t(x.value) << 16);
}

namespace detail {

/// `random_bits`: how much of a unit in the last place is added before the rest is cut off, in units of
/// 2^-16: uniform in [0, 2^16) rounds stochastically. NaN stays NaN, infinity stays infinity, and a float
/// that is a bfloat16 stays itself.
inline bfloat16 rounded_by(float x, std::uint16_t random_bits) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
  bfloat16 result;
  result.value = static_cast<std::uint16_t>((is_nan ? bits | 0x00400000U : bits + random_bits) >> 16);
  return result;
}

}  // namespace detail

/// The nearest one, ties to even.
inline bfloat16 to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return detail::rounded_by(x, static_cast<std::uint16_t>(0x7fffU + ((bits >> 16) & 1U)));
}

}}  // namespace symopt
