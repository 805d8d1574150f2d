// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/rule_form.hpp>
#include <symopt/optimizer/form_writer.hpp>
#include <symopt/stack/hidden_rule.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// Makes a form of what it is told of a rule.
class FormBuilder final : public symopt::detail::FormWriter {
 public:
  /// A rule of a role, by which what is a user's own in it is known again.
  explicit FormBuilder(std::shared_ptr<const void> rule) : owner_(std::move(rule)) {}

  /// The form of a rule that was written as a whole.
  form::Rule take() {
    if (auto* pair = std::get_if<form::Pair>(&rule_.value)) {
      pair->stages = taken_stages();
    } else if (std::holds_alternative<form::Unknown>(rule_.value)) {
      rule_.value = form::Map{taken_stages()};
    }
    return std::move(rule_);
  }

  void group_projection(bool left, bool right) override { rule_.projection = {left, right}; }
  void adamw(double beta1, double beta2, double eps) override {
    rule_.value = form::AdamW{beta1, beta2, eps};
  }
  void adaptive(Moments moments, int head_rows, int head_columns, double beta1, double beta2, double eps,
                int every) override {
    rule_.value = form::Adaptive{moments, head_rows, head_columns, beta1, beta2, eps, every};
  }

  void pair(bool is_full, bool has_planes_in_order, double damping, bool is_horizontal) override {
    rule_.value = form::Pair{.is_full = is_full,
                             .is_in_order = has_planes_in_order,
                             .damping = damping,
                             .is_horizontal = is_horizontal};
  }
  void pair_number(std::int64_t number) override {
    std::get<form::Pair>(rule_.value).numbers.push_back(number);
  }
  void pair_plane(std::int64_t first, std::int64_t second) override {
    auto& pair = std::get<form::Pair>(rule_.value);
    pair.first.push_back(first);
    pair.second.push_back(second);
  }

  void projection(bool left, bool right) override { add(form::Projection{left, right}); }
  void identity() override { add(form::Identity{}); }
  void sign() override { add(form::Sign{}); }
  void frobenius_norm() override { add(form::FrobeniusNorm{}); }
  void line_norm(Side lines, double eps, Divisor divisor) override {
    add(form::LineNorm{lines, eps, divisor});
  }
  void torch_map(std::shared_ptr<const void> map, MapApply apply) override {
    add(form::TorchMap(next_origin(), std::move(map), apply));
  }

  void minimax(GramSide side, int terms) override { add_polar(side, form::Minimax{terms}); }
  void zolotarev(GramSide side, int terms, double lower_bound, double upper_bound) override {
    add_polar(side, form::Zolotarev{terms, lower_bound, upper_bound});
  }
  void iteration(GramSide side, int steps, const polar::QuinticList& coefficients, double safety,
                 double eps) override {
    add_polar(side, form::Iteration{steps, coefficients, safety, eps});
  }
  void gram_iteration(GramSide side, int steps, const polar::QuinticList& coefficients, double safety,
                      double eps, int restart_after) override {
    add_polar(side, form::Iteration{steps, coefficients, safety, eps, restart_after});
  }
  void exact(GramSide side, double cutoff) override { add_polar(side, form::Exact{cutoff}); }
  void torch_polar(GramSide side, std::shared_ptr<const void> method, PolarApply apply) override {
    add_polar(side, form::TorchPolar(next_origin(), std::move(method), apply));
  }

  void begin_inner() override { stages_.emplace_back(); }
  void end_dual_norm(double alpha) override {
    std::vector<form::Stage> inner = taken_stages();
    add(form::Nested(form::DualNorm{alpha, std::move(inner)}));
  }
  void end_per_head(Side side, int size) override {
    std::vector<form::Stage> inner = taken_stages();
    add(form::Nested(form::PerHead{side, size, std::move(inner)}));
  }

 private:
  void add(form::Stage stage) { stages_.back().push_back(std::move(stage)); }
  void add_polar(GramSide side, form::PolarMethod method) {
    std::optional<Side> named;
    if (side != GramSide::shorter) named = side == GramSide::left ? Side::left : Side::right;
    add(form::PolarFactor{std::move(method), named});
  }
  form::Origin next_origin() { return {owner_, count_of_own_++}; }

  std::vector<form::Stage> taken_stages() {
    std::vector<form::Stage> stages = std::move(stages_.back());
    stages_.pop_back();
    return stages;
  }

  std::shared_ptr<const void> owner_;
  int count_of_own_ = 0;  // of a user's maps and methods so far
  form::Rule rule_;
  std::vector<std::vector<form::Stage>> stages_{1};  // of the rule, and of what is begun within it
};

/// The rule of a role as data; Unknown where a part of it is only known by its code.
template <class Scalar>
form::Rule form_of_rule(const symopt::detail::HiddenRule<Scalar>& hidden) {
  FormBuilder builder(hidden.rule);
  if (!hidden.write_form(hidden.rule.get(), builder)) return {};
  return builder.take();
}

}}}}  // namespace symopt::interop::detail
