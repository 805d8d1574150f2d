// SPDX-License-Identifier: Apache-2.0
#include "support/all_rules.hpp"
#include "support/coupled_inverse_root.hpp"

#include <symopt/symopt.hpp>

#include <string>
#include <utility>

namespace symopt_test {

namespace {

using symopt::Side;

template <class Rule>
std::function<double(symopt::Shape)> root_mean_square_of(const Rule& rule) {
  if constexpr (symopt::detail::states_root_mean_square<Rule>) {
    return [rule](symopt::Shape shape) { return symopt::detail::root_mean_square_of(rule, shape); };
  } else {
    return {};
  }
}

template <class Rule>
NamedRule named_rule(std::string name, const Rule& rule, const symopt::Families& expected,
                     std::vector<std::string> inputs = {}) {
  symopt::check::AnyRule any{
      name, [rule](const Matrix<double>&, const Matrix<double>& block) { return rule(block); }, {}};
  return {std::move(name),
          std::move(any),
          [rule](const Matrix<double>& block) -> Matrix<double> {
            return rule.mirrored()(block.transpose()).transpose();
          },
          symopt::detail::claimed_families<Rule>,
          expected,
          {symopt::detail::keeps_horizontal<Rule>(Side::left),
           symopt::detail::keeps_horizontal<Rule>(Side::right)},
          root_mean_square_of(rule),
          std::move(inputs),
          [rule](const Matrix<float>&, const Matrix<float>& block) { return rule(block); }};
}

// The columns of the table: permutations, signed permutations, orthogonal matrices, heads.
constexpr symopt::SideFamilies permuted{.permutations = true};
constexpr symopt::SideFamilies signed_permuted{.permutations = true, .signs = true};
constexpr symopt::SideFamilies rotated{.rotations = true};
constexpr symopt::SideFamilies in_heads(int size) {
  return {.block_rotations = size, .block_permutations = size};
}

std::vector<NamedRule> make_elementary_rules() {
  using namespace symopt;
  const Families both_rotated{rotated, rotated};
  return {
      named_rule("Identity", Identity{}, both_rotated),
      named_rule("FrobeniusNorm", FrobeniusNorm{}, both_rotated),
      named_rule("RowNorm", RowNorm{}, {signed_permuted, rotated}),
      named_rule("RowNorm without eps", RowNorm{.eps = 0}, {signed_permuted, rotated}),
      named_rule("ColumnNorm", ColumnNorm{}, {rotated, signed_permuted}),
      named_rule("Sign", Sign{}, {signed_permuted, signed_permuted}),
      named_rule("no projection", HorizontalProjection<>{}, both_rotated),
      named_rule("left projection", HorizontalProjection<Side::left>{}, {permuted, rotated}),
      named_rule("right projection", HorizontalProjection<Side::right>{}, {rotated, permuted}),
      named_rule("both projections", HorizontalProjection<Side::left, Side::right>{}, {permuted, permuted}),
      named_rule("DualNorm of RowNorm", DualNorm<RowNorm>{}, {signed_permuted, rotated}),
      named_rule("DualNorm of ColumnNorm", DualNorm<ColumnNorm>{.alpha = 0.5}, {rotated, signed_permuted}),
      named_rule("DualNorm of Sign", DualNorm<Sign>{}, {signed_permuted, signed_permuted}),
      named_rule("DualNorm of FrobeniusNorm", DualNorm<FrobeniusNorm>{.alpha = -0.5}, both_rotated),
      named_rule("row norm, then column norm", Then<RowNorm, ColumnNorm>{},
                 {signed_permuted, signed_permuted}),
  };
}

template <class Method>
void add_spectral_rules(std::vector<NamedRule>& rules, const std::string& name, const Method& method,
                        const std::vector<std::string>& inputs = {}) {
  using namespace symopt;
  const Families both_rotated{rotated, rotated};
  rules.push_back(named_rule("Spectral by " + name, Spectral<Method>{method}, both_rotated, inputs));
  rules.push_back(named_rule("LeftSpectral by " + name, LeftSpectral<Method>{method}, both_rotated, inputs));
  rules.push_back(
      named_rule("RightSpectral by " + name, RightSpectral<Method>{method}, both_rotated, inputs));
}

std::vector<NamedRule> make_spectral_rules() {
  using namespace symopt;
  // A coupled iteration blows up the rounding of a singular Gram matrix, so it is equivariant as far as the
  // singular values are not zero.
  const std::vector<std::string> coupled{"gaussian", "condition-3",           "condition-1e3",
                                         "zero",     "equal-singular-values", "tied-rows"};
  const Families both_rotated{rotated, rotated};
  std::vector<NamedRule> rules;
  add_spectral_rules(rules, "Exact", polar::Exact{});
  add_spectral_rules(rules, "NewtonSchulz", polar::NewtonSchulz{});
  add_spectral_rules(rules, "PolarExpress", polar::PolarExpress{});
  add_spectral_rules(rules, "Zolotarev", polar::Zolotarev{});
  add_spectral_rules(rules, "GramNewtonSchulz", polar::GramNewtonSchulz{});
  add_spectral_rules(rules, "Automatic", polar::Automatic{});
  add_spectral_rules(rules, "CoupledNewtonSchulz", polar::CoupledNewtonSchulz{}, coupled);
  add_spectral_rules(rules, "CoupledPolarExpress", polar::CoupledPolarExpress{}, coupled);
  rules.push_back(named_rule("Spectral as in Muon",
                             Spectral<polar::PolarExpress>{polar::PolarExpress::muon()}, both_rotated));
  rules.push_back(named_rule("Spectral by Fast", Spectral<polar::Fast>{}, both_rotated));
  return rules;
}

std::vector<NamedRule> make_composed_rules() {
  using namespace symopt;
  using polar::Exact;
  return {
      named_rule("left heads of 2", HeadSpectral<Side::left, 2>{}, {in_heads(2), rotated}),
      named_rule("left heads of 3", HeadSpectral<Side::left, 3>{}, {in_heads(3), rotated}),
      named_rule("right heads of 2", HeadSpectral<Side::right, 2>{}, {rotated, in_heads(2)}),
      named_rule("right heads of 3, exact", HeadSpectral<Side::right, 3, Exact>{}, {rotated, in_heads(3)}),
      named_rule("norm of each left head of 2", PerHead<Side::left, 2, FrobeniusNorm>{},
                 {in_heads(2), rotated}),
      named_rule("column norm in left heads of 2", PerHead<Side::left, 2, ColumnNorm>{},
                 {in_heads(2), signed_permuted}),
      named_rule("row norm in right heads of 3", PerHead<Side::right, 3, RowNorm>{},
                 {signed_permuted, in_heads(3)}),
      named_rule("DualNorm of right heads", PerHead<Side::right, 2, DualNorm<Spectral<>>>{},
                 {rotated, in_heads(2)}),
      named_rule("DualNorm of Spectral", DualNorm<Spectral<>>{}, {rotated, rotated}),
      named_rule("DualNorm of exact LeftSpectral", DualNorm<LeftSpectral<Exact>>{.alpha = 0.5},
                 {rotated, rotated}),
      named_rule("DualNorm of heads", DualNorm<HeadSpectral<Side::left, 2>>{}, {in_heads(2), rotated}),
      named_rule("row norm, then polar", Then<RowNorm, Spectral<>>{}, {signed_permuted, rotated}),
      named_rule("polar, then row norm", Then<Spectral<>, RowNorm>{}, {signed_permuted, rotated}),
      named_rule("column norm, then polar", Then<ColumnNorm, Spectral<>>{}, {rotated, signed_permuted}),
      named_rule("polar, then column norm", Then<Spectral<Exact>, ColumnNorm>{}, {rotated, signed_permuted}),
      named_rule("three stages", Then<RowNorm, DualNorm<Spectral<>>, FrobeniusNorm>{},
                 {signed_permuted, rotated}),
      named_rule("nested stages", Then<Then<RowNorm, Spectral<>>, Sign>{},
                 {signed_permuted, signed_permuted}),
  };
}

}  // namespace

const std::vector<NamedRule>& elementary_rules() {
  static const std::vector<NamedRule> rules = make_elementary_rules();
  return rules;
}
const std::vector<NamedRule>& spectral_rules() {
  static const std::vector<NamedRule> rules = make_spectral_rules();
  return rules;
}
const std::vector<NamedRule>& composed_rules() {
  static const std::vector<NamedRule> rules = make_composed_rules();
  return rules;
}

}  // namespace symopt_test
