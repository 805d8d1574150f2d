// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/buffer.hpp>
#include <symopt/side.hpp>

#include <concepts>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// A way to compute the polar factor (M M^T)^(-1/2) M of a block M, or an approximation whose
/// singular values lie in a stated band around 1.
///
/// Minimal definition:
///   Workspace<Scalar>                         all memory needed, from (Shape, Side gram_side); the
///                                             same for a shape and its transpose with mirrored side
///   apply(block, gram_side, workspace)        block <- its polar factor, through the Gram matrix on
///                                             that side; allocates nothing of its own; a zero block stays
///                                             zero
///   validate()                                throws std::invalid_argument on an option out of range
/// Optional:
///   apply(block, gram_side, workspace, reduction)    on the lines along the Gram matrix that one process
///   has,
///                                             where others have the rest: kernel/reduction.hpp
///
/// Laws: apply commutes with orthogonal matrices on both sides, and both gram sides agree, each up
/// to rounding; the row space and the column space of the result lie in those of the input.
///
/// Models: Automatic, Fast, Zolotarev, GramNewtonSchulz, NewtonSchulz, PolarExpress, Exact.
template <class Method>
concept PolarMethod = requires(const Method method, MatrixRef<float> block,
                               typename Method::template Workspace<float> workspace) {
  typename Method::template Workspace<double>;
  method.validate();
  method.apply(block, Side::left, workspace);
};

}}}  // namespace symopt::polar
