// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/error.hpp"

#include <vector>

namespace symopt_test {

/// A block inside a larger piece of memory, in either storage order, with a gap after every line. What lies
/// around the block is filled with a mark.
template <class Scalar, int order>
class Embedded {
 public:
  using Stored = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, order>;
  using View = Eigen::Map<Stored, 0, Eigen::OuterStride<>>;
  static constexpr Scalar mark = Scalar(-77);

  Embedded(const Matrix<double>& block, Index gap)
      : rows_(block.rows()),
        cols_(block.cols()),
        gap_(gap),
        memory_(static_cast<std::size_t>(2 * margin + outer_size() * stride()), mark) {
    view() = block.template cast<Scalar>();
  }

  View view() { return View(memory_.data() + margin, rows_, cols_, Eigen::OuterStride<>(stride())); }
  Eigen::Map<const Stored, 0, Eigen::OuterStride<>> view() const {
    return {memory_.data() + margin, rows_, cols_, Eigen::OuterStride<>(stride())};
  }

  /// True while nothing but the block was written.
  bool surroundings_are_intact() const {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      const Index place = static_cast<Index>(i) - margin;
      const bool is_inside = place >= 0 && place < outer_size() * stride() && place % stride() < inner_size();
      if (!is_inside && memory_[i] != mark) return false;
    }
    return true;
  }

 private:
  static constexpr Index margin = 3;
  Index outer_size() const { return order == Eigen::RowMajor ? rows_ : cols_; }
  Index inner_size() const { return order == Eigen::RowMajor ? cols_ : rows_; }
  Index stride() const { return inner_size() + gap_; }

  Index rows_, cols_, gap_;
  std::vector<Scalar> memory_;
};

}  // namespace symopt_test
