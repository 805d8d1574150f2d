// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/joint_motion.hpp>
#include <symopt/check/model/place.hpp>
#include <symopt/check/model/report.hpp>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// One training: the losses before every step and after the last, and the weights after those steps in which
/// they are compared. It ends early where a loss is no number.
struct Training {
  Tensors start;
  std::vector<double> losses;
  std::vector<Tensors> weights;
};

/// The steps after which weights are compared: 1, 2, 4, 16, 64, ..., and the last.
std::vector<int> steps_to_weigh(int steps);

/// Trainings by one optimizer: from W, and from starts one rounding away, which tell what rounding does to a
/// training; and twins from gW, which are compared with it.
class Trainings {
 public:
  Trainings(const AnyModel& model, const AnyModelOptimizer& optimizer, const Tensors& start, int steps,
            std::mt19937_64 engine);

  /// Trains the twin of an element, and compares. Where it parts, more trainings from starts one rounding
  /// away show whether rounding does the same: up to the step where it does, and on to the end if it then
  /// seems to part later.
  TwinReport twin(const JointMotion& motion, const WithMovedData& with_moved_data);

 private:
  static constexpr int first_draws = 2;  ///< of starts one rounding away, in every step

  struct Twin {
    const JointMotion& motion;
    Training training;
    std::vector<Training> nearby;  ///< from starts that are one rounding away
  };
  Training train(Tensors start, int steps) const;
  Training train_nearby(const Tensors& start, int steps);
  /// Tests whether the first steps of a new training from W are those that were made.
  bool repeats() const;
  TwinReport compare(const Twin& twin) const;
  void compare_losses(const Twin& twin, TwinReport& report) const;
  void compare_weights(const Twin& twin, TwinReport& report) const;
  std::vector<Outcome> weights_after(std::size_t weighing, const Twin& twin) const;

  const AnyModel& model_;
  const AnyModelOptimizer& optimizer_;
  int steps_;
  std::vector<int> weighed_;
  std::mt19937_64 engine_;
  Training plain_;
  bool is_repeatable_;
  std::vector<Training> nearby_;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE std::vector<int> steps_to_weigh(int steps) {
  std::vector<int> weighed;
  for (int step = 1; step < steps; step *= step < 4 ? 2 : 4) weighed.push_back(step);
  weighed.push_back(steps);
  return weighed;
}

SYMOPT_CHECK_INLINE Trainings::Trainings(const AnyModel& model, const AnyModelOptimizer& optimizer,
                                         const Tensors& start, int steps, std::mt19937_64 engine)
    : model_(model),
      optimizer_(optimizer),
      steps_(steps),
      weighed_(steps_to_weigh(steps)),
      engine_(engine),
      plain_(train(start, steps)),
      is_repeatable_(repeats()) {
  for (int k = 0; k < first_draws; ++k) nearby_.push_back(train_nearby(start, steps));
}

SYMOPT_CHECK_INLINE Training Trainings::train(Tensors start, int steps) const {
  Training training{.start = std::move(start), .losses = {}, .weights = {}};
  model_.set_weights(training.start);
  const std::function<void()> make_step = optimizer_.make();
  for (int step = 0;; ++step) {
    training.losses.push_back(model_.loss(step));
    if (step == steps || !symopt::detail::is_finite(training.losses.back())) return training;
    make_step();
    if (std::find(weighed_.begin(), weighed_.end(), step + 1) != weighed_.end())
      training.weights.push_back(model_.weights());
  }
}

SYMOPT_CHECK_INLINE Training Trainings::train_nearby(const Tensors& start, int steps) {
  return train(rounded_once(model_.precision(), start, engine_), steps);
}

SYMOPT_CHECK_INLINE bool Trainings::repeats() const {
  constexpr int first_steps = 2;
  const Training again = train(plain_.start, std::min(first_steps, steps_));
  if (again.losses.size() > plain_.losses.size()) return false;
  for (std::size_t t = 0; t < again.losses.size(); ++t) {
    const double loss = plain_.losses[t], other = again.losses[t];
    const bool are_numbers = symopt::detail::is_finite(loss) && symopt::detail::is_finite(other);
    if (are_numbers && !is_repeated(loss, other, model_.precision())) return false;
  }
  return true;
}

SYMOPT_CHECK_INLINE TwinReport Trainings::twin(const JointMotion& motion,
                                               const WithMovedData& with_moved_data) {
  Twin twin{motion, {}, {}};
  const Tensors start = rounded_to(model_.precision(), motion.on_weights(plain_.start));
  with_moved_data([&] { twin.training = train(start, steps_); });
  TwinReport report = compare(twin);
  constexpr int looks = 2, draws = 4;
  const auto last_found = [&] { return std::max(report.losses_part, report.weights_leave); };
  for (int look = 0, looked_at = 0; look < looks && last_found() > looked_at; ++look) {
    looked_at = look == 0 ? last_found() : steps_;  // what is found later yet asks for all steps
    const auto reaches = [looked_at](const Training& neighbour) {
      return neighbour.losses.size() > static_cast<std::size_t>(looked_at);
    };
    // Those for other elements serve this one, too.
    for (auto k = std::count_if(nearby_.begin(), nearby_.end(), reaches); k < first_draws + draws; ++k)
      nearby_.push_back(train_nearby(plain_.start, looked_at));
    with_moved_data([&] {
      for (int k = 0; k < draws; ++k) twin.nearby.push_back(train_nearby(start, looked_at));
    });
    report = compare(twin);
  }
  return report;
}

SYMOPT_CHECK_INLINE TwinReport Trainings::compare(const Twin& twin) const {
  TwinReport report{.optimizer = optimizer_.name, .losses = plain_.losses};
  const auto is_whole = [this](const Training& training) {
    return training.losses.size() == static_cast<std::size_t>(steps_) + 1 &&
           symopt::detail::is_finite(training.losses.back());
  };
  if (!is_whole(plain_) || !is_whole(twin.training)) {
    const Training& broken = is_whole(plain_) ? twin.training : plain_;
    report.verdict = Verdict::violated;
    report.reason = std::string("the loss ") + (is_whole(plain_) ? "of the twin " : "") +
                    "is not finite after step " + std::to_string(broken.losses.size() - 1);
    return report;
  }
  if (!is_repeatable_) {
    report.verdict = Verdict::violated;
    report.reason =
        "two trainings from one start differ: the loss or the optimizer has a state that outlasts one";
    return report;
  }
  if (plain_.weights.back() == plain_.start) {
    report.reason = "the optimizer never moves the weights";
    return report;
  }
  report.verdict = Verdict::holds;
  compare_losses(twin, report);
  compare_weights(twin, report);
  return report;
}

SYMOPT_CHECK_INLINE void Trainings::compare_losses(const Twin& twin, TwinReport& report) const {
  const double unit = roundoff(model_.precision());
  double change = 0, way = 0;
  int well_posed = 0, first_ill_posed = 0;
  for (std::size_t t = 0; t < plain_.losses.size(); ++t) {
    const double loss = plain_.losses[t];
    const auto raise = [&](const std::vector<Training>& nearby, double here) {
      for (const Training& neighbour : nearby)
        if (t < neighbour.losses.size()) change = std::max(change, std::abs(neighbour.losses[t] - here));
    };
    raise(nearby_, loss);
    raise(twin.nearby, twin.training.losses[t]);
    way = std::max(way, std::abs(loss - plain_.losses.front()));
    const double gap = std::abs(twin.training.losses[t] - loss);
    report.gaps.push_back(gap);
    report.rounding.push_back(change);
    report.trajectory_gap = std::max(report.trajectory_gap, gap);
    if (t == 0) continue;
    const Outcome outcome = outcome_of(gap, way, change, 0);
    const bool is_too_far = !(tolerance.error(gap, change + unit * std::abs(loss)) <= 1);
    if (outcome.is_ill_posed) {
      if (first_ill_posed == 0) first_ill_posed = static_cast<int>(t);
    } else {
      ++well_posed;
      if (is_too_far && report.losses_part == 0) report.losses_part = static_cast<int>(t);
    }
  }
  if (report.losses_part > 0) {
    report.verdict = Verdict::violated;
    report.reason = "the losses part after step " + std::to_string(report.losses_part);
  } else if (2 * well_posed < steps_) {
    report.verdict = Verdict::inconclusive;
    report.reason = "rounding alone decides the losses after step " + std::to_string(first_ill_posed) +
                    (model_.precision() == Precision::in_float ? "; train in double, or fewer steps"
                                                               : "; train fewer steps");
  }
}

SYMOPT_CHECK_INLINE std::vector<Outcome> Trainings::weights_after(std::size_t weighing,
                                                                  const Twin& twin) const {
  const Tensors& actual = twin.training.weights[weighing];
  const Tensors expected = twin.motion.on_weights(plain_.weights[weighing]);
  std::vector<double> changes(actual.size(), 0);
  const auto raise = [&](const Tensors& neighbour, const Tensors& here) {
    for (std::size_t p = 0; p < changes.size(); ++p)
      changes[p] = std::max(changes[p], distance(neighbour[p], here[p]));
  };
  for (const Training& neighbour : nearby_) {
    if (weighing >= neighbour.weights.size()) continue;
    if (twin.motion.element().is_isometric()) {
      raise(neighbour.weights[weighing], plain_.weights[weighing]);
    } else {
      raise(twin.motion.on_weights(neighbour.weights[weighing]), expected);
    }
  }
  for (const Training& neighbour : twin.nearby)
    if (weighing < neighbour.weights.size()) raise(neighbour.weights[weighing], actual);

  std::vector<Outcome> outcomes;
  for (std::size_t p = 0; p < actual.size(); ++p) {
    const double way = std::max(distance(plain_.weights[weighing][p], plain_.start[p]),
                                distance(actual[p], twin.training.start[p]));
    const double rounding = 2 * roundoff(model_.precision()) * std::max(norm(actual[p]), norm(expected[p]));
    const double violation = distance(actual[p], expected[p]);
    Outcome outcome;
    outcome.is_finite = is_finite(actual[p]) && is_finite(expected[p]);
    outcome.relative = violation == 0 ? 0 : violation / std::max(way, rounding);
    outcome.error = tolerance.error(violation, changes[p] + rounding);
    outcome.is_ill_posed = tolerance.is_ill_posed(std::max(0.0, changes[p] - rounding), way);
    outcomes.push_back(outcome);
  }
  return outcomes;
}

SYMOPT_CHECK_INLINE void Trainings::compare_weights(const Twin& twin, TwinReport& report) const {
  for (std::size_t weighing = 0; weighing < weighed_.size() && report.left_first.empty(); ++weighing) {
    report.left_first = violations(model_, weights_after(weighing, twin));
    if (report.left_first.empty()) continue;
    report.weights_leave = weighed_[weighing];
    report.reason =
        names_text(report.left_first) +
        (report.left_first.size() == 1 ? " leaves its twin by step " : " leave their twins by step ") +
        std::to_string(report.weights_leave) + ", off by " +
        short_number(report.left_first.front().relative) + " of the way trained; " +
        (report.losses_part > 0 ? report.reason : "the losses do not show it");
    report.verdict = Verdict::violated;
  }
}
#endif

}}}  // namespace symopt::check::detail
