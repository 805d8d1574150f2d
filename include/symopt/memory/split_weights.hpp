// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>
#include <symopt/error.hpp>

#include <bit>
#include <concepts>
#include <cstdint>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// Weights in float whose upper and lower 16 bits lie apart, as a step takes them: see split_weights.
template <class High, class Low>
struct SplitWeights {
  High& high;  ///< bfloat16
  Low& low;    ///< std::uint16_t
};

}  // namespace detail

/// A view of floats in two halves: `high` is bfloat16 memory (the weights cut off to 16 bits, which a model
/// may compute with as they lie), `low` is memory of std::uint16_t with the bits that were cut off. As much
/// memory as floats, and to the bit the same training. The two may lie in any storage order, and must outlive
/// the call:
///   optimizer.step(split_weights(high, low), gradient);
template <class High, class Low>
detail::SplitWeights<High, Low> split_weights(High& high, Low& low) {
  static_assert(detail::is_writable_memory_v<High> && std::same_as<typename High::Scalar, bfloat16>,
                "the upper half is bfloat16 memory: a Matrix, Map, Ref or Block");
  static_assert(detail::is_writable_memory_v<Low> && std::same_as<typename Low::Scalar, std::uint16_t>,
                "the lower half is std::uint16_t memory: a Matrix, Map, Ref or Block");
  return {high, low};
}

/// Takes floats apart. The halves must have their shape; throws std::invalid_argument otherwise.
template <class Derived, class High, class Low>
void split(const Eigen::MatrixBase<Derived>& weights, detail::SplitWeights<High, Low> halves) {
  static_assert(std::same_as<typename Derived::Scalar, float>, "split weights are floats");
  if (detail::shape_of(weights) != detail::shape_of(halves.high) ||
      detail::shape_of(weights) != detail::shape_of(halves.low))
    throw Error(to_string(detail::shape_of(weights)) + " weights do not split into " +
                to_string(detail::shape_of(halves.high)) + " and " + to_string(detail::shape_of(halves.low)));
  for (Index i = 0; i < weights.rows(); ++i)
    for (Index j = 0; j < weights.cols(); ++j) {
      const auto bits = std::bit_cast<std::uint32_t>(weights.coeff(i, j));
      halves.high.coeffRef(i, j).value = static_cast<std::uint16_t>(bits >> 16);
      halves.low.coeffRef(i, j) = static_cast<std::uint16_t>(bits);
    }
}

/// Puts them together again.
template <class High, class Low>
Matrix<float> joined(detail::SplitWeights<High, Low> halves) {
  Matrix<float> weights(halves.high.rows(), halves.high.cols());
  for (Index i = 0; i < weights.rows(); ++i)
    for (Index j = 0; j < weights.cols(); ++j)
      weights(i, j) =
          std::bit_cast<float>((std::uint32_t(halves.high.coeff(i, j).value) << 16) | halves.low.coeff(i, j));
  return weights;
}

}}  // namespace symopt
