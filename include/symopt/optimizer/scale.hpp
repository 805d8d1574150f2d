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
///   match_rms  0.2 / root mean square            the entries of a step as large as AdamW's, whatever the
///   rule
/// The root mean square is the nominal one of the rule's direction (normalization/root_mean_square.hpp), so
/// that AdamW's learning rate serves every rule: 0.2 sqrt(max(fan_out, fan_in)) for a polar factor, 0.2
/// sqrt(fan_in) for a row norm, 1 for AdamW itself. A rule that states none is refused. Sources:
/// kellerjordan.github.io/posts/muon; arXiv 2502.07529 (Scion); arXiv 2502.16982 (Moonlight), which has the
/// factor of polar factors.
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

namespace detail {

/// The root mean square of the entries of AdamW's direction under noise: what match_rms gives every rule.
inline constexpr double root_mean_square_of_adamw = 0.2;

}  // namespace detail

/// The factor of a scale for a block under a rule whose direction has that nominal root mean square; 1 for a
/// block without entries, and for a direction that can only be zero.
inline double scale_factor(Scale scale, Shape block, double root_mean_square) {
  const double fan_out = static_cast<double>(block.rows);
  const double fan_in = static_cast<double>(block.cols);
  if (block.rows == 0 || block.cols == 0) return 1.0;
  switch (scale) {
    case Scale::aspect:
      return std::sqrt(std::max(1.0, fan_out / fan_in));
    case Scale::spectral:
      return std::sqrt(fan_out / fan_in);
    case Scale::match_rms:
      return root_mean_square > 0 ? detail::root_mean_square_of_adamw / root_mean_square : 1.0;
    case Scale::none:
      break;
  }
  return 1.0;
}

}}  // namespace symopt
