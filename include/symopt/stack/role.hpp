// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/parameter.hpp>
#include <symopt/stack/role_defaults.hpp>
#include <symopt/update/rule_traits.hpp>

#include <memory>
#include <string>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI {

/// What is done with a parameter: a rule, its options, and how the tensor is made of blocks. A value,
/// whatever the rule. Made by role<Class>(...).
template <class Scalar>
class BasicRole {
 public:
  /// A rule with its options, the layout of the tensors and the rows that exist; role<Class>(...) is shorter.
  template <class Rule>
  BasicRole(Rule rule, OptimizerOptions options, Layout layout, RowMask mask)
      : options_(std::move(options)),
        layout_(std::move(layout)),
        mask_(std::move(mask)),
        rule_(hidden(std::move(rule))) {}

  /// What the role was made of.
  ///@{
  const OptimizerOptions& options() const { return options_; }
  const Layout& layout() const { return layout_; }
  const RowMask& mask() const { return mask_; }
  ///@}

  /// True when the rule treats every entry alike, and so takes tensors of one dimension.
  bool acts_entrywise() const { return rule_.acts_entrywise; }

  /// The same role for tensors of another layout, other rows or with other options.
  ///@{
  BasicRole with(Layout layout) const {
    BasicRole changed = *this;
    changed.layout_ = std::move(layout);
    return changed;
  }
  BasicRole with(RowMask mask) const {
    BasicRole changed = *this;
    changed.mask_ = std::move(mask);
    return changed;
  }
  BasicRole with(OptimizerOptions options) const {
    BasicRole changed = *this;
    changed.options_ = std::move(options);
    return changed;
  }
  ///@}

  /// The parameter of that name in this role, whose steps work in that memory.
  std::unique_ptr<detail::Parameter<Scalar>> make(std::string name, detail::WeightsTensors<Scalar> weights,
                                                  std::shared_ptr<detail::ScratchPool> pool) const {
    OptimizerOptions named = options_;
    named.parameter = std::move(name);
    return std::make_unique<detail::Parameter<Scalar>>(rule_, std::move(named), layout_, mask_,
                                                       std::move(weights), std::move(pool));
  }

 private:
  template <class Rule>
  static detail::HiddenRule<Scalar> hidden(Rule rule) {
    return {detail::acts_entrywise<Rule>(),
            [rule](const OptimizerOptions& options,
                   const detail::BlocksPlan& plan) -> std::unique_ptr<detail::AnyBlocks<Scalar>> {
              detail::validate_for_rule<Rule, Scalar>(options);
              detail::validated_for(options.parameter, rule);
              return std::make_unique<detail::BlocksOf<Rule, Scalar>>(rule, plan);
            },
            [rule](Scale scale, Shape block) { return detail::scale_factor_of(rule, scale, block); }};
  }

  OptimizerOptions options_;
  Layout layout_;
  RowMask mask_;
  detail::HiddenRule<Scalar> rule_;
};

/// The role of float tensors.
using Role = BasicRole<float>;

/// The role of a parameter class (role<LmHead>() follows the update that its group derives) or of a rule
/// (role<AdamW>(), role<Update<LmHead, Then<RowNorm, Spectral<>>>>()). Without options those of
/// default_options.
template <class ClassOrRule, class Scalar = float>
BasicRole<Scalar> role(OptimizerOptions options = default_options<ClassOrRule>(), Layout layout = {},
                       RowMask mask = {}, role_rule_t<ClassOrRule> rule = {}) {
  return {std::move(rule), std::move(options), std::move(layout), std::move(mask)};
}

}}  // namespace symopt
