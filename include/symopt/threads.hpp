// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>
#include <symopt/thread_team.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <utility>

#ifdef _OPENMP
#include <omp.h>
#endif

// Threads appear when the program is compiled with OpenMP, and nothing here depends on how many there are:
// work is cut into chunks by its size, never by the number of threads, so that 1, 2 or 16 of them give the
// same bits.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

#ifdef _OPENMP
/// The team that the calling thread leads, see with_team; none on other threads, and inside of a loop.
inline ThreadTeam*& led_team() {
  thread_local ThreadTeam* team = nullptr;
  return team;
}
#endif

/// Threads that parallel_for would use here: 1 without OpenMP, and inside of a parallel region.
inline int thread_count() {
#ifdef _OPENMP
  if (led_team() != nullptr) return led_team()->size();
  return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

/// The number of the calling thread: 0 to thread_count() - 1 inside of parallel_for, 0 outside. It may choose
/// scratch memory, never what is computed.
inline int thread_index() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

/// The chunks 0 to count - 1 of a loop, in `shares` shares from which threads take each once: a thread begins
/// with a share of its own, the same in every loop over as many chunks, and helps the others when it is
/// through.
class SharedChunks {
 public:
  SharedChunks(Index count, int shares) : count_(count), shares_(std::min(shares, most_shares)) {
    for (int s = 0; s < shares_; ++s) next_[s].chunk.store(first(s), std::memory_order_relaxed);
  }

  /// work(i) for what is left, by thread number `thread`.
  template <class Work>
  void take(int thread, Work&& work) {
    for (int s = 0; s < shares_; ++s) {
      const int share = (thread + s) % shares_;
      const Index end = first(share + 1);
      for (Index i; (i = next_[share].chunk.fetch_add(1, std::memory_order_relaxed)) < end;) work(i);
    }
  }

 private:
  static constexpr int most_shares = 64;
  struct alignas(64) Next {  // a cache line each
    std::atomic<Index> chunk;
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
    SharedChunks chunks(count, shares);
    const auto take = [&](int thread) {
      chunks.take(thread, [&](Index i) {
        try {
          work(i);
        } catch (...) {
#pragma omp critical(symopt_in_shares)
          if (!error) error = std::current_exception();
        }
      });
    };
    if (led_team() != nullptr) {
      ThreadTeam* team = std::exchange(led_team(), nullptr);  // loops in a chunk are plain ones
      team->lead(take);
      led_team() = team;
    } else {
#pragma omp parallel
      take(thread_index());
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  for (Index i = 0; i < count; ++i) work(i);
}

/// body(), all of whose parallel loops are worked on by one team: threads are woken once, and not for every
/// loop. For programs of many short loops, of some `flops` together; few of them are not worth a team. What
/// the body throws is thrown again here. Inside of a parallel region or of another team: body() alone.
template <class Body>
void with_team([[maybe_unused]] double flops, Body&& body) {
#ifdef _OPENMP
  if (flops >= 2e6 && led_team() == nullptr && thread_count() > 1) {
    std::exception_ptr error;
    ThreadTeam team(omp_get_max_threads());
#pragma omp parallel
    if (thread_index() == 0) {
      led_team() = &team;
      try {
        body();
      } catch (...) {
        error = std::current_exception();
      }
      led_team() = nullptr;
      team.dismiss();
    } else {
      team.follow(thread_index());
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  body();
}

/// Calls work(i) once for every chunk i in [0, count), in any order and on any thread. Chunk i must not write
/// what another chunk reads. Chunks may differ in cost. One chunk, one thread or a call from inside of a
/// parallel region: a plain loop. The first exception of a chunk is thrown again here, after the others ran.
template <class Work>
void parallel_for(Index count, Work&& work) {
  in_shares(count, 1, work);
}

/// parallel_for over chunks of memory that one loop after another walks: a thread begins with the chunks that
/// it had before, and finds in its caches what it left there.
template <class Work>
void parallel_sweep(Index count, Work&& work) {
  in_shares(count, thread_count(), work);
}

}}}  // namespace symopt::kernel
