// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch_tensor.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <torch/optim/optimizer.h>
#include <torch/ordered_dict.h>
#include <torch/types.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// The options of one group of tensors: a role, with the learning rate where torch's schedulers look for it.
/// Made by parameter_group and parameter_groups.
class GroupOptions : public torch::optim::OptimizerCloneableOptions<GroupOptions> {
 public:
  /// A role for float tensors, and one for double tensors if there are such. `label` begins the tensors'
  /// names in messages; `names` are the tensors' own, where they have any.
  /// `options` are those of roles without any.
  GroupOptions(Role role, std::optional<BasicRole<double>> double_role, std::string label,
               std::vector<std::string> names = {}, const StackOptions& options = {})
      : role_(role.with(role.options(options))),
        double_role_(std::move(double_role)),
        label_(std::move(label)),
        names_(std::move(names)),
        rate_(role_.options().learning_rate) {
    if (double_role_) double_role_ = double_role_->with(double_role_->options(options));
    validate(role_.options());
  }

  /// The base rate, as torch's schedulers read and set it. Errors: std::invalid_argument for one out of
  /// range.
  ///@{
  double get_lr() const override { return rate_; }
  void set_lr(const double rate) override {
    symopt::OptimizerOptions changed = role_.options();
    changed.learning_rate = rate;
    validate(changed);
    rate_ = rate;
  }
  ///@}

  /// The role of float tensors, and of double ones if there are such.
  ///@{
  const Role& role() const { return role_; }
  const std::optional<BasicRole<double>>& double_role() const { return double_role_; }
  ///@}
  /// The pattern that routed the group, or what its options call it.
  const std::string& label() const { return label_; }

  /// The name of a tensor of the group in messages.
  std::string name_of(std::size_t group, std::size_t tensor) const {
    if (tensor < names_.size()) return names_[tensor];
    const std::string place = "group " + std::to_string(group) + ", tensor " + std::to_string(tensor);
    return label_.empty() ? place : label_ + ", " + place;
  }

 private:
  Role role_;
  std::optional<BasicRole<double>> double_role_;
  std::string label_;
  std::vector<std::string> names_;
  double rate_;
};

/// A parameter group in one role: parameter_group<LmHead>({w}, {.learning_rate = 0.05}), or under a rule such
/// as AdamW. Arguments as those of LayerwiseOptimizer::add; without options those of a stack without any, in
/// AdamW's units. Tensors are float or double, on any device; with more or less than two dimensions as the
/// layout and the rule allow.
///@{
template <class ClassOrRule>
torch::optim::OptimizerParamGroup parameter_group(std::vector<torch::Tensor> parameters,
                                                  OptimizerOptions options, Layout layout = {},
                                                  RowMask mask = {},
                                                  symopt::detail::role_rule_t<ClassOrRule> rule = {}) {
  std::string label = options.parameter == OptimizerOptions{}.parameter ? "" : options.parameter;
  return {std::move(parameters),
          std::make_unique<GroupOptions>(role<ClassOrRule>(options, layout, mask, rule),
                                         role<ClassOrRule, double>(options, layout, mask, rule),
                                         std::move(label))};
}
template <class ClassOrRule>
torch::optim::OptimizerParamGroup parameter_group(std::vector<torch::Tensor> parameters, Layout layout = {},
                                                  RowMask mask = {},
                                                  symopt::detail::role_rule_t<ClassOrRule> rule = {}) {
  return {std::move(parameters),
          std::make_unique<GroupOptions>(role<ClassOrRule>(layout, mask, rule),
                                         role<ClassOrRule, double>(layout, mask, rule), "")};
}
///@}

/// The two groups of a pair, A and B of which only the product matters, each with a rate of its own:
///   auto groups = pair_groups<LoraPair>(up, down, {.b = layout::transposed()});
/// Without options those of a stack without any, in AdamW's units for the product.
///@{
template <class GroupOrRule>
std::vector<torch::optim::OptimizerParamGroup> pair_groups(const torch::Tensor& a, const torch::Tensor& b,
                                                           const PairRole& role,
                                                           const BasicPairRole<double>& double_role) {
  const auto floats = role.linked();
  const auto doubles = double_role.linked();
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::vector<torch::Tensor>{a},
                      std::make_unique<GroupOptions>(floats.a.front(), doubles.a.front(), "block A"));
  groups.emplace_back(std::vector<torch::Tensor>{b},
                      std::make_unique<GroupOptions>(floats.b.front(), doubles.b.front(), "block B"));
  return groups;
}
template <class GroupOrRule>
std::vector<torch::optim::OptimizerParamGroup> pair_groups(const torch::Tensor& a, const torch::Tensor& b,
                                                           OptimizerOptions options, PairLayout layout = {},
                                                           PairOptions pair = {}) {
  return pair_groups<GroupOrRule>(a, b, pair_role<GroupOrRule>(options, layout, pair),
                                  pair_role<GroupOrRule, double>(options, layout, pair));
}
template <class GroupOrRule>
std::vector<torch::optim::OptimizerParamGroup> pair_groups(const torch::Tensor& a, const torch::Tensor& b,
                                                           PairLayout layout = {}, PairOptions pair = {}) {
  return pair_groups<GroupOrRule>(a, b, pair_role<GroupOrRule>(layout, pair),
                                  pair_role<GroupOrRule, double>(layout, pair));
}
///@}

/// The parameters of a module in groups, one for each pattern of the routing that matches some:
///   TorchOptimizer optimizer(parameter_groups(model->named_parameters(), routing, {.learning_rate = 1e-3}));
/// Roles without options of their own take those, in AdamW's units. Errors: std::invalid_argument as
/// BasicRouting::roles_of. Float tensors.
inline std::vector<torch::optim::OptimizerParamGroup> parameter_groups(
    const torch::OrderedDict<std::string, torch::Tensor>& parameters, const Routing& routing,
    const StackOptions& options = {}) {
  validate(options);
  std::vector<NamedTensor<float>> named;
  for (const auto& item : parameters) {
    symopt::detail::require(item.value().scalar_type() == torch::kFloat, {item.key()},
                            "a routing is for float tensors");
    named.push_back({item.key(), tensor_view<float>(item.value())});
  }
  const auto routed = routing.roles_of(named);

  // A tensor of a pair is a group of its own, for its role knows its partner.
  const auto key_of = [&](std::size_t i) {
    return routed[i].is_of_pair ? routed[i].pattern + ": " + named[i].name : routed[i].pattern;
  };
  std::vector<std::string> patterns;
  for (std::size_t i = 0; i < routed.size(); ++i)
    if (std::ranges::find(patterns, key_of(i)) == patterns.end()) patterns.push_back(key_of(i));

  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (const std::string& pattern : patterns) {
    std::vector<torch::Tensor> tensors;
    std::vector<std::string> names;
    const Role* role = nullptr;
    for (std::size_t i = 0; i < routed.size(); ++i) {
      if (key_of(i) != pattern) continue;
      tensors.push_back(parameters.items()[i].value());
      names.push_back(named[i].name);
      role = &routed[i].role;
    }
    groups.emplace_back(std::move(tensors), std::make_unique<GroupOptions>(*role, std::nullopt, pattern,
                                                                           std::move(names), options));
  }
  return groups;
}

}}}  // namespace symopt::interop
