// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// The side of a block W on which a group acts: left moves rows, W -> A W; right moves columns,
/// W -> W B^T.
enum class Side { left, right };

/// The other side.
constexpr Side opposite(Side side) {
  return side == Side::left ? Side::right : Side::left;
}

/// The number of lines that a group on that side moves: rows on the left, columns on the right. The Gram
/// matrix of that side has as many rows.
constexpr Index extent(Shape block, Side side) {
  return side == Side::left ? block.rows : block.cols;
}

}}  // namespace symopt
