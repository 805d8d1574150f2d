// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Parameter names that differ only in numbers, written as one: "layers.[0-27].mlp.up_proj.weight". A number
/// is a whole word between dots: the 3 of "layers.3", but not the 1 of "fc1".
class NumberedNames {
 public:
  explicit NumberedNames(std::string_view name) {
    for (std::size_t begin = 0; begin <= name.size();) {
      const std::size_t end = std::min(name.find('.', begin), name.size());
      if (begin > 0) words_ += '.';
      const std::string word(name.substr(begin, end - begin));
      if (is_number(word)) {
        numbers_.push_back(Numbers(1, std::stol(word)));
        places_.push_back(words_.size());
      } else {
        words_ += word;
      }
      begin = end + 1;
    }
  }

  /// Takes the others in; does nothing and returns false where they differ in more than numbers.
  bool merge(const NumberedNames& others) {
    if (words_ != others.words_ || places_ != others.places_) return false;
    for (std::size_t i = 0; i < numbers_.size(); ++i)
      for (const long number : others.numbers_[i]) insert(numbers_[i], number);
    count_ += others.count_;
    return true;
  }

  /// Equal for names that differ only in numbers: what their words are, and where numbers go.
  std::string key() const {
    std::string key = words_;
    for (std::size_t i = places_.size(); i-- > 0;) key.insert(places_[i], 1, '\0');
    return key;
  }

  /// The number of names: fewer than the ranges would allow where some of these are missing.
  std::size_t count() const { return count_; }

  std::string text() const {
    std::string text = words_;
    for (std::size_t i = numbers_.size(); i-- > 0;) text.insert(places_[i], text_of(numbers_[i]));
    return text;
  }

 private:
  using Numbers = std::vector<long>;  // ascending

  static void insert(Numbers& numbers, long number) {
    const auto place = std::lower_bound(numbers.begin(), numbers.end(), number);
    if (place == numbers.end() || *place != number) numbers.insert(place, number);
  }

  static bool is_number(const std::string& word) {
    const bool has_leading_zero = word.size() > 1 && word.front() == '0';
    return !word.empty() && word.size() < 10 && !has_leading_zero &&
           word.find_first_not_of("0123456789") == std::string::npos;
  }

  /// "3", "[0-27]", "[0,2,..,26]" or "[0-2,5]".
  static std::string text_of(const Numbers& numbers) {
    const long first = numbers.front();
    const long last = numbers.back();
    if (numbers.size() == 1) return std::to_string(first);
    const long step = numbers[1] - first;
    if (step > 1 && numbers.size() > 3 && has_step(numbers, step))
      return "[" + std::to_string(first) + "," + std::to_string(first + step) + ",..," +
             std::to_string(last) + "]";
    constexpr std::size_t longest = 60;  // letters: a list without an order is cut
    std::string text;
    for (std::size_t begin = 0, end = 0; begin < numbers.size(); begin = end) {
      if (text.size() > longest) return "[" + text + ",..," + std::to_string(last) + "]";
      for (end = begin + 1; end < numbers.size() && numbers[end] == numbers[end - 1] + 1;) ++end;
      text += (text.empty() ? "" : ",") + std::to_string(numbers[begin]);
      if (end - begin > 1) text += "-" + std::to_string(numbers[end - 1]);
    }
    return "[" + text + "]";
  }
  static bool has_step(const Numbers& numbers, long step) {
    for (std::size_t i = 1; i < numbers.size(); ++i)
      if (numbers[i] - numbers[i - 1] != step) return false;
    return true;
  }

  std::string words_;                // the name without its numbers
  std::vector<std::size_t> places_;  // where in it they go
  std::vector<Numbers> numbers_;
  std::size_t count_ = 1;
};

/// "parameter 'head'", "parameters 'layers.[0-27].up' (28), 'head'"; after ten of these how many more.
/// A template, so that only who reports compiles it.
std::string listed(const std::same_as<std::vector<std::string>> auto& names) {
  std::vector<NumberedNames> gathered;
  std::unordered_map<std::string, std::size_t> places;
  for (const std::string& name : names) {
    const NumberedNames one(name);
    const auto [place, is_new] = places.emplace(one.key(), gathered.size());
    if (is_new) {
      gathered.push_back(one);
    } else {
      gathered[place->second].merge(one);
    }
  }
  constexpr std::size_t most = 10;
  std::string text;
  std::size_t told = 0;
  for (std::size_t i = 0; i < std::min(most, gathered.size()); ++i) {
    text += (text.empty() ? "'" : ", '") + gathered[i].text() + "'";
    if (gathered[i].count() > 1) text += " (" + std::to_string(gathered[i].count()) + ")";
    told += gathered[i].count();
  }
  if (told < names.size()) text += " and " + std::to_string(names.size() - told) + " more";
  return (names.size() == 1 ? "parameter " : "parameters ") + text;
}

}}}  // namespace symopt::detail
