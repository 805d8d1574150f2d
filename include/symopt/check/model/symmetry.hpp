// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/element.hpp>
#include <symopt/stack/glob.hpp>

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// How the coordinates of a space lie along an axis of a tensor: `copies` spaces one after the other, each
/// coordinate a block of `block` lines, with lines before and after that do not move. The axis has before +
/// copies x size x block + after lines.
///   {}                     the axis is the space
///   {.block = head_size}   the space has a coordinate for each head, of so many lines
///   {.copies = heads}      one space for each head, all moved alike; gate above up: two
///   {.before = neurons}    of gate above up, up alone
struct Lines {
  Index copies = 1;  ///< of the space along the axis
  Index block = 1;   ///< lines of each coordinate
  Index before = 0;  ///< lines of the axis that do not move, before those that do
  Index after = 0;   ///< and after them

  friend bool operator==(const Lines&, const Lines&) = default;
};

/// The axes of a tensor that elements move: of one with more than two dimensions the first, the last but one,
/// the last. The one axis of a vector is its rows and its columns.
enum class Axis { slices, rows, columns };

namespace detail {

/// Parameters by name that follow the element along an axis.
struct Follower {
  Glob names;
  Axis axis;
  bool is_dual;  ///< by g^-T
  Lines lines;
};

/// An algebra with elements to draw.
template <class A>
concept DrawsInvertible = requires(std::mt19937_64& engine) {
  { A::template random<Wide>(Index{}, 1.0, engine) } -> std::same_as<algebra::Invertible<Wide>>;
};

}  // namespace detail

/// A symmetry of a whole model: one element g that moves several parameters at once, and perhaps the data, so
/// that the loss stays as it is. Who follows is said by names or patterns (see Glob), and how by the axis:
///   rows          W -> g W       what writes to the space: W x is a vector of it
///   columns       W -> W g^-1    what reads from it
///   dual_rows     W -> g^-T W    what is multiplied by vectors of it: keys by queries
///   dual_columns  W -> W g^T     a list of vectors of it: an embedding
///   slices        the slices of a tensor along its first axis are the coordinates
/// For rotations, permutations, signs and shifts the dual is no different, and rows and columns are all that
/// is needed. The rotation of a residual stream, whose norms have no gains:
///   symmetry("residual rotation").columns("embedding", "layers.*.{q,k,v}", "head").rows("layers.*.o")
///       .by<Orthogonal>(width)
/// The gauge of value and output in all of 8 heads, by invertible matrices:
///   symmetry("value-output").rows(Lines{.copies = 8}, "*.v").columns(Lines{.copies = 8}, "*.o")
///       .by<algebra::Full>(head_size)
class ModelSymmetry {
 public:
  /// A symmetry that moves nothing yet; see symmetry().
  explicit ModelSymmetry(std::string name) : name_(std::move(name)) {}

  /// Names or patterns of parameters that follow along an axis whose lines are the coordinates, or lie as the
  /// first argument says. A parameter may follow along several axes, and each of its lines once.
  ///@{
  ModelSymmetry& rows(const std::convertible_to<Glob> auto&... names) { return rows(Lines{}, names...); }
  ModelSymmetry& rows(Lines lines, const std::convertible_to<Glob> auto&... names) {
    return follow(Axis::rows, false, lines, names...);
  }
  ModelSymmetry& columns(const std::convertible_to<Glob> auto&... names) {
    return columns(Lines{}, names...);
  }
  ModelSymmetry& columns(Lines lines, const std::convertible_to<Glob> auto&... names) {
    return follow(Axis::columns, true, lines, names...);
  }
  ModelSymmetry& dual_rows(const std::convertible_to<Glob> auto&... names) {
    return dual_rows(Lines{}, names...);
  }
  ModelSymmetry& dual_rows(Lines lines, const std::convertible_to<Glob> auto&... names) {
    return follow(Axis::rows, true, lines, names...);
  }
  ModelSymmetry& dual_columns(const std::convertible_to<Glob> auto&... names) {
    return dual_columns(Lines{}, names...);
  }
  ModelSymmetry& dual_columns(Lines lines, const std::convertible_to<Glob> auto&... names) {
    return follow(Axis::columns, false, lines, names...);
  }
  ModelSymmetry& slices(const std::convertible_to<Glob> auto&... names) {
    return follow(Axis::slices, false, Lines{}, names...);
  }
  /// Both the rows and the columns: W -> g W g^-1.
  ModelSymmetry& both(const std::convertible_to<Glob> auto&... names) {
    return rows(names...).columns(names...);
  }
  ///@}

  /// Moves the data, too: called with the element before the twin's losses are computed, and with one that
  /// moves nothing before all others.
  ModelSymmetry& data(std::function<void(const ModelElement&)> move) {
    move_data_ = std::move(move);
    return *this;
  }

  /// The elements, on a space of so many coordinates: those of a group that acts on the left (Orthogonal,
  /// Permutation, SignedPermutation, Shift, HeadRotations<Side::left, k>, one of your own), or the invertible
  /// ones of an algebra (algebra::Full, Planes, Diagonal, Scalars), drawn with this condition number. With a
  /// condition of 1 these are rotations.
  ///@{
  template <template <Side> class Group>
  ModelSymmetry& by(Index size) {
    return by<Group<Side::left>>(size);
  }
  template <SymmetryGroup Group>
  ModelSymmetry& by(Index size) {
    return from(detail::elements_of_group<Group>(size));
  }
  template <detail::DrawsInvertible Algebra>
  ModelSymmetry& by(Index size, double condition = 100) {
    return from(detail::elements_of_algebra<Algebra>(size, condition, false));
  }
  ///@}
  /// Positive elements of an algebra: what a pair around a ReLU allows.
  template <detail::DrawsInvertible Algebra>
  ModelSymmetry& by_positive(Index size, double condition = 100) {
    return from(detail::elements_of_algebra<Algebra>(size, condition, true));
  }

  /// The name, as reports show it.
  const std::string& name() const { return name_; }
  /// Who follows, where elements come from, and what moves the data: for the check.
  ///@{
  const std::vector<detail::Follower>& followers() const { return followers_; }
  const detail::ElementSource& source() const { return source_; }
  const std::function<void(const ModelElement&)>& data_motion() const { return move_data_; }
  ///@}

 private:
  ModelSymmetry& follow(Axis axis, bool is_dual, Lines lines,
                        const std::convertible_to<Glob> auto&... names) {
    (followers_.push_back({names, axis, is_dual, lines}), ...);
    return *this;
  }
  ModelSymmetry& from(detail::ElementSource source) {
    source_ = std::move(source);
    return *this;
  }

  std::string name_;
  std::vector<detail::Follower> followers_;
  detail::ElementSource source_;
  std::function<void(const ModelElement&)> move_data_;
};

/// A symmetry of a model under a name; its members say the rest.
inline ModelSymmetry symmetry(std::string name) {
  return ModelSymmetry(std::move(name));
}

}}}  // namespace symopt::check
