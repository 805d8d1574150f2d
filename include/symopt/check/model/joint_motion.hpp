// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/any_model.hpp>
#include <symopt/check/model/symmetry.hpp>
#include <symopt/stack/edit_distance.hpp>
#include <symopt/stack/name_hints.hpp>

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// A parameter that an element moves along an axis. In the order of a row-major tensor this is an array
/// [outer, length, inner], and a part of the length is [copies, size, block].
struct MovedAxis {
  std::size_t parameter;
  Axis axis;
  bool is_dual;
  Lines lines;
  Index size;              ///< of the space
  Index outer, inner = 0;  ///< entries of the axes before and after; 0 where the axis does not fit

  Index moving() const { return lines.copies * size * lines.block; }
  Index length() const { return lines.before + moving() + lines.after; }
  /// Entries for each coordinate.
  Index columns() const { return outer * lines.copies * lines.block * inner; }
  bool overlaps(const MovedAxis& other) const {
    return parameter == other.parameter && axis == other.axis &&
           lines.before < other.lines.before + other.moving() && other.lines.before < lines.before + moving();
  }
};

constexpr const char* to_string(Axis axis) {
  return axis == Axis::slices ? "slices" : axis == Axis::rows ? "rows" : "columns";
}

/// The axis of a tensor of these sizes as one that an element of that size moves.
MovedAxis moved_axis(std::size_t parameter, const std::vector<Index>& sizes, const Follower& follower,
                     Index size);

/// The axes of all parameters that follow. Errors: Error for a symmetry without elements or followers, for
/// names that no parameter has, an axis that is named twice, and one that does not hold the coordinates.
std::vector<MovedAxis> moved_axes(const AnyModel& model, const ModelSymmetry& symmetry);

/// One element, and all parameters that follow it.
class JointMotion {
 public:
  JointMotion(std::vector<MovedAxis> axes, ModelElement element)
      : axes_(std::move(axes)), element_(std::move(element)) {}

  const ModelElement& element() const { return element_; }
  const std::vector<MovedAxis>& axes() const { return axes_; }

  /// All weights, and all gradients, as they have to be after the move; computed in Wide and rounded once.
  ///@{
  Tensors on_weights(Tensors weights) const {
    return moved(std::move(weights), [this](const WideMatrix& block, bool is_dual) {
      return element_.on_weights(block, is_dual);
    });
  }
  Tensors on_gradients(Tensors gradients) const {
    return moved(std::move(gradients), [this](const WideMatrix& block, bool is_dual) {
      return element_.on_gradient(block, is_dual);
    });
  }
  ///@}

 private:
  using Act = std::function<WideMatrix(const WideMatrix& block, bool is_dual)>;
  Tensors moved(Tensors tensors, const Act& act) const;

  std::vector<MovedAxis> axes_;
  ModelElement element_;
};

/// Runs what it is given while the data are those that an element moved.
using WithMovedData = std::function<void(const std::function<void()>& run)>;

/// An element for these axes.
ModelElement drawn_element(const ModelSymmetry& symmetry, const std::vector<MovedAxis>& axes,
                           std::mt19937_64& engine);

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE MovedAxis moved_axis(std::size_t parameter, const std::vector<Index>& sizes,
                                         const Follower& follower, Index size) {
  const std::size_t count = sizes.size();
  std::size_t d = 0;  // a vector's one axis
  if (count > 1) d = follower.axis == Axis::slices ? 0 : follower.axis == Axis::rows ? count - 2 : count - 1;
  MovedAxis moved{parameter, follower.axis, follower.is_dual, follower.lines, size, 1, 0};
  const Lines& lines = follower.lines;
  const bool has_axis = count > (follower.axis == Axis::slices ? 2U : 0U);
  const bool are_counts =
      size > 0 && lines.copies > 0 && lines.block > 0 && lines.before >= 0 && lines.after >= 0;
  if (!has_axis || !are_counts || sizes[d] != moved.length()) return moved;
  moved.inner = 1;
  for (std::size_t k = 0; k < count; ++k)
    if (k != d) (k < d ? moved.outer : moved.inner) *= sizes[k];
  return moved;
}

/// "64 lines, for 16 coordinates in 4 copies"
SYMOPT_CHECK_INLINE std::string wanted_lines(const Lines& lines, Index size) {
  const Index moving = lines.copies * size * lines.block;
  std::string text = std::to_string(lines.before + moving + lines.after) + " lines, for " +
                     std::to_string(size) + " coordinates";
  if (lines.copies != 1) text += " in " + std::to_string(lines.copies) + " copies";
  if (lines.block != 1) text += " of " + std::to_string(lines.block) + " lines each";
  if (lines.before + lines.after != 0)
    text += " and " + std::to_string(lines.before + lines.after) + " beside them";
  return text;
}

[[noreturn]] SYMOPT_CHECK_INLINE void refuse_axis(const AnyModel& model, const ModelSymmetry& symmetry,
                                                  std::size_t parameter, const Follower& follower) {
  std::string shape;
  for (const Index size : model.sizes(parameter)) shape += (shape.empty() ? "" : "x") + std::to_string(size);
  std::string text = "cannot follow the symmetry '" + symmetry.name() + "' by its " +
                     to_string(follower.axis) + ", which have to be " +
                     wanted_lines(follower.lines, symmetry.source().size);
  if (follower.axis == Axis::slices && model.sizes(parameter).size() < 3)
    text += "; slices are those of a tensor of three dimensions or more";
  throw Error(text + "; name the other axis, another size, or say with Lines how the coordinates lie",
              model.name(parameter), shape);
}

[[noreturn]] SYMOPT_CHECK_INLINE void refuse_names(const AnyModel& model, const ModelSymmetry& symmetry,
                                                   const Glob& names) {
  std::vector<std::string> all;
  std::string nearest;
  for (std::size_t p = 0; p < model.size(); ++p) {
    all.push_back(model.name(p));
    if (nearest.empty() || symopt::detail::edit_distance(model.name(p), names.text()) <
                               symopt::detail::edit_distance(nearest, names.text()))
      nearest = model.name(p);
  }
  throw Error("the symmetry '" + symmetry.name() + "' names '" + names.text() +
              "', and the model has no such parameter; the nearest name is '" + nearest + "' among" +
              symopt::detail::first_lines(all, "\n  "));
}

SYMOPT_CHECK_INLINE std::vector<MovedAxis> moved_axes(const AnyModel& model, const ModelSymmetry& symmetry) {
  const ElementSource& source = symmetry.source();
  symopt::detail::require(bool(source.draw), [&] {
    return "the symmetry '" + symmetry.name() +
           "' has no elements; say by<Orthogonal>(width), by<Permutation>(count), or the like";
  });
  symopt::detail::require(source.size > 0 && !symmetry.followers().empty(), [&] {
    return "the symmetry '" + symmetry.name() +
           "' moves nothing; name its rows and columns, and a size of one or more";
  });
  std::vector<MovedAxis> axes;
  for (const Follower& follower : symmetry.followers()) {
    bool is_used = false;
    for (std::size_t p = 0; p < model.size(); ++p) {
      if (!follower.names.matches(model.name(p))) continue;
      is_used = true;
      const MovedAxis axis = moved_axis(p, model.sizes(p), follower, source.size);
      if (axis.inner == 0) refuse_axis(model, symmetry, p, follower);
      for (const MovedAxis& known : axes)
        symopt::detail::require(!known.overlaps(axis), {model.name(p)}, [&] {
          return "follows the symmetry '" + symmetry.name() + "' twice by its " + to_string(axis.axis) +
                 "; name it once";
        });
      axes.push_back(axis);
      symopt::detail::require(
          !source.is_translation() || axis.columns() == axes.front().columns(), {model.name(p)}, [&] {
            return "has lines of another length than '" + model.name(axes.front().parameter) +
                   "', and the symmetry '" + symmetry.name() + "' adds one line to all of both; make it two";
          });
    }
    if (!is_used) refuse_names(model, symmetry, follower.names);
  }
  return axes;
}

SYMOPT_CHECK_INLINE ModelElement drawn_element(const ModelSymmetry& symmetry,
                                               const std::vector<MovedAxis>& axes, std::mt19937_64& engine) {
  const ElementSource& source = symmetry.source();
  const Shape shape{source.size, source.is_translation() ? axes.front().columns() : 1};
  return {source.size, source.draw(shape, engine), source.kind};
}

SYMOPT_CHECK_INLINE Tensors JointMotion::moved(Tensors tensors, const Act& act) const {
  std::vector<WideMatrix> wide(tensors.size());  // of those that move: [1, entries]
  for (const MovedAxis& axis : axes_) {
    const std::vector<double>& entries = tensors[axis.parameter];
    WideMatrix& whole = wide[axis.parameter];
    if (whole.size() == 0) {
      whole.resize(1, static_cast<Index>(entries.size()));
      for (std::size_t k = 0; k < entries.size(); ++k) whole.data()[k] = static_cast<Wide>(entries[k]);
    }
    WideMatrix lines(axis.size, axis.columns());
    const Index copies = axis.lines.copies, inner = axis.lines.block * axis.inner;
    const auto exchange = [&](const auto& copy) {
      for (Index o = 0; o < axis.outer * copies; ++o) {
        const Index copy_of_space = o % copies;
        const Index begin =
            (o / copies * axis.length() + axis.lines.before) * axis.inner + copy_of_space * axis.size * inner;
        for (Index i = 0; i < axis.size; ++i)
          for (Index k = 0; k < inner; ++k)
            copy(whole.data()[begin + i * inner + k], lines(i, o * inner + k));
      }
    };
    exchange([](Wide& entry, Wide& of_line) { of_line = entry; });
    lines = act(lines, axis.is_dual);
    exchange([](Wide& entry, Wide& of_line) { entry = of_line; });
  }
  for (std::size_t p = 0; p < tensors.size(); ++p)
    for (Index k = 0; k < wide[p].size(); ++k)
      tensors[p][static_cast<std::size_t>(k)] = static_cast<double>(wide[p].data()[k]);
  return tensors;
}
#endif

}}}  // namespace symopt::check::detail
