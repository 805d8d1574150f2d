// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/mpi/communicator.hpp>

#include <cstddef>
#include <exception>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The failure of one rank in something that all of them do or none: kept until the others know of it.
class Failure {
 public:
  /// Runs work() unless there is a failure already, and keeps what it throws.
  void attempt(const auto& work) noexcept {
    if (error_) return;
    try {
      work();
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  explicit operator bool() const { return error_ != nullptr; }

  /// The message of what was thrown; "" where nothing was.
  std::string text() const {
    if (!error_) return "";
    try {
      std::rethrow_exception(error_);
    } catch (const std::exception& error) {
      return error.what();
    } catch (...) {
      return "an exception that is no std::exception";
    }
  }

  /// Throws, on all ranks: where something was thrown, that; elsewhere Error with the first such rank and its
  /// message. `consequence` ends it. Collective; to be called where any rank has failed.
  [[noreturn]] void throw_on_all(const Communicator& processes, const char* consequence) const {
    const std::vector<std::string> texts = processes.gathered(text());
    if (error_) std::rethrow_exception(error_);
    for (std::size_t r = 0; r < texts.size(); ++r)
      if (!texts[r].empty())
        throw Error("rank " + std::to_string(r) + " has failed: " + texts[r] + "\n" + consequence);
    throw Error(std::string("another rank has failed; ") + consequence);
  }

  /// Throws on all ranks where any has failed. Collective.
  void agree(const Communicator& processes, const char* consequence) const {
    long long has_failed = error_ ? 1 : 0;
    processes.take_largest({&has_failed, 1});
    if (has_failed != 0) throw_on_all(processes, consequence);
  }

 private:
  std::exception_ptr error_;
};

}}}  // namespace symopt::mpi::detail
