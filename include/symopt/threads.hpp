// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <algorithm>
#include <atomic>
#include <exception>

#ifdef _OPENMP
#include <omp.h>
#endif

// Threads appear when the program is compiled with OpenMP, and nothing here depends on how many there are:
// work is cut into pieces by its size, never by the number of threads, so that 1, 2 or 16 of them give the
// same bits.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Threads that parallel_for would use here: 1 without OpenMP, and inside of a parallel region.
inline int thread_count() {
#ifdef _OPENMP
  return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

/// Which of them runs: 0 to thread_count() - 1 inside of parallel_for, 0 outside. To choose scratch memory
/// by, never what is computed.
inline int thread_index() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

/// Numbers 0 to count - 1 that threads take from, each once, in so many shares: a thread begins with one of
/// its own, the same in every loop over as many numbers, and helps the others when it is through.
class SharedPieces {
 public:
  SharedPieces(Index count, int shares) : count_(count), shares_(std::min(shares, most_shares)) {
    for (int s = 0; s < shares_; ++s) next_[s].piece.store(first(s), std::memory_order_relaxed);
  }

  /// work(i) for what is left, by thread number `thread`.
  template <class Work>
  void take(int thread, Work&& work) {
    for (int s = 0; s < shares_; ++s) {
      const int share = (thread + s) % shares_;
      const Index end = first(share + 1);
      for (Index i; (i = next_[share].piece.fetch_add(1, std::memory_order_relaxed)) < end;) work(i);
    }
  }

 private:
  static constexpr int most_shares = 64;
  struct alignas(64) Next {  // a cache line each
    std::atomic<Index> piece;
  };

  Index first(int share) const { return count_ * share / shares_; }

  Index count_;
  int shares_;
  Next next_[most_shares];
};

template <class Work>
void in_shares(Index count, [[maybe_unused]] int shares, Work&& work) {
#ifdef _OPENMP
  if (count > 1 && thread_count() > 1) {
    std::exception_ptr error;
    SharedPieces pieces(count, shares);
#pragma omp parallel
    pieces.take(thread_index(), [&](Index i) {
      try {
        work(i);
      } catch (...) {
#pragma omp critical(symopt_in_shares)
        if (!error) error = std::current_exception();
      }
    });
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  for (Index i = 0; i < count; ++i) work(i);
}

/// Calls work(i) once for every i in [0, count), in any order and on any thread. Piece i must not write what
/// another piece reads. Pieces may differ in cost. One piece, one thread or a call from inside of a parallel
/// region: a plain loop. The first exception of a piece is thrown again here, after the others have run.
template <class Work>
void parallel_for(Index count, Work&& work) {
  in_shares(count, 1, work);
}

/// The same for pieces of memory that one loop after another walks: a thread begins with those that it had
/// before, and finds in its caches what it left there.
template <class Work>
void parallel_sweep(Index count, Work&& work) {
  in_shares(count, thread_count(), work);
}

}}}  // namespace symopt::kernel
