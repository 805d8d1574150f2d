// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/pair/write_pair_form.hpp>
#include <symopt/stack/pair_link.hpp>
#include <symopt/stack/role.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The layouts of the two tensors of a pair. Their blocks are A, m x r, and B, n x r: one that is stored as
/// r x n has layout::transposed(). Heads on either side: block number k of the one and of the other are a
/// pair, or as many that follow each other share one as the counts say.
struct PairLayout {
  Layout a{};  ///< of A
  Layout b{};  ///< of B
};

namespace detail {

template <class GroupOrRule>
struct PairRuleOf {
  static_assert(
      PairRule<GroupOrRule>,
      "a pair in a stack has a group of pairs (LoraPair, QueryKey, or one of your own) or a rule for "
      "pairs: PairUpdate<Group>; see docs/pairs.md");
  using type = GroupOrRule;
};
template <PairGroup G>
struct PairRuleOf<G> {
  using type = PairUpdate<G>;
};
template <class GroupOrRule>
using pair_rule_t = typename PairRuleOf<GroupOrRule>::type;

/// The roles of the parameters of one pair.
template <class Scalar>
struct LinkedRoles {
  std::vector<BasicRole<Scalar>> a, b;
};

/// The rule of one side of a pair, hidden.
template <class Rule, class Scalar>
HiddenRule<Scalar> hidden_half(const std::shared_ptr<PairLink<Rule, Scalar>>& link, PairSide side) {
  constexpr bool is_scale_free = is_scale_free_rule<typename Rule::normalization_type>();
  return {.acts_entrywise = false,
          .keeps_state = false,
          .states_size = is_scale_free,
          .ratio = &ClassRatios::other,
          .validate =
              [](const OptimizerOptions& options) {
                validate_pair(options, {}, is_scale_free);
                require_factors_in_range<Scalar>(options, 1, 1);
              },
          .make_blocks = [link, side](const OptimizerOptions& options,
                                      const BlocksPlan& plan) -> std::unique_ptr<AnyBlocks<Scalar>> {
            validate_pair(options, link->options(), is_scale_free);
            require_factors_in_range<Scalar>(options, 1, 1);
            validated_for<Scalar>(options.parameter, link->rule().normalization());
            return std::make_unique<PairHalf<Rule, Scalar>>(link, side, options, plan);
          },
          .scale_factor = [link](Scale scale, Shape) { return pair_scale_factor(scale, link->shape()); },
          .root_mean_square = [](Shape) { return std::optional<double>(); },
          .rule = link,
          .write_form =
              [](const void* any, FormWriter& writer) {
                const auto& own = *static_cast<const PairLink<Rule, Scalar>*>(any);
                const Index rank = own.half(0).shapes.front().cols;
                return write_pair_form(own.rule(), own.options(), rank, writer);
              },
          .side = side};
}

}  // namespace detail

/// The role of pairs of tensors: a rule for pairs, its options and the layouts. A value, whatever the rule.
/// Made by pair_role<Group>(...).
template <class Scalar>
class BasicPairRole {
 public:
  /// A rule with its options, those of the stack without any; pair_role<Group>(...) is shorter. Errors: Error
  /// for options of the pair out of range.
  template <PairRule Rule>
  BasicPairRole(Rule rule, std::optional<OptimizerOptions> options, PairLayout layout, PairOptions pair)
      : linked_([rule = std::move(rule), options = std::move(options), layout = std::move(layout), pair](
                    std::size_t count_of_a, std::size_t count_of_b) {
          auto link = std::make_shared<detail::PairLink<Rule, Scalar>>(rule, pair, count_of_a, count_of_b);
          const auto role = [&](detail::PairSide side) {
            return BasicRole<Scalar>(detail::hidden_half(link, side), options,
                                     side == detail::PairSide::a ? layout.a : layout.b);
          };
          return detail::LinkedRoles<Scalar>{
              std::vector<BasicRole<Scalar>>(count_of_a, role(detail::PairSide::a)),
              std::vector<BasicRole<Scalar>>(count_of_b, role(detail::PairSide::b))};
        }) {
    detail::require(
        pair.blocks_of_a == 1 && pair.blocks_of_b == 1,
        "in a stack the layouts and the tensors say how many blocks share one; leave blocks_of_a and "
        "blocks_of_b out");
  }

  /// The roles of the tensors of one pair, which know each other; new ones at each call.
  detail::LinkedRoles<Scalar> linked(std::size_t count_of_a = 1, std::size_t count_of_b = 1) const {
    return linked_(count_of_a, count_of_b);
  }

 private:
  std::function<detail::LinkedRoles<Scalar>(std::size_t, std::size_t)> linked_;
};

/// The role of float pairs.
using PairRole = BasicPairRole<float>;

/// The role of the pairs of a group, pair_role<LoraPair>(), or under a rule, pair_role<PairUpdate<LoraPair,
/// FrobeniusNorm>>(). Without options those of the stack, in AdamW's units for the product.
///@{
template <class GroupOrRule, class Scalar = float>
BasicPairRole<Scalar> pair_role(OptimizerOptions options, PairLayout layout = {}, PairOptions pair = {},
                                detail::pair_rule_t<GroupOrRule> rule = {}) {
  return {std::move(rule), std::move(options), std::move(layout), pair};
}
template <class GroupOrRule, class Scalar = float>
BasicPairRole<Scalar> pair_role(PairLayout layout = {}, PairOptions pair = {},
                                detail::pair_rule_t<GroupOrRule> rule = {}) {
  return {std::move(rule), std::nullopt, std::move(layout), pair};
}
///@}

}}  // namespace symopt
