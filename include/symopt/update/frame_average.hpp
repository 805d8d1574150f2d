// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/update/frame_plan.hpp>
#include <symopt/update/line_order.hpp>
#include <symopt/update/rotation_frame.hpp>
#include <symopt/update/state_fields.hpp>

#include <ostream>
#include <random>
#include <stdexcept>

namespace symopt::inline SYMOPT_ABI {

/// How a frame is taken.
struct FrameOptions {
  /// Stateful rules: the share of the past in the Gram matrix whose eigenvectors are the frame, in [0, 1).
  /// 0 is the frame of each gradient alone.
  double memory = 0.95;
  /// Singular values closer than this times the largest count as equal; 0 stands for what rounding
  /// leaves visible, 16 sqrt(min(rows, cols)) units of roundoff of the scalar.
  double tie = 0;
};

/// What an average was taken over, and whether it is the average over the whole frame.
struct FrameReport {
  Index frames = 1;      ///< evaluations of the rule
  bool is_exact = true;  ///< false: equivariant only approximately, or not at all, for the reason given
  const char* reason = "";  ///< why it is not exact
};

/// One line: "not exact, 256 frames: ...".
inline std::ostream& operator<<(std::ostream& out, const FrameReport& report) {
  out << (report.is_exact ? "exact" : "not exact") << ", " << report.frames << " frame"
      << (report.frames == 1 ? "" : "s");
  return report.is_exact ? out : out << ": " << report.reason;
}

namespace detail {

inline constexpr Index most_signs_in_full = 8;

/// The sign vectors of an average, one per row: all 2^r, or, beyond r = 8, as many drawn once and for all,
/// each beside its opposite.
inline Matrix<double> sign_choices(Index r, bool is_averaged) {
  if (!is_averaged) return Matrix<double>::Ones(1, r);
  const Index full = Index(1) << std::min(r, most_signs_in_full);
  Matrix<double> signs(full, r);
  std::mt19937_64 engine(21103336);
  for (Index i = 0; i < full; ++i)
    for (Index k = 0; k < r; ++k) {
      if (r <= most_signs_in_full) {
        signs(i, k) = ((i >> k) & 1) != 0 ? -1.0 : 1.0;
      } else {
        signs(i, k) = i % 2 == 1 ? -signs(i - 1, k) : ((engine() & 1) != 0 ? -1.0 : 1.0);
      }
    }
  return signs;
}

inline void validate_frame(const FrameOptions& options, bool is_stateful) {
  const auto require = [](bool good, const char* what) {
    if (!good) throw std::invalid_argument(std::string("symopt: FrameOptions::") + what);
  };
  require(options.memory >= 0 && options.memory < 1, "memory must be at least 0 and less than 1");
  require(options.tie >= 0 && options.tie < 1, "tie must be at least 0 and less than 1");
  require(is_stateful || options.memory == FrameOptions{}.memory,
          "memory is for rules with a state; this rule has none and is seen in the frame of its input");
}

/// What the averages of stateless and of stateful rules share.
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
  void validate() const {
    validate_frame(options_, Plan::is_stateful);
    validated(rule_);
  }

 protected:
  /// In double, without what the shifts of the group take away.
  static Matrix<double> horizontal(const Matrix<double>& block) {
    return horizontal_projection_t<Group>{}(block);
  }

  /// The same for what a rule is to see: a block that was all mean is zero, not the rounding of its mean.
  template <class Derived>
  static Matrix<double> projected(const Eigen::MatrixBase<Derived>& block) {
    const Matrix<double> x = block.template cast<double>();
    if constexpr (horizontal_projection_t<Group>::is_identity) {
      return x;
    } else {
      const double unit = static_cast<double>(std::numeric_limits<typename Derived::Scalar>::epsilon());
      const Matrix<double> rest = horizontal(x);
      if (kernel::max_abs(rest) > 4 * unit * kernel::max_abs(x) || !x.allFinite()) return rest;
      return Matrix<double>::Zero(x.rows(), x.cols());
    }
  }

  /// The eigenspaces of a Gram matrix of the block's side, ties broken by the block where it may.
  template <Side side>
  static Eigenspaces spaces_of(const Matrix<double>& gram, const Matrix<double>& block,
                               FrameTolerance tolerance) {
    Eigenspaces spaces = eigenspaces(gram, tolerance);
    if constexpr (Plan::breaks_ties(side)) {
      const Matrix<double> lines = side == Side::left ? block.transpose() : block;
      const Eigen::VectorXd weights = lines.rowwise().squaredNorm();
      if (!spaces.is_simple()) refine(spaces, lines.transpose() * weights.asDiagonal() * lines, tolerance);
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

  /// What the average of that block is taken over. Costs as much as the average.
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
    if (!x.allFinite())
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
    const Eigenspaces spaces = Base::template spaces_of<side>(Base::gram_of(side, unit), unit, rounding);
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
    const Eigenspaces spaces = eigenspaces(Base::gram_of(side, x * scale), tolerance<Scalar>(x));
    const Matrix<double> near = spaces.axes.leftCols(spaces.rank);
    Matrix<double> far = side == Side::left ? Matrix<double>(x.transpose() * near) : Matrix<double>(x * near);
    Matrix<double> canonical = Matrix<double>::Zero(x.rows(), x.cols());
    for (Index k = 0; k < spaces.rank; ++k) {
      canonical(k, k) = far.col(k).norm();
      far.col(k) /= canonical(k, k);
    }
    const Matrix<double> values = evaluated<Scalar>(canonical);
    Eigen::VectorXd diagonal = Eigen::VectorXd::Zero(spaces.rank);
    for (Index space = 0; space < spaces.count(); ++space)
      if (spaces.begin(space) < spaces.rank)
        diagonal.segment(spaces.begin(space), spaces.size(space))
            .setConstant(values.diagonal().segment(spaces.begin(space), spaces.size(space)).mean());
    const Matrix<double> result = near * diagonal.asDiagonal() * far.transpose();
    return side == Side::left ? result : Matrix<double>(result.transpose());
  }
};

/// The average of a rule with a state.
template <class Group, class Rule>
class FrameAveragedStateful : public FrameAverageBase<Group, Rule> {
  using Base = FrameAverageBase<Group, Rule>;
  using Plan = typename Base::Plan;

  static constexpr bool rotates(Side side) { return Plan::on(side) == Framing::rotate; }
  static Index framed(Shape shape, Side side) { return rotates(side) ? line_count(shape, side) : 0; }
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
      const Index lines = Plan::has(Framing::sort) ? line_count(shape, Base::sorted_side) : 0;
      for (Index i = 0; i < signs.rows(); ++i)
        branches.push_back({make_state<typename Rule::template State<Scalar>>(shape), LineOrder(lines)});
    }

    MovingFrame left, right;
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
      for (const Branch& branch : branches) branch.order.validate();
    }
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights& weights, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const requires StatefulRule<Rule, Scalar> {
    if (!gradient.allFinite()) {
      direction.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
      return;
    }
    const Matrix<double> x = Base::projected(gradient);
    advance<Side::left, Scalar>(x, state.left);
    advance<Side::right, Scalar>(x, state.right);
    const FrameTolerance rounding = FrameTolerance::of<Scalar>(shape_of(x), this->options_.tie);
    const Matrix<double> seen =
        Base::without_noise(hidden(into_frame(x, state), state, &MovingFrame::is_live), rounding.noise);
    const Matrix<double> seen_weights =
        hidden(into_frame(Base::projected(weights), state), state, &MovingFrame::is_settled);

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
  void advance(const Matrix<double>& x, MovingFrame& frame) const {
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
                               bool (MovingFrame::*is_shown)(Index) const) {
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

template <class Group, class Rule>
using frame_average_base_t = std::conditional_t<is_stateful_rule_v<Rule>, FrameAveragedStateful<Group, Rule>,
                                                FrameAveragedMap<Group, Rule>>;

}  // namespace detail

/// Definition: the rule made equivariant under Group by an average over a frame. A frame F maps a block X to
/// finitely many elements with F(g X) = g F(X); the average  1/|F(X)| sum over f in F(X) of  f rule(f^-1 X)
/// is equivariant whatever the rule, and equal to the rule where that is equivariant already. No frame is
/// taken on a side where the rule claims what the group does there; else
///   permutations   the lines in sorted order; over equal lines the direction is averaged
///   rotations      the singular vectors of that side, in all 2^r signs (r the rank), or in one if the rule
///                  commutes with signs. Beyond r = 8, 256 of the signs are drawn by a fixed seed and the
///                  average is approximate.
///   both rotated   a stateless rule becomes U diag(rule(S)) V^T: exact for every rule and rank
///   shifts         P o average o P, with P the horizontal projection
/// Stateful rules: the state lives in frame coordinates and is never moved. The frame is made of the
/// eigenvectors of a running average of the Gram matrices (FrameOptions::memory) and is continued from step
/// to step: each coordinate keeps the axis nearest to its last one, in its sign, so that the twin of a run
/// keeps one change of signs at all steps. Averaging over signs keeps one state per choice. Sorted lines keep
/// their places once gradients or weights have told them apart, so the state follows them. Ties: equal lines
/// are exact. Equal singular values on one rotated side are told apart by the norms of the lines of the other
/// side where these do not turn; what remains equal makes the average depend on rounding, and report()
/// (state.report of a stateful rule) says so. The null space is exact: its direction is zero until a gradient
/// reaches it. Largest group: Group, and what the rule claims on a side without a frame; no claim when signs
/// are averaged. Shapes: m x n in and out, float or double; computed in double. Double gradients between
/// 1e-70 and 1e70. Cost: an eigendecomposition, 9 k^3 flops, and two products per rotated side of k lines; a
/// sort per permuted side; the rule once, or 2^min(r, 8) times. Allocates at each call. Errors:
/// std::invalid_argument for options out of range, or a memory for a rule without a state; at compile time
/// for groups without a frame (see docs/frame-averaging.md). Source: Puny et al., arXiv 2110.03336, theorem 1
/// and section 3; the moving basis as in SOAP, arXiv 2409.11321.
template <class Group, class Rule>
class FrameAveraged : public detail::frame_average_base_t<Group, Rule> {
 public:
  /// The average of that rule. Errors: as above.
  FrameAveraged(Rule rule = {}, FrameOptions options = {})
      : detail::frame_average_base_t<Group, Rule>(std::move(rule), options) {}
};

/// The rule averaged over the frame of Group: `frame_average<Embedding>(AdamW{})`.
template <class Group, class Rule>
FrameAveraged<Group, Rule> frame_average(Rule rule, FrameOptions options = {}) {
  return FrameAveraged<Group, Rule>(std::move(rule), options);
}

}  // namespace symopt
