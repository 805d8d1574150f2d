// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/outcome.hpp>
#include <symopt/check/storage.hpp>

#include <random>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// The directions of these blocks when they are stored that way.
inline std::vector<Matrix<double>> directions_in(const TensorRule& update, const Storage& storage,
                                                 const std::vector<Matrix<double>>& blocks) {
  StoredBlocks gradient(storage), direction(storage);
  for (std::size_t b = 0; b < blocks.size(); ++b) gradient.set(b, blocks[b]);
  update(gradient.tensor(), direction.tensor());
  std::vector<Matrix<double>> results;
  for (std::size_t b = 0; b < blocks.size(); ++b) results.push_back(direction.block(b));
  return results;
}

}  // namespace detail

/// Does storage not matter? Writes the same blocks into both tensors and compares the directions, up to what
/// rounding can change. Both must make blocks of the same shapes in the same order. Of the options, the seed
/// and the inputs count. Rule: one for blocks, run through a stack. Cost: six calls for each kind of input.
/// Errors: std::invalid_argument for storages of other blocks.
template <class Rule>
Report check_layout(const Rule& rule, const Storage& a, const Storage& b, CheckOptions options = {}) {
  std::vector<Shape> shapes;
  {
    const detail::StoredBlocks first(a), second(b);
    bool is_same = first.count() == second.count();
    for (std::size_t i = 0; is_same && i < first.count(); ++i) {
      is_same = first.shape(i) == second.shape(i);
      shapes.push_back(first.shape(i));
    }
    if (!is_same)
      throw std::invalid_argument("symopt: the layouts '" + to_string(a.layout) + "' and '" +
                                  to_string(b.layout) + "' make other blocks of these tensors");
  }
  const TensorRule in_a = detail::tensor_rule(rule, a.layout), in_b = detail::tensor_rule(rule, b.layout);
  Report report = detail::storage_report("layout", detail::name_of_tensor_rule(rule),
                                         to_string(a.layout) + " and " + to_string(b.layout), options.seed);
  std::vector<Matrix<double>> first_directions;
  bool output_varies = false;

  for (const InputKind* kind : detail::readable_kinds(options.inputs)) {
    std::mt19937_64 engine = engine_for(report.seed, "layout " + std::string(kind->name));
    std::vector<Matrix<double>> blocks;
    for (const Shape shape : shapes) blocks.push_back(kind->draw(shape, engine));
    const auto here = detail::directions_in(in_a, a, blocks);
    const auto there = detail::directions_in(in_b, b, blocks);
    std::vector<double> changes(blocks.size(), 0.0);
    for (int draw = 0; draw < 4; ++draw) {
      std::vector<Matrix<double>> noisy = blocks;
      for (Matrix<double>& block : noisy) block = detail::rounded_once(block, engine);
      const auto rounded = detail::directions_in(in_a, a, noisy);
      for (std::size_t i = 0; i < blocks.size(); ++i)
        changes[i] = rounded[i].allFinite() ? std::max(changes[i], (rounded[i] - here[i]).stableNorm())
                                            : std::numeric_limits<double>::infinity();
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      ++report.trials;
      const double size = std::max(here[i].stableNorm(), there[i].stableNorm());
      const double violation = (here[i] - there[i]).stableNorm();
      const double allowed = 32 * (changes[i] + std::numeric_limits<double>::epsilon() * size);
      const bool is_finite = here[i].allFinite() && there[i].allFinite() && std::isfinite(changes[i]);
      if (is_finite && !(changes[i] <= 1e-3 * size)) {
        ++report.ill_posed;
        continue;
      }
      const double error = !is_finite       ? std::numeric_limits<double>::infinity()
                           : violation == 0 ? 0
                                            : violation / allowed;
      report.errors.push_back(error);
      if (error <= 1 || report.counterexample) continue;
      report.counterexample = {.element = "stored the other way, block " + std::to_string(i),
                               .input = blocks[i],
                               .error = is_finite ? violation / size : error,
                               .of_moved = "its step stored the other way",
                               .actual = there[i],
                               .should_be = "its step",
                               .expected = here[i]};
      report.reason =
          is_finite ? "the direction depends on how the tensor is stored" : "a direction is not finite";
    }
    if (first_directions.empty()) first_directions = here;
    for (std::size_t i = 0; i < here.size(); ++i)
      output_varies = output_varies || !detail::same_bits(here[i], first_directions[i]);
  }
  detail::conclude_storage(report, output_varies);
  return report;
}

/// The same on small tensors of these layouts, with blocks of 4 x 6.
template <class Rule>
Report check_layout(const Rule& rule, const Layout& a, const Layout& b, CheckOptions options = {}) {
  const auto [in_a, in_b] = detail::small_storages(a, b);
  return check_layout(rule, in_a, in_b, std::move(options));
}

}}}  // namespace symopt::check
