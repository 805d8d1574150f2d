// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/group/product.hpp>
#include <symopt/optimizer/moments.hpp>
#include <symopt/side.hpp>

#include <string>

// Full second moments of a block of a group: of the whole block, or of each of its heads.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The first row and column of a part of a block.
struct Place {
  Index row = 0, column = 0;
};

/// moments::OneSided of a block that is cut into cells: heads of so many rows and so many columns, 0 for all
/// of them. Each cell has a matrix on its shorter side, a square one on `side_of_squares`.
template <int head_rows, int head_columns, Side side_of_squares = Side::left>
struct OneSidedWithin {
  /// Errors: Error where the heads do not fill the block.
  static Shape cell(Shape block) {
    const auto edge = [&](Index lines, int head) -> Index {
      require(head == 0 || lines % head == 0, [&] {
        return "heads of " + std::to_string(head) + " do not fill a block of " + to_string(block);
      });
      return head == 0 ? lines : head;
    };
    return {edge(block.rows, head_rows), edge(block.cols, head_columns)};
  }
  static constexpr Side side(Shape cell) {
    if (cell.rows == cell.cols) return side_of_squares;
    return cell.rows < cell.cols ? Side::left : Side::right;
  }
  /// The edge of the matrices of a cell.
  static constexpr Index size(Shape cell) { return extent(cell, side(cell)); }
  static constexpr Index count(Shape block, Shape cell) {
    return block.rows == 0 || block.cols == 0 ? 0 : block.rows / cell.rows * (block.cols / cell.cols);
  }
  /// The place of a cell. They are counted row by row; under the mirror column by column, so that a cell and
  /// its transpose have one number.
  static constexpr Place place(Shape block, Shape cell, Index number) {
    if constexpr (side_of_squares == Side::left) {
      const Index in_a_row = block.cols / cell.cols;
      return {number / in_a_row * cell.rows, number % in_a_row * cell.cols};
    } else {
      const Index in_a_column = block.rows / cell.rows;
      return {number % in_a_column * cell.rows, number / in_a_column * cell.cols};
    }
  }
};
template <int head_rows, int head_columns, Side side_of_squares>
struct MomentTraits<OneSidedWithin<head_rows, head_columns, side_of_squares>> {
  using mirrored = OneSidedWithin<head_columns, head_rows, opposite(side_of_squares)>;
};

/// The size of the heads within which the linear factor of a side rotates; 0 where it does not see heads.
constexpr int head_size_of(const SideFamilies& linear) {
  return !linear.rotations && linear.block_rotations > 1 ? linear.block_rotations : 0;
}

/// Second moments of a block of a group, with its heads where they see them, and the families under which the
/// update is equivariant.
template <class Group, class Moments>
struct MomentsWithin {
  using type = Moments;
  static constexpr Families families = Moments::families;
};
template <class Group>
struct MomentsWithin<Group, moments::OneSided> {
  static constexpr int head_rows = head_size_of(families_of<Group>.left);
  static constexpr int head_columns = head_size_of(families_of<Group>.right);
  using type = OneSidedWithin<head_rows, head_columns>;
  static constexpr Families families = [] {
    const auto within = [](int head) {
      return head == 0 ? all_rotations : SideFamilies{.block_rotations = head, .block_permutations = head};
    };
    return Families{within(head_rows), within(head_columns)};
  }();
};

}}}  // namespace symopt::detail
