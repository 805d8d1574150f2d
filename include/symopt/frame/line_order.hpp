// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The rows of a block in sorted order: the frame of the permutations of the rows. Equal rows share a
/// group; which of them comes first is arbitrary and must not matter. Refining by another block sorts within
/// the groups and splits them, so an order made from several blocks is that of their rows one after the
/// other.
class LineOrder {
 public:
  LineOrder() = default;
  explicit LineOrder(Index lines) : line_at_(static_cast<std::size_t>(lines)), group_at_(line_at_.size(), 0) {
    std::iota(line_at_.begin(), line_at_.end(), Index(0));
  }

  /// Sorts by the rows of `keys`, lexicographically, the largest first. Entries within the same cell of a
  /// grid of spacing `grid` count as equal; 0 compares exactly.
  void refine(const Matrix<double>& keys, double grid) {
    const auto key = [&](Index line, Index j) {
      return grid > 0 ? std::round(keys(line, j) / grid) : keys(line, j);
    };
    const auto before = [&](Index a, Index b) {
      for (Index j = 0; j < keys.cols(); ++j)
        if (key(a, j) != key(b, j)) return key(a, j) > key(b, j);
      return false;
    };
    Index next_group = 0;
    for_each_group([&](std::size_t begin, std::size_t end) {
      const auto first = line_at_.begin() + static_cast<std::ptrdiff_t>(begin);
      std::stable_sort(first, line_at_.begin() + static_cast<std::ptrdiff_t>(end), before);
      for (std::size_t i = begin; i < end; ++i) {
        if (i > begin && before(line_at_[i - 1], line_at_[i])) ++next_group;
        group_at_[i] = next_group;
      }
      ++next_group;
    });
  }

  /// The rows of the block in sorted order.
  Matrix<double> sorted(const Matrix<double>& block) const {
    Matrix<double> result(block.rows(), block.cols());
    for (std::size_t i = 0; i < line_at_.size(); ++i)
      result.row(static_cast<Index>(i)) = block.row(line_at_[i]);
    return result;
  }

  /// Sorted rows back in their places, each the mean of its group: the average over all orders of the ties.
  Matrix<double> restored(const Matrix<double>& block) const {
    Matrix<double> result(block.rows(), block.cols());
    for_each_group([&](std::size_t begin, std::size_t end) {
      const Matrix<double> mean =
          block.middleRows(static_cast<Index>(begin), static_cast<Index>(end - begin)).colwise().mean();
      for (std::size_t i = begin; i < end; ++i) result.row(line_at_[i]) = mean;
    });
    return result;
  }

  void visit(auto&& field) {
    field("line_at", line_at_);
    field("group_at", group_at_);
  }

  /// Throws std::invalid_argument unless this is an order: what was loaded into it need not be one.
  void validate() const {
    std::vector<bool> seen(line_at_.size(), false);
    for (const Index line : line_at_) {
      const auto at = static_cast<std::size_t>(line);
      if (line < 0 || at >= seen.size() || seen[at])
        throw Error("the lines of a frame are in no order: one is missing or there twice");
      seen[at] = true;
    }
  }

 private:
  void for_each_group(const auto& visit) const {
    const std::vector<Index> groups = group_at_;
    for (std::size_t begin = 0; begin < groups.size();) {
      std::size_t end = begin;
      while (end < groups.size() && groups[end] == groups[begin]) ++end;
      visit(begin, end);
      begin = end;
    }
  }

  std::vector<Index> line_at_;   ///< position -> row of the block
  std::vector<Index> group_at_;  ///< position -> group
};

}}}  // namespace symopt::detail
