// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/batch.hpp>
#include <symopt/interop/torch/bound_parameter.hpp>
#include <symopt/interop/torch/form_heads.hpp>
#include <symopt/interop/torch/form_of_rule.hpp>
#include <symopt/interop/torch/linear_algebra.hpp>
#include <symopt/interop/torch/pair_batch.hpp>
#include <symopt/interop/torch/polar_products.hpp>
#include <symopt/interop/torch_tensor.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// A stack whose steps are libtorch's operations, on whatever device the tensors lie. Names, options,
/// layouts, plans and errors are a LayerwiseOptimizer's, whose blocks here have no memory; the states lie
/// beside the tensors, and are in the CPU's memory only while they are saved or loaded. The host looks at one
/// flag of each device in a step, whether all gradients are finite, and at none where all options say
/// unchecked; at one more for full second moments in steps without a new root; and at those of libtorch's
/// eigendecompositions, for pairs and polar::Exact. A step whose numbers leave the range of Scalar is not
/// taken back.
template <class Scalar>
class TensorStack : private BasicLayerwiseOptimizer<Scalar> {
  using Base = BasicLayerwiseOptimizer<Scalar>;
  using Parameter = symopt::detail::Parameter<Scalar>;

 public:
  explicit TensorStack(PolarProducts products = PolarProducts::as_weights) : products_(products) {
    this->maker_.leave_states_out();
  }

  using Base::contains;
  using Base::options;
  using Base::plan;
  using Base::set_learning_rate;
  using Base::size;
  using Base::steps;

  const Base& base() const { return *this; }
  Base& base() { return *this; }
  const std::vector<std::unique_ptr<Parameter>>& parameters() const { return this->parameters_.all(); }
  BoundParameter& bound(const std::string& name) { return bound_.at(name); }

  /// Errors: those of LayerwiseOptimizer::add, and for a rule that has no form by operations.
  void add(const std::string& name, const BasicRole<Scalar>& role, const at::Tensor& tensor) {
    Base::add(name, role, tensor_view<Scalar>(tensor), std::nullopt);
    try {
      const Parameter& parameter = this->parameters_.find(name);
      const form::Rule rule = form_of(parameter);
      const auto blocks = existing(parameter.weights().values, parameter);
      for (const auto& block : blocks) require_heads(rule, symopt::detail::shape_of(block), name);
      at::Tensor selected;
      if (!blocks.empty() && blocks.front().selected_rows != nullptr)
        selected = at::tensor(at::ArrayRef<Index>(blocks.front().selected_rows,
                                                  static_cast<std::size_t>(blocks.front().selected_count)),
                              at::kLong)
                       .to(tensor.device());
      BoundParameter bound(rule, is_entrywise(rule),
                           runs_of(blocks, 0, blocks.size(), tensor.data_ptr<Scalar>()), selected);
      bound.set_weights(tensor);
      load_linear_algebra(tensor.device());
      bound_.insert_or_assign(name, std::move(bound));
    } catch (...) {
      Base::remove(name);
      throw;
    }
    are_batched_ = false;
  }
  void remove(const std::string& name) {
    Base::remove(name);
    bound_.erase(name);
    are_batched_ = false;
  }
  void set_weights(const std::string& name, const at::Tensor& tensor) {
    Base::set_weights(name, tensor_view<Scalar>(tensor));
    bound_.at(name).set_weights(tensor);
  }
  /// Without a tensor for none.
  void set_gradient(const std::string& name, const at::Tensor& gradient) {
    BoundParameter& bound = bound_.at(name);
    if (!gradient.defined()) {
      bound.set_gradient(gradient, {});
      Base::set_gradient(name, std::nullopt);
      return;
    }
    symopt::detail::require(gradient.device() == bound.weights().device(), {name},
                            "the gradient lies on another device than the weights");
    Base::set_gradient(name, tensor_view<const Scalar>(gradient));
    const Parameter& parameter = this->parameters_.find(name);
    const auto blocks = existing(parameter.gradient().values, parameter);
    const Scalar* const start = gradient.data_ptr<Scalar>();
    std::vector<std::vector<BlockRun>> runs;
    for (std::size_t run = 0; run < bound.runs.size(); ++run) {
      const std::size_t begin = bound.first_blocks[run];
      runs.push_back(
          runs_of(blocks, begin, begin + static_cast<std::size_t>(bound.runs[run].count()), start));
    }
    bound.set_gradient(gradient, std::move(runs));
  }

  /// Lets go of all gradients: whoever drops them before each backward pass gets their memory back.
  void release_gradients() {
    for (auto& [name, bound] : bound_) {
      bound.set_gradient({}, {});
      Base::set_gradient(name, std::nullopt);
    }
  }

  /// Looks at all gradients. Errors: NonFiniteGradient where options say so.
  StackReport inspect() const {
    struct Looks {
      at::Device device;
      std::vector<at::Tensor> blocks{};
      std::vector<const Parameter*> parameters{};
    };
    std::vector<Looks> looks;  // one for each device
    for (const auto& parameter : parameters()) {
      const BoundParameter& bound = bound_.at(parameter->name());
      const bool is_checked = parameter->options().non_finite != NonFinite::unchecked;
      if (!is_checked || !bound.has_gradient() || bound.gradient().numel() == 0) continue;
      const std::vector<at::Tensor> seen = seen_of(*parameter, bound);
      if (seen.empty()) continue;  // no row exists
      auto own = std::ranges::find(looks, bound.gradient().device(), &Looks::device);
      if (own == looks.end()) own = looks.insert(own, Looks{bound.gradient().device()});
      for (const at::Tensor& blocks : seen) {
        own->blocks.push_back(blocks);
        own->parameters.push_back(parameter.get());
      }
    }
    symopt::detail::NonFiniteGradients found;
    for (const Looks& look : looks) {
      const at::Tensor are_finite =
          at::stack(at::_foreach_norm(look.blocks, std::numeric_limits<double>::infinity())).isfinite();
      if (are_finite.all().template item<bool>()) continue;
      for (std::size_t i = 0; i < look.blocks.size(); ++i) {
        const std::string& name = look.parameters[i]->name();
        const bool is_new = found.parameters.empty() || found.parameters.back() != name;
        if (is_new && !are_finite[static_cast<std::int64_t>(i)].template item<bool>())
          found.add(*look.parameters[i]);
      }
    }
    return this->report_of(std::move(found));
  }

  /// Errors: those of LayerwiseOptimizer::step that are not about numbers, before anything moves.
  void require_ready() {
    this->parameters_.require_apart();
    for (const auto& parameter : parameters()) prepare(*parameter);
  }
  /// One step of every parameter that has a gradient. `is_inspected`: inspect() has found nothing. Errors:
  /// those of LayerwiseOptimizer::step, with nothing changed. What an operation throws is passed on, with the
  /// blocks before it stepped and the others not.
  StackReport step(bool is_inspected = false) {
    require_ready();
    StackReport report;
    if (!is_inspected) report = inspect();
    if (!report.non_finite.empty() || !symopt::detail::any_has_gradient(parameters())) return report;
    const FullPrecision full;
    form_batches();
    for (Batch& batch : batches_) batch.step();
    for (PairBatch& batch : pair_batches_) batch.step();
    report.applied = true;
    report.step = ++this->steps_;
    return report;
  }

  /// Takes the states' memory, as of new blocks where there is none.
  void form_batches() {
    if (are_batched_) return;
    std::vector<Batch> batches;
    std::vector<LinkedParameters> links;
    for (const auto& parameter : parameters()) {
      BoundParameter& bound = bound_.at(parameter->name());
      if (parameter->blocks().is_paired()) {
        join_link(*parameter, bound, links);
        continue;
      }
      for (std::size_t run = 0; run < bound.runs.size(); ++run) {
        if (bound.entries_of(run) == 0) continue;
        const BatchKey key = key_of(*parameter, bound, run);
        auto batch = std::ranges::find(batches, key, &Batch::key);
        if (batch == batches.end()) batch = batches.insert(batch, Batch(key));
        batch->add(bound, run);
      }
    }
    for (Batch& batch : batches) batch.take_states(at::CppTypeToScalarType<Scalar>::value);
    batches_ = std::move(batches);
    pair_batches_.clear();
    for (const LinkedParameters& link : links) {
      if (link.a.empty() || link.b.empty()) continue;  // refused by a step
      const auto& pair = std::get<form::Pair>(link.a.front()->rule.value);
      const auto batch =
          std::ranges::find_if(pair_batches_, [&](const PairBatch& each) { return each.takes(pair, link); });
      if (batch != pair_batches_.end()) {
        batch->add(link);
      } else {
        pair_batches_.emplace_back(pair, link);
      }
    }
    are_batched_ = true;
  }

 private:
  form::Rule form_of(const Parameter& parameter) const {
    form::Rule rule = form_of_rule(parameter.rule());
    symopt::detail::require(!std::holds_alternative<form::Unknown>(rule.value), {parameter.name()}, [&] {
      const std::string remedy = parameter.blocks().is_paired()
                                     ? "an algebra of your own steps in CPU memory alone; its normalization "
                                       "would need a member `void torch_apply(at::Tensor& blocks) const`"
                                 : parameter.facts().keeps_state
                                     ? "a rule with a state of its own steps in CPU memory alone"
                                     : "give each of its maps a member `void torch_apply(at::Tensor& blocks) "
                                       "const`, and a polar method of your own `void torch_apply(at::Tensor& "
                                       "blocks, Side gram_side) const`";
      return "the rule " + parameter.facts().rule +
             " has no form by libtorch's operations, which step what does not lie in CPU memory; " + remedy;
    });
    if (products_ == PolarProducts::bfloat16) rule = with_products_in_bfloat16(std::move(rule));
    return rule;
  }

  template <class Element>
  static std::vector<symopt::detail::BlockView<Element>> existing(
      std::vector<symopt::detail::BlockView<Element>> blocks, const Parameter& parameter) {
    for (auto& block : blocks) block = parameter.mask().existing(block);
    return blocks;
  }

  /// The gradient as a check sees it: all of it, or the rows that exist.
  static std::vector<at::Tensor> seen_of(const Parameter& parameter, const BoundParameter& bound) {
    if (parameter.mask().is_all()) return {bound.gradient()};
    std::vector<at::Tensor> blocks;
    for (std::size_t run = 0; run < bound.runs.size(); ++run)
      if (bound.entries_of(run) > 0) bound.add_gradient(run, blocks);
    return blocks;
  }

  static BatchKey key_of(const Parameter& parameter, const BoundParameter& bound, std::size_t run) {
    const kernel::StepCoefficients c = symopt::detail::step_coefficients(parameter.options(), 0, 1);
    const bool maps = std::holds_alternative<form::Map>(bound.rule.value);
    const bool is_flat = is_entrywise(bound.rule);
    return {.rule = bound.rule,
            .device = bound.weights().device(),
            .rows = is_flat ? 0 : bound.rows_of(run),
            .cols = is_flat ? 0 : bound.runs[run].cols(),
            .beta = maps ? c.beta : 0,
            .gradient_weight = maps ? c.gradient_weight : 0,
            .nesterov = maps && c.nesterov};
  }

  /// A parameter of a pair, its momenta in memory of their own.
  void join_link(const Parameter& parameter, BoundParameter& bound, std::vector<LinkedParameters>& links) {
    for (std::size_t run = 0; run < bound.runs.size(); ++run)
      if (bound.states[run].empty())
        bound.states[run].push_back(
            at::zeros({bound.runs[run].count(), bound.runs[run].rows(), bound.runs[run].cols()},
                      at::TensorOptions().dtype(bound.weights().dtype()).device(bound.weights().device())));
    const void* const pair = parameter.blocks().pair();
    auto link = std::ranges::find(links, pair, &LinkedParameters::link);
    if (link == links.end()) link = links.insert(link, LinkedParameters{pair, {}, {}});
    const bool is_a = parameter.rule().side == symopt::detail::PairSide::a;
    (is_a ? link->a : link->b).push_back(&bound);
  }

  void prepare(Parameter& parameter) {
    parameter.blocks().announce(parameter.has_gradient());  // a pair that is not whole is refused
    parameter.require_factors(parameter.options(), this->schedule_);
    BoundParameter& bound = bound_.at(parameter.name());
    bound.coefficients.clear();
    for (const std::size_t block : bound.first_blocks)
      bound.coefficients.push_back(this->schedule_.coefficients(
          parameter.options(), parameter.scale_factor(parameter.options().scale, block)));
  }

  PolarProducts products_;
  std::unordered_map<std::string, BoundParameter> bound_;  // nodes: batches hold their addresses
  std::vector<Batch> batches_;
  std::vector<PairBatch> pair_batches_;
  bool are_batched_ = false;
};

}}}}  // namespace symopt::interop::detail
