// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/group/families.hpp>
#include <symopt/normalization/apply.hpp>
#include <symopt/normalization/root_mean_square.hpp>
#include <symopt/normalization/scale_free.hpp>
#include <symopt/normalization/spectral.hpp>
#include <symopt/type_name.hpp>

#include <algorithm>
#include <string>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// Tests whether a map is Spectral by some method.
template <class N>
inline constexpr bool is_spectral_v = false;
template <class Method>
inline constexpr bool is_spectral_v<Spectral<Method>> = true;

}  // namespace detail

/// Definition: a normalization N of each head alone, a head being `head_size` consecutive rows (left) or
/// columns (right). Homogeneous of N's degree.
/// Families: on that side exchanges of heads, and those of N that act within a head; on the other side N's.
/// Exchanges of two lines of one head have no family of their own and are not claimed.
/// Keeps horizontal blocks: on the other side, where N does.
/// Cost and memory: N's for one head, once per head.
/// Errors: std::invalid_argument when the heads do not fill the block.
/// In a stack a layout (layout::row_heads, layout::column_heads) splits a tensor into heads for every rule.
template <Side side, int head_size, class N>
struct PerHead {
  static_assert(head_size > 0, "a head has at least one row or column");

  N normalization{};  ///< N, with its options

  static constexpr Families families = [] {
    Families all = detail::claimed_families<N>;
    SideFamilies& own = side == Side::left ? all.left : all.right;
    own = {.permutations = head_size == 1,
           .signs = own.has_signs(),
           .positive_scalings = own.positive_scalings,
           .block_rotations = own.rotations ? head_size : own.block_rotations,
           .block_permutations = head_size};
    return all;
  }();
  static constexpr bool is_scale_free = is_scale_free_v<N>;
  /// So many consecutive rows are not parted between processes: the rows of a head.
  static constexpr Index rows_together = side == Side::left ? head_size : 1;
  static constexpr bool keeps_horizontal(Side asked) {
    return asked != side && symopt::detail::keeps_horizontal<N>(asked);
  }

  template <class Scalar>
  struct Workspace : detail::workspace_t<N, Scalar> {
    explicit Workspace(Shape shape) : detail::workspace_t<N, Scalar>(head_shape(shape)) {}
  };

  /// "PerHead<left, 4, RowNorm>"; of a polar factor "HeadSpectral<left, 4>", as state files have it.
  static std::string name() {
    const std::string heads =
        std::string(side == Side::left ? "<left, " : "<right, ") + std::to_string(head_size) + ", ";
    if constexpr (detail::is_spectral_v<N>) {
      const std::string method = detail::type_name<decltype(N::method)>();
      return detail::without_default_method("HeadSpectral" + heads + method + ">");
    } else {
      return "PerHead" + heads + detail::type_name<N>() + ">";
    }
  }
  /// The method that the heads of a block of that shape get, where it is chosen by shape.
  std::string method_for(Shape shape) const requires requires(const N& map) { map.method_for(shape); }
  { return normalization.method_for(head_shape(shape)); }
  /// The nominal size of an entry of the output; see root_mean_square.hpp.
  double root_mean_square(Shape shape, Shape span) const requires(detail::has_root_mean_square<N>()) {
    const Shape head = head_shape(shape);
    return detail::root_mean_square_of_stage(
        normalization, head, {std::min(head.rows, span.rows), std::min(head.cols, span.cols)});
  }
  /// A bound on the entries of the output, from the bound `input` on those of the input.
  double largest_entry(Shape shape, double input) const requires requires(const N& map) {
    map.largest_entry(shape, input);
  }
  { return normalization.largest_entry(head_shape(shape), input); }
  void options(auto&& field) { field("normalization", normalization); }
  void validate() const { detail::validated(normalization); }
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, auto& workspace) const {
    const Shape head = head_shape(detail::shape_of(block));
    for (Index i = 0; i < block.rows(); i += head.rows)
      for (Index j = 0; j < block.cols(); j += head.cols)
        detail::apply_map<N, Scalar>(normalization, block.block(i, j, head.rows, head.cols), workspace);
  }
  /// block <- N of each head, of a block of which other processes have the other heads.
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, auto& workspace, const auto&) const requires(side == Side::left) {
    apply(block, workspace);
  }
  auto mirrored() const {
    const auto inner = detail::mirror(normalization);
    return PerHead<opposite(side), head_size, std::remove_const_t<decltype(inner)>>{inner};
  }

 private:
  static Shape head_shape(Shape shape) {
    if (extent(shape, side) % head_size != 0)
      throw Error("heads of " + std::to_string(head_size) + " do not fill a block of " + to_string(shape));
    return side == Side::left ? Shape{head_size, shape.cols} : Shape{shape.rows, head_size};
  }
};

/// The polar factor of each head alone: what rotations of each head derive.
template <Side side, int head_size, polar::PolarMethod Method = DefaultPolar>
using HeadSpectral = PerHead<side, head_size, Spectral<Method>>;

}}  // namespace symopt
