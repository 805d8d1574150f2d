// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_rule.hpp>
#include <symopt/group/families.hpp>

#include <functional>
#include <string>
#include <vector>

// Every shipped rule with what is expected of it, compiled once: suites loop over them.
namespace symopt_test {

using symopt::Matrix;

/// A rule with its type hidden.
struct NamedRule {
  std::string name;
  symopt::check::AnyRule rule;
  /// The mirrored rule on the transposed block, transposed back.
  std::function<Matrix<double>(const Matrix<double>&)> mirrored;
  symopt::Families claimed;   ///< by the rule itself
  symopt::Families expected;  ///< by the table of largest groups
  bool keeps[2];              ///< horizontal blocks, as the rule says itself: left, right
  /// The nominal size of an entry of its output; no function for a rule that states none.
  std::function<double(symopt::Shape)> root_mean_square{};
  std::vector<std::string> inputs{};           ///< the kinds that its definition covers; empty: all
  symopt::check::Direction<float> in_float{};  ///< once more for float, which `rule` goes without

  Matrix<double> operator()(const Matrix<double>& block) const { return rule.in_double(block, block); }
};

/// The shipped rules: those of the entries and lines, the polar factors, and compositions of both.
///@{
const std::vector<NamedRule>& elementary_rules();
const std::vector<NamedRule>& spectral_rules();
const std::vector<NamedRule>& composed_rules();
///@}

}  // namespace symopt_test
