// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/frame/frame_options.hpp>
#include <symopt/frame/frame_plan.hpp>
#include <symopt/frame/rotation_frame.hpp>
#include <symopt/optimizer/rule_traits.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

inline void validate_frame(const FrameOptions& options, bool is_stateful) {
  const auto require = [](bool good, const char* what) {
    if (!good) fail({}, joined({"FrameOptions::", what}));
  };
  require(options.memory >= 0 && options.memory < 1, "memory must be at least 0 and less than 1");
  require(options.tie >= 0 && options.tie < 1, "tie must be at least 0 and less than 1");
  require(is_stateful || options.memory == FrameOptions{}.memory,
          "memory is for rules with a state; this rule has none and is seen in the frame of its input");
}

/// The common base of the averages of stateless and of stateful rules.
template <class Group, class Rule>
class FrameAverageBase : public FrameClaim<FramePlan<Group, Rule>> {
 protected:
  using Plan = FramePlan<Group, Rule>;

 public:
  using group = Group;
  using rule_type = Rule;

  explicit FrameAverageBase(Rule rule, FrameOptions options) : rule_(std::move(rule)), options_(options) {
    validate();
  }

  const Rule& rule() const { return rule_; }
  const FrameOptions& options() const { return options_; }
  void options(auto&& field) {
    field("memory", options_.memory);
    field("tie", options_.tie);
    field("rule", rule_);
  }
  void validate() const {
    validate_frame(options_, Plan::is_stateful);
    validated(rule_);
  }
  template <class Scalar>
  void validate_in() const {
    validated_in<Scalar>(rule_);
  }
  double root_mean_square(Shape shape) const requires(states_root_mean_square<Rule>) {
    return root_mean_square_of(rule_, shape);
  }

 protected:
  /// The horizontal part of a block, in double: the block without its components along the group's shifts.
  static Matrix<double> horizontal(const Matrix<double>& block) {
    return horizontal_projection_t<Group>{}(block);
  }

  /// The horizontal part that a rule is given: zero for a block that was all mean, not the rounding of its
  /// mean.
  template <class Derived>
  static Matrix<double> projected(const Eigen::MatrixBase<Derived>& block) {
    Matrix<double> x = block.template cast<double>();
    if constexpr (horizontal_projection_t<Group>::is_identity) {
      return x;
    } else {
      const double unit = static_cast<double>(std::numeric_limits<typename Derived::Scalar>::epsilon());
      Matrix<double> rest = horizontal(x);
      if (kernel::max_abs(rest) > 4 * unit * kernel::max_abs(x) || !detail::all_entries_finite(x))
        return rest;
      return Matrix<double>::Zero(x.rows(), x.cols());
    }
  }

  /// The eigenspaces of a Gram matrix of the block's side, ties broken by the block where it may.
  template <Side side>
  static Eigenspaces<double> spaces_of(const Matrix<double>& gram, const Matrix<double>& block,
                                       FrameTolerance tolerance) {
    Eigenspaces<double> spaces = eigenspaces<double>(gram, tolerance);
    if constexpr (Plan::breaks_ties(side)) {
      const Matrix<double> lines = side == Side::left ? block.transpose() : block;
      const Eigen::VectorXd weights = lines.rowwise().squaredNorm();
      if (!spaces.is_simple())
        refine<double>(spaces, lines.transpose() * weights.asDiagonal() * lines, tolerance);
    }
    return spaces;
  }

  static Matrix<double> gram_of(Side side, const Matrix<double>& block) {
    if (side == Side::left) return block * block.transpose();
    return block.transpose() * block;
  }

  /// A rule that looks at signs must not see the rounding of zeros: entries of a turned line are measured by
  /// the line, those of a block turned on both sides by the block.
  static Matrix<double> without_noise(Matrix<double> seen, double noise) {
    constexpr bool left = Plan::on(Side::left) == Framing::rotate;
    constexpr bool right = Plan::on(Side::right) == Framing::rotate;
    const auto drop = [noise](auto&& lines) {
      const double size = noise * lines.norm();
      lines = lines.unaryExpr([size](double entry) { return std::abs(entry) <= size ? 0.0 : entry; }).eval();
    };
    if constexpr (left && right) {
      drop(seen);
    } else if constexpr (right) {
      for (Index i = 0; i < seen.rows(); ++i) drop(seen.row(i));
    } else if constexpr (left) {
      for (Index j = 0; j < seen.cols(); ++j) drop(seen.col(j));
    }
    return seen;
  }

  static constexpr Side sorted_side = Plan::on(Side::left) == Framing::sort ? Side::left : Side::right;

  /// Rows of the result are the lines that are sorted.
  static Matrix<double> lines_first(const Matrix<double>& block) {
    return sorted_side == Side::left ? block : Matrix<double>(block.transpose());
  }

  /// Sorted lines: bits are compared as they are unless a rotation has rounded them.
  template <class Scalar>
  static double grid_of(const Matrix<double>& block) {
    if constexpr (!Plan::has(Framing::rotate)) return 0;
    return std::sqrt(static_cast<double>(std::numeric_limits<Scalar>::epsilon())) * kernel::max_abs(block);
  }

  Rule rule_;
  FrameOptions options_;
};

}}}  // namespace symopt::detail
