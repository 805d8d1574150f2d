// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/inputs.hpp>
#include <symopt/check/stored_blocks.hpp>
#include <symopt/check/tensor_rule.hpp>
#include <symopt/check/trials.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

Report check_locality(const TensorRule& update, const std::string& name, const Storage& storage,
                      const CheckOptions& options);

}  // namespace detail

/// Does no block influence another? Changes the gradient of one block at a time (a million times it, none of
/// it, its negative, another draw) and compares the directions of all the other blocks, bit for bit. Rule:
/// one for blocks, run through a stack, or a TensorRule of your own for the whole tensor. Of the options, the
/// seed and the inputs count. Cost: five calls for each block and kind of input.
template <class Rule>
Report check_locality(const Rule& rule, const Storage& storage, CheckOptions options = {}) {
  return detail::check_locality(detail::tensor_rule(rule, storage.layout), detail::name_of_tensor_rule(rule),
                                storage, options);
}

/// Locality on a small tensor of that layout: three experts where it has experts, blocks of 4 x 6.
template <class Rule>
Report check_locality(const Rule& rule, const Layout& layout, CheckOptions options = {}) {
  return check_locality(rule, detail::small_storage(layout, 3), std::move(options));
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

/// Other gradients for a block.
SYMOPT_CHECK_INLINE std::vector<Matrix<double>> changed_blocks(const Matrix<double>& own,
                                                               std::mt19937_64& engine) {
  std::vector<Matrix<double>> changed;
  for (const double factor : {1e6, 0.0, -1.0}) {
    changed.push_back(own);
    for (Index k = 0; k < own.size(); ++k) changed.back().data()[k] *= factor;
  }
  changed.push_back(gaussian<double>(shape_of(own), engine));
  return changed;
}

/// The directions of all blocks before and after the gradient of one of them changed. Nothing is allowed.
SYMOPT_CHECK_INLINE Outcome locality_outcome(const std::vector<Matrix<double>>& before,
                                             const std::vector<Matrix<double>>& after, std::size_t changed,
                                             const Matrix<double>& own) {
  Outcome outcome;
  outcome.has_varied = !has_same_bits(after[changed], before[changed]);
  for (std::size_t b = 0; b < before.size(); ++b) {
    const WideMatrix now = widened(after[b]), then = widened(before[b]);
    outcome.is_finite = is_finite(now);
    if (outcome.is_finite && (b == changed || has_same_bits(after[b], before[b]))) continue;
    outcome.error = infinity;
    if (outcome.is_finite)
      outcome.relative = static_cast<double>(distance(now, then) / std::max(norm(now), norm(then)));
    Failure failure{outcome.is_finite ? "block " + std::to_string(b) + " moves when the gradient of block " +
                                            std::to_string(changed) + " changes"
                                      : "the direction of block " + std::to_string(b) + " is not finite",
                    Counterexample{.element = "block " + std::to_string(changed) + " changed",
                                   .input = own,
                                   .error = outcome.is_finite ? outcome.relative : infinity,
                                   .of_moved = "the step of block " + std::to_string(b) + " then",
                                   .actual = outcome.is_finite ? after[b] : Matrix<double>(),
                                   .should_be = "before",
                                   .expected = before[b]}};
    outcome.failure = [failure = std::move(failure)] { return failure; };
    break;
  }
  return outcome;
}

SYMOPT_CHECK_INLINE Report check_locality(const TensorRule& update, const std::string& name,
                                          const Storage& storage, const CheckOptions& options) {
  Trials trials({.law = "locality",
                 .rule = options.name.empty() ? name : options.name,
                 .group = "the layout " + to_string(storage.layout),
                 .precision = "double",
                 .seed = options.seed},
                {.nothing_tried = "there is one block"});
  StoredBlocks gradient(storage), direction(storage);
  if (gradient.count() < 2) return std::move(trials).conclude();
  for (const InputKind* kind : readable_kinds(options.inputs)) {
    const std::string where(kind->name);
    std::mt19937_64 engine = engine_for(trials.seed(), "locality " + where);
    for (std::size_t b = 0; b < gradient.count(); ++b) gradient.set(b, kind->draw(gradient.shape(b), engine));
    update(gradient.tensor(), direction.tensor());
    const std::vector<Matrix<double>> before = direction.all();
    for (std::size_t b = 0; b < gradient.count(); ++b) {
      const Matrix<double> own = gradient.block(b);
      int change = 0;
      for (const Matrix<double>& other : changed_blocks(own, engine)) {
        const TrialId id{
            "input=" + where + " block=" + std::to_string(b) + " change=" + std::to_string(change++), where,
            shape_of(own), own.stableNorm()};
        if (!trials.wants(id.words)) continue;
        gradient.set(b, other);
        update(gradient.tensor(), direction.tensor());
        trials.add(id, locality_outcome(before, direction.all(), b, own));
      }
      gradient.set(b, own);
    }
  }
  return std::move(trials).conclude();
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
