// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/bound_parameter.hpp>
#include <symopt/interop/torch/pair_step.hpp>
#include <symopt/interop/torch/rule_steps.hpp>
#include <symopt/kernel/coefficients.hpp>
#include <symopt/pair/pair_options.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// The parameters of one pair, or of several pairs of one size as the heads of an attention.
struct LinkedParameters {
  const void* link = nullptr;
  std::vector<BoundParameter*> a, b;

  static std::int64_t blocks_of(const BoundParameter& parameter) {
    std::int64_t count = 0;
    for (const BlockRun& run : parameter.runs) count += run.count();
    return count;
  }
  /// The pairs: the one side may have several blocks in each.
  std::int64_t pairs() const { return std::min(blocks_of(*a.front()), blocks_of(*b.front())); }
  bool are_all_moved() const {
    return std::ranges::all_of(a, has_gradient) && std::ranges::all_of(b, has_gradient);
  }
  bool is_any_moved() const {
    return std::ranges::any_of(a, has_gradient) || std::ranges::any_of(b, has_gradient);
  }
  static bool has_gradient(const BoundParameter* parameter) { return parameter->has_gradient(); }
};

/// Pairs of one rule and of blocks of one size, that step as one batch.
class PairBatch {
 public:
  PairBatch(const form::Pair& pair, const LinkedParameters& first)
      : plan_(pair, first.a.front()->weights().device()), links_{first} {}

  /// Tests whether pairs of that rule may join the batch.
  bool takes(const form::Pair& pair, const LinkedParameters& link) const {
    const LinkedParameters& own = links_.front();
    const auto is_alike = [](const BoundParameter* x, const BoundParameter* y) {
      return x->runs.front().rows() == y->runs.front().rows() &&
             x->runs.front().cols() == y->runs.front().cols() &&
             x->weights().device() == y->weights().device();
    };
    return pair == plan_.pair && is_alike(own.a.front(), link.a.front()) &&
           is_alike(own.b.front(), link.b.front()) && each(own.a, own) == each(link.a, link) &&
           each(own.b, own) == each(link.b, link);
  }
  void add(const LinkedParameters& link) { links_.push_back(link); }

  /// One step of all pairs that have a gradient; those of which all blocks have one together.
  void step() {
    std::vector<const LinkedParameters*> whole;
    for (const LinkedParameters& link : links_) {
      if (link.are_all_moved()) {
        whole.push_back(&link);
      } else if (link.is_any_moved()) {
        step({&link});
      }
    }
    if (!whole.empty()) step(whole);
  }

 private:
  using Links = std::vector<const LinkedParameters*>;
  using Side = std::vector<BoundParameter*> LinkedParameters::*;

  /// The blocks of a side that belong to one pair.
  static std::int64_t each(const std::vector<BoundParameter*>& side, const LinkedParameters& link) {
    std::int64_t count = 0;
    for (const BoundParameter* parameter : side) count += LinkedParameters::blocks_of(*parameter);
    return count / link.pairs();
  }

  /// All blocks of a side, pairs x blocks x lines x r, of tensors that `blocks_of` makes of a parameter.
  static at::Tensor gathered(const Links& links, Side side, const auto& blocks_of) {
    std::vector<at::Tensor> pairs;
    for (const LinkedParameters* link : links) {
      std::vector<at::Tensor> parts;
      for (const BoundParameter* parameter : link->*side) {
        const at::Tensor blocks = blocks_of(*parameter);
        if (blocks.defined())
          parts.push_back(
              blocks.reshape({link->pairs(), LinkedParameters::blocks_of(*parameter) / link->pairs(),
                              blocks.size(-2), blocks.size(-1)}));
      }
      if (!parts.empty()) pairs.push_back(parts.size() == 1 ? parts.front() : at::cat(parts, 1));
    }
    if (pairs.empty()) return {};
    return pairs.size() == 1 ? pairs.front() : at::cat(pairs);
  }
  static at::Tensor joined(const BoundParameter& parameter, const auto& of_run) {
    std::vector<at::Tensor> blocks;
    for (std::size_t run = 0; run < parameter.runs.size(); ++run) blocks.push_back(of_run(run));
    return blocks.size() == 1 ? blocks.front() : at::cat(blocks);
  }

  void step(const Links& links) {
    for (const Side side : {&LinkedParameters::a, &LinkedParameters::b})
      for (const LinkedParameters* link : links)
        for (BoundParameter* parameter : link->*side)
          if (LinkedParameters::has_gradient(parameter)) advance(*parameter);
    const auto weights_of = [](const BoundParameter& parameter) {
      return joined(parameter, [&](std::size_t run) { return parameter.weight_blocks(run); });
    };
    const auto momenta_of = [](const BoundParameter& parameter) {
      if (!parameter.has_gradient()) return at::Tensor();
      return joined(parameter, [&](std::size_t run) {
        const kernel::StepCoefficients& c = parameter.coefficients[run];
        const at::Tensor& average = parameter.states[run].front();
        if (!c.nesterov) return average;
        return (average * c.beta).add_(gradient_of(parameter, run), c.gradient_weight);
      });
    };
    const PairDirections directions =
        PairTensorMap(plan_)({gathered(links, &LinkedParameters::a, weights_of),
                              gathered(links, &LinkedParameters::a, momenta_of)},
                             {gathered(links, &LinkedParameters::b, weights_of),
                              gathered(links, &LinkedParameters::b, momenta_of)},
                             dampings(links));
    move_along(links, &LinkedParameters::a, directions.a);
    move_along(links, &LinkedParameters::b, directions.b);
  }

  static at::Tensor gradient_of(const BoundParameter& parameter, std::size_t run) {
    std::vector<at::Tensor> parts;
    parameter.add_gradient(run, parts);
    return parts.size() == 1 ? parts.front() : at::cat(parts);
  }
  static void advance(BoundParameter& parameter) {
    for (std::size_t run = 0; run < parameter.runs.size(); ++run) {
      const kernel::StepCoefficients& c = parameter.coefficients[run];
      parameter.states[run].front().mul_(c.beta).add_(gradient_of(parameter, run), c.gradient_weight);
    }
  }

  /// delta for each pair, from the step length of its product; a single one where all are alike.
  at::Tensor dampings(const Links& links) const {
    if (plan_.pair.damping == 0) return {};
    std::vector<double> each;
    bool are_alike = true;
    for (const LinkedParameters* link : links) {
      double length = 0;
      for (const Side side : {&LinkedParameters::a, &LinkedParameters::b})
        for (const BoundParameter* parameter : link->*side)
          if (LinkedParameters::has_gradient(parameter))
            length = std::max(length, parameter->coefficients.front().step_size);
      each.insert(each.end(), static_cast<std::size_t>(link->pairs()), plan_.pair.damping * length);
      are_alike = are_alike && each.back() == each.front();
    }
    const auto options =
        at::TensorOptions().dtype(at::kDouble).device(links.front()->a.front()->weights().device());
    if (are_alike) return at::full({1, 1}, each.front(), options);
    return at::tensor(each, at::kDouble).unsqueeze(1).to(options.device());
  }

  static void move_along(const Links& links, Side side, const at::Tensor& directions) {
    if (!directions.defined()) return;
    std::vector<at::Tensor> weights, steps;
    std::vector<at::Scalar> keeps, step_sizes;
    std::int64_t first_pair = 0;
    for (const LinkedParameters* link : links) {
      std::int64_t first_block = 0;
      for (BoundParameter* parameter : link->*side) {
        if (!LinkedParameters::has_gradient(parameter)) continue;
        const std::int64_t own = LinkedParameters::blocks_of(*parameter) / link->pairs();
        const at::Tensor blocks =
            directions.narrow(0, first_pair, link->pairs())
                .narrow(1, first_block, own)
                .reshape({LinkedParameters::blocks_of(*parameter), directions.size(-2), directions.size(-1)});
        first_block += own;
        std::int64_t begin = 0;
        for (std::size_t run = 0; run < parameter->runs.size(); ++run) {
          const auto c = symopt::detail::of_one_block(parameter->coefficients[run]);
          const std::int64_t count = parameter->runs[run].count();
          weights.push_back(parameter->place(run));
          steps.push_back(parameter->runs[run].shaped(blocks.narrow(0, begin, count)));
          keeps.emplace_back(1.0 - c.decay);
          step_sizes.emplace_back(c.step_size);
          begin += count;
        }
      }
      first_pair += link->pairs();
    }
    at::_foreach_mul_(weights, keeps);
    at::_foreach_sub_(weights, at::_foreach_mul(steps, step_sizes));
  }

  PairPlan plan_;
  std::vector<LinkedParameters> links_;
};

}}}}  // namespace symopt::interop::detail
