// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace language_model {

/// One training of a search, as its line of the table says. What a table or a line does not have is NaN.
struct SearchedTraining {
  std::string architecture;
  std::string side;
  std::int64_t steps = 0;
  std::uint64_t seed = 0;
  double rate = 0;             ///< of the layers, in AdamW's units
  double validation_loss = 0;  ///< at the end, nats per token; NaN where the loss became so
  double diverged = 0;         ///< 1 where the loss did not fall or was not finite any more
  double state_bytes = 0;
  double step_ms = 0;
  double update_ms = 0;  ///< the part of step_ms that the optimizer takes
  double load_entropy = 0;
  double dead_share = 0;
  double largest_logit = 0;     ///< of the routers, in absolute value
  std::vector<double> curve{};  ///< the training loss, means over equal parts of the steps

  /// Tests whether two lines are of one training, whatever came of it.
  bool is_same_as(const SearchedTraining& other) const {
    return side == other.side && architecture == other.architecture && rate == other.rate &&
           steps == other.steps && seed == other.seed;
  }
  bool has_diverged() const { return diverged == 1 || !std::isfinite(validation_loss); }
  /// Tests whether the loss rose above that of the first part of the curve, whatever came of it.
  bool has_risen() const {
    return std::ranges::any_of(curve, [&](double loss) { return !(loss <= curve.front()); });
  }
};

/// The trainings of a table, in its order, by the names of its columns.
/// @throws std::runtime_error for a line that has more or fewer entries than the first one has names, an
/// entry that is no number, a training that another line has too, and a table without one of the columns that
/// say which training a line is of.
class SearchTable {
 public:
  explicit SearchTable(std::istream& file) {
    std::string line;
    if (!std::getline(file, line)) return;
    const std::vector<std::string> names = entries(line);
    for (std::size_t i = 0; i < names.size(); ++i) columns_[names[i]] = i;
    while (std::getline(file, line)) {
      cells_ = entries(line);
      ++line_number_;
      if (cells_.size() != names.size())
        fail("has " + std::to_string(cells_.size()) + " entries, and the table " +
             std::to_string(names.size()) + " columns");
      read_line();
    }
  }

  const std::vector<SearchedTraining>& trainings() const { return trainings_; }

 private:
  static std::vector<std::string> entries(const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream text(line + ',');  // a last entry may be empty
    for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
    return cells;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("line " + std::to_string(line_number_) + " of the table of trainings " + what);
  }

  const std::string& text(const char* column) const {
    const auto found = columns_.find(column);
    if (found == columns_.end()) fail("has no column " + std::string(column));
    return cells_[found->second];
  }
  double number(const char* column) const { return number(column, text(column)); }
  double number(const char* column, const std::string& cell) const {
    std::size_t end = 0;
    double value = 0;
    try {
      value = std::stod(cell, &end);
    } catch (const std::logic_error&) {
      end = 0;
    }
    if (end == 0 || end != cell.size()) fail("has '" + cell + "' for " + column + ", which is no number");
    return value;
  }
  /// Of an entry of several, with spaces between them.
  std::vector<double> numbers(const char* column) const {
    std::vector<double> values;
    std::istringstream cell(text(column));
    for (std::string value; cell >> value;) values.push_back(number(column, value));
    return values;
  }
  double number_or_nan(const char* column) const {
    const bool is_known = columns_.contains(column) && !text(column).empty();
    return is_known ? number(column) : std::numeric_limits<double>::quiet_NaN();
  }

  double finite(const char* column) const {
    const double value = number(column);
    if (!std::isfinite(value)) fail("has '" + text(column) + "' for " + column);
    return value;
  }
  /// A number without a fraction that is not negative.
  std::uint64_t whole(const char* column) const {
    const double value = finite(column);
    if (value < 0 || value != std::floor(value)) fail("has '" + text(column) + "' for " + column);
    return static_cast<std::uint64_t>(value);
  }

  void read_line() {
    trainings_.push_back({.architecture = text("architecture"),
                          .side = text("side"),
                          .steps = static_cast<std::int64_t>(whole("steps")),
                          .seed = whole("seed"),
                          .rate = finite("rate"),
                          .validation_loss = number("validation_loss"),
                          .diverged = number_or_nan("diverged"),
                          .state_bytes = number_or_nan("state_bytes"),
                          .step_ms = number_or_nan("step_ms"),
                          .update_ms = number_or_nan("update_ms"),
                          .load_entropy = number_or_nan("load_entropy"),
                          .dead_share = number_or_nan("dead_share"),
                          .largest_logit = number_or_nan("largest_logit"),
                          .curve = columns_.contains("curve") ? numbers("curve") : std::vector<double>{}});
    const SearchedTraining& read = trainings_.back();
    for (std::size_t i = 0; i + 1 < trainings_.size(); ++i)
      if (trainings_[i].is_same_as(read)) fail("is the training of line " + std::to_string(i + 2) + ", too");
  }

  std::map<std::string, std::size_t> columns_;
  std::vector<std::string> cells_;  // of the line that is read
  std::size_t line_number_ = 1;
  std::vector<SearchedTraining> trainings_;
};

}  // namespace language_model
