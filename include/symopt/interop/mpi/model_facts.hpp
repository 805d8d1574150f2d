// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/mpi/checksum.hpp>
#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/memory/tensor_view.hpp>
#include <symopt/stack/name_hints.hpp>
#include <symopt/stack/parameter_rows.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// Facts that all ranks must say alike, each fact with its parameter and its own name: ("head", "momentum",
/// "0.9").
class ModelFacts {
 public:
  template <class Value>
  void add(std::string parameter, std::string what, const Value& value) {
    std::ostringstream text;
    text.precision(17);
    if constexpr (requires { to_string(value); }) {
      text << to_string(value);
    } else {
      text << value;
    }
    facts_.push_back({std::move(parameter), std::move(what), text.str()});
  }

  /// Throws Error, on all ranks the same one, unless all have these facts; it lists the differences.
  /// Collective.
  void require_alike(const Communicator& processes, const std::string& remedy) const {
    const std::string own = encoded();
    Checksum sum;
    sum.add(own);
    long long most[] = {sum.value(), -sum.value()};
    processes.take_largest(most);
    if (most[0] == -most[1]) return;
    const std::vector<std::string> texts = processes.gathered(own);
    std::vector<std::string> differences;
    const Table first = decoded(texts.front());
    for (std::size_t rank = 1; rank < texts.size(); ++rank)
      compare(first, decoded(texts[rank]), std::to_string(rank), differences);
    throw Error("the ranks do not say the same of the model:" +
                symopt::detail::first_lines(differences, "\n  ") + "\n" + remedy);
  }

 private:
  struct Fact {
    std::string parameter, what, value;
  };
  using Table = std::map<std::pair<std::string, std::string>, std::string>;
  static constexpr char unit_end = '\x1f', record_end = '\x1e';

  std::string encoded() const {
    std::string text;
    for (const Fact& fact : facts_)
      text += fact.parameter + unit_end + fact.what + unit_end + fact.value + record_end;
    return text;
  }
  static Table decoded(std::string_view text) {
    Table table;
    const auto take = [&](char end) {
      const std::size_t length = text.find(end);
      std::string part(text.substr(0, length));
      text.remove_prefix(length + 1);
      return part;
    };
    while (!text.empty()) {
      std::string parameter = take(unit_end), what = take(unit_end);
      table[{std::move(parameter), std::move(what)}] = take(record_end);
    }
    return table;
  }

  static std::string subject(const std::string& parameter) {
    return parameter.empty() ? "" : "parameter '" + parameter + "': ";
  }
  static std::string shown(const std::string& value) { return value.empty() ? "none" : value; }
  static bool knows(const Table& table, const std::string& parameter) {
    const auto found = table.lower_bound({parameter, ""});
    return found != table.end() && found->first.first == parameter;
  }
  static void compare(const Table& first, const Table& other, const std::string& rank,
                      std::vector<std::string>& differences) {
    std::string told;  // a parameter that one of them lacks, said once
    const auto lacks = [&](const Table& table, const std::string& parameter, const std::string& where) {
      if (knows(table, parameter)) return false;
      if (told != parameter) differences.push_back(subject(parameter) + "is not there on rank " + where);
      told = parameter;
      return true;
    };
    for (const auto& [key, value] : first) {
      if (lacks(other, key.first, rank)) continue;
      const auto found = other.find(key);
      const std::string there = found == other.end() ? "not said" : found->second;
      if (there != value)
        differences.push_back(subject(key.first) + key.second + " is " + shown(value) + " on rank 0 and " +
                              shown(there) + " on rank " + rank);
    }
    for (const auto& [key, value] : other) lacks(first, key.first, "0");
  }

  std::vector<Fact> facts_;
};

/// "float, strides 4 1" of a block in memory.
template <class Number>
std::string storage_text(const char* number, const symopt::detail::BlockView<Number>& block) {
  std::ostringstream text;
  text << number << ", strides " << block.rows.stride << ' ' << block.cols.stride;
  if (block.rows.parts > 1) text << ", row parts " << block.rows.part_stride;
  if (block.cols.parts > 1) text << ", column parts " << block.cols.part_stride;
  return text.str();
}

/// The storage of a parameter's gradient or weights: of all its blocks, which differ in their places alone.
template <class Scalar>
std::string storage_text(const symopt::detail::StoredGradient<Scalar>& gradient) {
  if (!gradient.bf16.empty()) return storage_text("bfloat16", gradient.bf16.front());
  return gradient.values.empty() ? "none" : storage_text("the stack's scalar", gradient.values.front());
}
template <class Scalar>
std::string storage_text(const symopt::detail::StoredWeights<Scalar>& weights) {
  std::string text;
  const auto add = [&](const char* number, const auto& blocks) {
    if (!blocks.empty()) text += (text.empty() ? "" : " and ") + storage_text(number, blocks.front());
  };
  add("the stack's scalar", weights.values);
  add("bfloat16", weights.bf16);
  add("lower halves", weights.low);
  return text;
}

/// A checksum of the rows that exist of all blocks.
template <class Scalar>
std::string weights_checksum(const symopt::detail::Parameter<Scalar>& parameter) {
  Checksum sum;
  const auto add = [&](const auto& blocks) {
    for (const auto& block : blocks) {
      const auto rows = parameter.mask().existing(block);
      for (Index i = 0; i < rows.row_count(); ++i)
        for (Index j = 0; j < rows.cols.size; ++j) {
          std::uint64_t bits = 0;
          std::memcpy(&bits, rows.row(i) + rows.cols.offset(j), sizeof *rows.data);
          sum.add(bits);
        }
    }
  };
  const auto& weights = parameter.weights();
  add(weights.values);
  if (weights.values.empty()) add(weights.bf16);
  add(weights.low);
  return sum.text();
}

/// Adds all that must agree of a parameter, the `place`th of its stack.
template <class Scalar>
void add_facts(const symopt::detail::Parameter<Scalar>& parameter, std::size_t place, ModelFacts& facts) {
  const auto saved = symopt::detail::saved(parameter);
  const std::string& name = saved.name;
  facts.add(name, "its place in the stack", place);
  facts.add(name, "shape", parameter.tensors().shape_text());
  facts.add(name, "layout", saved.layout);
  facts.add(name, "row mask", saved.rows);
  facts.add(name, "group", saved.group);
  facts.add(name, "rule", saved.rule);
  facts.add(name, "the rule's options", saved.rule_options);
  OptimizerOptions(saved.options).options([&](const char* option, const auto& value) {
    if (std::string_view(option) != "parameter") facts.add(name, option, value);
  });
  facts.add(name, "the memory of the weights", storage_text(parameter.weights()));
  facts.add(name, "the memory of the gradient", storage_text(parameter.gradient()));
  const auto& seed = parameter.tensors().seed;
  facts.add(name, "the seed of rounding", seed ? std::to_string(*seed) : "none");
  facts.add(name, "the checksum of the weights", weights_checksum(parameter));
}

}}}  // namespace symopt::mpi::detail
