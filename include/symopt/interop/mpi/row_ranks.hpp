// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// MPI's name for a type of numbers.
template <class Number>
MPI_Datatype mpi_type() {
  if constexpr (std::is_same_v<Number, float>) {
    return MPI_FLOAT;
  } else if constexpr (std::is_same_v<Number, double>) {
    return MPI_DOUBLE;
  } else if constexpr (std::is_same_v<Number, std::uint32_t>) {
    return MPI_UINT32_T;
  } else if constexpr (std::is_same_v<Number, std::uint64_t>) {
    return MPI_UINT64_T;
  } else {
    static_assert(std::is_same_v<Number, std::int64_t>, "MPI sends no such numbers here");
    return MPI_INT64_T;
  }
}

/// The processes that share the rows of a block, in the order of the rows, with a communicator of their own,
/// so that their messages meet no others. What they agree on, all know. Copies share the communicator, which
/// the last of them frees; MPI must still be there then. Agreements are
/// collective.
class RowRanks {
 public:
  explicit RowRanks(MPI_Comm communicator) : communicator_(copy_of(communicator)) {
    MPI_Comm_rank(*communicator_, &rank_);
    MPI_Comm_size(*communicator_, &size_);
  }

  MPI_Comm communicator() const { return *communicator_; }
  int rank() const { return rank_; }
  int size() const { return size_; }

  /// The verdict that is worst, and the first rank that has it.
  struct Verdict {
    int severity;
    int rank;
  };
  /// The worst verdict of all ranks.
  Verdict worst(int severity) const {
    const int own[2] = {severity, rank_};
    int all[2];
    MPI_Allreduce(own, all, 1, MPI_2INT, MPI_MAXLOC, *communicator_);
    return {all[0], all[1]};
  }

  /// The number of each rank.
  std::vector<std::int64_t> gathered(std::int64_t own) const {
    std::vector<std::int64_t> all(static_cast<std::size_t>(size_));
    MPI_Allgather(&own, 1, MPI_INT64_T, all.data(), 1, MPI_INT64_T, *communicator_);
    return all;
  }

  /// The text of that rank, on all.
  std::string text_of(int rank, std::string text) const {
    std::int64_t length = static_cast<std::int64_t>(text.size());
    MPI_Bcast(&length, 1, MPI_INT64_T, rank, *communicator_);
    text.resize(static_cast<std::size_t>(length));
    MPI_Bcast(text.data(), static_cast<int>(length), MPI_CHAR, rank, *communicator_);
    return text;
  }

  /// Throws Error on all ranks where `problem` is not empty on any: its own on a rank that has one, the first
  /// one's elsewhere.
  void require_none(const std::string& problem, const std::string& parameter) const {
    const Verdict verdict = worst(problem.empty() ? 0 : 1);
    if (verdict.severity == 0) return;
    const std::string theirs = text_of(verdict.rank, problem);
    if (!problem.empty()) symopt::detail::fail({parameter}, problem);
    symopt::detail::fail({parameter}, "rank " + std::to_string(verdict.rank) +
                                          " of those that share the rows has an error: " + theirs);
  }

  /// Throws Error on all ranks that says what two of them have, unless all have the same text.
  void require_same(const std::string& text, const std::string& parameter) const {
    const std::string first = text_of(0, text);
    const Verdict verdict = worst(text == first ? 0 : 1);
    if (verdict.severity == 0) return;
    const std::string other = text_of(verdict.rank, text);
    symopt::detail::fail({parameter}, "the ranks that share its rows differ: rank 0 has " + first +
                                          " but rank " + std::to_string(verdict.rank) + " has " + other +
                                          "; give all the same");
  }

 private:
  static std::shared_ptr<MPI_Comm> copy_of(MPI_Comm communicator) {
    MPI_Comm copy = MPI_COMM_NULL;
    MPI_Comm_dup(communicator, &copy);
    return {new MPI_Comm(copy), [](MPI_Comm* used) {
              int is_over = 0;
              MPI_Finalized(&is_over);
              if (is_over == 0) MPI_Comm_free(used);
              delete used;
            }};
  }

  std::shared_ptr<MPI_Comm> communicator_;
  int rank_ = 0;
  int size_ = 1;
};

}}}  // namespace symopt::mpi::detail
