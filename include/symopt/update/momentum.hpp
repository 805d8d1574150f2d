// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/block_view.hpp>

#include <cmath>
#include <limits>

namespace symopt::inline SYMOPT_ABI {

/// How gradients g are averaged into the momentum m, which starts at zero, without bias correction:
///   ema         m <- beta m + (1 - beta) g     in the units of a gradient
///   heavy_ball  m <- beta m + g                1 / (1 - beta) times larger in the long run
/// The two differ by a constant factor that a scale-free rule does not see; under DualNorm they are
/// different optimizers.
enum class MomentumConvention { ema, heavy_ball };

constexpr const char* to_string(MomentumConvention convention) {
  return convention == MomentumConvention::ema ? "ema" : "heavy_ball";
}

/// One step of the running average: its two factors, for a momentum that starts at zero.
template <class Scalar>
class MomentumStep {
 public:
  MomentumStep(MomentumConvention convention, double beta)
      : keep_(static_cast<Scalar>(beta)),
        add_(convention == MomentumConvention::ema ? static_cast<Scalar>(1.0 - beta) : Scalar(1)) {}

  /// The next momentum, as an expression. An entry below the smallest normal number becomes zero: rounding
  /// would keep a subnormal one alive for ever, and slow every step.
  auto next(const auto& momentum, const auto& gradient) const {
    return average(momentum, gradient).unaryExpr([](Scalar x) {
      return std::abs(x) < std::numeric_limits<Scalar>::min() ? Scalar(0) : x;
    });
  }

  /// What the rule is given: the next momentum, or with Nesterov the momentum that one more step with the
  /// same gradient would make (ema: beta m + (1 - beta) g; heavy ball: beta m + g). The momentum's rows are
  /// contiguous.
  void look_ahead(const BlockView<Scalar>& momentum, const BlockView<const Scalar>& gradient,
                  MatrixRef<Scalar> direction, bool nesterov) const {
    for_each_segment(gradient, [&](Index i, Index j, const auto& slope) {
      auto ahead = direction.row(i).segment(j, slope.size());
      ahead = next(segment_of(momentum, i, j, slope.size()), slope);
      if (nesterov) ahead = average(ahead, slope);
    });
  }

  /// momentum <- next momentum.
  void advance(const BlockView<Scalar>& momentum, const BlockView<const Scalar>& gradient) const {
    for_each_segment(gradient, [&](Index i, Index j, const auto& slope) {
      auto own = segment_of(momentum, i, j, slope.size());
      own = next(own, slope);
    });
  }

 private:
  static auto segment_of(const BlockView<Scalar>& momentum, Index i, Index j, Index size) {
    return Eigen::Map<Eigen::Matrix<Scalar, 1, Eigen::Dynamic>>(momentum.row(i) + j, size);
  }

  auto average(const auto& momentum, const auto& gradient) const {
    return keep_ * momentum + add_ * gradient;
  }

  Scalar keep_;
  Scalar add_;
};

}  // namespace symopt
