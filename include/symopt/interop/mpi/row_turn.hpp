// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/row_ranks.hpp>
#include <symopt/matrix.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The exchange of a block that ranks have by rows for one that they have by columns, all rows of a share of
/// the columns each, and back: one MPI_Ialltoallw each way, without a copy, since MPI is told the places of
/// the entries in either. The shares differ by one column at most.
template <class Scalar>
class RowTurn {
 public:
  /// `first_rows` of each rank, and behind them the number of rows.
  RowTurn(const RowRanks& ranks, const std::vector<Index>& first_rows, Index cols)
      : ranks_(ranks), first_rows_(first_rows), cols_(cols) {}

  /// The block of the rank's columns.
  Shape shape() const { return {first_rows_.back(), col(ranks_.rank() + 1) - col(ranks_.rank())}; }
  Index size() const { return shape().rows * shape().cols; }

  void to_columns(MatrixRef<Scalar>& rows, MatrixRef<Scalar>& columns) const {
    const Places from = places_in_rows(rows), to = places_in_columns(columns);
    exchange(rows.data(), from, columns.data(), to);
  }
  void to_rows(MatrixRef<Scalar>& columns, MatrixRef<Scalar>& rows) const {
    const Places from = places_in_columns(columns), to = places_in_rows(rows);
    exchange(columns.data(), from, rows.data(), to);
  }

 private:
  /// The places of what each rank is sent, or sends.
  class Places {
   public:
    explicit Places(int ranks)
        : types_(static_cast<std::size_t>(ranks), MPI_BYTE), counts_(types_.size(), 0) {}
    Places(Places&&) noexcept = default;
    Places& operator=(Places&&) = delete;
    ~Places() {
      for (std::size_t r = 0; r < types_.size(); ++r)
        if (counts_[r] > 0) MPI_Type_free(&types_[r]);
    }

    /// A part of a row-major block: its shape, and its first entry, counted from the block's.
    void set(int rank, Shape part, Index first, Index stride) {
      if (part.rows == 0 || part.cols == 0) return;
      const auto r = static_cast<std::size_t>(rank);
      constexpr auto width = static_cast<MPI_Aint>(sizeof(Scalar));
      MPI_Datatype lines = MPI_DATATYPE_NULL;
      MPI_Type_create_hvector(static_cast<int>(part.rows), static_cast<int>(part.cols),
                              static_cast<MPI_Aint>(stride) * width, mpi_type<Scalar>(), &lines);
      const MPI_Aint place = static_cast<MPI_Aint>(first) * width;
      MPI_Type_create_hindexed_block(1, 1, &place, lines, &types_[r]);
      MPI_Type_free(&lines);
      MPI_Type_commit(&types_[r]);
      counts_[r] = 1;
    }

    const MPI_Datatype* types() const { return types_.data(); }
    const int* counts() const { return counts_.data(); }

   private:
    std::vector<MPI_Datatype> types_;
    std::vector<int> counts_;
  };

  Index col(int rank) const { return cols_ * rank / ranks_.size(); }
  Index row(int rank) const { return first_rows_[static_cast<std::size_t>(rank)]; }

  Places places_in_rows(const MatrixRef<Scalar>& rows) const {
    Places places(ranks_.size());
    for (int r = 0; r < ranks_.size(); ++r)
      places.set(r, {rows.rows(), col(r + 1) - col(r)}, col(r), rows.outerStride());
    return places;
  }
  Places places_in_columns(const MatrixRef<Scalar>& columns) const {
    Places places(ranks_.size());
    for (int r = 0; r < ranks_.size(); ++r)
      places.set(r, {row(r + 1) - row(r), columns.cols()}, row(r) * columns.outerStride(),
                 columns.outerStride());
    return places;
  }

  void exchange(const Scalar* from, const Places& sent, Scalar* to, const Places& received) const {
    const std::vector<int> at_start(static_cast<std::size_t>(ranks_.size()), 0);
    ranks_.processes().finish("turn a block", [&](MPI_Request* request) {
      return MPI_Ialltoallw(from, sent.counts(), at_start.data(), sent.types(), to, received.counts(),
                            at_start.data(), received.types(), ranks_.communicator(), request);
    });
  }

  const RowRanks& ranks_;
  const std::vector<Index>& first_rows_;
  Index cols_;
};

}}}  // namespace symopt::mpi::detail
