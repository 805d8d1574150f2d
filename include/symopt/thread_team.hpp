// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#ifdef _OPENMP  // <thread> is not cheap to read

#include <atomic>
#include <cstdint>
#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Threads of one parallel region that stay awake from loop to loop. One thread leads: it runs the program
/// and opens loops. The others wait, enter a loop while it is open, and leave when they find no more work in
/// it. The leader waits for those who entered only, so that a thread that the system does not run holds up
/// nobody.
class ThreadTeam {
 public:
  explicit ThreadTeam(int size) : size_(size) {}

  int size() const { return size_; }

  /// Runs work(thread) on the leader, thread 0, and on those who come while it does. It must be such that all
  /// is done when one of them finds nothing left and the others return.
  template <class Work>
  void lead(const Work& work) {
    call_ = [](const void* context, int thread) { (*static_cast<const Work*>(context))(thread); };
    context_ = &work;
    state_.store((++loops_ << loop_shift) | is_open, std::memory_order_release);
    work(0);
    state_.fetch_and(~is_open, std::memory_order_relaxed);  // nobody enters any more
    Pause pause;
    while ((state_.load(std::memory_order_acquire) & entered) != 0) pause();
  }

  /// Works in loop after loop as thread number `thread`, until the leader dismisses the team.
  void follow(int thread) {
    Pause pause;
    for (std::uint64_t last = 0;;) {
      std::uint64_t state = state_.load(std::memory_order_acquire);
      if ((state & is_dismissed) != 0) return;
      if ((state & is_open) == 0 || state >> loop_shift == last) {
        pause();
        continue;
      }
      if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) continue;
      last = state >> loop_shift;
      call_(context_, thread);
      state_.fetch_sub(1, std::memory_order_release);
      pause = {};
    }
  }

  void dismiss() { state_.fetch_or(is_dismissed, std::memory_order_release); }

 private:
  /// Waits a moment: in place at first, then letting other programs run.
  struct Pause {
    int count = 0;

    void operator()() {
      constexpr int most_in_place = 4096;  // some tens of microseconds
      if (++count > most_in_place) {
        std::this_thread::yield();
        return;
      }
#if defined(__x86_64__) || defined(__i386__)
      _mm_pause();
#endif
    }
  };

  // The state of the team in one word: how many threads entered the open loop, two flags, the loop's number.
  static constexpr std::uint64_t entered = 0xffff, is_open = 0x10000, is_dismissed = 0x20000;
  static constexpr int loop_shift = 18;

  int size_;
  std::uint64_t loops_ = 0;
  void (*call_)(const void*, int) = nullptr;
  const void* context_ = nullptr;
  alignas(64) std::atomic<std::uint64_t> state_ = 0;
};

}}}  // namespace symopt::kernel

#endif
