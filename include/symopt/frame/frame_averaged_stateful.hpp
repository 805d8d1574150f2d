// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/frame/frame_average_base.hpp>
#include <symopt/frame/frame_signs.hpp>
#include <symopt/frame/line_order.hpp>
#include <symopt/optimizer/state_fields.hpp>

#include <limits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The average of a rule with a state.
template <class Group, class Rule>
class FrameAveragedStateful : public FrameAverageBase<Group, Rule> {
  using Base = FrameAverageBase<Group, Rule>;
  using Plan = typename Base::Plan;

  static constexpr bool rotates(Side side) { return Plan::on(side) == Framing::rotate; }
  static Index framed(Shape shape, Side side) { return rotates(side) ? extent(shape, side) : 0; }
  static Index sign_count(Shape shape) { return framed(shape, Side::left) + framed(shape, Side::right); }

 public:
  FrameAveragedStateful(Rule rule = {}, FrameOptions options = {}) : Base(std::move(rule), options) {}

  /// The frames of the last step and, for each choice of signs that is averaged over, the rule's own state in
  /// frame coordinates.
  template <class Scalar>
  struct State {
    struct Branch {
      typename Rule::template State<Scalar> state;
      LineOrder order;

      void visit(auto&& field) {
        field("state", state);
        field("order", order);
      }
    };

    explicit State(Shape shape)
        : left(framed(shape, Side::left)),
          right(framed(shape, Side::right)),
          signs(sign_choices(sign_count(shape), Plan::averages_signs)) {
      const Index lines = Plan::has(Framing::sort) ? extent(shape, Base::sorted_side) : 0;
      for (Index i = 0; i < signs.rows(); ++i)
        branches.push_back({make_state<typename Rule::template State<Scalar>>(shape), LineOrder(lines)});
    }

    MovingFrame<double> left, right;
    Matrix<double> signs;
    std::vector<Branch> branches;
    FrameReport report;  ///< of the steps so far

    /// The signs are those of the construction, and each step reports anew.
    void visit(auto&& field) requires SavableState<typename Rule::template State<Scalar>> {
      field("left", left);
      field("right", right);
      field("branches", branches);
    }
    void validate() const {
      for (const Branch& branch : branches) {
        branch.order.validate();
        if constexpr (requires { branch.state.validate(); }) branch.state.validate();
      }
    }
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights& weights, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const requires StatefulRule<Rule, Scalar> {
    if (!detail::all_entries_finite(gradient)) {
      direction.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
      return;
    }
    const Matrix<double> x = Base::projected(gradient);
    advance<Side::left, Scalar>(x, state.left);
    advance<Side::right, Scalar>(x, state.right);
    const FrameTolerance rounding = FrameTolerance::of<Scalar>(shape_of(x), this->options_.tie);
    const Matrix<double> seen = Base::without_noise(
        hidden(into_frame(x, state), state, &MovingFrame<double>::is_live), rounding.noise);
    const Matrix<double> seen_weights =
        hidden(into_frame(Base::projected(weights), state), state, &MovingFrame<double>::is_settled);

    Matrix<double> mean = Matrix<double>::Zero(x.rows(), x.cols());
    for (Index i = 0; i < state.signs.rows(); ++i) {
      auto& branch = state.branches[static_cast<std::size_t>(i)];
      const Eigen::VectorXd signs = state.signs.row(i).transpose();
      mean += flipped(step<Scalar>(flipped(seen_weights, signs), flipped(seen, signs), branch), signs);
    }
    mean /= static_cast<double>(state.signs.rows());
    direction = Base::horizontal(out_of_frame(mean, state)).template cast<Scalar>();
    report(shape_of(x), state);
  }

 private:
  template <Side side, class Scalar>
  void advance(const Matrix<double>& x, MovingFrame<double>& frame) const {
    if constexpr (rotates(side)) {
      frame.gram = this->options_.memory * frame.gram + (1 - this->options_.memory) * Base::gram_of(side, x);
      frame.follow(Base::template spaces_of<side>(
          frame.gram, x, FrameTolerance::of<Scalar>(shape_of(x), this->options_.tie)));
    }
  }

  static Matrix<double> into_frame(Matrix<double> block, const auto& state) {
    if constexpr (rotates(Side::left)) block = (state.left.axes.transpose() * block).eval();
    if constexpr (rotates(Side::right)) block = (block * state.right.axes).eval();
    return block;
  }
  static Matrix<double> out_of_frame(Matrix<double> block, const auto& state) {
    if constexpr (rotates(Side::left)) block = (state.left.axes * block).eval();
    if constexpr (rotates(Side::right)) block = (block * state.right.axes.transpose()).eval();
    return block;
  }

  /// Zero along the coordinates that are not shown: a rule may see neither the weights along axes that are
  /// arbitrary nor the rounding of a gradient that is zero along an axis.
  static Matrix<double> hidden(Matrix<double> block, const auto& state,
                               bool (MovingFrame<double>::*is_shown)(Index) const) {
    if constexpr (rotates(Side::left))
      for (Index k = 0; k < block.rows(); ++k)
        if (!(state.left.*is_shown)(k)) block.row(k).setZero();
    if constexpr (rotates(Side::right))
      for (Index k = 0; k < block.cols(); ++k)
        if (!(state.right.*is_shown)(k)) block.col(k).setZero();
    return block;
  }

  static Matrix<double> flipped(Matrix<double> block, const Eigen::VectorXd& signs) {
    if constexpr (!Plan::averages_signs) return block;
    if constexpr (rotates(Side::left)) block = (signs.head(block.rows()).asDiagonal() * block).eval();
    if constexpr (rotates(Side::right)) block = (block * signs.tail(block.cols()).asDiagonal()).eval();
    return block;
  }

  /// One step of one branch: lines keep their places in the order once the gradients, then the weights, have
  /// told them apart.
  template <class Scalar>
  Matrix<double> step(const Matrix<double>& weights, const Matrix<double>& gradient, auto& branch) const {
    Matrix<Scalar> direction(gradient.rows(), gradient.cols());
    const auto call = [&](const Matrix<double>& w, const Matrix<double>& g) {
      const Matrix<Scalar> own_weights = w.cast<Scalar>();
      const Matrix<Scalar> own_gradient = g.cast<Scalar>();
      this->rule_(own_weights, own_gradient, branch.state, direction);
    };
    if constexpr (Plan::has(Framing::sort)) {
      const Matrix<double> g = Base::lines_first(gradient);
      const Matrix<double> w = Base::lines_first(weights);
      branch.order.refine(g, Base::template grid_of<Scalar>(g));
      branch.order.refine(w, Base::template grid_of<Scalar>(w));
      call(Base::lines_first(branch.order.sorted(w)), Base::lines_first(branch.order.sorted(g)));
      const Matrix<double> result = direction.template cast<double>();
      return Base::lines_first(branch.order.restored(Base::lines_first(result)));
    } else {
      call(weights, gradient);
      return direction.template cast<double>();
    }
  }

  static void report(Shape shape, auto& state) {
    state.report = {state.signs.rows(), true, ""};
    const auto deny = [&](bool happened, const char* reason) {
      if (happened) state.report = {state.signs.rows(), false, reason};
    };
    deny(Plan::averages_signs && sign_count(shape) > most_signs_in_full,
         "more than 8 framed lines: the average over signs is sampled");
    deny(state.left.has_lost_sign || state.right.has_lost_sign,
         "an axis of the frame turned by a right angle in one step: its sign is lost");
    deny(state.left.has_tie || state.right.has_tie, "equal singular values leave the frame undetermined");
  }
};

}}}  // namespace symopt::detail
