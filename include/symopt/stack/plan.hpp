// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace symopt {

/// What a stack does with one parameter.
struct PlanRow {
  std::string name;
  std::string shape;   ///< of the tensor as it is stored: "151936x1024"
  std::string layout;  ///< "16 row heads", and the row mask
  std::string blocks;  ///< the blocks that the rule sees: "16 of 128x1024"
  std::string group;   ///< "LmHead: S x O + shift"
  std::string rule;    ///< "P > RowNorm > P"
  std::string scale;   ///< the named scale, and its factor for these blocks
  double rate = 0;     ///< the base rate, before the schedule factor
};

/// What a stack does with all its parameters, in the order in which they were added. Printing it gathers
/// parameters whose names differ only in numbers and which are treated alike; the numbers become the range from
/// the first to the last of them:
///   layers.[0-27].mlp.up_proj.weight
class Plan {
 public:
  explicit Plan(std::vector<PlanRow> rows) : rows_(std::move(rows)) {}

  /// One row for each parameter.
  const std::vector<PlanRow>& rows() const { return rows_; }

  /// Two lines for each parameter or gathered range, under 80 columns for names up to 50.
  friend std::ostream& operator<<(std::ostream& out, const Plan& plan) {
    out << "name  [shape]  layout -> blocks\n    group | rule | scale | rate\n";
    for (const Line& line : plan.gathered()) {
      const PlanRow& row = line.row;
      out << line.name << "  [" << row.shape << "]  " << row.layout << " -> " << row.blocks << "\n    "
          << row.group << " | " << row.rule << " | scale " << row.scale << " | rate " << row.rate << '\n';
    }
    return out;
  }

 private:
  /// A name around its numbers: "layers.28.mlp.experts.3.up" is {"layers.", ".mlp.experts.", ".up"} and {28, 3}.
  struct SplitName {
    std::vector<std::string> words{""};
    std::vector<std::string> numbers;

    explicit SplitName(const std::string& name) {
      // A number is a whole word between dots: "layers.3", but not the 1 of "fc1".
      std::istringstream stream(name);
      bool first = true;
      for (std::string word; std::getline(stream, word, '.'); first = false) {
        if (!first) words.back() += '.';
        const bool is_number = !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
        if (is_number) {
          numbers.push_back(word);
          words.emplace_back();
        } else {
          words.back() += word;
        }
      }
    }
  };

  struct Line {
    std::string name;
    PlanRow row;
    std::vector<std::string> words;
    std::vector<std::pair<std::string, std::string>> ranges;  // first and last of each number
  };

  static bool is_alike(const PlanRow& a, const PlanRow& b) {
    return a.shape == b.shape && a.layout == b.layout && a.group == b.group && a.rule == b.rule &&
           a.scale == b.scale && a.rate == b.rate;
  }

  std::vector<Line> gathered() const {
    std::vector<Line> lines;
    for (const PlanRow& row : rows_) {
      const SplitName name(row.name);
      Line* found = nullptr;
      for (Line& line : lines)
        if (line.words == name.words && is_alike(line.row, row)) found = &line;
      if (found == nullptr) {
        lines.push_back({row.name, row, name.words, {}});
        for (const std::string& number : name.numbers) lines.back().ranges.emplace_back(number, number);
        continue;
      }
      for (std::size_t i = 0; i < name.numbers.size(); ++i) found->ranges[i].second = name.numbers[i];
    }
    for (Line& line : lines) {
      line.name = line.words.front();
      for (std::size_t i = 0; i < line.ranges.size(); ++i) {
        const auto& [first, last] = line.ranges[i];
        line.name += (first == last ? first : "[" + first + "-" + last + "]") + line.words[i + 1];
      }
    }
    return lines;
  }

  std::vector<PlanRow> rows_;
};

}  // namespace symopt
