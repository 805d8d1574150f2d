// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/block_run.hpp>
#include <symopt/kernel/coefficients.hpp>
#include <symopt/optimizer/rule_form.hpp>
#include <symopt/stack/parameter.hpp>

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// A parameter of a stack whose tensors libtorch's operations step: its blocks in runs, and their states as
/// parts of the arrays of their batches.
struct BoundParameter {
  at::Tensor weights, gradient{};
  symopt::detail::form::Rule rule{};
  std::vector<BlockRun> runs{};                          ///< of the rows that exist, where these come first
  std::vector<std::vector<BlockRun>> gradient_runs{};    ///< of each run, whose blocks may lie apart there
  std::vector<std::size_t> first_blocks{};               ///< the number of the first block of each run
  at::Tensor selected_rows{};                            ///< those that exist, where they do not
  std::vector<std::vector<at::Tensor>> states{};         ///< of each run the arrays, its blocks first
  std::int64_t steps = 0;                                ///< so far
  std::vector<kernel::StepCoefficients> coefficients{};  ///< of the next step, for each run

  /// Blocks x rows x columns of a run, of the rows that exist.
  ///@{
  at::Tensor gradient_blocks(std::size_t run) const {
    std::vector<at::Tensor> parts;
    for (const BlockRun& part : gradient_runs[run]) parts.push_back(part.blocks_of(gradient));
    return existing(parts.size() == 1 ? parts.front() : at::cat(parts));
  }
  at::Tensor weight_blocks(std::size_t run) const { return existing(runs[run].blocks_of(weights)); }
  ///@}
  std::int64_t rows_of(std::size_t run) const {
    return selected_rows.defined() ? selected_rows.size(0) : runs[run].rows();
  }
  std::int64_t entries_of(std::size_t run) const { return rows_of(run) * runs[run].cols(); }

  /// Subtracts from the weights of a run, or writes them.
  ///@{
  void subtract(std::size_t run, const at::Tensor& blocks) {
    if (selected_rows.defined()) return replace(run, weight_blocks(run).sub(blocks));
    runs[run].of(weights).sub_(runs[run].shaped(blocks));
  }
  void replace(std::size_t run, const at::Tensor& blocks) {
    if (selected_rows.defined()) {
      at::Tensor place = runs[run].of(weights);
      std::vector<std::int64_t> sizes = place.sizes().vec();
      sizes[1] = selected_rows.size(0);
      place.index_copy_(1, selected_rows, blocks.reshape(sizes));
    } else {
      runs[run].of(weights).copy_(runs[run].shaped(blocks));
    }
  }
  ///@}

 private:
  at::Tensor existing(const at::Tensor& blocks) const {
    return selected_rows.defined() ? blocks.index_select(1, selected_rows) : blocks;
  }
};

}}}}  // namespace symopt::interop::detail
