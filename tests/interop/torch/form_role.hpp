// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/role.hpp>

#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace symopt_test {

/// Blocks that cannot step: for stacks that step by the form of a rule alone, so that no kernel is compiled.
template <class Rule, class Scalar>
class FormBlocks final : public symopt::detail::AnyBlocks<Scalar> {
 public:
  explicit FormBlocks(const Rule& rule) : rule_(symopt::detail::rule_text(rule)) {}
  void step(std::span<const symopt::detail::StepInput<Scalar>>) override {}
  symopt::detail::RuleFacts facts() const override {
    return {.may_throw = false,
            .is_scale_free = false,
            .keeps_state = false,
            .takes_factor = true,
            .families = std::nullopt,
            .group = "",
            .rule = rule_,
            .options = "",
            .method = ""};
  }
  bool are_in_range(std::span<const symopt::detail::StepInput<Scalar>>) override { return true; }
  void hold(const std::vector<std::size_t>&) override {}
  bool is_finite() const override { return true; }
  void visit(const symopt::detail::StateVisitor&) override {}
  void keep(std::shared_ptr<void>&) const override {}
  void put_back(const std::shared_ptr<void>&) noexcept override {}

 private:
  std::string rule_;
};

/// The role of tensors that step by the form of a rule.
template <class Scalar, class Rule>
symopt::BasicRole<Scalar> form_role(const Rule& rule, symopt::OptimizerOptions options,
                                    symopt::Layout layout) {
  using symopt::OptimizerOptions;
  symopt::detail::HiddenRule<Scalar> hidden{
      .acts_entrywise = symopt::detail::acts_entrywise<Rule>(),
      .keeps_state = false,
      .states_size = true,
      .ratio = &symopt::ClassRatios::other,
      .validate = [](const OptimizerOptions&) {},
      .make_blocks = [rule](const OptimizerOptions&, const symopt::detail::BlocksPlan&)
          -> std::unique_ptr<symopt::detail::AnyBlocks<Scalar>> {
        return std::make_unique<FormBlocks<Rule, Scalar>>(rule);
      },
      .scale_factor =
          [rule](symopt::Scale scale, symopt::Shape shape) {
            return symopt::detail::scale_factor_of(rule, scale, shape);
          },
      .root_mean_square = [](symopt::Shape) { return std::optional<double>(); },
      .rule = std::make_shared<const Rule>(rule),
      .write_form =
          [](const void* any, symopt::detail::FormWriter& writer) {
            return symopt::detail::write_form(*static_cast<const Rule*>(any), writer);
          }};
  return {std::move(hidden), std::move(options), std::move(layout)};
}

}  // namespace symopt_test
