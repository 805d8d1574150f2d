// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/replay.hpp>
#include <symopt/check/report.hpp>
#include <symopt/check/small_storage.hpp>
#include <symopt/parameter/blocks.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// A rule for whole tensors as users write them: reads the gradient, writes the direction.
using TensorRule = std::function<void(TensorView<const double> gradient, TensorView<double> direction)>;

namespace detail {

/// A stored tensor with its blocks, in memory of its own.
class StoredBlocks {
 public:
  explicit StoredBlocks(const Storage& storage)
      : memory_(static_cast<std::size_t>(
            std::accumulate(storage.sizes.begin(), storage.sizes.end(), Index{1}, std::multiplies<>{}))),
        tensor_(memory_.data(), storage.sizes),
        blocks_(blocks_of(tensor_, storage.layout, "checked tensor")) {}
  StoredBlocks(const StoredBlocks&) = delete;
  StoredBlocks& operator=(const StoredBlocks&) = delete;

  const TensorView<double>& tensor() const { return tensor_; }
  std::size_t count() const { return blocks_.size(); }
  Shape shape(std::size_t b) const { return shape_of(blocks_[b]); }

  Matrix<double> block(std::size_t b) const {
    Matrix<double> copy(shape(b).rows, shape(b).cols);
    for_each_segment(blocks_[b], [&](Index i, Index j, const auto& segment) {
      copy.row(i).segment(j, segment.size()) = segment;
    });
    return copy;
  }
  void set(std::size_t b, const Matrix<double>& values) {
    for_each_segment(blocks_[b], [&](Index i, Index j, auto&& segment) {
      segment = values.row(i).segment(j, segment.size());
    });
  }

 private:
  std::vector<double> memory_;
  TensorView<double> tensor_;
  std::vector<BlockView<double>> blocks_;
};

/// The rule as one for whole tensors: as it is, or block by block through a stack, in its first step.
template <class Rule>
TensorRule tensor_rule(const Rule& rule, const Layout& layout) {
  if constexpr (std::invocable<const Rule&, TensorView<const double>, TensorView<double>>) {
    return rule;
  } else {
    return [rule, layout](const TensorView<const double>& gradient, const TensorView<double>& direction) {
      OptimizerOptions options{.learning_rate = 1};
      if constexpr (!StatefulRule<Rule, double>) options.momentum = 0;
      std::vector<double> weights(static_cast<std::size_t>(
          std::accumulate(gradient.sizes().begin(), gradient.sizes().end(), Index{1}, std::multiplies<>{})));
      BasicLayerwiseOptimizer<double> stack;
      stack.template add<Rule>("checked tensor", TensorView<double>(weights.data(), gradient.sizes()),
                               gradient, options, layout, {}, rule);
      stack.step();
      for (std::size_t i = 0; i < weights.size(); ++i) direction.data()[i] = -weights[i];
    };
  }
}

/// The name of a rule for blocks; a tensor's rule has none.
template <class Rule>
std::string name_of_tensor_rule(const Rule& rule) {
  if constexpr (std::invocable<const Rule&, TensorView<const double>, TensorView<double>>) {
    return "a rule for tensors";
  } else {
    const std::string name = symopt::detail::rule_text(rule);
    return name.find("lambda") == std::string::npos ? name : "a callable";
  }
}

inline bool same_bits(const Matrix<double>& a, const Matrix<double>& b) {
  return shape_of(a) == shape_of(b) &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(double)) == 0;
}

/// The kinds of the options, integers first, for a failure on them is the easiest to read.
inline std::vector<const InputKind*> readable_kinds(const std::vector<std::string>& names) {
  std::vector<const InputKind*> kinds = chosen_kinds(names);
  std::stable_partition(kinds.begin(), kinds.end(),
                        [](const InputKind* kind) { return kind->name == "integers"; });
  return kinds;
}

inline Report storage_report(std::string law, std::string rule, std::string layouts, std::uint64_t seed) {
  Report report;
  report.law = std::move(law);
  report.rule = std::move(rule);
  report.group = "the layout " + std::move(layouts);
  report.seed = seed;
  report.precision = "double";
  replay_of(report);
  report.reproduce = reproduce_line(report);
  return report;
}

/// Fills in what the trials came to. Errors are over what is allowed.
inline void conclude_storage(Report& report, bool output_varies) {
  std::sort(report.errors.begin(), report.errors.end());
  report.worst = report.errors.empty() ? 0 : report.errors.back();
  if (report.counterexample) {
    report.verdict = Verdict::violated;
  } else if (!output_varies) {
    report.verdict = Verdict::vacuous;
    report.reason = "the rule's output is the same for every input";
  } else if (2 * report.ill_posed > report.trials) {
    report.verdict = Verdict::inconclusive;
    report.reason = "rounding decides the output of most inputs";
  } else {
    report.verdict = Verdict::holds;
  }
}

}  // namespace detail

}}}  // namespace symopt::check
