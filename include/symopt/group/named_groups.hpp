// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/orthogonal.hpp>
#include <symopt/group/permutation.hpp>
#include <symopt/group/product.hpp>
#include <symopt/group/shift.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

// The groups of a transformer's weight blocks (arXiv 2605.18106). Distinct types, so that each parameter
// class can carry its own default rule. Shapes are [rows, cols] with the block applied as W x.

/// A hidden matrix [out, in]: both spaces may be rotated. Attention's q, k, v and o among them.
struct HiddenMatrix : BiOrthogonal {};

/// A token embedding [vocabulary, width]: tokens may be renumbered, the width rotated.
struct Embedding : Product<RowPermutation, RightOrthogonal> {};

/// An embedding whose matrix is also the head. No shift: the input side would move with it.
struct TiedEmbedding : Product<RowPermutation, RightOrthogonal> {};

/// An untied head [vocabulary, width] under softmax: adding the same row to all rows changes no
/// probability. Not for heads under a z-loss, a logit soft-cap or sigmoids: these see the shift; use
/// Embedding's group there.
struct LmHead : Product<RowPermutation, RightOrthogonal, SharedShift> {};

/// A SwiGLU gate or up matrix [neurons, width]: neurons may be renumbered, the width rotated.
struct SwigluInput : Product<RowPermutation, RightOrthogonal> {};

/// A SwiGLU down matrix [width, neurons].
struct SwigluOutput : Product<LeftOrthogonal, ColumnPermutation> {};

/// A softmax router [experts, width]: as LmHead, with experts for tokens. Not for sigmoid gates or a
/// router z-loss.
struct Router : Product<RowPermutation, RightOrthogonal, SharedShift> {};

}}  // namespace symopt
