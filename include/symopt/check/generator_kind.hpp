// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// Kinds of linear generators on the lines of one side: those that tell apart the largest groups of rules.
enum class GeneratorKind {
  negation,            ///< the sign of the whole block
  permutations,        ///< two lines change places
  signs,               ///< one line changes its sign
  block_rotations,     ///< orthogonal matrices within blocks of lines: heads
  block_permutations,  ///< two such blocks change places
  stabilizer_of_ones,  ///< orthogonal matrices that keep the vector of ones up to its sign
  rotations,           ///< every orthogonal matrix
  positive_scalings,   ///< one line is multiplied by a positive number
};

constexpr const char* to_string(GeneratorKind kind) {
  switch (kind) {
    case GeneratorKind::negation:
      return "sign of the block";
    case GeneratorKind::permutations:
      return "permutations";
    case GeneratorKind::signs:
      return "signs";
    case GeneratorKind::block_rotations:
      return "rotations within blocks";
    case GeneratorKind::block_permutations:
      return "permutations of blocks";
    case GeneratorKind::stabilizer_of_ones:
      return "rotations about the ones";
    case GeneratorKind::rotations:
      return "rotations";
    case GeneratorKind::positive_scalings:
      break;
  }
  return "positive scalings";
}

}}}  // namespace symopt::check
