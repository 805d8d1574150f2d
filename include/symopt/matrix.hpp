// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <Eigen/Core>

#include <concepts>
#include <string>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI {

/// Signed sizes and places, 64 bits where addresses have as many.
using Index = Eigen::Index;

/// The scalars that updates are computed in.
template <class T>
concept RealScalar = std::same_as<T, float> || std::same_as<T, double>;

/// A dense block that owns its memory, row-major.
template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A writable view of somebody else's row-major block: inner stride 1, any outer stride.
template <class Scalar>
using MatrixRef = Eigen::Ref<Matrix<Scalar>, 0, Eigen::OuterStride<>>;

/// The read-only counterpart of MatrixRef.
template <class Scalar>
using ConstMatrixRef = Eigen::Ref<const Matrix<Scalar>, 0, Eigen::OuterStride<>>;

/// The size of a block: rows x cols.
struct Shape {
  Index rows = 0;  ///< m
  Index cols = 0;  ///< n

  friend bool operator==(const Shape&, const Shape&) = default;
};

/// n x m of m x n.
constexpr Shape transposed(Shape shape) {
  return {shape.cols, shape.rows};
}

namespace detail {

/// The size of an Eigen object.
template <class Derived>
Shape shape_of(const Eigen::EigenBase<Derived>& block) {
  return {block.rows(), block.cols()};
}

}  // namespace detail

inline std::string to_string(Shape shape) {
  return std::to_string(shape.rows) + "x" + std::to_string(shape.cols);
}

namespace detail {

/// An expression that is memory and can be viewed (Matrix, Map, Ref, Block), not a formula that has still to
/// be evaluated.
template <class Derived>
inline constexpr bool is_memory_v = (int(Eigen::internal::traits<std::remove_cvref_t<Derived>>::Flags) &
                                     Eigen::DirectAccessBit) != 0;

/// An expression that is memory and may be written to.
template <class Derived>
inline constexpr bool is_writable_memory_v =
    is_memory_v<Derived> && !std::is_const_v<std::remove_reference_t<Derived>> &&
    (int(Eigen::internal::traits<std::remove_cvref_t<Derived>>::Flags) & Eigen::LvalueBit) != 0;

/// An Eigen object. Its base need not be the one of its own type: a segment of a vector has a block's.
template <class T>
concept EigenObject = requires(const std::remove_cvref_t<T>& object) {
  []<class Derived>(const Eigen::EigenBase<Derived>&) {}(object);
};

/// False for a matrix that owns its memory and ends with the expression, so that a view of it would dangle.
/// T as a forwarding reference deduces it.
template <class T>
inline constexpr bool outlives_expression_v =
    std::is_lvalue_reference_v<T> ||
    !std::derived_from<std::remove_cvref_t<T>, Eigen::PlainObjectBase<std::remove_cvref_t<T>>>;

/// An Eigen object with memory of its scalar that can be viewed.
template <class T, class Scalar>
concept EigenMemory = EigenObject<T> && is_memory_v<T> &&
    std::same_as<typename std::remove_cvref_t<T>::Scalar, std::remove_const_t<Scalar>>;

/// An expression in row-major order: consecutive elements of a row are neighbours in memory.
template <class Derived>
inline constexpr bool is_row_major_v = bool(std::remove_cvref_t<Derived>::IsRowMajor);

/// The block as a row-major view: as it lies when it is row-major, its transpose when it is
/// column-major. Needs inner stride 1.
template <class Derived>
auto row_major_view(Derived& block) {
  using Scalar = typename std::remove_cvref_t<Derived>::Scalar;
  using Target = std::conditional_t<std::is_const_v<Derived>, const Matrix<Scalar>, Matrix<Scalar>>;
  const auto [rows, cols] = is_row_major_v<Derived> ? shape_of(block) : transposed(shape_of(block));
  return Eigen::Map<Target, 0, Eigen::OuterStride<>>(block.data(), rows, cols,
                                                     Eigen::OuterStride<>(block.outerStride()));
}

}  // namespace detail

}}  // namespace symopt
