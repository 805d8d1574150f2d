// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/pair/pair_block.hpp>
#include <symopt/pair/pair_options.hpp>
#include <symopt/pair/pair_update.hpp>
#include <symopt/stack/any_blocks.hpp>
#include <symopt/stack/pair_side.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Pairs in a stack: A and B are parameters of their own, each with name, gradient, momentum and options.
// Their blocks know each other by a link. The half that steps first leaves its inputs there, the last one
// steps all.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The link between the parameters of one pair, or of several pairs of one size, as the heads of an
/// attention. Blocks number k of the one side and of the other are a pair; where the one side has a multiple
/// of the other's blocks, as many follow each other that share a partner.
template <class Rule, class Scalar>
class PairLink {
 public:
  /// One parameter of the pair.
  struct Half {
    std::string name;
    PairSide side = PairSide::a;
    NonFinite non_finite = NonFinite::throw_error;
    std::vector<Shape> shapes{};
    Orientation orientation = Orientation::along_rows;
    std::vector<kernel::OrientedBuffer<Scalar>> momenta{};
    bool is_gone = false, steps = false, has_stepped = false;
    std::vector<kernel::WeightsView<Scalar>> weights{};
    std::vector<StepInput<Scalar>> inputs{};
  };

  /// A link of that many parameters on either side.
  PairLink(Rule rule, PairOptions options, std::size_t count_of_a, std::size_t count_of_b)
      : rule_(std::move(rule)), options_(options), missing_(count_of_a + count_of_b) {
    halves_.reserve(missing_);
  }

  const Rule& rule() const { return rule_; }
  const PairOptions& options() const { return options_; }
  Half& half(std::size_t number) { return halves_[number]; }
  const Half& half(std::size_t number) const { return halves_[number]; }
  bool has_refused() const { return has_refused_; }
  /// The sizes of a pair; none before both sides are there.
  const PairShape& shape() const { return extents_.shape; }

  /// Adds a parameter; the last one must fit the others. Errors: Error that names it.
  std::size_t add(PairSide side, const std::string& name, const OptimizerOptions& options,
                  const BlocksPlan& plan) {
    require(plan.rows.is_all(), {name}, "the blocks of a pair have no row mask; leave it out");
    require(missing_ > 0, {name}, "the pair has all of its blocks; give each pair a role of its own");
    require(!plan.shapes.empty(), {name}, "a pair needs blocks; its layout makes none of this tensor");
    for (const Shape shape : plan.shapes)
      require(shape == plan.shapes.front(), {name}, [&] {
        return "the blocks of a pair have one shape, and its layout makes " + to_string(shape) + " beside " +
               to_string(plan.shapes.front());
      });
    try {
      require_size<typename Rule::pair_group::algebra>(plan.shapes.front().cols);
    } catch (const Error& error) {
      throw Error(error.text, name);
    }
    Half half{name, side, options.non_finite, plan.shapes, plan.orientation};
    half.weights.reserve(plan.shapes.size());
    half.inputs.reserve(plan.shapes.size());
    halves_.push_back(std::move(half));
    if (--missing_ == 0) connect(name);
    hold(halves_.size() - 1, !plan.held.empty());
    return halves_.size() - 1;
  }
  /// Takes the memory of a parameter's blocks, as new, or leaves it; that of the step is there while any is.
  void hold(std::size_t number, bool is_held) {
    Half& half = halves_[number];
    half.momenta.clear();
    if (is_held)
      for (const Shape shape : half.shapes) half.momenta.emplace_back(shape);
    const bool is_needed =
        std::any_of(halves_.begin(), halves_.end(), [](const Half& any) { return !any.momenta.empty(); });
    if (!is_needed) {
      step_.reset();
    } else if (missing_ == 0 && !step_) {
      step_.emplace(extents_, options_.is_horizontal);
      a_.blocks.reserve(static_cast<std::size_t>(extents_.count_of_a));
      b_.blocks.reserve(static_cast<std::size_t>(extents_.count_of_b));
    }
  }
  /// A parameter was taken away; the others may not step without it.
  void remove(std::size_t number) { halves_[number].is_gone = true; }

  /// Before a step of the stack: where the weights are to be put. Errors: Error where the pair is not whole.
  std::vector<kernel::WeightsView<Scalar>>* announce(std::size_t number, bool steps) {
    require(missing_ == 0, {halves_[number].name}, "the other block of its pair was never added");
    for (const Half& other : halves_)
      require(!other.is_gone, {halves_[number].name}, [&] {
        return "'" + other.name + "', the other block of its pair, was removed; remove this one, too";
      });
    Half& half = halves_[number];
    half.steps = steps;
    half.has_stepped = false;
    half.weights.clear();
    half.inputs.clear();
    has_refused_ = false;
    return &half.weights;
  }

  /// Takes the inputs of one parameter in, and with the last of those that step does the step. Where that is
  /// refused, pairs before may have stepped: the stack has kept what all of them change.
  void step(std::size_t number, std::span<const StepInput<Scalar>> inputs) {
    Half& half = halves_[number];
    half.inputs.assign(inputs.begin(), inputs.end());
    half.has_stepped = true;
    const auto is_waited_for = [](const Half& other) { return other.steps && !other.has_stepped; };
    if (std::any_of(halves_.begin(), halves_.end(), is_waited_for)) return;
    for (Index pair = 0; pair < pairs_ && !has_refused_; ++pair) step_pair(pair);
  }

 private:
  Index blocks_on(PairSide side) const {
    Index count = 0;
    for (const Half& half : halves_)
      if (half.side == side) count += static_cast<Index>(half.shapes.size());
    return count;
  }
  const Half& first_on(PairSide side) const {
    return *std::find_if(halves_.begin(), halves_.end(), [&](const Half& half) { return half.side == side; });
  }

  void connect(const std::string& name) {
    require(blocks_on(PairSide::a) > 0 && blocks_on(PairSide::b) > 0, {name}, [&] {
      return "'" + halves_.front().name +
             "' and this one are on the same side of their pair; give each pair a role "
             "of its own";
    });
    const Half &a = first_on(PairSide::a), &b = first_on(PairSide::b);
    for (const Half& half : halves_) {
      const Half& like = half.side == PairSide::a ? a : b;
      require(half.shapes == like.shapes && half.orientation == like.orientation, {half.name}, [&] {
        return "'" + half.name + "' and '" + like.name +
               "' share a partner, so they have blocks of one shape and one storage order";
      });
    }
    const Shape of_a = a.shapes.front(), of_b = b.shapes.front();
    require(of_a.cols == of_b.cols, {name}, [&] {
      return "the blocks of '" + a.name + "' are " + to_string(of_a) + " and those of '" + b.name + "' " +
             to_string(of_b) +
             ", but the blocks of a pair have as many columns, their rank; a block that is stored as r x n "
             "has layout::transposed()";
    });
    // Of several parameters on a side each has a block in every pair.
    pairs_ = static_cast<Index>(std::min(a.shapes.size(), b.shapes.size()));
    const Index count_a = blocks_on(PairSide::a), count_b = blocks_on(PairSide::b);
    require(count_a % pairs_ == 0 && count_b % pairs_ == 0 && (count_a == pairs_ || count_b == pairs_),
            {name}, [&] {
              return "'" + a.name + "' has " + std::to_string(count_a) + " blocks and '" + b.name + "' " +
                     std::to_string(count_b) +
                     ", and neither count is a multiple of the other; count the heads in both layouts";
            });
    extents_ = {{of_a.rows, of_b.rows, of_a.cols}, count_a / pairs_, count_b / pairs_};
  }

  /// The inputs of pair number `pair` on one side; the length of the product's step.
  double collect(Index pair, PairSide side, PairInputs<Scalar>& to) {
    double length = 0;
    to.blocks.clear();
    for (Half& half : halves_) {
      if (half.side != side) continue;
      to.orientation = half.orientation;
      const Index each = static_cast<Index>(half.shapes.size()) / pairs_;
      for (Index k = pair * each; k < (pair + 1) * each; ++k) {
        const auto block = static_cast<std::size_t>(k);
        if (half.steps) {
          StepInput<Scalar> input = half.inputs[block];
          length = std::max(length, input.coefficients.step_size);
          input.coefficients = of_one_block(input.coefficients);
          input.check =
              half.non_finite == NonFinite::unchecked ? kernel::Check::nothing : kernel::Check::gradient;
          to.blocks.push_back({input, &half.momenta[block], true});
        } else {
          const StepInput<Scalar> read{BlockView<const Scalar>(), half.weights[block], {}};
          to.blocks.push_back({read, &half.momenta[block], false});
        }
      }
    }
    return length;
  }

  void step_pair(Index pair) {
    const double length_a = collect(pair, PairSide::a, a_), length_b = collect(pair, PairSide::b, b_);
    const double damping = options_.damping * std::max(length_a, length_b);
    if (step_->run(rule_, a_, b_, damping) || step_->run_carefully(rule_, a_, b_, damping)) return;
    has_refused_ = true;
  }

  Rule rule_;
  PairOptions options_;
  std::size_t missing_;
  std::vector<Half> halves_;
  PairExtents extents_;
  Index pairs_ = 0;
  std::optional<PairStep<Rule, Scalar>> step_;
  PairInputs<Scalar> a_, b_;
  bool has_refused_ = false;
};

/// The blocks of one parameter of a pair.
template <class Rule, class Scalar>
class PairHalf final : public AnyBlocks<Scalar> {
  using Link = PairLink<Rule, Scalar>;
  using Momenta = std::vector<kernel::OrientedBuffer<Scalar>>;

 public:
  PairHalf(std::shared_ptr<Link> link, PairSide side, const OptimizerOptions& options, const BlocksPlan& plan)
      : link_(std::move(link)), number_(link_->add(side, options.parameter, options, plan)) {}
  ~PairHalf() override { link_->remove(number_); }

  void step(std::span<const StepInput<Scalar>> inputs) override { link_->step(number_, inputs); }
  /// The step looks at its directions itself: see has_refused().
  bool are_in_range(std::span<const StepInput<Scalar>>) override { return true; }
  bool is_finite() const override {
    return std::all_of(momenta().begin(), momenta().end(),
                       [](const auto& momentum) { return all_entries_finite(momentum.view()); });
  }
  void hold(const std::vector<std::size_t>& numbers) override { link_->hold(number_, !numbers.empty()); }
  const void* pair() const override { return link_.get(); }
  std::vector<kernel::WeightsView<Scalar>>* announce(bool steps) override {
    return link_->announce(number_, steps);
  }
  bool has_refused() const override { return link_->has_refused(); }

  RuleFacts facts() const override {
    using Normalization = typename Rule::normalization_type;
    const Shape shape = link_->half(number_).shapes.front();
    return {.may_throw = true,  // so that the stack keeps both halves before either steps
            .is_scale_free = is_scale_free_rule<Normalization>(),
            .keeps_state = false,
            .takes_factor = true,
            .families = std::nullopt,
            .group = type_name<typename Rule::pair_group>(),
            .rule = std::string("block ") + to_string(link_->half(number_).side) + " of a pair | " +
                    rule_text(link_->rule()),
            .options = pair_options_text(link_->rule(), link_->options()),
            .method = method_text(link_->rule(), shape)};
  }

  void visit(const StateVisitor& visitor) override { visit_momenta(momenta(), visitor); }
  void keep(std::shared_ptr<void>& kept) const override {
    if (!kept) kept = std::make_shared<Momenta>();
    *static_cast<Momenta*>(kept.get()) = momenta();
  }
  void put_back(const std::shared_ptr<void>& kept) noexcept override {
    if (kept) std::swap(momenta(), *static_cast<Momenta*>(kept.get()));
  }

 private:
  Momenta& momenta() { return link_->half(number_).momenta; }
  const Momenta& momenta() const { return std::as_const(*link_).half(number_).momenta; }

  std::shared_ptr<Link> link_;
  std::size_t number_;
};

}}}  // namespace symopt::detail
