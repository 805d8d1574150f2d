// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/matrix.hpp>

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
  } else if constexpr (std::is_same_v<Number, char>) {
    return MPI_CHAR;
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
/// the last of them frees; MPI must still be there then. Agreements are collective, and MPI's errors
/// MpiError.
class RowRanks {
 public:
  /// Whoever waits longer than `timeout` seconds for the others ends all; 0 waits for ever.
  explicit RowRanks(MPI_Comm communicator, double timeout = 0)
      : processes_(std::make_shared<const Communicator>(communicator, timeout)) {}

  const Communicator& processes() const { return *processes_; }
  MPI_Comm communicator() const { return processes_->get(); }
  int rank() const { return processes_->rank(); }
  int size() const { return processes_->size(); }

  /// The verdict that is worst, and the first rank that has it.
  struct Verdict {
    int severity;
    int rank;
  };
  /// The worst verdict of all ranks.
  Verdict worst(int severity) const {
    const int own[2] = {severity, rank()};
    int all[2];
    processes_->finish("agree with the other ranks", [&](MPI_Request* request) {
      return MPI_Iallreduce(own, all, 1, MPI_2INT, MPI_MAXLOC, communicator(), request);
    });
    return {all[0], all[1]};
  }

  /// The number of each rank.
  std::vector<std::int64_t> gathered(std::int64_t own) const {
    std::vector<std::int64_t> all(static_cast<std::size_t>(size()));
    processes_->finish("gather the numbers of rows", [&](MPI_Request* request) {
      return MPI_Iallgather(&own, 1, MPI_INT64_T, all.data(), 1, MPI_INT64_T, communicator(), request);
    });
    return all;
  }

  /// The numbers of that rank, on all; in one message, of at most as many as an int counts.
  template <class Number>
  void broadcast(Number* numbers, Index count, int rank) const {
    processes_->finish("broadcast what a rank has", [&](MPI_Request* request) {
      return MPI_Ibcast(numbers, static_cast<int>(count), mpi_type<Number>(), rank, communicator(), request);
    });
  }

  /// The text of that rank, on all.
  std::string text_of(int rank, std::string text) const {
    std::int64_t length = static_cast<std::int64_t>(text.size());
    broadcast(&length, 1, rank);
    text.resize(static_cast<std::size_t>(length));
    broadcast(text.data(), length, rank);
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
  std::shared_ptr<const Communicator> processes_;
};

}}}  // namespace symopt::mpi::detail
