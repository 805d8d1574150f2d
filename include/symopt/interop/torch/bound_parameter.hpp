// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/block_run.hpp>
#include <symopt/interop/torch/rule_form.hpp>
#include <symopt/kernel/coefficients.hpp>
#include <symopt/stack/parameter.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// A parameter of a stack whose tensors libtorch's operations step: its blocks in runs, and their states as
/// parts of the arrays of their batches. Views are made when memory is bound, not in every step.
class BoundParameter {
 public:
  BoundParameter(form::Rule of_blocks, bool has_flat_batches, std::vector<BlockRun> of_weights,
                 at::Tensor existing_rows)
      : rule(std::move(of_blocks)),
        runs(std::move(of_weights)),
        selected_rows(std::move(existing_rows)),
        states(runs.size()),
        steps(runs.size()),
        is_flat_(has_flat_batches) {
    std::size_t first = 0;
    for (const BlockRun& run : runs) {
      first_blocks.push_back(first);
      first += static_cast<std::size_t>(run.count());
    }
  }

  form::Rule rule;
  std::vector<BlockRun> runs;                            ///< of the rows that exist, where these come first
  at::Tensor selected_rows;                              ///< those that exist, where they do not
  std::vector<std::size_t> first_blocks{};               ///< the number of the first block of each run
  std::vector<std::vector<at::Tensor>> states;           ///< of each run the arrays, its blocks first
  std::vector<std::int64_t> steps;                       ///< of each run so far
  std::vector<kernel::StepCoefficients> coefficients{};  ///< of the next step, for each run

  const at::Tensor& weights() const { return weights_; }
  const at::Tensor& gradient() const { return gradient_; }
  bool has_gradient() const { return gradient_.defined(); }
  void set_weights(const at::Tensor& tensor) {
    weights_ = tensor;
    places_.clear();
    for (const BlockRun& run : runs) places_.push_back(run.of(tensor));
  }
  /// Its blocks in runs for each of the weights', where they may lie apart. Without a tensor for none.
  void set_gradient(const at::Tensor& tensor, std::vector<std::vector<BlockRun>> of_gradient) {
    gradient_ = tensor;
    gradient_runs_ = std::move(of_gradient);
    parts_.clear();
    for (std::size_t run = 0; run < gradient_runs_.size(); ++run) {
      parts_.emplace_back();
      add_gradient_parts(run, parts_.back());
      for (at::Tensor& part : parts_.back())
        if (!part.is_alias_of(tensor)) part = at::Tensor();  // to be copied in each step
    }
  }

  /// The blocks of a run's weights in memory.
  const at::Tensor& place(std::size_t run) const { return places_[run]; }
  /// Adds the gradient of a run, blocks x rows x columns or entries, of the rows that exist.
  void add_gradient(std::size_t run, std::vector<at::Tensor>& parts) const {
    const auto is_missing = [](const at::Tensor& part) { return !part.defined(); };
    if (std::any_of(parts_[run].begin(), parts_[run].end(), is_missing)) {
      add_gradient_parts(run, parts);
    } else {
      parts.insert(parts.end(), parts_[run].begin(), parts_[run].end());
    }
  }
  /// Blocks x rows x columns of a run, of the rows that exist.
  at::Tensor weight_blocks(std::size_t run) const {
    return existing(places_[run].reshape({runs[run].count(), runs[run].rows(), runs[run].cols()}));
  }
  std::int64_t rows_of(std::size_t run) const {
    return selected_rows.defined() ? selected_rows.size(0) : runs[run].rows();
  }
  std::int64_t entries_of(std::size_t run) const { return rows_of(run) * runs[run].cols(); }

  /// Writes the blocks of a run.
  void replace(std::size_t run, const at::Tensor& blocks) {
    at::Tensor place = places_[run];
    if (!selected_rows.defined()) {
      place.copy_(runs[run].shaped(blocks));
      return;
    }
    std::vector<std::int64_t> sizes = place.sizes().vec();
    sizes[1] = selected_rows.size(0);
    place.index_copy_(1, selected_rows, blocks.reshape(sizes));
  }

 private:
  void add_gradient_parts(std::size_t run, std::vector<at::Tensor>& parts) const {
    for (const BlockRun& part : gradient_runs_[run]) {
      const at::Tensor blocks = existing(part.blocks_of(gradient_));
      parts.push_back(is_flat_ ? blocks.reshape({-1}) : blocks);
    }
  }
  at::Tensor existing(const at::Tensor& blocks) const {
    return selected_rows.defined() ? blocks.index_select(1, selected_rows) : blocks;
  }

  bool is_flat_;
  at::Tensor weights_, gradient_;
  std::vector<at::Tensor> places_;  // of each run
  std::vector<std::vector<BlockRun>> gradient_runs_;
  std::vector<std::vector<at::Tensor>> parts_;
};

}}}}  // namespace symopt::interop::detail
