// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/buffer.hpp>
#include <symopt/normalization/horizontal_projection.hpp>

namespace symopt {

/// What decoupled weight decay shrinks, by learning rate times weight decay, before the direction is
/// applied:
///   all         W. Simple, but it also pulls the mean row of a softmax head towards zero, a direction
///               that the loss does not see: the step is then not equivariant under the shift.
///   horizontal  P W, with P the projection of the rule's group: the mean row stays to the last bit of
///               rounding, and the step is equivariant.
enum class Decay { all, horizontal };

constexpr const char* to_string(Decay decay) {
  return decay == Decay::all ? "all" : "horizontal";
}

/// W <- W - amount P W in place. `scratch` is a block of W's shape.
template <class Scalar, class Projection>
void decay_horizontally(const Projection& projection, MatrixRef<Scalar> weights, double amount,
                        MatrixRef<Scalar> scratch, auto& workspace) {
  scratch = weights;
  projection.template apply<Scalar>(scratch, workspace);
  weights -= static_cast<Scalar>(amount) * scratch;
}

}  // namespace symopt
