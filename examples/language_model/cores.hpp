// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace language_model {

/// Cores that more threads than cores take in turns: who has waited longest goes first. So trainings that
/// outnumber the cores go on at one pace, and none is timed while another one has its core.
class Cores {
 public:
  explicit Cores(std::int64_t count) : served_until_(count) {}

  /// A core of a thread, given back at the end of the scope.
  class Core {
   public:
    explicit Core(Cores& cores) : cores_(cores) { cores_.take(); }
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;
    ~Core() { cores_.give_back(); }

    /// Lets those who wait go first.
    void pass_on() {
      cores_.give_back();
      cores_.take();
    }

   private:
    Cores& cores_;
  };

 private:
  void take() {
    std::unique_lock lock(mutex_);
    const std::int64_t ticket = next_ticket_++;
    given_back_.wait(lock, [&] { return ticket < served_until_; });
  }
  void give_back() {
    const std::lock_guard lock(mutex_);
    ++served_until_;
    given_back_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable given_back_;
  std::int64_t next_ticket_ = 0;
  std::int64_t served_until_;  // tickets below it have, or had, a core
};

}  // namespace language_model
