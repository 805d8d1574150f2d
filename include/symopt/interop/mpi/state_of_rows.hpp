// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/optimizer/block.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The part of a row in the first extent of each array of a block's state, in their order; 0 for an array
/// that is the same for any number of rows: a step count, moments of columns. Known from the states of one
/// row and of two, so that no rule has to say so. Errors: Error for an array that is no list of rows.
template <class Rule, class Scalar>
std::vector<Index> extents_of_a_row(const Rule& rule, Index cols) {
  const auto fields_for = [&](Index rows) {
    std::vector<symopt::detail::StateField> fields;
    symopt::detail::Block<Rule, Scalar> block({rows, cols}, {});
    block.visit(rule, {[&](symopt::detail::StateField field) { fields.push_back(std::move(field)); }});
    return fields;
  };
  const auto one = fields_for(1), two = fields_for(2);
  const auto require_rows = [&](bool good) {
    symopt::detail::require(good, [&] {
      return "the state of the rule " + symopt::detail::rule_text(rule) +
             " cannot be saved by several processes: its arrays must have a part for each row, one after the "
             "other, or be the same for any number of rows, and be there before the first step";
    });
  };
  require_rows(one.size() == two.size());
  std::vector<Index> extents;
  for (std::size_t k = 0; k < one.size(); ++k) {
    std::vector<Index> shape = one[k].shape;
    require_rows(one[k].name == two[k].name && shape.size() == two[k].shape.size() && !one[k].resized);
    extents.push_back(shape.empty() ? 0 : two[k].shape[0] - shape[0]);
    require_rows(extents.back() == 0 || extents.back() == shape[0]);
    if (!shape.empty()) shape[0] += extents.back();
    require_rows(shape == two[k].shape);
  }
  return extents;
}

/// The state of some rows of a block, whose arrays say what others have of them.
class StateOfRows final : public symopt::detail::AnyState {
 public:
  /// `own` of so many rows, with the extents of a row in each array.
  StateOfRows(std::shared_ptr<symopt::detail::AnyState> state, std::vector<Index> extents, kernel::Range own,
              Index rows)
      : state_(std::move(state)), extents_(std::move(extents)), own_(own), rows_(rows) {}

  void visit(const symopt::detail::StateVisitor& visitor) override {
    std::size_t place = 0;
    state_->visit({[&](symopt::detail::StateField field) {
                     field.rows = {extents_[place++], own_.begin, rows_ - own_.end};
                     visitor.field(std::move(field));
                   },
                   visitor.is_loading});
  }
  void keep(std::shared_ptr<void>& kept) const override { state_->keep(kept); }
  void put_back(const std::shared_ptr<void>& kept) noexcept override { state_->put_back(kept); }

 private:
  std::shared_ptr<symopt::detail::AnyState> state_;
  std::vector<Index> extents_;
  kernel::Range own_;
  Index rows_;
};

}}}  // namespace symopt::mpi::detail
