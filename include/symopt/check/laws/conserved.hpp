// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/concept.hpp>

#include <ostream>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The quantities of the weights that the translations of a group keep constant in time. A member is 0 x 0
/// when the group has no such shift.
struct Conserved {
  Matrix<double> mean_row;     ///< 1 x n, under a shared shift
  Matrix<double> mean_column;  ///< m x 1, under a column shift

  /// Tests whether nothing is conserved: the group has no shifts.
  bool empty() const { return mean_row.size() == 0 && mean_column.size() == 0; }
};

/// The drift of the conserved quantities: the Frobenius norm of the difference, in the units of the weights.
/// Both must be of one group and one shape. 0 for two empty ones.
inline double drift(const Conserved& before, const Conserved& after) {
  return std::hypot((after.mean_row - before.mean_row).norm(),
                    (after.mean_column - before.mean_column).norm());
}

/// "mean row 1 2 3", or "nothing is conserved".
inline std::ostream& operator<<(std::ostream& out, const Conserved& conserved) {
  if (conserved.empty()) return out << "nothing is conserved";
  if (conserved.mean_row.size() > 0) out << "mean row " << conserved.mean_row;
  if (conserved.mean_row.size() > 0 && conserved.mean_column.size() > 0) out << ", ";
  if (conserved.mean_column.size() > 0) out << "mean column " << conserved.mean_column.transpose();
  return out;
}

/// The quantity of the weights that an update with the symmetry of Group keeps: if the loss does not change
/// under W -> W + 1 c^T, its gradient has 1^T G = 0, a derived update has 1^T U = 0, and the mean row of W
/// stays; likewise the mean column under W -> W + a 1^T. What it moves by is the symmetry's violation by
/// rule, decay (Decay::horizontal keeps it, Decay::all shrinks it) and rounding. Shapes: m x n weights, any
/// dense expression; summed in double. Groups without shifts conserve nothing here. Cost: one read of the
/// weights per shift. Source: Tanaka and Kunin, "Noether's Learning Dynamics", arXiv 2105.02716.
template <SymmetryGroup Group, class Derived>
Conserved conserved(const Eigen::MatrixBase<Derived>& weights) {
  constexpr Families families = families_of<Group>;
  Conserved result;
  // An empty block has means of zero, not of 0 / 0.
  if constexpr (families.left.translations)
    result.mean_row = weights.template cast<double>().colwise().sum() /
                      static_cast<double>(std::max<Index>(1, weights.rows()));
  if constexpr (families.right.translations)
    result.mean_column = weights.template cast<double>().rowwise().sum() /
                         static_cast<double>(std::max<Index>(1, weights.cols()));
  return result;
}

/// The conserved quantities of the weights under a group that is given as a value.
template <SymmetryGroup Group, class Derived>
Conserved conserved(Group, const Eigen::MatrixBase<Derived>& weights) {
  return conserved<Group>(weights);
}

}}}  // namespace symopt::check
