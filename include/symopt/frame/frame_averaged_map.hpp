// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/frame/frame_average_base.hpp>
#include <symopt/frame/frame_signs.hpp>
#include <symopt/frame/line_order.hpp>

#include <limits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The average of a rule without a state.
template <class Group, class Rule>
class FrameAveragedMap : public FrameAverageBase<Group, Rule> {
  using Base = FrameAverageBase<Group, Rule>;
  using Plan = typename Base::Plan;

 public:
  FrameAveragedMap(Rule rule = {}, FrameOptions options = {}) : Base(std::move(rule), options) {}

  /// The direction for a block, any dense expression.
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const requires
      StatelessRule<Rule, typename Derived::Scalar> {
    using Scalar = typename Derived::Scalar;
    FrameReport report;
    const Matrix<double> x = Base::projected(block);
    return Base::horizontal(averaged<Scalar>(x, report)).template cast<Scalar>();
  }

  /// The report of the average of that block: the number of frames, and its exactness. Costs as much as the
  /// average.
  template <class Derived>
  FrameReport report(const Eigen::MatrixBase<Derived>& block) const {
    FrameReport report;
    averaged<typename Derived::Scalar>(Base::projected(block), report);
    return report;
  }

 private:
  template <class Scalar>
  Matrix<double> evaluated(const Matrix<double>& block) const {
    Matrix<Scalar> result = block.cast<Scalar>();
    workspace_t<Rule, Scalar> workspace(shape_of(result));
    apply_map<Rule, Scalar>(this->rule_, result, workspace);
    return result.template cast<double>();
  }

  template <class Scalar>
  Matrix<double> averaged(const Matrix<double>& x, FrameReport& report) const {
    if (x.size() == 0) return x;
    if (!detail::all_entries_finite(x))
      return Matrix<double>::Constant(x.rows(), x.cols(), std::numeric_limits<double>::quiet_NaN());
    if constexpr (Plan::is_spectral) {
      return spectral<Scalar>(x);
    } else if constexpr (Plan::on(Side::left) == Framing::rotate &&
                         Plan::on(Side::right) == Framing::rotate) {
      static_assert(Plan::is_spectral);
    } else if constexpr (Plan::on(Side::left) == Framing::rotate) {
      return rotated<Scalar, Side::left>(x, report);
    } else if constexpr (Plan::on(Side::right) == Framing::rotate) {
      return rotated<Scalar, Side::right>(x, report);
    } else {
      return sorted<Scalar>(x);
    }
  }

  /// One frame in which the lines are in order, averaged over the orders of equal lines.
  template <class Scalar>
  Matrix<double> sorted(const Matrix<double>& x) const {
    if constexpr (!Plan::has(Framing::sort)) return evaluated<Scalar>(x);
    const Matrix<double> lines = Base::lines_first(x);
    LineOrder order(lines.rows());
    order.refine(lines, Base::template grid_of<Scalar>(lines));
    const Matrix<double> result = evaluated<Scalar>(Base::lines_first(order.sorted(lines)));
    return Base::lines_first(order.restored(Base::lines_first(result)));
  }

  template <class Scalar>
  FrameTolerance tolerance(const Matrix<double>& x) const {
    return FrameTolerance::of<Scalar>(shape_of(x), this->options_.tie);
  }

  /// Rotations of one side: the block seen from its singular vectors there, in every choice of their signs.
  /// The rule's output off the block's own space averages to zero over the bases of the rest.
  template <class Scalar, Side side>
  Matrix<double> rotated(const Matrix<double>& x, FrameReport& report) const {
    const Matrix<double> unit = x * kernel::power_of_two_scale(kernel::max_abs(x));
    const FrameTolerance rounding = tolerance<Scalar>(x);
    const Eigenspaces<double> spaces =
        Base::template spaces_of<side>(Base::gram_of(side, unit), unit, rounding);
    const Matrix<double> signs = sign_choices(spaces.rank, Plan::averages_signs);
    report.frames = signs.rows();
    if (Plan::averages_signs && spaces.rank > most_signs_in_full)
      report = {signs.rows(), false, "more than 8 singular values: the average over signs is sampled"};
    if (!spaces.is_simple() && !Plan::ties_do_not_matter(side))
      report = {signs.rows(), false, "equal singular values leave the frame undetermined"};

    const Matrix<double> axes = spaces.axes;
    const Matrix<double> turned =
        side == Side::left ? Matrix<double>(axes.transpose() * x) : Matrix<double>(x * axes);
    const Matrix<double> seen = Base::without_noise(turned, rounding.noise);
    Matrix<double> mean = Matrix<double>::Zero(x.rows(), x.cols());
    Eigen::VectorXd flips = Eigen::VectorXd::Zero(axes.cols());  // zero off the block's space
    for (Index i = 0; i < signs.rows(); ++i) {
      flips.head(spaces.rank) = signs.row(i).transpose();
      mean += flipped<side>(sorted<Scalar>(flipped<side>(seen, flips)), flips);
    }
    mean /= static_cast<double>(signs.rows());
    if (side == Side::left) return axes * mean;
    return mean * axes.transpose();
  }

  template <Side side>
  static Matrix<double> flipped(const Matrix<double>& block, const Eigen::VectorXd& signs) {
    if (side == Side::left) return signs.asDiagonal() * block;
    return block * signs.asDiagonal();
  }

  /// Rotations of both sides: x = U S V^T, and the average over all joint signs of U and V (all joint bases
  /// where singular values repeat) of U rule(S) V^T keeps of rule(S) the diagonal (its means there).
  template <class Scalar>
  Matrix<double> spectral(const Matrix<double>& x) const {
    const double scale = kernel::power_of_two_scale(kernel::max_abs(x));
    const Side side = x.rows() < x.cols() ? Side::left : Side::right;
    const Eigenspaces<double> spaces =
        eigenspaces<double>(Base::gram_of(side, x * scale), tolerance<Scalar>(x));
    const Matrix<double> own_axes = spaces.axes.leftCols(spaces.rank);
    Matrix<double> other_axes =
        side == Side::left ? Matrix<double>(x.transpose() * own_axes) : Matrix<double>(x * own_axes);
    Matrix<double> canonical = Matrix<double>::Zero(x.rows(), x.cols());
    for (Index k = 0; k < spaces.rank; ++k) {
      canonical(k, k) = other_axes.col(k).norm();
      other_axes.col(k) /= canonical(k, k);
    }
    const Matrix<double> values = evaluated<Scalar>(canonical);
    Eigen::VectorXd diagonal = Eigen::VectorXd::Zero(spaces.rank);
    for (Index space = 0; space < spaces.count(); ++space)
      if (spaces.begin(space) < spaces.rank)
        diagonal.segment(spaces.begin(space), spaces.size(space))
            .setConstant(values.diagonal().segment(spaces.begin(space), spaces.size(space)).mean());
    const Matrix<double> result = own_axes * diagonal.asDiagonal() * other_axes.transpose();
    return side == Side::left ? result : Matrix<double>(result.transpose());
  }
};

}}}  // namespace symopt::detail
