// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace language_model {

/// The words of a command line, read one after the other:
///   for (Arguments arguments(words); arguments.next();)
///     if (arguments.name() == "--steps") steps = arguments.number(1, 1'000);
class Arguments {
 public:
  explicit Arguments(std::span<char* const> words) : words_(words) {}

  /// Goes on to the next option; false after the last one.
  bool next() {
    if (next_ == words_.size()) return false;
    name_ = words_[next_++];
    return true;
  }

  std::string_view name() const { return name_; }

  /// The word after the option's name. @throws std::invalid_argument when there is none.
  std::string_view value() {
    if (next_ == words_.size()) throw std::invalid_argument(std::string(name_) + " needs a value");
    return words_[next_++];
  }

  /// That word as a number. @throws std::invalid_argument when it is none, or not in that range.
  template <class Number>
  Number number(Number least, Number most) {
    const std::string_view text = value();
    Number result = least;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
    if (error != std::errc{} || end != text.data() + text.size() || result < least || result > most) {
      throw std::invalid_argument(std::string(name_) + " needs a whole number between " +
                                  std::to_string(least) + " and " + std::to_string(most) + ", not '" +
                                  std::string(text) + "'");
    }
    return result;
  }

  /// Refuses the option. @throws std::invalid_argument always.
  [[noreturn]] void refuse() const {
    throw std::invalid_argument("unknown option '" + std::string(name_) + "'");
  }

 private:
  std::span<char* const> words_;
  std::size_t next_ = 0;
  std::string_view name_;
};

}  // namespace language_model
