// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/error.hpp"

#include <symopt/group/random.hpp>
#include <symopt/side.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

// The blocks on which rules are tried. Every draw starts from a seed that the test prints.
namespace symopt_test {

using Random = std::mt19937_64;
inline constexpr std::uint64_t default_seed = 2605'18106;

struct Input {
  std::string name;
  Matrix<double> value;
};

/// Here, since the programs with threads use it, whose names of symopt are others than those of inputs.cpp.
inline Matrix<double> gaussian_block(Shape shape, Random& random) {
  return symopt::gaussian<double>(shape, random);
}

/// Random singular vectors, the given singular values (as many as there are; the others are zero).
Matrix<double> block_with_spectrum(Shape shape, const std::vector<double>& values, Random& random);

/// From 1 down to 1 / condition, evenly in the logarithm.
std::vector<double> log_spaced(Index count, double condition);

Matrix<double> integer_block(Shape shape, Random& random);

/// The block without its mean row (left) or mean column (right), by hand.
Matrix<double> centred(const Matrix<double>& block, Side side);

/// Blocks without zero or equal singular values.
std::vector<Input> well_conditioned_inputs(Shape shape, Random& random);

/// Blocks that have a symmetry of their own or lie on the edge of a rule's domain.
std::vector<Input> hard_inputs(Shape shape, Random& random);

std::vector<Input> all_inputs(Shape shape, Random& random);

}  // namespace symopt_test
