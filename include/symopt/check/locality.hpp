// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/storage.hpp>

#include <random>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// Does no block influence another? Changes the gradient of one block at a time (a million times it, none of
/// it, its negative, another draw) and compares the directions of all the other blocks, bit for bit. Rule:
/// one for blocks, run through a stack, or a TensorRule of your own for the whole tensor. Of the options, the
/// seed and the inputs count. Cost: five calls for each block and kind of input.
template <class Rule>
Report check_locality(const Rule& rule, const Storage& storage, CheckOptions options = {}) {
  const TensorRule update = detail::tensor_rule(rule, storage.layout);
  Report report = detail::storage_report("locality", detail::name_of_tensor_rule(rule),
                                         to_string(storage.layout), options.seed);
  detail::StoredBlocks gradient(storage), direction(storage);
  bool output_varies = false;
  if (gradient.count() < 2) {
    report.reason = "there is one block";
    return report;
  }

  for (const InputKind* kind : detail::readable_kinds(options.inputs)) {
    std::mt19937_64 engine = engine_for(report.seed, "locality " + std::string(kind->name));
    for (std::size_t b = 0; b < gradient.count(); ++b) gradient.set(b, kind->draw(gradient.shape(b), engine));
    update(gradient.tensor(), direction.tensor());
    std::vector<Matrix<double>> before;
    for (std::size_t b = 0; b < direction.count(); ++b) before.push_back(direction.block(b));

    for (std::size_t changed = 0; changed < gradient.count(); ++changed) {
      const Matrix<double> own = gradient.block(changed);
      for (const Matrix<double>& other : {Matrix<double>(1e6 * own), Matrix<double>(0 * own),
                                          Matrix<double>(-own), gaussian<double>(shape_of(own), engine)}) {
        gradient.set(changed, other);
        update(gradient.tensor(), direction.tensor());
        ++report.trials;
        output_varies = output_varies || !detail::same_bits(direction.block(changed), before[changed]);
        double error = 0;
        for (std::size_t b = 0; b < direction.count(); ++b) {
          const Matrix<double> after = direction.block(b);
          const bool is_finite = after.allFinite();
          if (is_finite && (b == changed || detail::same_bits(after, before[b]))) continue;
          error = std::numeric_limits<double>::infinity();  // nothing is allowed
          if (report.counterexample) continue;
          const double size = std::max(before[b].stableNorm(), after.stableNorm());
          report.reason = is_finite ? "block " + std::to_string(b) + " moves when the gradient of block " +
                                          std::to_string(changed) + " changes"
                                    : "the direction of block " + std::to_string(b) + " is not finite";
          report.counterexample = {.element = "block " + std::to_string(changed) + " changed",
                                   .input = own,
                                   .error = is_finite ? (after - before[b]).stableNorm() / size : error,
                                   .of_moved = "the step of block " + std::to_string(b) + " then",
                                   .actual = is_finite ? after : Matrix<double>(),
                                   .should_be = "before",
                                   .expected = before[b]};
        }
        report.errors.push_back(error);
      }
      gradient.set(changed, own);
    }
  }
  detail::conclude_storage(report, output_varies);
  return report;
}

/// The same on a small tensor of that layout: three experts where it has experts, blocks of 4 x 6.
template <class Rule>
Report check_locality(const Rule& rule, const Layout& layout, CheckOptions options = {}) {
  return check_locality(rule, detail::small_storage(layout, 3), std::move(options));
}

}}}  // namespace symopt::check
