// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/joint_motion.hpp>
#include <symopt/check/model/report.hpp>
#include <symopt/check/outcome.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// Weights at which a model is looked at: loss and gradients there, and at weights nearby, one rounding away,
/// which tell what rounding does to the model.
class Place {
 public:
  Place(const AnyModel& model, std::string name, Tensors weights)
      : model_(&model), name_(std::move(name)), weights_(std::move(weights)), value_(model.at(weights_)) {}

  const std::string& name() const { return name_; }
  const Tensors& weights() const { return weights_; }
  double loss() const { return value_.loss; }
  const Tensors& gradients() const { return value_.gradients; }
  /// Tests whether loss and gradients are numbers, here and nearby.
  bool is_finite() const;

  /// Looks at so many more weights nearby.
  void look_around(int draws, std::mt19937_64& engine) {
    for (int k = 0; k < draws; ++k)
      nearby_.push_back(model_->at(rounded_once(model_->precision(), weights_, engine)));
  }
  /// The largest change of the loss nearby.
  double change_of_loss() const;
  /// The largest change of a parameter's gradient nearby, after a motion of all gradients.
  std::vector<double> changes_of_gradients(const JointMotion* motion) const;

 private:
  const AnyModel* model_;
  std::string name_;
  Tensors weights_;
  LossAndGradients value_;
  std::vector<LossAndGradients> nearby_;
};

/// Tests whether two calls on the same gave the same loss: sums may be in another order.
inline bool is_repeated(double loss, double other, Precision precision) {
  return tolerance.error(std::abs(loss - other), roundoff(precision) * std::abs(loss)) <= 1;
}

/// The outcomes of one element at one place.
struct PlaceComparison {
  Outcome loss;
  std::vector<Outcome> gradients;  ///< of each parameter
  bool has_moved = false;          ///< weights, or data
  bool has_slope = false;          ///< some gradient of a parameter that moves is not zero

  bool is_violation() const {
    return loss.is_violation() ||
           std::any_of(gradients.begin(), gradients.end(), [](const Outcome& o) { return o.is_violation(); });
  }
};

/// The loss and the gradients at gW against those at W. The data have been moved.
PlaceComparison compare(const Place& still, const Place& moved, const JointMotion& motion,
                        Precision precision, bool moves_data);

/// The parameters with an outcome that is a violation, those that are furthest off first.
std::vector<ParameterGap> violations(const AnyModel& model, const std::vector<Outcome>& outcomes);

/// Weights in general position near those: each entry displaced by a share of the size that entries of its
/// tensor have, or would have in a linear layer where all are zero.
Tensors in_general_position(const AnyModel& model, const Tensors& weights, std::mt19937_64& engine);

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE bool Place::is_finite() const {
  const auto are_numbers = [](const LossAndGradients& value) {
    return symopt::detail::is_finite(value.loss) &&
           std::all_of(value.gradients.begin(), value.gradients.end(),
                       [](const std::vector<double>& entries) { return detail::is_finite(entries); });
  };
  return are_numbers(value_) && std::all_of(nearby_.begin(), nearby_.end(), are_numbers);
}

SYMOPT_CHECK_INLINE double Place::change_of_loss() const {
  double change = 0;
  for (const LossAndGradients& neighbour : nearby_)
    change = std::max(change, std::abs(neighbour.loss - value_.loss));
  return change;
}

SYMOPT_CHECK_INLINE std::vector<double> Place::changes_of_gradients(const JointMotion* motion) const {
  const Tensors here = motion != nullptr ? motion->on_gradients(value_.gradients) : value_.gradients;
  std::vector<double> changes(here.size(), 0);
  for (const LossAndGradients& neighbour : nearby_) {
    const Tensors there = motion != nullptr ? motion->on_gradients(neighbour.gradients) : neighbour.gradients;
    for (std::size_t p = 0; p < here.size(); ++p)
      changes[p] = std::max(changes[p], distance(there[p], here[p]));
  }
  return changes;
}

SYMOPT_CHECK_INLINE PlaceComparison compare(const Place& still, const Place& moved, const JointMotion& motion,
                                            Precision precision, bool moves_data) {
  PlaceComparison result;
  const double unit = roundoff(precision);
  result.has_moved = moves_data || still.weights() != moved.weights();
  result.loss = outcome_of(std::abs(moved.loss() - still.loss()),
                           std::max(std::abs(moved.loss()), std::abs(still.loss())),
                           std::max(still.change_of_loss(), moved.change_of_loss()), unit);
  result.loss.is_finite = still.is_finite() && moved.is_finite();
  if (!result.loss.is_finite) return result;

  const Tensors expected = motion.on_gradients(still.gradients());
  const bool keeps_lengths = motion.element().is_isometric();
  const std::vector<double> changes = still.changes_of_gradients(keeps_lengths ? nullptr : &motion);
  const std::vector<double> moved_changes = moved.changes_of_gradients(nullptr);
  for (std::size_t p = 0; p < expected.size(); ++p) {
    const double size = std::max(norm(expected[p]), norm(moved.gradients()[p]));
    result.gradients.push_back(outcome_of(distance(moved.gradients()[p], expected[p]), size,
                                          std::max(changes[p], moved_changes[p]), unit));
  }
  for (const MovedAxis& axis : motion.axes())
    result.has_slope = result.has_slope || norm(still.gradients()[axis.parameter]) > 0;
  return result;
}

SYMOPT_CHECK_INLINE std::vector<ParameterGap> violations(const AnyModel& model,
                                                         const std::vector<Outcome>& outcomes) {
  std::vector<ParameterGap> gaps;
  for (std::size_t p = 0; p < outcomes.size(); ++p)
    if (outcomes[p].is_violation()) gaps.push_back({model.name(p), outcomes[p].relative, outcomes[p].error});
  std::stable_sort(gaps.begin(), gaps.end(),
                   [](const ParameterGap& a, const ParameterGap& b) { return a.relative > b.relative; });
  return gaps;
}

SYMOPT_CHECK_INLINE Tensors in_general_position(const AnyModel& model, const Tensors& weights,
                                                std::mt19937_64& engine) {
  constexpr double share = 0.25;
  Tensors result = weights;
  for (std::size_t p = 0; p < result.size(); ++p) {
    std::vector<double>& entries = result[p];
    if (entries.empty()) continue;
    const double size = norm(entries) / std::sqrt(static_cast<double>(entries.size()));
    const double scale = size > 0 ? size : 1 / std::sqrt(static_cast<double>(model.sizes(p).back()));
    for (double& entry : entries) entry += share * scale * symopt::detail::standard_normal(engine);
  }
  return rounded_to(model.precision(), std::move(result));
}
#endif

}}}  // namespace symopt::check::detail
