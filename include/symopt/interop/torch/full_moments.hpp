// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/polar_factor.hpp>
#include <symopt/interop/torch/rule_form.hpp>
#include <symopt/kernel/adamw.hpp>
#include <symopt/optimizer/root_renewal.hpp>
#include <symopt/side.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

// Full second moments of batches of blocks by libtorch's operations: OneSidedStep. The moments are doubles
// without an exponent of their own, so that squares of gradients in double may leave their range.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// The cells of blocks of a shape: heads, or the whole block, as OneSidedWithin counts them.
class Cells {
 public:
  Cells(const form::Adaptive& rule, std::int64_t rows, std::int64_t cols)
      : rows_(rows),
        cols_(cols),
        cell_rows_(rule.head_rows == 0 ? rows : rule.head_rows),
        cell_cols_(rule.head_columns == 0 ? cols : rule.head_columns) {}

  std::int64_t count() const { return (rows_ / cell_rows_) * (cols_ / cell_cols_); }
  Side side() const { return cell_rows_ <= cell_cols_ ? Side::left : Side::right; }
  /// The edge of the matrices.
  std::int64_t size() const { return std::min(cell_rows_, cell_cols_); }
  std::int64_t entries() const { return cell_rows_ * cell_cols_; }
  /// The edge of a cell across from the matrices.
  std::int64_t terms() const { return std::max(cell_rows_, cell_cols_); }

  /// batch x rows x cols -> batch * cells x cell, and back.
  ///@{
  at::Tensor parted(const at::Tensor& blocks) const {
    return blocks.reshape({-1, rows_ / cell_rows_, cell_rows_, cols_ / cell_cols_, cell_cols_})
        .transpose(2, 3)
        .reshape({-1, cell_rows_, cell_cols_});
  }
  at::Tensor joined(const at::Tensor& cells) const {
    return cells.reshape({-1, rows_ / cell_rows_, cols_ / cell_cols_, cell_rows_, cell_cols_})
        .transpose(2, 3)
        .reshape({-1, rows_, cols_});
  }
  ///@}

 private:
  std::int64_t rows_, cols_, cell_rows_, cell_cols_;
};

/// One step of a batch: moments and roots advance, and the direction F M' is returned. State: momentum,
/// moments, roots, root exponents.
struct FullMomentsStep {
  const form::Adaptive& rule;
  const kernel::AdamWCoefficients& own;
  std::int64_t step;

  at::Tensor operator()(const at::Tensor& gradient, std::vector<at::Tensor>& state) const {
    const Cells cells(rule, gradient.size(1), gradient.size(2));
    at::Tensor &average = state[0], &moments = state[1];
    advance(cells, cells.parted(gradient), moments);
    average.mul_(own.beta1).add_(gradient, own.first_weight);
    const at::Tensor momentum = cells.parted(average);

    const auto renewal = symopt::detail::root_renewal(own.beta1, own.beta2, rule.every, step);
    if (renewal.is_due) renew(cells, {}, state);
    at::Tensor direction = applied(cells, state, momentum);
    if (!renewal.is_due) {
      const at::Tensor is_beyond = beyond(cells, direction, renewal.largest_square);
      if (is_beyond.any().item<bool>()) {  // rare, and the one look that the host takes
        renew(cells, is_beyond, state);
        direction = applied(cells, state, momentum);
      }
    }
    return cells.joined(direction);
  }

 private:
  /// V <- beta2 V + (1 - beta2) G G^T / n.
  void advance(const Cells& cells, const at::Tensor& gradient, at::Tensor& moments) const {
    const at::Tensor largest = largest_entries(gradient);
    const at::Tensor products = gram_matrices(gradient / largest, cells.side()).to(at::kDouble);
    const at::Tensor weights =
        largest.to(at::kDouble).square_().mul_(own.second_weight / static_cast<double>(cells.terms()));
    moments.mul_(own.beta2).add_((products * weights).reshape(moments.sizes()));
  }

  /// F <- (V' + eps^2 I)^(-1/2) of the cells that are chosen, all where nothing is said. In units of 4^e
  /// eigenvalues of a usual size are near 1.
  void renew(const Cells& cells, const at::Tensor& chosen, std::vector<at::Tensor>& state) const {
    at::Tensor &moments = state[1], &roots = state[2], &exponents = state[3];
    at::Tensor squares =
        moments.reshape({-1, cells.size(), cells.size()}) * (own.second_correction * own.second_correction);
    const at::Tensor means = traces_of(squares) / static_cast<double>(cells.size());
    const at::Tensor units = (means.log2() * 0.5).floor_().clamp_min_(std::ilogb(own.eps));
    squares.diagonal(0, -2, -1).add_(own.eps * own.eps);
    const at::Tensor scaled = (squares * (units * -2).exp2().reshape({-1, 1, 1})).to(roots.scalar_type());
    at::Tensor renewed = inverse_roots(scaled).reshape(roots.sizes());
    at::Tensor renewed_exponents = units.to(at::kLong).reshape(exponents.sizes());
    if (chosen.defined()) {
      renewed = at::where(chosen.reshape({roots.size(0), roots.size(1), 1, 1}), renewed, roots);
      renewed_exponents = at::where(chosen.reshape(exponents.sizes()), renewed_exponents, exponents);
    }
    roots.copy_(renewed);
    exponents.copy_(renewed_exponents);
  }

  at::Tensor applied(const Cells& cells, const std::vector<at::Tensor>& state,
                     const at::Tensor& momentum) const {
    const at::Tensor units = state[3].to(at::kDouble).neg_().exp2_().mul_(own.first_correction);
    const at::Tensor roots = state[2].reshape({-1, cells.size(), cells.size()});
    return multiplied(roots * as_factors(units, roots), momentum, cells.side());
  }

  /// The cells whose direction no gradients could have made with a root of the present moments.
  static at::Tensor beyond(const Cells& cells, const at::Tensor& direction, double largest_square) {
    constexpr double square_of_band = 1.06 * 1.06;
    const at::Tensor squares = frobenius_norms(direction).reshape(-1).square_();
    return squares > square_of_band * largest_square * static_cast<double>(cells.entries());
  }
};

}}}}  // namespace symopt::interop::detail
