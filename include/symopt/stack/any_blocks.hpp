// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/block.hpp>
#include <symopt/threads.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The shapes, storage and scratch that a parameter's blocks are made with, besides the rule.
struct BlocksPlan {
  std::vector<Shape> shapes;      ///< with the rows that do not exist
  std::vector<std::size_t> held;  ///< the numbers of the blocks that have memory and step in this process
  RowMask rows;
  Orientation orientation;  ///< of all blocks
  bool may_gather;          ///< a block can be without a view that an Eigen object gives
  kernel::ScratchOptions scratch;
  std::shared_ptr<ScratchPool> pool;
};

/// The blocks of a new parameter that have memory: all, or none before hold() says which.
enum class Holding { all, none };

/// The facts of a rule that a parameter uses.
struct RuleFacts {
  bool may_throw;                            ///< in a step: what it changes is then kept to be put back
  bool is_scale_free;                        ///< of degree 0: see is_scale_free_v
  bool keeps_state;                          ///< of its own, not a momentum
  bool takes_factor;                         ///< of the gradient, among the coefficients of a step
  std::optional<Families> families;          ///< as families_of_rule
  std::string group, rule, options, method;  ///< as plans and files print them
};

/// The blocks of a parameter, the type of their rule hidden.
template <class Scalar>
class AnyBlocks : public AnyState {
 public:
  /// One step of every block, each with its own input. Small blocks step side by side, large ones one after
  /// another, their own loops shared by the threads. A block's step has the same bits either way.
  virtual void step(std::span<const StepInput<Scalar>> inputs) = 0;
  virtual RuleFacts facts() const = 0;
  /// Tests whether these steps of finite weights cannot leave the range of Scalar.
  virtual bool are_in_range(std::span<const StepInput<Scalar>> inputs) = 0;
  /// Takes the memory of these blocks, as new, and leaves that of all others; of a pair's blocks all or none.
  virtual void hold(const std::vector<std::size_t>& numbers) = 0;
  /// Tests whether the states of all blocks are finite.
  virtual bool is_finite() const = 0;

  /// Blocks that step together with those of another parameter: before every step they are told whether their
  /// own steps, and answer where its weights are to be put; after it, whether it was refused.
  ///@{
  virtual std::vector<kernel::WeightsView<Scalar>>* announce(bool) { return nullptr; }
  virtual const void* pair() const { return nullptr; }
  bool is_paired() const { return pair() != nullptr; }
  virtual bool has_refused() const { return false; }
  ///@}
};

template <class Rule, class Scalar>
class BlocksOf final : public AnyBlocks<Scalar> {
  static constexpr bool is_stateful = StatefulRule<Rule, Scalar>;
  static constexpr bool has_kernel = HasFusedState<Rule, Scalar>;
  using OneBlock = Block<Rule, Scalar>;
  using Memory = typename OneBlock::Memory;

 public:
  /// Takes all memory.
  BlocksOf(const Rule& rule, const BlocksPlan& plan) : rule_(rule), plan_(plan) { take_memory(); }

  void hold(const std::vector<std::size_t>& numbers) override {
    plan_.held = numbers;
    take_memory();
  }

  void step(std::span<const StepInput<Scalar>> inputs) override {
    in_orientation([&]<Orientation orientation>() {
      kernel::parallel_for(static_cast<Index>(slots_), [&](Index slot) {
        for (std::size_t b = static_cast<std::size_t>(slot); b < blocks_.size(); b += slots_)
          blocks_[b].template step<orientation>(rule_, inputs[b]);
      });
    });
  }

  bool are_in_range(std::span<const StepInput<Scalar>> inputs) override {
    for (std::size_t b = 0; b < blocks_.size(); ++b)
      if (!blocks_[b].is_in_range(rule_, inputs[b], false)) return false;
    return true;
  }
  bool is_finite() const override {
    return std::ranges::all_of(blocks_, [](const OneBlock& block) { return block.is_finite(); });
  }

  RuleFacts facts() const override {
    const Rule& own = rule_.rule;
    return {.may_throw = rule_may_throw<Rule, Scalar>,
            .is_scale_free = is_scale_free_rule<Rule>(),
            .keeps_state = is_stateful,
            .takes_factor = !is_stateful || has_kernel,
            .families = families_of_rule<Rule, Scalar>(),
            .group = rule_group_text<Rule>(),
            .rule = rule_text(own),
            .options = rule_options_text(own),
            .method = plan_.shapes.empty() ? "" : method_text(own, existing(plan_.shapes.front()))};
  }

  void visit(const StateVisitor& visitor) override {
    for (std::size_t b = 0; b < blocks_.size(); ++b)
      blocks_[b].visit(rule_.rule, {[&](StateField field) {
                                      field.name = std::to_string(plan_.held[b]) + "/" + field.name;
                                      visitor.field(std::move(field));
                                    },
                                    visitor.is_loading});
  }

  void keep(std::shared_ptr<void>& kept) const override {
    if constexpr (std::copyable<Memory>) {
      if (!kept) kept = std::make_shared<Kept>();
      Kept& memories = *static_cast<Kept*>(kept.get());
      memories.reserve(blocks_.size());
      for (std::size_t b = 0; b < blocks_.size(); ++b) {
        if (b < memories.size()) {
          memories[b] = blocks_[b].memory();
        } else {
          memories.push_back(blocks_[b].memory());
        }
      }
    }
  }
  void put_back(const std::shared_ptr<void>& kept) noexcept override {
    if constexpr (std::copyable<Memory>)
      for (std::size_t b = 0; kept && b < blocks_.size(); ++b)
        blocks_[b].restore((*static_cast<Kept*>(kept.get()))[b]);
  }

 private:
  using Kept = std::vector<Memory>;

  void take_memory() {
    slots_ = count_of_slots(plan_);
    blocks_.clear();
    for (const std::size_t number : plan_.held)
      blocks_.emplace_back(plan_.shapes[number],
                           ScratchSource{plan_.scratch, plan_.pool.get(), blocks_.size() % slots_},
                           &plan_.rows);
    in_orientation([&]<Orientation orientation>() {
      for (OneBlock& block : blocks_) block.template reserve<orientation>(plan_.may_gather);
    });
  }

  Shape existing(Shape shape) const {
    return shape_of(plan_.rows.existing(BlockView<Scalar>(nullptr, {shape.rows}, {shape.cols})));
  }

  /// call<orientation>() for the one of all blocks. A rule that is shown its block is so row by row, however
  /// the memory runs.
  void in_orientation(const auto& call) {
    if constexpr (!is_stateful || has_kernel)
      if (plan_.orientation == Orientation::along_columns)
        return call.template operator()<Orientation::along_columns>();
    call.template operator()<Orientation::along_rows>();
  }

  /// The number of blocks that step side by side. A rule with a state of its own may not be called from
  /// several threads.
  static std::size_t count_of_slots(const BlocksPlan& plan) {
    if (is_stateful || !std::all_of(plan.shapes.begin(), plan.shapes.end(), is_small)) return 1;
    const auto threads = static_cast<std::size_t>(kernel::thread_count());
    return std::clamp<std::size_t>(plan.held.size(), 1, threads);
  }

  /// Too little work to be shared: entries times the shorter edge.
  static bool is_small(Shape shape) {
    constexpr double most = 64e6;
    const double rows = static_cast<double>(shape.rows), cols = static_cast<double>(shape.cols);
    return rows * cols * std::min(rows, cols) <= most;
  }

  BlockRule<Rule, Scalar> rule_;
  BlocksPlan plan_;
  std::size_t slots_ = 1;
  std::vector<OneBlock> blocks_;  // those that are held
};

}}}  // namespace symopt::detail
