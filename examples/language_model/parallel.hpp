// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace language_model {

/// Calls `job(0)`, ..., `job(count - 1)`, up to `workers` of them side by side, in order of their numbers.
/// Rethrows the first exception of a job once all workers have stopped.
inline void run_side_by_side(std::size_t count, std::size_t workers,
                             const std::function<void(std::size_t)>& job) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  {
    std::vector<std::jthread> threads;
    for (std::size_t worker = 0; worker < std::min(count, workers); ++worker) {
      threads.emplace_back([&] {
        try {
          for (std::size_t index = next++; index < count; index = next++) job(index);
        } catch (...) {
          const std::lock_guard lock{failure_mutex};
          if (!failure) failure = std::current_exception();
          next = count;
        }
      });
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace language_model
