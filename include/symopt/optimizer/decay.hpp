// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The part of the weights that decoupled weight decay shrinks, by learning rate times weight decay, before
/// the direction is applied:
///   all         W. Simple, but it also pulls the mean row of a softmax head towards zero, a direction
///               that the loss does not see: the step is then not equivariant under the shift.
///   horizontal  P W, with P the projection of the rule's group: the mean row stays to the last bit of
///               rounding, and the step is equivariant.
enum class Decay { all, horizontal };

constexpr const char* to_string(Decay decay) {
  return decay == Decay::all ? "all" : "horizontal";
}

}}  // namespace symopt
