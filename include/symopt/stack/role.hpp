// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/optimizer/write_form.hpp>
#include <symopt/stack/parameter.hpp>
#include <symopt/stack/role_rule.hpp>
#include <symopt/stack/stack_options.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI {

/// A role of parameters: a rule, its options, and the layout of a tensor in blocks. A value, whatever the
/// rule. Made by role<Class>(...).
template <class Scalar>
class BasicRole {
 public:
  /// A rule with its options, those of the stack without any, the layout of the tensors and the rows that
  /// exist; role<Class>(...) is shorter.
  template <class Rule>
  BasicRole(Rule rule, std::optional<OptimizerOptions> options, Layout layout, RowMask mask)
      : options_(std::move(options)),
        layout_(std::move(layout)),
        mask_(std::move(mask)),
        rule_(hidden(std::move(rule))) {}

  /// A role whose rule is hidden already: that of one block of a pair.
  BasicRole(detail::HiddenRule<Scalar> rule, std::optional<OptimizerOptions> options, Layout layout)
      : options_(std::move(options)), layout_(std::move(layout)), rule_(std::move(rule)) {}

  /// Tests whether the role has options of its own, which win over the stack's as a whole.
  bool has_options() const { return options_.has_value(); }
  /// The options of a parameter in this role, in a stack with these.
  OptimizerOptions options(const StackOptions& stack = {}) const {
    if (options_) return *options_;
    OptimizerOptions options{.learning_rate = stack.learning_rate * stack.ratios.*rule_.ratio,
                             .weight_decay = stack.weight_decay,
                             .scale = Scale::match_rms,
                             .non_finite = stack.non_finite};
    if (!rule_.keeps_state) {
      options.momentum = stack.momentum;
      options.momentum_convention = stack.momentum_convention;
      options.nesterov = stack.nesterov;
    }
    return options;
  }
  /// The layout of tensors in this role, and the rows that exist.
  ///@{
  const Layout& layout() const { return layout_; }
  const RowMask& mask() const { return mask_; }
  ///@}

  /// Tests whether the rule treats every entry alike, and so takes tensors of one dimension.
  bool acts_entrywise() const { return rule_.acts_entrywise; }

  /// A role with this rule for tensors of another layout, for other rows, or with other options.
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
                                                  const StackOptions& stack,
                                                  std::shared_ptr<detail::ScratchPool> pool,
                                                  detail::Holding holding = detail::Holding::all) const {
    detail::require(options_.has_value() || rule_.states_size, {name},
                    "without options of its own it takes the stack's, in AdamW's units, but this rule does "
                    "not state the size of its steps; give the parameter OptimizerOptions, or the rule a "
                    "member `double root_mean_square(Shape) const`");
    OptimizerOptions named = options(stack);
    named.parameter = std::move(name);
    auto parameter = std::make_unique<detail::Parameter<Scalar>>(
        rule_, std::move(named), layout_, mask_, std::move(weights), std::move(pool), holding);
    if (!options_) parameter->set_ratio(stack.ratios.*rule_.ratio);
    return parameter;
  }

 private:
  template <class Rule>
  static detail::HiddenRule<Scalar> hidden(Rule rule) {
    return {
        .acts_entrywise = detail::acts_entrywise<Rule>(),
        .keeps_state = StatefulRule<Rule, Scalar>,
        .states_size = detail::states_root_mean_square<Rule>,
        .ratio = detail::ratio_of_rule<Rule>(),
        .validate = [](const OptimizerOptions& options) { detail::validate_for_rule<Rule, Scalar>(options); },
        .make_blocks = [rule](const OptimizerOptions& options,
                              const detail::BlocksPlan& plan) -> std::unique_ptr<detail::AnyBlocks<Scalar>> {
          detail::validate_for_rule<Rule, Scalar>(options);
          detail::validated_for<Scalar>(options.parameter, rule);
          return std::make_unique<detail::BlocksOf<Rule, Scalar>>(rule, plan);
        },
        .scale_factor = [rule](Scale scale,
                               Shape block) { return detail::scale_factor_of(rule, scale, block); },
        .root_mean_square = [rule](Shape block) { return detail::nominal_size(rule, block); },
        .rule = std::make_shared<const Rule>(rule),
        .write_form =
            [](const void* any, detail::FormWriter& writer) {
              return detail::write_form(*static_cast<const Rule*>(any), writer);
            }};
  }

  std::optional<OptimizerOptions> options_;
  Layout layout_;
  RowMask mask_;
  detail::HiddenRule<Scalar> rule_;
};

/// The role of float tensors.
using Role = BasicRole<float>;

/// The role of a parameter class (role<LmHead>() follows the update that its group derives) or of a rule
/// (role<AdamW>(), role<Update<LmHead, Then<RowNorm, Spectral<>>>>()). Without options those of the stack.
///@{
template <class ClassOrRule, class Scalar = float>
BasicRole<Scalar> role(OptimizerOptions options, Layout layout = {}, RowMask mask = {},
                       detail::role_rule_t<ClassOrRule> rule = {}) {
  return {std::move(rule), std::move(options), std::move(layout), std::move(mask)};
}
template <class ClassOrRule, class Scalar = float>
BasicRole<Scalar> role(Layout layout, RowMask mask = {}, detail::role_rule_t<ClassOrRule> rule = {}) {
  return {std::move(rule), std::nullopt, std::move(layout), std::move(mask)};
}
template <class ClassOrRule, class Scalar = float>
BasicRole<Scalar> role() {
  return role<ClassOrRule, Scalar>(Layout{});
}
///@}

}}  // namespace symopt
