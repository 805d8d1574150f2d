// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/row_ranks.hpp>
#include <symopt/interop/mpi/row_turn.hpp>
#include <symopt/kernel/column_sums.hpp>
#include <symopt/kernel/reduction.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The reduction (kernel/reduction.hpp) of a block whose rows several ranks have, each of them some that
/// follow on those of the rank before. Where one rank has all rows, or there are none, nothing is sent.
///
/// Sums that a step makes of chunks are folded from the lines of all chunks in one order on every rank: a sum
/// by MPI would associate otherwise, and need not give all ranks the same bits. So they have the bits of one
/// process, where ranks begin at the first row of a chunk, and are the same on all ranks in any case.
/// Gram matrices are added by MPI_Ireduce and sent by MPI_Ibcast: the same on all ranks.
///
/// Received by a rank, with p ranks, C chunks of which C_r are its own, and numbers of s bytes (8 for sums):
///   gathered     8 (C - C_r) n for lines of n numbers
///   continued    8 n from the rank before (but for the first), and 8 n in a broadcast
///   sum_lower    s k (k + 1) / 2 for a k x k square in a broadcast, as much from a rank in a reduction
///   turned       s n_r (m - m_r) there and s m_r (n - n_r) back, for its m_r rows and n_r columns of m x n
/// Memory: C + 1 lines, at most 65 + p; for polar factors k (k + 1) / 2 numbers, and the columns of a block
/// that turns, taken at the first step. MPI is called by the thread that steps: MPI_THREAD_FUNNELED is
/// enough.
template <class Scalar>
class RowReduction {
 public:
  /// Collective: the rows of the ranks in their order are the block. Errors, on all ranks:
  /// std::invalid_argument for so many columns that MPI cannot count their sums.
  RowReduction(RowRanks ranks, Shape part, const std::string& parameter) : ranks_(std::move(ranks)) {
    const std::vector<std::int64_t> rows = ranks_.gathered(part.rows);
    whole_.cols = part.cols;
    for (const std::int64_t count : rows) whole_.rows += static_cast<Index>(count);
    rows_in_chunk_ = kernel::reduction_chunks(whole_).rows_in_chunk;
    is_split_ = std::count_if(rows.begin(), rows.end(), [](std::int64_t count) { return count > 0; }) > 1;
    for (const std::int64_t count : rows) {
      first_rows_.push_back(first_rows_.empty() ? 0 : last_row_);
      last_row_ = first_rows_.back() + static_cast<Index>(count);
      first_chunks_.push_back(chunk_count_);
      chunk_count_ += (static_cast<Index>(count) + rows_in_chunk_ - 1) / rows_in_chunk_;
    }
    first_rows_.push_back(last_row_);
    first_chunks_.push_back(chunk_count_);
    symopt::detail::require(
        !is_split_ || chunk_count_ * whole_.cols <= std::numeric_limits<int>::max(), {parameter}, [&] {
          return "a block of " + to_string(whole_) +
                 " has more columns than MPI can count the sums of; split it by columns first";
        });
    line_ = kernel::Buffer<double>(kernel::padded(whole_.cols));
    if (is_split_) lines_ = kernel::Buffer<double>(chunk_count_ * std::max<Index>(1, whole_.cols));
  }

  const RowRanks& ranks() const { return ranks_; }
  /// The first row that a rank has, and the one after its last; of this rank by default.
  ///@{
  kernel::Range rows(int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    return {first_rows_[r], first_rows_[r + 1]};
  }
  kernel::Range rows() const { return rows(ranks_.rank()); }
  ///@}
  Shape whole() const { return whole_; }

  Shape whole(Shape) const { return whole_; }
  bool is_split() const { return is_split_; }
  kernel::Chunks chunks(Shape part) const {
    return {part.rows, rows_in_chunk_, first_chunks_[own() + 1] - first_chunks_[own()]};
  }

  kernel::Lines gathered(const kernel::Lines& lines) const {
    if (!is_split_) return lines;
    double* to = lines_.data() + first_chunks_[own()] * lines.size;
    for (Index k = 0; k < lines.count; ++k)
      std::copy_n(lines.data + k * lines.stride, lines.size, to + k * lines.size);
    const std::size_t size = first_rows_.size() - 1;
    counts_.resize(size);
    places_.resize(size);
    for (std::size_t r = 0; r < size; ++r) {
      places_[r] = static_cast<int>(first_chunks_[r] * lines.size);
      counts_[r] = static_cast<int>(first_chunks_[r + 1] * lines.size) - places_[r];
    }
    finish("gather the sums of rows", [&](MPI_Request* request) {
      return MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, lines_.data(), counts_.data(),
                             places_.data(), MPI_DOUBLE, ranks_.communicator(), request);
    });
    return {lines_.data(), chunk_count_, lines.size, lines.size};
  }

  double* continued(Index size, auto&& add) const {
    double* line = line_.data();
    std::fill(line, line + line_.size(), 0.0);
    const int count = static_cast<int>(size), rank = ranks_.rank(), last = ranks_.size() - 1;
    if (is_split_ && rank > 0)
      finish("receive the sum of the rows before", [&](MPI_Request* request) {
        return MPI_Irecv(line, count, MPI_DOUBLE, rank - 1, 0, ranks_.communicator(), request);
      });
    add(line);
    if (is_split_ && rank < last)
      finish("send the sum of rows on", [&](MPI_Request* request) {
        return MPI_Isend(line, count, MPI_DOUBLE, rank + 1, 0, ranks_.communicator(), request);
      });
    if (is_split_) ranks_.broadcast(line, size, last);
    return line;
  }

  /// In batches, so that no rank needs memory for the numbers of another.
  template <class Number>
  void scan(auto&& numbers, auto&& visit) const {
    if (!is_split_) {
      numbers(visit);
      return;
    }
    constexpr std::int64_t most = 1024;
    Number batch[most];
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      std::int64_t count = 0;
      const auto pass_on = [&] {
        ranks_.broadcast(&count, 1, rank);
        ranks_.broadcast(batch, count, rank);
        for (std::int64_t k = 0; k < count; ++k) visit(batch[k]);
      };
      if (rank == ranks_.rank()) {
        numbers([&](Number x) {
          batch[count++] = x;
          if (count < most) return;
          pass_on();
          count = 0;
        });
        pass_on();  // fewer, or none: the last batch
      } else {
        do {
          pass_on();
        } while (count == most);
      }
    }
  }

  /// By the bits of numbers without a sign, among which NaN comes last.
  Scalar largest(Scalar own_largest) const {
    if (!is_split_) return own_largest;
    using Bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
    Bits bits = std::bit_cast<Bits>(std::abs(own_largest));
    finish("find the largest entry", [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, &bits, 1, mpi_type<Bits>(), MPI_MAX, ranks_.communicator(),
                            request);
    });
    return std::bit_cast<Scalar>(bits);
  }

  double norm(double own_norm) const {
    if (!is_split_) return own_norm;
    double squares = own_norm * own_norm;
    sum(&squares, 1);
    return std::sqrt(squares);
  }

  template <class Number>
  void sum(Number* numbers, Index count) const {
    if (!is_split_) return;
    constexpr Index most = Index{1} << 30;
    for (Index first = 0; first < count; first += most) {
      const Index size = std::min(most, count - first);
      Number* part = numbers + first;
      const void* from = ranks_.rank() == 0 ? MPI_IN_PLACE : part;
      finish("add up over the ranks", [&](MPI_Request* request) {
        return MPI_Ireduce(from, part, static_cast<int>(size), mpi_type<Number>(), MPI_SUM, 0,
                           ranks_.communicator(), request);
      });
      ranks_.broadcast(part, size, 0);
    }
  }

  void sum_lower(MatrixRef<Scalar>& square) const {
    if (!is_split_) return;
    const Index size = square.rows(), count = size * (size + 1) / 2;
    if (triangle_.size() < count) triangle_ = kernel::Buffer<Scalar>(count);
    Scalar* numbers = triangle_.data();
    const auto row = [&](Index i) { return numbers + i * (i + 1) / 2; };
    for (Index i = 0; i < size; ++i) std::copy_n(&square.coeffRef(i, 0), i + 1, row(i));
    sum(numbers, count);
    for (Index i = 0; i < size; ++i) std::copy_n(row(i), i + 1, &square.coeffRef(i, 0));
  }

  bool all(bool x) const { return is_split_ ? ranks_.worst(x ? 0 : 1).severity == 0 : x; }

  void turned(MatrixRef<Scalar>& block, auto&& work) const {
    const RowTurn<Scalar> turn(ranks_, first_rows_, whole_.cols);
    if (turned_.size() < turn.size()) turned_ = kernel::Buffer<Scalar>(turn.size());
    MatrixRef<Scalar> columns = turned_.as(turn.shape());
    turn.to_columns(block, columns);
    work(columns);
    turn.to_rows(columns, block);
  }

 private:
  void finish(const char* what, const auto& begin) const { ranks_.processes().finish(what, begin); }
  std::size_t own() const { return static_cast<std::size_t>(ranks_.rank()); }

  RowRanks ranks_;
  Shape whole_;
  Index rows_in_chunk_ = 1, chunk_count_ = 0, last_row_ = 0;
  bool is_split_ = false;
  std::vector<Index> first_rows_, first_chunks_;  // of each rank, and of one after the last
  // Scratch for messages; its contents mean nothing between two calls.
  mutable kernel::Buffer<double> lines_, line_;
  mutable kernel::Buffer<Scalar> triangle_, turned_;
  mutable std::vector<int> counts_, places_;
};

}}}  // namespace symopt::mpi::detail
