// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace symopt {

/// The side of a block W on which a group acts: left moves rows, W -> A W; right moves columns,
/// W -> W B^T.
enum class Side { left, right };

constexpr Side opposite(Side side) {
  return side == Side::left ? Side::right : Side::left;
}

}  // namespace symopt
