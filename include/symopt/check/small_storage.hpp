// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/linkage.hpp>
#include <symopt/memory/layout.hpp>

#include <numeric>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// A parameter tensor as it is stored: its sizes, row-major, and how it is made of blocks.
struct Storage {
  std::vector<Index> sizes;  ///< of the dimensions, the outermost first
  Layout layout{};           ///< how blocks are found in it
};

namespace detail {

/// A tensor whose blocks under the layout are 4 x 6 (or have the rows of their sections), with that many
/// experts where it has experts.
Storage small_storage(const Layout& layout, Index experts);
/// Small tensors of as many blocks in both layouts, where experts leave the choice.
std::pair<Storage, Storage> small_storages(const Layout& a, const Layout& b);

#ifdef SYMOPT_CHECK_DEFINITIONS
/// The blocks that a layout makes of a tensor, without the experts, and whether the number of these is free.
struct BlockCount {
  Index fixed = 1;
  bool has_experts = false;
};

SYMOPT_CHECK_INLINE BlockCount block_count(const Layout& layout) {
  BlockCount count;
  for (const Layout::Step& step : layout.steps) {
    switch (step.kind) {
      case Layout::Kind::experts:
        count.has_experts = true;
        break;
      case Layout::Kind::row_heads:
      case Layout::Kind::column_heads:
        count.fixed *= step.count;
        break;
      case Layout::Kind::row_sections:
        count.fixed *= static_cast<Index>(step.rows.size());
        break;
      case Layout::Kind::gate_up:
        count.fixed *= step.neurons == Neurons::apart ? 2 : 1;
        break;
      case Layout::Kind::as_matrix:
      case Layout::Kind::transposed:
        break;
    }
  }
  return count;
}

SYMOPT_CHECK_INLINE Storage small_storage(const Layout& layout, Index experts) {
  Index rows = 4, cols = 6;
  std::vector<Index> outer, inner;  // sizes before and after rows and cols
  for (auto step = layout.steps.rbegin(); step != layout.steps.rend(); ++step) {
    switch (step->kind) {
      case Layout::Kind::experts:
        outer.insert(outer.begin(), experts);
        break;
      case Layout::Kind::as_matrix:
        inner = {1, 1};
        break;
      case Layout::Kind::transposed:
        std::swap(rows, cols);
        break;
      case Layout::Kind::row_heads:
        rows *= step->count;
        break;
      case Layout::Kind::column_heads:
        cols *= step->count;
        break;
      case Layout::Kind::row_sections:
        rows = std::accumulate(step->rows.begin(), step->rows.end(), Index{0});
        break;
      case Layout::Kind::gate_up:
        rows *= 2;
        if (step->neurons == Neurons::paired) cols /= 2;
        break;
    }
  }
  std::vector<Index> sizes = std::move(outer);
  sizes.insert(sizes.end(), {rows, cols});
  sizes.insert(sizes.end(), inner.begin(), inner.end());
  return {std::move(sizes), layout};
}

SYMOPT_CHECK_INLINE std::pair<Storage, Storage> small_storages(const Layout& a, const Layout& b) {
  const BlockCount of_a = block_count(a), of_b = block_count(b);
  const Index both = of_a.has_experts && of_b.has_experts ? 3 : 1;
  const Index all = both * std::lcm(of_a.fixed, of_b.fixed);
  return {small_storage(a, all / of_a.fixed), small_storage(b, all / of_b.fixed)};
}
#endif

}  // namespace detail

}}}  // namespace symopt::check
