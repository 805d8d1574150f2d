// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <concepts>
#include <cstdlib>
#include <type_traits>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

/// The places of the rows (or the columns) of a block: line i starts at offset(i) scalars from the first. The
/// lines come in equal parts, each of them regular: one part in a matrix, two where a gate and an up matrix
/// share their neurons.
struct Axis {
  Index size = 0;
  Index stride = 1;       ///< from a line to the next of its part
  Index parts = 1;        ///< divides size
  Index part_stride = 0;  ///< from a part to the next

  constexpr Index part_size() const { return size / parts; }
  constexpr Index offset(Index line) const {
    if (parts == 1) return line * stride;
    return (line / part_size()) * part_stride + (line % part_size()) * stride;
  }

  friend bool operator==(const Axis&, const Axis&) = default;
};

/// A block in somebody else's memory, rows x cols, with any strides; `Scalar` may be const. Copying the view
/// copies no element.
template <class Scalar>
struct BlockView {
  using value_type = std::remove_const_t<Scalar>;

  Scalar* data = nullptr;
  Axis rows;
  Axis cols;
  /// When not null, row i of the view is row selected_rows[i] of the axis. Somebody else's memory too.
  const Index* selected_rows = nullptr;
  Index selected_count = 0;

  BlockView() = default;
  BlockView(Scalar* first, Axis row_axis, Axis column_axis)
      : data(first), rows(row_axis), cols(column_axis) {}

  /// The memory of a dense Eigen object in either storage order.
  template <detail::EigenMemory<Scalar> Derived>
  explicit BlockView(Derived& block)
      : data(block.data()), rows{block.rows(), block.rowStride()}, cols{block.cols(), block.colStride()} {}

  template <class Writable>
  requires(std::same_as<const Writable, Scalar> && !std::same_as<Writable, Scalar>)
      BlockView(const BlockView<Writable>& other)
      : data(other.data),
        rows(other.rows),
        cols(other.cols),
        selected_rows(other.selected_rows),
        selected_count(other.selected_count) {}

  Index row_count() const { return selected_rows == nullptr ? rows.size : selected_count; }
  Scalar* row(Index i) const { return data + rows.offset(selected_rows == nullptr ? i : selected_rows[i]); }

  /// Tests whether every row is contiguous.
  bool has_contiguous_rows() const { return cols.parts == 1 && (cols.stride == 1 || cols.size <= 1); }

  /// A view of this memory with rows and columns exchanged. Only where no rows are selected.
  BlockView transposed() const { return {data, cols, rows}; }
};

/// The direction in which a block's memory runs: neighbours in memory are in one row, or in one column. A
/// step works along it, and its momentum lies along it.
enum class Orientation { along_rows, along_columns };

/// The orientation of a view, by its strides; along rows where it has one column, or rows that are selected.
template <class Scalar>
Orientation orientation_of(const BlockView<Scalar>& block) {
  const bool runs_along_columns = std::abs(block.rows.stride) < std::abs(block.cols.stride) &&
                                  block.cols.size > 1 && block.selected_rows == nullptr;
  return runs_along_columns ? Orientation::along_columns : Orientation::along_rows;
}

/// The orientation of an Eigen object, by its storage order.
template <class Derived>
inline constexpr Orientation orientation_v =
    detail::is_row_major_v<Derived> ? Orientation::along_rows : Orientation::along_columns;

/// A view so that its memory runs along rows: as it is, or transposed.
///@{
template <Orientation orientation, class View>
decltype(auto) along_rows(const View& view) {
  if constexpr (orientation == Orientation::along_rows) {
    return (view);
  } else {
    return view.transposed();
  }
}

template <class View>
View along_rows(const View& view, Orientation orientation) {
  return orientation == Orientation::along_rows ? view : view.transposed();
}
///@}

}  // namespace detail

namespace detail {

/// The size of a view, without the rows that are not selected.
template <class Scalar>
Shape shape_of(const BlockView<Scalar>& view) {
  return {view.row_count(), view.cols.size};
}

template <class Stride, class Scalar>
void visit_segments(const BlockView<Scalar>& view, auto&& visit) {
  using Row = Eigen::Matrix<std::remove_const_t<Scalar>, 1, Eigen::Dynamic>;
  using Segment = Eigen::Map<std::conditional_t<std::is_const_v<Scalar>, const Row, Row>, 0, Stride>;
  const Index length = view.cols.part_size();
  for (Index i = 0; i < view.row_count(); ++i)
    for (Index part = 0; part < view.cols.parts; ++part)
      visit(i, part * length,
            Segment(view.row(i) + part * view.cols.part_stride, length, Stride(view.cols.stride)));
}

/// Calls visit(i, j, segment) for the runs of the view's rows, which are evenly spaced in memory: `segment`
/// is an Eigen row that starts at row i, column j. One run a row, but for rows in parts.
template <class Scalar, class Visit>
void for_each_segment(const BlockView<Scalar>& view, Visit&& visit) {
  if (view.cols.stride == 1) {
    detail::visit_segments<Eigen::InnerStride<1>>(view, visit);
  } else {
    detail::visit_segments<Eigen::InnerStride<>>(view, visit);
  }
}

}  // namespace detail

// Kernels are about memory: its words are theirs.
namespace kernel {
using symopt::detail::BlockView;
using symopt::detail::Orientation;
}  // namespace kernel

}}  // namespace symopt
