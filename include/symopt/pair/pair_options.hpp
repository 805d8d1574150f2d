// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/gauge.hpp>
#include <symopt/optimizer/options.hpp>
#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/optimizer/step_input.hpp>
#include <symopt/pair/pair_decay.hpp>

#include <algorithm>
#include <cmath>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// The options of a pair besides those of every block.
struct PairOptions {
  double damping = 0.5;  ///< of the step length of the product: delta of Pi(B^T B) + delta^2 Pi(A^T A)^-1
  bool is_horizontal = false;  ///< directions lose what moves along the gauge alone, where all blocks move
  Index blocks_of_a = 1;       ///< blocks A that share one B, as the queries of a group share a key
  Index blocks_of_b = 1;       ///< blocks B that share one A

  /// Shows every option by its name.
  void options(auto&& field) {
    field("damping", damping);
    field("is_horizontal", is_horizontal);
    field("blocks_of_a", blocks_of_a);
    field("blocks_of_b", blocks_of_b);
  }
};

namespace detail {

/// Throws Error that names the parameter unless the options suit a pair under a rule of degree 0 or not.
[[gnu::cold]] inline void validate_pair(const OptimizerOptions& options, const PairOptions& pair,
                                        bool is_scale_free, double schedule_factor = 1) {
  validate(options);
  require_in_range(options, "damping", pair.damping, pair.damping >= 0, "finite and not negative");
  require(pair.blocks_of_a >= 1 && pair.blocks_of_b >= 1 && std::min(pair.blocks_of_a, pair.blocks_of_b) == 1,
          {options.parameter}, [&] {
            return "a pair cannot have " + std::to_string(pair.blocks_of_a) + " blocks A and " +
                   std::to_string(pair.blocks_of_b) +
                   " blocks B; one or several of the one share a single one of the other";
          });
  require(options.decay == Decay::all, {options.parameter},
          "the decay of a pair shrinks both blocks, for a pair has no shift; use Decay::all");
  require(
      options.scale != Scale::match_rms || is_scale_free, {options.parameter},
      "Scale::match_rms needs the size of the step, and that of this rule depends on the gradient's; take "
      "a normalization such as Spectral, or another scale");
  require_pair_decay(options, schedule_factor);
}

/// The options of a rule and of a pair that decide what its state means.
template <class Rule>
std::string pair_options_text(const Rule& rule, const PairOptions& pair) {
  std::string text = rule_options_text(rule);
  add_option("Pair.damping", pair.damping, text);
  add_option("Pair.is_horizontal", pair.is_horizontal, text);
  return text;
}

/// The factor of a scale on the step of the product A B^T, m x n: for match_rms 0.2 sqrt(max(m, n)).
inline double pair_scale_factor(Scale scale, const PairShape& shape) {
  const Shape product{shape.rows_of_a, shape.rows_of_b};
  const Index longer = std::max(product.rows, product.cols);
  return scale_factor(scale, product, longer > 0 ? 1 / std::sqrt(static_cast<double>(longer)) : 0);
}

/// The coefficients of one block from those of the product's step: half of it, and the root of its decay,
/// sqrt(1 - rate decay).
inline kernel::StepCoefficients of_one_block(kernel::StepCoefficients product) {
  const double decay = std::min(product.decay, 1.0);
  product.decay = decay / (1 + std::sqrt(1 - decay));  // 1 - sqrt(1 - decay), to the last digit
  product.step_size /= 2;
  return product;
}

}  // namespace detail

}}  // namespace symopt
