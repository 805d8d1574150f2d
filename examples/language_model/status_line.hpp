// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <string>

namespace language_model {

/// A line on standard output that is rewritten in place; not on a terminal, a new line every ten seconds.
class StatusLine {
 public:
  StatusLine() : on_terminal_(::isatty(STDOUT_FILENO) != 0) {}
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;
  ~StatusLine() {
    if (on_terminal_ && shown_) std::cout << std::endl;
  }

  /// Asks for the text only when it is time to show it.
  void update(const std::function<std::string()>& text) {
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + (on_terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10));
    shown_ = true;
    if (on_terminal_) {
      constexpr auto to_line_start_and_erase = "\r\033[K";
      std::cout << to_line_start_and_erase << text() << std::flush;
    } else {
      std::cout << text() << std::endl;
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool on_terminal_;
  bool shown_ = false;
  Clock::time_point next_ = Clock::now();
};

}  // namespace language_model
