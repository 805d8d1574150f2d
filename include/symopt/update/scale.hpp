// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>

namespace symopt { inline namespace SYMOPT_ABI {

/// A factor on the direction from the shape [fan_out, fan_in] of the block that was normalized:
///   none       1
///   aspect     sqrt(max(1, fan_out / fan_in))    Muon
///   spectral   sqrt(fan_out / fan_in)            the operator norm between root-mean-square norms
///   match_rms  0.2 sqrt(max(fan_out, fan_in))    a polar factor's entries as large as AdamW's
/// Sources: kellerjordan.github.io/posts/muon; arXiv 2502.07529 (Scion); arXiv 2502.16982 (Moonlight).
enum class Scale { none, aspect, spectral, match_rms };

constexpr const char* to_string(Scale scale) {
  switch (scale) {
    case Scale::aspect:
      return "aspect";
    case Scale::spectral:
      return "spectral";
    case Scale::match_rms:
      return "match_rms";
    case Scale::none:
      break;
  }
  return "none";
}

/// The factor of a scale for a block; 1 for a block without entries.
inline double scale_factor(Scale scale, Shape block) {
  const double fan_out = static_cast<double>(block.rows);
  const double fan_in = static_cast<double>(block.cols);
  if (block.rows == 0 || block.cols == 0) return 1.0;
  switch (scale) {
    case Scale::aspect:
      return std::sqrt(std::max(1.0, fan_out / fan_in));
    case Scale::spectral:
      return std::sqrt(fan_out / fan_in);
    case Scale::match_rms:
      return 0.2 * std::sqrt(std::max(fan_out, fan_in));
    case Scale::none:
      break;
  }
  return 1.0;
}

}}  // namespace symopt
