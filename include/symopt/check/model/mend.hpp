// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/place.hpp>
#include <symopt/stack/numbered_names.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The one change to a symmetry's list of followers that leaves the loss at a place as it is, as a sentence:
/// a parameter that follows, too, or along another axis, or not at all; parameters whose names differ only in
/// numbers change together. Says so where none does. Cost: a call of the loss for each change, 200 at most.
std::string mend_of(const AnyModel& model, const ModelSymmetry& symmetry, const std::vector<MovedAxis>& axes,
                    const Place& place, const WithMovedData& with_moved_data, const ModelElement& element);

#ifdef SYMOPT_CHECK_DEFINITIONS

/// Axes under one key: those of parameters whose names differ only in numbers.
struct AxisChange {
  std::string key;
  std::string how;
  std::vector<MovedAxis> axes;
};

/// "rows", "dual columns"
SYMOPT_CHECK_INLINE std::string how_moved(const MovedAxis& axis) {
  const bool is_usual = axis.is_dual == (axis.axis == Axis::columns);
  return (is_usual ? "" : "dual ") + std::string(to_string(axis.axis));
}

/// Adds an axis to the change of its key.
SYMOPT_CHECK_INLINE void gather(std::vector<AxisChange>& changes, const AnyModel& model,
                                const MovedAxis& axis) {
  const std::string how = how_moved(axis);
  const std::string key = symopt::detail::NumberedNames(model.name(axis.parameter)).key() + how;
  const auto known = std::find_if(changes.begin(), changes.end(),
                                  [&](const AxisChange& change) { return change.key == key; });
  if (known == changes.end()) {
    changes.push_back({key, how, {axis}});
  } else {
    known->axes.push_back(axis);
  }
}

/// The axes of parameters that could follow, too; of lines as long as the line that a translation adds.
SYMOPT_CHECK_INLINE std::vector<AxisChange> additions(const AnyModel& model, const ModelSymmetry& symmetry,
                                                      const std::vector<MovedAxis>& axes) {
  std::vector<AxisChange> changes;
  const bool is_translation = symmetry.source().is_translation();
  const Index columns = is_translation ? moved_axes(model, symmetry).front().columns() : 0;
  std::vector<Lines> arrangements{Lines{}};
  for (const MovedAxis& axis : axes)
    if (std::find(arrangements.begin(), arrangements.end(), axis.lines) == arrangements.end())
      arrangements.push_back(axis.lines);
  for (std::size_t p = 0; p < model.size(); ++p)
    for (const Axis which : {Axis::rows, Axis::columns, Axis::slices})
      for (const bool is_dual : {which == Axis::columns, which != Axis::columns})
        for (const Lines& lines : arrangements) {
          const MovedAxis axis =
              moved_axis(p, model.sizes(p), {Glob(""), which, is_dual, lines}, symmetry.source().size);
          const auto is_known = [&](const MovedAxis& known) { return known.overlaps(axis); };
          if (axis.inner == 0 || std::any_of(axes.begin(), axes.end(), is_known)) continue;
          if (is_translation && axis.columns() != columns) continue;
          gather(changes, model, axis);
        }
  return changes;
}

SYMOPT_CHECK_INLINE std::string names_of(const AnyModel& model, const std::vector<MovedAxis>& axes) {
  std::vector<std::string> names;
  names.reserve(axes.size());
  for (const MovedAxis& axis : axes) names.push_back(model.name(axis.parameter));
  return symopt::detail::listed(names);
}

SYMOPT_CHECK_INLINE std::string mend_of(const AnyModel& model, const ModelSymmetry& symmetry,
                                        const std::vector<MovedAxis>& axes, const Place& place,
                                        const WithMovedData& with_moved_data, const ModelElement& element) {
  constexpr int most = 200;
  int tried = 0;
  const auto holds = [&](const std::vector<MovedAxis>& changed) {
    if (changed.empty() || ++tried > most) return false;
    double loss = 0;
    const JointMotion motion(changed, element);
    with_moved_data([&] {
      model.set_weights(rounded_to(model.precision(), motion.on_weights(place.weights())));
      loss = model.loss(0);
    });
    const double unit = roundoff(model.precision()) * std::abs(place.loss());
    return tolerance.error(std::abs(loss - place.loss()), place.change_of_loss() + unit) <= 1;
  };
  const auto without = [&](const std::vector<MovedAxis>& removed) {
    std::vector<MovedAxis> rest;
    for (const MovedAxis& axis : axes)
      if (std::none_of(removed.begin(), removed.end(), [&](const MovedAxis& r) { return r.overlaps(axis); }))
        rest.push_back(axis);
    return rest;
  };
  const auto joined = [](std::vector<MovedAxis> a, const std::vector<MovedAxis>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };

  const std::string would = "the loss would stay as it is if ";
  for (const AxisChange& change : additions(model, symmetry, axes))
    if (holds(joined(axes, change.axes)))
      return would + names_of(model, change.axes) + " followed by " + change.how + ", too";
  std::vector<AxisChange> followers;
  for (const MovedAxis& axis : axes) gather(followers, model, axis);
  for (const AxisChange& follower : followers) {
    const std::vector<MovedAxis> rest = without(follower.axes);
    const std::string names = names_of(model, follower.axes);
    if (holds(rest)) return would + names + " did not follow by " + follower.how;
    for (const AxisChange& change : additions(model, symmetry, rest))
      if (names_of(model, change.axes) == names && change.how != follower.how &&
          holds(joined(rest, change.axes)))
        return would + names + " followed by " + change.how + " instead of " + follower.how;
  }
  return (tried > most ? "none of " + std::to_string(most) + " changes" : std::string("no one change")) +
         " of who follows leaves the loss as it is: a cap, a clamp, a bias, a gain or a tied weight may "
         "break it";
}
#endif

}}}  // namespace symopt::check::detail
