// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <utility>
#include <vector>

// The random numbers that the groups draw their elements with. The distributions of <random> give other
// numbers with every standard library; these give the same ones, so that a seed names the same element
// everywhere.
namespace symopt { inline namespace SYMOPT_ABI {

/// A source of uniform random integers in [min(), max()]: the standard engines among them.
template <class G>
concept RandomEngine = requires(G& engine) {
  { engine() } -> std::unsigned_integral;
  { G::min() } -> std::same_as<decltype(engine())>;
  { G::max() } -> std::same_as<decltype(engine())>;
};

namespace detail {

/// The least that an engine has: what concepts ask their questions with.
struct MinimalEngine {
  /// The interface of an engine; it is declared, and never run.
  ///@{
  using result_type = std::uint64_t;
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t(0); }
  std::uint64_t operator()();
  ///@}
};

}  // namespace detail

/// A uniform number in [0, 1) of 53 bits.
template <RandomEngine Engine>
double uniform_number(Engine& engine) {
  constexpr double range = static_cast<double>(Engine::max() - Engine::min()) + 1.0;
  double sum = 0, scale = 1;
  while (scale < 0x1p53) {
    sum += static_cast<double>(engine() - Engine::min()) * scale;
    scale *= range;
  }
  return std::min(sum / scale, 1.0 - 0x1p-53);
}

/// A uniform integer in [0, count), up to a bias of count * 2^-53.
template <RandomEngine Engine>
std::size_t uniform_index(std::size_t count, Engine& engine) {
  return static_cast<std::size_t>(uniform_number(engine) * static_cast<double>(count));
}

namespace detail {

/// Puts the elements into a uniformly random order.
template <class T, RandomEngine Engine>
void shuffle(std::vector<T>& elements, Engine& engine) {
  for (std::size_t i = elements.size(); i > 1; --i)
    std::swap(elements[i - 1], elements[uniform_index(i, engine)]);
}

/// A standard normal number, by the polar method (Marsaglia and Bray, SIAM Review 6, 1964).
template <RandomEngine Engine>
double standard_normal(Engine& engine) {
  for (;;) {
    const double x = 2 * uniform_number(engine) - 1;
    const double y = 2 * uniform_number(engine) - 1;
    const double square = x * x + y * y;
    if (square < 1 && square > 0) return x * std::sqrt(-2 * std::log(square) / square);
  }
}

}  // namespace detail

/// A matrix of independent standard normal numbers.
template <class Scalar, RandomEngine Engine>
Matrix<Scalar> gaussian(Shape shape, Engine& engine) {
  Matrix<Scalar> block(shape.rows, shape.cols);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) block(i, j) = static_cast<Scalar>(detail::standard_normal(engine));
  return block;
}

}}  // namespace symopt
