// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/pair/gram_sweeps.hpp>
#include <symopt/pair/small_map.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The Gram matrices of float weights on both sides of a pair.
class GramsOfWeights {
 public:
  explicit GramsOfWeights(const PairExtents& extents) : sweeps_(extents, false) {}

  Index memory_size() const { return sweeps_.memory_size(); }

  void read(const PairBlocks<float>& a, const PairBlocks<float>& b, double* memory, const auto& lines) {
    sweeps_.read(a, b, memory, lines);
  }
  void take_sums(const PairBlocks<float>&, const PairBlocks<float>&, const double* memory,
                 Matrix<double>& of_a, Matrix<double>& of_b) {
    sweeps_.write_gram_of_weights(true, memory, of_a);
    sweeps_.write_gram_of_weights(false, memory, of_b);
  }

 private:
  GramSweeps sweeps_;
};

/// The directions of float blocks whose map goes through r x r matrices: see GramSweeps and SmallMap.
template <class Normalization>
class SmallDirections {
 public:
  explicit SmallDirections(const PairExtents& extents)
      : sweeps_(extents, true),
        map_(extents.shape.rank),
        a_(static_cast<std::size_t>(extents.count_of_a), Direction(extents.shape.rank)),
        b_(static_cast<std::size_t>(extents.count_of_b), Direction(extents.shape.rank)) {}

  Index memory_size() const { return sweeps_.memory_size(); }

  /// The first sweep, which leaves its sums in the memory.
  void read(const PairBlocks<float>& a, const PairBlocks<float>& b, double* memory, const auto& lines) {
    sweeps_.read(a, b, memory, lines);
  }
  /// All that it left there; the Gram matrices of the weights.
  void take_sums(const PairBlocks<float>& a, const PairBlocks<float>& b, const double* memory,
                 Matrix<double>& of_a, Matrix<double>& of_b) {
    sweeps_.write_gram_of_weights(true, memory, of_a);
    sweeps_.write_gram_of_weights(false, memory, of_b);
    for (const bool is_a : {true, false})
      for (std::size_t k = 0; k < (is_a ? a : b).directions.size(); ++k) {
        Direction& direction = on(is_a)[k];
        direction.square.is_known = false;
        sweeps_.write_gram_of_direction(is_a, k, memory, direction.gram);
      }
  }

  /// The square of a direction; false where it has to be found on all its lines.
  bool find(const Normalization& normalization, bool is_a, std::size_t direction, const Matrix<double>& j) {
    Direction& of = on(is_a)[direction];
    map_.find(normalization, of.gram, j, of.square);
    return of.square.is_known;
  }
  const SmallSquare* square(bool is_a, std::size_t direction) const {
    const SmallSquare& square = (is_a ? a_ : b_)[direction].square;
    return square.is_known ? &square : nullptr;
  }

  /// The second sweep.
  void write(const PairBlocks<float>& a, const PairBlocks<float>& b, double* memory, const auto& lines,
             const auto& take) const {
    sweeps_.write(
        a, b, memory,
        [&](const PairBlocks<float>& side, std::size_t direction) { return square(&side == &a, direction); },
        lines, take);
  }

 private:
  struct Direction {
    explicit Direction(Index rank) : gram(Matrix<double>::Zero(rank, rank)), square(rank) {}

    Matrix<double> gram;
    SmallSquare square;
  };

  std::vector<Direction>& on(bool is_a) { return is_a ? a_ : b_; }

  GramSweeps sweeps_;
  SmallMap<Normalization, float> map_;
  std::vector<Direction> a_, b_;
};

}}}  // namespace symopt::detail
