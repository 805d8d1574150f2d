// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/group/head_rotations.hpp>
#include <symopt/normalization/spectral.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: the polar factor of each head alone, a head being `head_size` consecutive rows (left) or
/// columns (right). Homogeneous of degree 0 (as the method).
/// Largest group: rotations of each head and exchanges of heads on that side, all orthogonal matrices
/// on the other. Keeps horizontal blocks: on the other side only.
/// Cost and memory: the method's for one head, once per head.
/// Errors: std::invalid_argument when the heads do not fill the block.
template <Side side, int head_size, polar::PolarMethod Method = DefaultPolar>
struct HeadSpectral {
  Method method{};  ///< how the polar factor is computed, with its options

  using largest_group = Product<HeadRotations<side, head_size>, Orthogonal<opposite(side)>>;
  static constexpr bool is_scale_free = true;
  static constexpr bool keeps_horizontal(Side asked) { return asked != side; }

  template <class Scalar>
  struct Workspace : Spectral<Method>::template Workspace<Scalar> {
    explicit Workspace(Shape shape) : Spectral<Method>::template Workspace<Scalar>(head_shape(shape)) {}
  };

  /// The method that the heads of a block of that shape get, where it is chosen by shape.
  std::string method_for(Shape shape) const requires requires { Method::choice(shape, side); }
  { return Spectral<Method>{method}.method_for(head_shape(shape)); }
  void validate() const { method.validate(); }
  /// The nominal size of an entry of the output; see root_mean_square.hpp.
  double root_mean_square(Shape shape, Shape span) const {
    const Shape head = head_shape(shape);
    return detail::root_mean_square_of_polar_factor(
        head, {std::min(head.rows, span.rows), std::min(head.cols, span.cols)});
  }
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block,
             typename Spectral<Method>::template Workspace<Scalar>& workspace) const {
    const Spectral<Method> spectral{method};
    const Shape head = head_shape(detail::shape_of(block));
    for (Index i = 0; i < block.rows(); i += head.rows)
      for (Index j = 0; j < block.cols(); j += head.cols)
        spectral.template apply<Scalar>(block.block(i, j, head.rows, head.cols), workspace);
  }
  HeadSpectral<opposite(side), head_size, Method> mirrored() const { return {method}; }

 private:
  static Shape head_shape(Shape shape) {
    if (extent(shape, side) % head_size != 0)
      throw Error("heads of " + std::to_string(head_size) + " do not fill a block of " + to_string(shape));
    return side == Side::left ? Shape{head_size, shape.cols} : Shape{shape.rows, head_size};
  }
};

}}  // namespace symopt
