// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/oriented_buffer.hpp>
#include <symopt/optimizer/adaptive_state.hpp>
#include <symopt/optimizer/full_moments.hpp>
#include <symopt/optimizer/one_sided_step.hpp>
#include <symopt/optimizer/one_sided_within.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The state of a rule with full second moments: a momentum, and for each head, or for the block, a matrix of
/// mean products and its inverse root as it was last renewed. All still have the bias of a start from zero.
template <int head_rows, int head_columns, class Scalar>
class AdaptiveState<OneSidedWithin<head_rows, head_columns>, Scalar> {
  using Moments = OneSidedWithin<head_rows, head_columns>;

 public:
  /// Errors: Error where the heads do not fill the block.
  explicit AdaptiveState(Shape shape) : AdaptiveState(shape, Moments::cell(shape)) {}

  /// The mean of the gradients, rows x cols, read-only.
  auto momentum() const { return momentum_.view(); }
  /// The side of the matrices: the shorter one of the block, or of a head; left of a square.
  Side side() const { return side_; }
  /// The mean of G G^T / n of a head (on the right, of G^T G / m), k x k; Inf where its entries are out of
  /// range. Errors: std::out_of_range for a head that there is not.
  Matrix<double> second_moments(Index head = 0) const {
    const std::int64_t exponent = moments_.exponents.at(static_cast<std::size_t>(head));
    return unpacked(moments_.moments.row(head), 2 * exponent);
  }
  /// The inverse root of a head's bias-corrected second moments of the step in which it was renewed.
  Matrix<double> inverse_root(Index head = 0) const {
    const std::int64_t exponent = moments_.root_exponents.at(static_cast<std::size_t>(head));
    return unpacked(moments_.roots.row(head), -exponent);
  }

  std::int64_t step = 0;

  /// The side is in the names: moments of one side mean nothing on the other.
  void visit(auto&& field) {
    const std::string of = side_ == Side::left ? "left_" : "right_";
    field("momentum", momentum_);
    field(of + "moments", moments_.moments);
    field(of + "moment_exponents", moments_.exponents);
    field(of + "roots", moments_.roots);
    field(of + "root_exponents", moments_.root_exponents);
    field("step", step);
  }
  /// Throws Error for what no step makes.
  void validate() const { moments_.validate(); }
  bool is_finite() const { return all_entries_finite(momentum()) && moments_.is_finite(); }

  /// The momentum with its bound.
  kernel::OrientedBuffer<Scalar>& bounded_momentum() { return momentum_; }
  const kernel::OrientedBuffer<Scalar>& bounded_momentum() const { return momentum_; }
  /// The momentum for a step in that orientation, and the matrices, which do not depend on it.
  ///@{
  BlockView<Scalar> momentum_for(Orientation orientation) { return momentum_.for_step(orientation); }
  FullMoments<Scalar>& matrices() { return moments_; }
  ///@}
  /// The edge of the matrices.
  Index size() const { return moments_.size; }

 private:
  AdaptiveState(Shape shape, Shape cell)
      : momentum_(shape),
        side_(Moments::side(cell)),
        moments_(Moments::count(shape, cell), Moments::size(cell)) {}

  /// The symmetric matrix of packed numbers times 2^exponent.
  Matrix<double> unpacked(const auto& packed, std::int64_t exponent) const {
    Matrix<double> full(size(), size());
    for (Index i = 0; i < size(); ++i)
      for (Index j = 0; j <= i; ++j)
        full(i, j) = full(j, i) =
            std::ldexp(static_cast<double>(packed(packed_row(i) + j)), static_cast<int>(exponent));
    return full;
  }

  kernel::OrientedBuffer<Scalar> momentum_;
  Side side_;
  FullMoments<Scalar> moments_;
};

/// A step of the rule for whoever calls it itself, with scratch of its own.
template <class Projection, class Moments, class Scalar, class Direction>
void one_sided_call(const auto& gradient, AdaptiveState<Moments, Scalar>& state, RootRenewal renewal,
                    const kernel::AdamWCoefficients& own, Direction& direction) {
  using Step = OneSidedStep<Moments, Projection>;
  const Shape shape{gradient.rows(), gradient.cols()};
  typename Step::template Memory<Scalar> memory(shape, {});
  MatrixRef<Scalar> block = memory.direction.as(shape);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) block(i, j) = gradient.coeff(i, j);
  const kernel::StepCoefficients coefficients{.beta = own.beta1, .gradient_weight = own.first_weight};
  Step::template make_direction<Scalar>(block, state.momentum_for(Orientation::along_rows),
                                        {state.matrices(), renewal}, coefficients, own, memory);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j)
      direction.coeffRef(i, j) = static_cast<Scalar>(own.first_correction * static_cast<double>(block(i, j)));
}

}}}  // namespace symopt::detail
