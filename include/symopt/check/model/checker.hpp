// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/mend.hpp>
#include <symopt/check/model/training.hpp>
#include <symopt/check/options.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The options of a check of a whole model.
struct ModelOptions {
  std::uint64_t seed = default_seed();  ///< of all random numbers
  int steps = 20;                       ///< of each training
  int elements = 2;  ///< random elements of each symmetry for loss and gradients; the first moves the twins
};

namespace detail {

/// Errors: Error for symmetries that do not fit the model, before anything is computed.
ModelReport check_model(const AnyModel& model, const std::vector<ModelSymmetry>& symmetries,
                        const std::vector<AnyModelOptimizer>& optimizers, const ModelOptions& options);

#ifdef SYMOPT_CHECK_DEFINITIONS

/// Puts the weights of a model back.
class KeptModelWeights {
 public:
  explicit KeptModelWeights(const AnyModel& model) : model_(model), weights_(model.weights()) {}
  KeptModelWeights(const KeptModelWeights&) = delete;
  KeptModelWeights& operator=(const KeptModelWeights&) = delete;
  ~KeptModelWeights() { model_.set_weights(weights_); }

  const Tensors& weights() const { return weights_; }

 private:
  const AnyModel& model_;
  Tensors weights_;
};

/// The run of check_model.
class ModelChecker {
 public:
  ModelChecker(const AnyModel& model, const std::vector<ModelSymmetry>& symmetries,
               const std::vector<AnyModelOptimizer>& optimizers, const ModelOptions& options)
      : model_(model), symmetries_(symmetries), options_(options), kept_(model) {
    for (const ModelSymmetry& symmetry : symmetries) axes_.push_back(moved_axes(model, symmetry));
    for (const ModelSymmetry& symmetry : symmetries) leave_data(symmetry);
    look_at_places();
    if (report_.reason.empty())
      for (const AnyModelOptimizer& optimizer : optimizers)
        trainings_.emplace_back(model, optimizer, kept_.weights(), options.steps,
                                engine_for(options.seed, "trainings"));
  }

  ModelReport run() && {
    report_.precision = to_string(model_.precision());
    report_.parameters = model_.size();
    for (std::size_t p = 0; p < model_.size(); ++p) report_.numbers += element_count(model_.sizes(p));
    report_.steps = options_.steps;
    report_.seed = options_.seed;
    const bool is_checkable = report_.reason.empty();
    if (symmetries_.empty()) report_.reason = "no symmetry was given";
    for (std::size_t s = 0; s < symmetries_.size(); ++s) {
      SymmetryReport symmetry{.name = symmetries_[s].name(), .group = group_text(s)};
      if (is_checkable) {
        check(s, symmetry);
      } else {
        symmetry.verdict = report_.verdict;
        symmetry.reason = report_.reason;
      }
      if (s == 0 || graver(symmetry.verdict, report_.verdict) != report_.verdict) {
        report_.verdict = symmetry.verdict;
        if (!symmetry.reason.empty()) report_.reason = symmetry.name + ": " + symmetry.reason;
      }
      report_.symmetries.push_back(std::move(symmetry));
    }
    return std::move(report_);
  }

 private:
  static constexpr int draws = 4, more_draws = 12;

  static void leave_data(const ModelSymmetry& symmetry) {
    if (symmetry.data_motion()) symmetry.data_motion()(unit_element(symmetry.source().size));
  }
  static WithMovedData moving_data(const ModelSymmetry& symmetry, const ModelElement& element) {
    return [&symmetry, element](const std::function<void()>& run) {
      if (symmetry.data_motion()) symmetry.data_motion()(element);
      try {
        run();
      } catch (...) {
        leave_data(symmetry);
        throw;
      }
      leave_data(symmetry);
    };
  }

  std::string group_text(std::size_t s) const {
    std::vector<std::size_t> followers;
    for (const MovedAxis& axis : axes_[s])
      if (std::find(followers.begin(), followers.end(), axis.parameter) == followers.end())
        followers.push_back(axis.parameter);
    return symmetries_[s].source().name + " on " + std::to_string(symmetries_[s].source().size) +
           " coordinates of " + std::to_string(followers.size()) +
           (followers.size() == 1 ? " parameter" : " parameters");
  }

  /// The given weights, and others in general position beside them: zeros, equal gains and the like hide what
  /// a symmetry leaves out. Says so where the loss is no function of the weights.
  void look_at_places() {
    std::mt19937_64 engine = engine_for(options_.seed, "places");
    look_at("at these weights", kept_.weights(), engine);
    if (report_.reason.empty())
      look_at("at weights in general position", in_general_position(model_, kept_.weights(), engine), engine);
    if (!report_.reason.empty()) report_.verdict = Verdict::violated;
  }

  /// Calls twice in a row, and once more when other weights have been seen.
  void look_at(const char* name, Tensors weights, std::mt19937_64& engine) {
    Place& place = places_.emplace_back(model_, name, std::move(weights));
    const LossAndGradients at_once = model_.at(place.weights());
    place.look_around(draws, engine);
    const LossAndGradients later = model_.at(place.weights());
    if (!place.is_finite() || !symopt::detail::is_finite(at_once.loss) ||
        !symopt::detail::is_finite(later.loss)) {
      report_.reason = "loss or gradients are not finite " + place.name();
      return;
    }
    for (const LossAndGradients* again : {&at_once, &later})
      for (std::size_t p = 0; p < model_.size(); ++p) {
        const double gap = distance(again->gradients[p], place.gradients()[p]);
        // Sums may be in another order, but that decides nothing.
        if (!tolerance.is_ill_posed(gap, norm(place.gradients()[p]))) continue;
        report_.reason = "the gradients are not a function of the weights: two calls gave gradients of " +
                         model_.name(p) + " that differ by " + short_number(gap) + ", of length " +
                         short_number(norm(place.gradients()[p])) +
                         "; are they set to zero before each backward pass?";
      }
    for (const LossAndGradients* again : {&at_once, &later})
      if (!is_repeated(place.loss(), again->loss, model_.precision()))
        report_.reason = "the loss is not a function of its weights: two calls gave " +
                         short_number(place.loss()) + " and " + short_number(again->loss) +
                         ", which differ by " + short_number(std::abs(again->loss - place.loss()));
  }

  void check(std::size_t s, SymmetryReport& report) {
    const ModelSymmetry& symmetry = symmetries_[s];
    std::mt19937_64 engine = engine_for(options_.seed, "elements of " + symmetry.name());
    std::vector<ModelElement> elements;
    for (int k = 0; k < std::max(1, options_.elements); ++k) elements.push_back(moving_element(s, engine));
    check_loss(s, elements, engine, report);
    if (report.verdict == Verdict::violated || report.verdict == Verdict::vacuous) return;
    const JointMotion motion(axes_[s], elements.front());
    for (Trainings& trainings : trainings_) {
      report.trainings.push_back(trainings.twin(motion, moving_data(symmetry, elements.front())));
      const TwinReport& twins = report.trainings.back();
      report.trajectory_gap = std::max(report.trajectory_gap, twins.trajectory_gap);
      if (graver(twins.verdict, report.verdict) == report.verdict) continue;
      report.verdict = twins.verdict;
      report.reason = twins.optimizer + ": " + twins.reason;
    }
  }

  /// Tests whether an element moves weights in general position.
  bool moves(std::size_t s, const ModelElement& element) const {
    const Tensors& weights = places_.back().weights();
    return JointMotion(axes_[s], element).on_weights(weights) != weights;
  }
  /// A random element that moves something, if there is one: the order that is drawn for two or three neurons
  /// is often the one that they have.
  ModelElement moving_element(std::size_t s, std::mt19937_64& engine) const {
    constexpr int most_draws = 64;
    ModelElement element = drawn_element(symmetries_[s], axes_[s], engine);
    for (int k = 1; k < most_draws && !moves(s, element); ++k)
      element = drawn_element(symmetries_[s], axes_[s], engine);
    return element;
  }

  /// Loss and gradients, at all places under all elements.
  void check_loss(std::size_t s, const std::vector<ModelElement>& elements, std::mt19937_64& engine,
                  SymmetryReport& report) {
    int tried = 0, ill_posed = 0;
    bool has_moved = false, has_slope = false;
    for (Place& place : places_)
      for (const ModelElement& element : elements) {
        const JointMotion motion(axes_[s], element);
        const PlaceComparison comparison =
            compare_at(place, motion, symmetries_[s], moves(s, element), engine);
        has_moved = has_moved || comparison.has_moved;
        has_slope = has_slope || comparison.has_slope;
        tried += comparison.has_moved ? 1 : 0;
        ill_posed += comparison.has_moved && comparison.loss.is_ill_posed ? 1 : 0;
        if (!comparison.loss.is_ill_posed)
          report.loss_changes = std::max(report.loss_changes, comparison.loss.relative);
        for (const Outcome& outcome : comparison.gradients)
          if (!outcome.is_ill_posed)
            report.gradient_error = std::max(report.gradient_error, outcome.relative);
        if (!comparison.is_violation()) continue;
        blame(s, place, element, comparison, report);
        return;
      }
    if (!has_moved) {
      report.verdict = Verdict::vacuous;
      report.reason = "no element moved weights or data";
    } else if (!has_slope) {
      report.verdict = Verdict::vacuous;
      report.reason = "the loss does not depend on what moves: all gradients there are zero";
    } else if (2 * ill_posed > tried) {
      report.verdict = Verdict::inconclusive;
      report.reason = "rounding alone decides the loss";
    } else {
      report.verdict = Verdict::holds;
    }
  }

  PlaceComparison compare_at(Place& place, const JointMotion& motion, const ModelSymmetry& symmetry,
                             bool moves, std::mt19937_64& engine) {
    const WithMovedData with_moved_data = moving_data(symmetry, motion.element());
    const bool moves_data = moves && symmetry.data_motion();
    std::optional<Place> moved;
    with_moved_data([&] {
      moved.emplace(model_, place.name(), rounded_to(model_.precision(), motion.on_weights(place.weights())));
      moved->look_around(draws, engine);
    });
    PlaceComparison comparison = compare(place, *moved, motion, model_.precision(), moves_data);
    if (!comparison.is_violation()) return comparison;
    with_moved_data([&] { moved->look_around(more_draws, engine); });
    place.look_around(more_draws, engine);
    return compare(place, *moved, motion, model_.precision(), moves_data);
  }

  void blame(std::size_t s, const Place& place, const ModelElement& element,
             const PlaceComparison& comparison, SymmetryReport& report) {
    report.verdict = Verdict::violated;
    report.gradients = violations(model_, comparison.gradients);
    if (!comparison.loss.is_finite) {
      report.reason = "loss or gradients are not finite after the move, " + place.name();
      return;
    }
    const std::string off = report.gradients.empty()
                                ? std::string("no gradient is off")
                                : "off are the gradients of " + names_text(report.gradients) + ", by " +
                                      short_number(report.gradients.front().relative) + " at most";
    report.reason =
        comparison.loss.is_violation()
            ? "no symmetry of this model: the loss changes by " + short_number(comparison.loss.relative) +
                  " of itself " + place.name() + "; " + off
            : "the gradients are not the moved ones " + place.name() + ", though the loss stays; " + off;
    // In general position a missing block shows in the loss.
    report.mend = mend_of(model_, symmetries_[s], axes_[s], places_.back(),
                          moving_data(symmetries_[s], element), element);
  }

  const AnyModel& model_;
  const std::vector<ModelSymmetry>& symmetries_;
  const ModelOptions& options_;
  KeptModelWeights kept_;
  std::vector<std::vector<MovedAxis>> axes_;
  std::vector<Place> places_;
  std::vector<Trainings> trainings_;
  ModelReport report_;
};

SYMOPT_CHECK_INLINE ModelReport check_model(const AnyModel& model,
                                            const std::vector<ModelSymmetry>& symmetries,
                                            const std::vector<AnyModelOptimizer>& optimizers,
                                            const ModelOptions& options) {
  symopt::detail::require(options.steps > 0, "ModelOptions::steps is not positive; train one step or more");
  return ModelChecker(model, symmetries, optimizers, options).run();
}
#endif

}  // namespace detail

}}}  // namespace symopt::check
