// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/pair/pair_blocks.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The metrics of a pair need no memory besides their own.
struct NoMetricScratch {
  NoMetricScratch(Index, Index, Index = 0) {}
};

/// J with J J^T = Pi(sum of B^T B)^+ for an algebra whose positive elements are diagonal: a number for each
/// column, 1 over the root mean square of the norms of the columns that share it; 0 for columns of zeros.
template <class A>
class DiagonalMetric {
 public:
  using Scratch = NoMetricScratch;

  explicit DiagonalMetric(Index rank)
      : numbers_(static_cast<std::size_t>(rank)),
        lengths_(numbers_.size()),
        squares_(numbers_.size()),
        largest_(numbers_.size()) {}

  /// Of the blocks on one side.
  template <class Scalar>
  void compute(const PairBlocks<Scalar>& side, Scratch&) {
    add_squares(side);
    const Index size = full(), count = A::number_count(size);
    const double columns = static_cast<double>(size) / static_cast<double>(count);
    for (Index j = 0; j < size; ++j) {
      const auto number = static_cast<std::size_t>(A::number_of(j, size));
      lengths_[static_cast<std::size_t>(j)] = largest_[number] * std::sqrt(squares_[number] / columns);
    }
    invert_lengths();
  }

  /// Of Pi(B^T B) + damping^2 Pi(A^T A)^-1, from the metrics of both sides.
  template <class Scalar>
  void compute_damped(const PairBlocks<Scalar>&, const DiagonalMetric& own, const DiagonalMetric& partner,
                      double damping, Scratch&) {
    for (std::size_t j = 0; j < numbers_.size(); ++j)
      lengths_[j] = std::hypot(own.lengths_[j], damping * partner.numbers_[j]);
    invert_lengths();
  }

  /// The number of columns whose number is not zero, by the last computation.
  Index rank() const { return rank_; }
  /// That of an invertible one.
  Index full() const { return static_cast<Index>(numbers_.size()); }
  /// The diagonal of J.
  const std::vector<double>& numbers() const { return numbers_; }

 private:
  void invert_lengths() {
    rank_ = 0;
    for (std::size_t j = 0; j < numbers_.size(); ++j) {
      const double length = lengths_[j];
      numbers_[j] = length == 0 ? 0 : 1 / length;
      rank_ += length > 0 ? 1 : 0;
    }
  }

  /// The sums of squares over the columns that share a number, over the square of a power of two near their
  /// largest entry where squares of doubles could leave the range.
  template <class Scalar>
  void add_squares(const PairBlocks<Scalar>& side) {
    const auto size = static_cast<Index>(numbers_.size());
    const auto of = [size](Index j) { return static_cast<std::size_t>(A::number_of(j, size)); };
    std::fill(squares_.begin(), squares_.end(), 0.0);
    std::fill(largest_.begin(), largest_.end(), 1.0);
    if constexpr (sizeof(Scalar) == sizeof(double)) {
      std::fill(largest_.begin(), largest_.end(), 0.0);
      for_each_weight(side, [&](Index, Index j, Scalar entry) {
        largest_[of(j)] = std::max(largest_[of(j)], std::abs(static_cast<double>(entry)));
      });
      for (double& largest : largest_)
        largest = largest > 0 && is_finite(largest) ? std::ldexp(1.0, std::ilogb(largest)) : 1;
    }
    for_each_weight(side, [&](Index, Index j, Scalar entry) {
      const double x = static_cast<double>(entry) / largest_[of(j)];
      squares_[of(j)] += x * x;
    });
  }

  std::vector<double> numbers_, lengths_, squares_, largest_;
  Index rank_ = 0;
};

}}}  // namespace symopt::detail
