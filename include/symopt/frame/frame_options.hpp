// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <ostream>

namespace symopt { inline namespace SYMOPT_ABI {

/// The options of a frame average.
struct FrameOptions {
  /// Stateful rules: the share of the past in the Gram matrix whose eigenvectors are the frame, in [0, 1).
  /// 0 is the frame of each gradient alone.
  double memory = 0.95;
  /// Singular values closer than this times the largest count as equal; 0 stands for what rounding
  /// leaves visible, 16 sqrt(min(rows, cols)) units of roundoff of the scalar.
  double tie = 0;
};

/// The size of a frame average, and its exactness: an average over the whole frame or over a part of it.
struct FrameReport {
  Index frames = 1;         ///< evaluations of the rule
  bool is_exact = true;     ///< false: equivariant only approximately, or not at all, for the reason given
  const char* reason = "";  ///< why it is not exact
};

/// One line: "not exact, 256 frames: ...".
inline std::ostream& operator<<(std::ostream& out, const FrameReport& report) {
  out << (report.is_exact ? "exact" : "not exact") << ", " << report.frames << " frame"
      << (report.frames == 1 ? "" : "s");
  return report.is_exact ? out : out << ": " << report.reason;
}

}}  // namespace symopt
