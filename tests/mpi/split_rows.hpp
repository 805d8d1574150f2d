// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <symopt/interop/mpi/row_optimizer.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <doctest/doctest.h>
#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

// One block stepped twice: whole, by an Optimizer on every rank, and by its rows, by a RowOptimizer.
namespace symopt_test {

inline int own_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}
inline int rank_count() {
  int count = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &count);
  return count;
}

using Split = std::vector<symopt::mpi::RowRange>;

/// The split of which the library promises the bits of one process.
inline Split promised_split(Shape whole, Index together = 1) {
  return symopt::mpi::row_partition(whole, rank_count(), together);
}
/// Rows that grow with the rank: 1, 2, 3 and 4 parts of 10 on four ranks.
inline Split uneven_split(Shape whole) {
  const Index ranks = rank_count(), parts = ranks * (ranks + 1) / 2;
  Split ranges;
  for (Index r = 0; r < ranks; ++r)
    ranges.push_back({whole.rows * (r * (r + 1) / 2) / parts, whole.rows * ((r + 1) * (r + 2) / 2) / parts});
  return ranges;
}
/// The first rank has one row, the last one all others.
inline Split lopsided_split(Shape whole) {
  const Index first = std::min<Index>(1, whole.rows);
  Split ranges(static_cast<std::size_t>(rank_count()), {first, first});
  ranges.front().begin = 0;
  ranges.back().end = whole.rows;
  return ranges;
}
inline symopt::mpi::RowRange own_rows(const Split& split) {
  return split[static_cast<std::size_t>(own_rank())];
}

template <class Block>
auto rows_of(Block&& block, symopt::mpi::RowRange range) {
  return block.middleRows(range.begin, range.end - range.begin);
}

/// Numbers in [-1, 1) that look random: without optimization as many normal ones take longer than the steps.
template <class Scalar = double>
Matrix<Scalar> quick_block(Shape shape, Random& random) {
  std::uint64_t state = random() | 1U;
  Matrix<Scalar> block(shape.rows, shape.cols);
  Scalar* entries = block.data();
  for (Index k = 0; k < shape.rows * shape.cols; ++k) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    entries[k] = static_cast<Scalar>(static_cast<std::int32_t>(state >> 32)) * Scalar(0x1p-31);
  }
  return block;
}

/// Gradients on the edge of what a step has to stand, by number from 1 to 4; 0 is an ordinary one.
template <class Scalar>
Matrix<Scalar> gradient_of_kind(int kind, Shape shape, Random& random) {
  if (kind == 0) return quick_block<Scalar>(shape, random);
  Matrix<double> gradient = quick_block(shape, random);
  const double far = sizeof(Scalar) == 4 ? 1e19 : 1e180;  // the squares leave the range
  for (Index i = 0; i < shape.rows; ++i) {
    if (kind == 1) gradient.row(i) *= i % 3 == 0 ? far : 1 / far;
    if (kind == 2 && i % 7 != 5) gradient.row(i).setZero();
  }
  for (Index j = 0; j < shape.cols; ++j) {
    if (kind == 3) gradient.col(j) *= j % 3 == 0 ? far : j % 3 == 1 ? 1 / far : 0.0;
    if (kind == 4) gradient.col(j).setConstant(double(j % 2) * 3.5);  // a mean row, and nothing else
  }
  return gradient.cast<Scalar>();
}

template <class Rule, class Scalar>
struct Twins {
  Twins(Shape whole, const Split& split, const symopt::OptimizerOptions& options, const Rule& rule = {})
      : range(own_rows(split)),
        alone(whole.rows, whole.cols, options, rule),
        split_up(MPI_COMM_WORLD, range.end - range.begin, whole.cols, options, rule),
        random(default_seed),
        whole_weights(quick_block<Scalar>(whole, random)),
        weights(rows_of(whole_weights, range)) {
    CHECK(split_up.whole() == whole);
    CHECK(split_up.rows().begin == range.begin);
    CHECK(split_up.rows().end == range.end);
  }

  void step(const Matrix<Scalar>& gradient) {
    alone.step(whole_weights, gradient);
    split_up.step(weights, rows_of(gradient, range));
  }

  bool have_same_weights() const { return same_bits(weights, rows_of(whole_weights, range)); }
  bool have_same_state() const {
    if constexpr (requires { alone.momentum(); }) {
      return same_bits(split_up.momentum(), rows_of(alone.momentum(), range));
    } else if constexpr (requires { alone.state().first(); }) {
      return same_bits(split_up.state().first(), rows_of(alone.state().first(), range)) &&
             same_bits(split_up.state().second(), rows_of(alone.state().second(), range));
    } else {
      return same_bits(split_up.state().momentum(), rows_of(alone.state().momentum(), range));
    }
  }
  /// The distance of the weights, on the scale of what steps have made of them.
  double distance(const Matrix<Scalar>& start) const {
    const auto moved = [&](const auto& now) {
      return Matrix<double>(as_double(now) - as_double(rows_of(start, range)));
    };
    const double scale = (as_double(whole_weights) - as_double(start)).norm();
    return error_on_scale(moved(weights), moved(rows_of(whole_weights, range)), scale);
  }

  symopt::mpi::RowRange range;
  symopt::Optimizer<Rule, Scalar> alone;
  symopt::mpi::RowOptimizer<Rule, Scalar> split_up;
  Random random;
  Matrix<Scalar> whole_weights, weights;
};

}  // namespace symopt_test
