// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/motion.hpp>
#include <symopt/check/subject.hpp>

#include <functional>
#include <random>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// A law of the form U(x moved) = U(x) moved, for motions that a group has.
struct Law {
  std::string name;
  std::string violation;  ///< what has happened when it fails
  std::string of_moved;   ///< U(x moved), in a few words
  std::string should_be;  ///< U(x) moved, in a few words
  std::function<std::vector<Motion>(Shape)> generators;
  std::function<Motion(Shape, std::mt19937_64&)> random;
  std::function<std::vector<SimpleMove>(Shape)> simple_moves = [](Shape) {
    return std::vector<SimpleMove>{};
  };
  /// Makes an input one that the law speaks of.
  std::function<WideMatrix(WideMatrix)> prepare = [](WideMatrix block) { return block; };
  bool is_about_motion = true;          ///< vacuous when nothing that the rule sees moves
  bool is_to_the_bit = false;           ///< nothing is allowed for rounding
  bool stops_at_first_failure = false;  ///< for those who want the verdict alone
  /// The violation where a trajectory shows it after its first step alone; empty: as in the first.
  std::string later_violation{};
};

/// A trial of a law of motions.
struct Trial {
  std::string id;  ///< the words of the line that repeats it
  Motion motion;
  Input input;
};

}}}  // namespace symopt::check::detail
