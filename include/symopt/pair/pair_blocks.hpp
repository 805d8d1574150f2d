// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/gauge.hpp>
#include <symopt/memory/weights_view.hpp>
#include <symopt/side.hpp>

#include <algorithm>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The sizes of a pair's blocks, and their numbers: several A may share one B, or several B one A.
struct PairExtents {
  PairShape shape;
  Index count_of_a = 1, count_of_b = 1;
};

/// The blocks on one side of a pair, one or several that share the other side. All have as many lines, and
/// run alike in memory: lines x rank where the columns of the pair are those in memory (Side::right), rank x
/// lines where they are the rows (Side::left), as LoRA's down matrix has them.
template <class Scalar>
struct PairBlocks {
  std::vector<kernel::WeightsView<Scalar>> weights;
  std::vector<MatrixRef<Scalar>> directions;  ///< the momenta, which become the directions
  Side rank_side = Side::right;

  Index rank() const { return rank_side == Side::right ? shape().cols : shape().rows; }
  Index lines() const { return rank_side == Side::right ? shape().rows : shape().cols; }
  Shape shape() const { return weights.front().shape(); }
};

/// visit(line, column, entry) for all entries of the weights on one side, in the order of their memory. The
/// lines of several blocks follow each other.
template <class Scalar>
void for_each_weight(const PairBlocks<Scalar>& side, const auto& visit) {
  constexpr Index window = kernel::window_size;
  Scalar run[window];
  Index first_line = 0;
  for (const kernel::WeightsView<Scalar>& weights : side.weights) {
    const Shape shape = weights.shape();
    for (Index i = 0; i < shape.rows; ++i)
      for (Index j = 0; j < shape.cols; j += window) {
        const Index count = std::min(window, shape.cols - j);
        weights.read(i, j, count, run);
        if (side.rank_side == Side::right) {
          for (Index k = 0; k < count; ++k) visit(first_line + i, j + k, run[k]);
        } else {
          for (Index k = 0; k < count; ++k) visit(first_line + j + k, i, run[k]);
        }
      }
    first_line += side.lines();
  }
}

}}}  // namespace symopt::detail
