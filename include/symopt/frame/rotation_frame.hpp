// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/scaling.hpp>
#include <symopt/side.hpp>

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

// The frame of a rotation group: the eigenvectors of a Gram matrix, which turn with the block. `Real` is
// double in every use; it is a parameter so that who includes the header and takes no frame does not compile
// an eigensolver.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Two singular values within `tie` of each other are not told apart, one up to `cut` is not told from zero;
/// both relative to the largest. In the frame, an entry up to `noise` relative to its line is zero.
struct FrameTolerance {
  double tie = 0;
  double cut = 0;
  double noise = 0;

  /// The tolerances above the rounding errors of a block of that scalar and of a Gram matrix in double; a
  /// positive `tie` overrides the first.
  template <class Scalar>
  static FrameTolerance of(Shape shape, double tie) {
    const double unit = static_cast<double>(std::numeric_limits<Scalar>::epsilon()) *
                        std::sqrt(static_cast<double>(std::min(shape.rows, shape.cols)));
    const double gram = std::sqrt(static_cast<double>(std::max(shape.rows, shape.cols)) *
                                  std::numeric_limits<double>::epsilon());
    return {tie > 0 ? tie : 16 * unit, std::max(4 * unit, 2 * gram), 4 * unit};
  }
};

/// An orthonormal basis in which a Gram matrix is diagonal, largest eigenvalue first, cut into the spaces
/// of equal eigenvalues: within a space the basis is arbitrary, and a single axis has an arbitrary sign.
template <class Real>
struct Eigenspaces {
  Matrix<Real> axes;                    ///< k x k, one axis per column
  std::vector<double> singular_values;  ///< square roots of the eigenvalues
  std::vector<Index> starts;            ///< first axis of each space, and k at the end
  Index rank = 0;                       ///< the axes after the first `rank` span the null space

  Index count() const { return static_cast<Index>(starts.size()) - 1; }
  Index begin(Index space) const { return starts[static_cast<std::size_t>(space)]; }
  Index size(Index space) const { return begin(space + 1) - begin(space); }
  auto basis(Index space) const { return axes.middleCols(begin(space), size(space)); }
  double value(Index axis) const { return singular_values[static_cast<std::size_t>(axis)]; }

  /// No two singular values but the zeros are equal.
  bool is_simple() const {
    for (Index space = 0; space < count(); ++space)
      if (begin(space) < rank && size(space) > 1) return false;
    return true;
  }
};

template <class Real>
Eigenspaces<Real> eigenspaces(const Matrix<Real>& gram, FrameTolerance tolerance) {
  const Index k = gram.rows();
  if (k == 0) return {gram, {}, {0}, 0};
  const Eigen::SelfAdjointEigenSolver<Matrix<Real>> solver(gram);
  Eigenspaces<Real> spaces{solver.eigenvectors().rowwise().reverse(), {}, {0}, 0};
  for (Index i = k - 1; i >= 0; --i)
    spaces.singular_values.push_back(std::sqrt(std::max(0.0, solver.eigenvalues()(i))));
  const double largest = spaces.value(0);
  while (spaces.rank < k && spaces.value(spaces.rank) > tolerance.cut * largest) ++spaces.rank;
  const double noise = 32 * static_cast<double>(k) * std::numeric_limits<double>::epsilon();
  for (Index i = 1; i < spaces.rank; ++i) {
    const double before = spaces.value(i - 1);
    const double here = spaces.value(i);
    if (before - here > tolerance.tie * largest && before * before - here * here > noise * largest * largest)
      spaces.starts.push_back(i);
  }
  if (spaces.rank > 0 && spaces.rank < k) spaces.starts.push_back(spaces.rank);
  spaces.starts.push_back(k);
  return spaces;
}

/// Cuts the spaces of equal singular values further, by a second matrix that turns with the block.
template <class Real>
void refine(Eigenspaces<Real>& spaces, const Matrix<Real>& tie_breaker, FrameTolerance tolerance) {
  std::vector<Index> starts;
  for (Index space = 0; space < spaces.count(); ++space) {
    const Index begin = spaces.begin(space);
    const Index size = spaces.size(space);
    starts.push_back(begin);
    if (size == 1 || begin >= spaces.rank) continue;
    const Matrix<Real> basis = spaces.basis(space);
    const Eigen::SelfAdjointEigenSolver<Matrix<Real>> solver(
        Matrix<Real>(basis.transpose() * tie_breaker * basis));
    spaces.axes.middleCols(begin, size) = basis * solver.eigenvectors().rowwise().reverse();
    const auto& values = solver.eigenvalues();
    for (Index i = 1; i < size; ++i)
      if (values(size - i) - values(size - i - 1) > 16 * tolerance.tie * values.cwiseAbs().maxCoeff())
        starts.push_back(begin + i);
  }
  starts.push_back(spaces.axes.cols());
  spaces.starts = std::move(starts);
}

/// An orthonormal basis of the span of `basis` (n x c) whose first columns are those nearest to `targets`
/// (n x s, s <= c), in the sense of Procrustes: for one axis, the sign in which it points along its target.
/// It does not depend on the basis given as long as no direction of the targets is lost; `is_lost` says so.
template <class Real>
Matrix<Real> nearest_basis(const Matrix<Real>& basis, const Matrix<Real>& targets, bool& is_lost) {
  constexpr double smallest_overlap = 1e-7;
  const Index c = basis.cols();
  const Index s = targets.cols();
  const Matrix<Real> overlap = basis.transpose() * targets;
  Matrix<Real> turn = Matrix<Real>::Zero(c, c);
  Matrix<Real> rotation = Matrix<Real>::Identity(s, s);
  std::vector<Index> open;
  if (s > 0) {
    const Eigen::SelfAdjointEigenSolver<Matrix<Real>> solver(Matrix<Real>(overlap.transpose() * overlap));
    rotation = solver.eigenvectors();
    for (Index i = 0; i < s; ++i) {
      const double length = std::sqrt(std::max(0.0, solver.eigenvalues()(i)));
      if (length > smallest_overlap) {
        turn.col(i) = overlap * rotation.col(i) / length;
      } else {
        open.push_back(i);
        is_lost = true;
      }
    }
  }
  for (Index i = s; i < c; ++i) open.push_back(i);
  // Each open column takes the coordinate axis that the others leave most of.
  for (const Index i : open) {
    Matrix<Real> left_over = Matrix<Real>::Identity(c, c) - turn * turn.transpose();
    Index axis = 0;
    left_over.diagonal().maxCoeff(&axis);
    turn.col(i) = left_over.col(axis).normalized();
    turn.col(i) = (turn.col(i) - turn.leftCols(i) * (turn.leftCols(i).transpose() * turn.col(i)) -
                   turn.rightCols(c - i - 1) * (turn.rightCols(c - i - 1).transpose() * turn.col(i)))
                      .normalized();
  }
  turn.leftCols(s) *= rotation.transpose();
  return basis * turn;
}

/// A frame that follows the block from step to step. Coordinate k of the frame keeps its meaning: the
/// eigenspaces of the new Gram matrix are given to the coordinates whose axes lie in them most, and inside
/// each space the basis nearest to those axes is taken. So the frame turns with the block up to a change of
/// signs that is the same at all steps. A coordinate is settled once its axis is known up to that sign.
template <class Real>
struct MovingFrame {
  explicit MovingFrame(Index size)
      : gram(Matrix<Real>::Zero(size, size)),
        axes(Matrix<Real>::Identity(size, size)),
        settled(static_cast<std::size_t>(size), false),
        live(static_cast<std::size_t>(size), false) {}

  Matrix<Real> gram;  ///< the running average of the Gram matrices
  Matrix<Real> axes;  ///< k x k, the axis of each coordinate as a column
  // Not char: its sign, and so its name in files, depends on the machine.
  std::vector<std::int8_t> settled;  ///< by coordinate
  std::vector<std::int8_t> live;     ///< by coordinate: gradients along its axis are more than rounding
  bool has_tie = false;        ///< two axes with equal singular values were not told apart, at some step
  bool has_lost_sign = false;  ///< an axis turned by a right angle in one step

  bool is_live(Index coordinate) const { return live[static_cast<std::size_t>(coordinate)] != 0; }
  bool is_settled(Index coordinate) const { return settled[static_cast<std::size_t>(coordinate)] != 0; }

  void visit(auto&& field) {
    field("gram", gram);
    field("axes", axes);
    field("settled", settled);
    field("live", live);
    field("has_tie", has_tie);
    field("has_lost_sign", has_lost_sign);
  }

  void follow(const Eigenspaces<Real>& spaces) {
    const std::vector<std::vector<Index>> coordinates = assign(spaces);
    Matrix<Real> moved = axes;
    for (Index space = 0; space < spaces.count(); ++space) {
      const auto& own = coordinates[static_cast<std::size_t>(space)];
      Index known = 0;
      while (known < static_cast<Index>(own.size()) && is_settled(own[static_cast<std::size_t>(known)]))
        ++known;
      Matrix<Real> targets(axes.rows(), known);
      for (Index i = 0; i < known; ++i) targets.col(i) = axes.col(own[static_cast<std::size_t>(i)]);
      const Matrix<Real> basis = nearest_basis<Real>(spaces.basis(space), targets, has_lost_sign);
      const bool is_last_known = static_cast<Index>(own.size()) - known <= 1;
      if (!is_last_known && spaces.begin(space) < spaces.rank) has_tie = true;
      for (std::size_t i = 0; i < own.size(); ++i) {
        moved.col(own[i]) = basis.col(static_cast<Index>(i));
        live[static_cast<std::size_t>(own[i])] = spaces.begin(space) < spaces.rank;
        if (is_last_known) settled[static_cast<std::size_t>(own[i])] = true;
      }
    }
    axes = std::move(moved);
  }

 private:
  /// The coordinates of each space, the settled ones first.
  std::vector<std::vector<Index>> assign(const Eigenspaces<Real>& spaces) const {
    struct Claim {
      double weight;
      Index coordinate, space;
    };
    std::vector<Claim> claims;
    for (Index k = 0; k < axes.cols(); ++k)
      for (Index space = 0; space < spaces.count(); ++space)
        if (is_settled(k)) {
          const double overlap = (spaces.basis(space).transpose() * axes.col(k)).squaredNorm();
          // Equal overlaps differ by rounding; the order of the coordinates decides then.
          claims.push_back({std::round(overlap * 1e6), k, space});
        }
    std::stable_sort(claims.begin(), claims.end(),
                     [](const Claim& a, const Claim& b) { return a.weight > b.weight; });
    std::vector<std::vector<Index>> own(static_cast<std::size_t>(spaces.count()));
    std::vector<bool> placed(settled.size(), false);
    const auto try_to_place = [&](Index k, Index space) {
      auto& members = own[static_cast<std::size_t>(space)];
      if (placed[static_cast<std::size_t>(k)] || static_cast<Index>(members.size()) == spaces.size(space))
        return;
      members.push_back(k);
      placed[static_cast<std::size_t>(k)] = true;
    };
    for (const Claim& claim : claims) try_to_place(claim.coordinate, claim.space);
    for (Index k = 0; k < axes.cols(); ++k)
      for (Index space = 0; space < spaces.count(); ++space) try_to_place(k, space);
    for (auto& members : own)
      std::stable_partition(members.begin(), members.end(), [&](Index k) { return is_settled(k); });
    return own;
  }
};

}}}  // namespace symopt::detail
