// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/stored_blocks.hpp>
#include <symopt/check/subject.hpp>
#include <symopt/check/tensor_rule.hpp>
#include <symopt/check/trials.hpp>
#include <symopt/error.hpp>
#include <symopt/finite.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// A tensor's rule with the storage that it is for.
struct StoredRule {
  const Storage& storage;
  TensorRule update;
};

Report check_layout(const StoredRule& a, const StoredRule& b, const std::string& name,
                    const CheckOptions& options);

}  // namespace detail

/// Does storage not matter? Writes the same blocks into both tensors and compares the directions, up to what
/// rounding can change. Both must make blocks of the same shapes in the same order. Of the options, the seed
/// and the inputs count. Rule: one for blocks, run through a stack. Cost: six calls for each kind of input.
/// Errors: std::invalid_argument for storages of other blocks.
template <class Rule>
Report check_layout(const Rule& rule, const Storage& a, const Storage& b, CheckOptions options = {}) {
  return detail::check_layout({a, detail::tensor_rule(rule, a.layout)},
                              {b, detail::tensor_rule(rule, b.layout)}, detail::name_of_tensor_rule(rule),
                              options);
}

/// Layouts on small tensors, with blocks of 4 x 6.
template <class Rule>
Report check_layout(const Rule& rule, const Layout& a, const Layout& b, CheckOptions options = {}) {
  const auto [in_a, in_b] = detail::small_storages(a, b);
  return check_layout(rule, in_a, in_b, std::move(options));
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

/// The directions of these blocks when they are stored in the rule's way.
SYMOPT_CHECK_INLINE std::vector<WideMatrix> directions_in(const StoredRule& rule,
                                                          const std::vector<WideMatrix>& blocks) {
  StoredBlocks gradient(rule.storage), direction(rule.storage);
  for (std::size_t b = 0; b < blocks.size(); ++b) gradient.set(b, converted<double>(blocks[b]));
  rule.update(gradient.tensor(), direction.tensor());
  std::vector<WideMatrix> results;
  for (const Matrix<double>& result : direction.all()) results.push_back(widened(result));
  return results;
}

/// The largest change of each direction when the blocks are rounded once more.
SYMOPT_CHECK_INLINE std::vector<double> changes_by_rounding(const StoredRule& rule,
                                                            const std::vector<WideMatrix>& blocks,
                                                            const std::vector<WideMatrix>& directions,
                                                            std::mt19937_64& engine) {
  constexpr int draws = 4;
  std::vector<double> changes(blocks.size(), 0.0);
  for (int draw = 0; draw < draws; ++draw) {
    std::vector<WideMatrix> noisy;
    noisy.reserve(blocks.size());
    for (const WideMatrix& block : blocks) noisy.push_back(rounded_once(Precision::in_double, block, engine));
    const std::vector<WideMatrix> rounded = directions_in(rule, noisy);
    for (std::size_t i = 0; i < blocks.size(); ++i)
      changes[i] = is_finite(rounded[i])
                       ? std::max(changes[i], static_cast<double>(distance(rounded[i], directions[i])))
                       : infinity;
  }
  return changes;
}

/// The direction of one block, stored here and there, of which rounding can change so much.
SYMOPT_CHECK_INLINE Outcome layout_outcome(const WideMatrix& here, const WideMatrix& there, double change,
                                           std::size_t number, const WideMatrix& block) {
  Outcome outcome;
  if (is_finite(here) && is_finite(there) && symopt::detail::is_finite(change))
    outcome = outcome_of(static_cast<double>(distance(here, there)),
                         static_cast<double>(std::max(norm(here), norm(there))), change,
                         roundoff(Precision::in_double));
  else
    outcome.is_finite = false;
  if (!outcome.is_violation()) return outcome;
  Failure failure{
      outcome.is_finite ? "the direction depends on how the tensor is stored" : "a direction is not finite",
      Counterexample{.element = "stored the other way, block " + std::to_string(number),
                     .input = converted<double>(block),
                     .error = outcome.is_finite ? outcome.relative : infinity,
                     .of_moved = "its step stored the other way",
                     .actual = converted<double>(there),
                     .should_be = "its step",
                     .expected = converted<double>(here)}};
  outcome.failure = [failure = std::move(failure)] { return failure; };
  return outcome;
}

SYMOPT_CHECK_INLINE Report check_layout(const StoredRule& a, const StoredRule& b, const std::string& name,
                                        const CheckOptions& options) {
  const std::string in_a = to_string(a.storage.layout), in_b = to_string(b.storage.layout);
  const std::vector<Shape> shapes = StoredBlocks(a.storage).shapes();
  symopt::detail::require(shapes == StoredBlocks(b.storage).shapes(), [&] {
    return "the layouts '" + in_a + "' and '" + in_b + "' make other blocks of these tensors";
  });
  Trials trials({.law = "layout",
                 .rule = options.name.empty() ? name : options.name,
                 .group = "the layout " + in_a + " and " + in_b,
                 .precision = "double",
                 .seed = options.seed});
  std::vector<WideMatrix> first;
  for (const InputKind* kind : readable_kinds(options.inputs)) {
    const std::string where(kind->name);
    std::mt19937_64 engine = engine_for(trials.seed(), "layout " + where);
    std::vector<WideMatrix> blocks;
    blocks.reserve(shapes.size());
    for (const Shape shape : shapes) blocks.push_back(widened(kind->draw(shape, engine)));
    const auto here = directions_in(a, blocks), there = directions_in(b, blocks);
    const std::vector<double> changes = changes_by_rounding(a, blocks, here, engine);
    if (first.empty()) first = here;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const TrialId id{"input=" + where + " block=" + std::to_string(i), where, shape_of(blocks[i]),
                       static_cast<double>(norm(blocks[i]))};
      if (!trials.wants(id.words)) continue;
      Outcome outcome = layout_outcome(here[i], there[i], changes[i], i, blocks[i]);
      outcome.has_varied = !is_equal(here[i], first[i]);
      trials.add(id, std::move(outcome));
    }
  }
  return std::move(trials).conclude();
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
