// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/polar_factor.hpp>
#include <symopt/interop/torch/rule_form.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

// The metrics of batches of pairs by libtorch's operations, in double: J in the algebra with J J^T = Pi(sum
// of B^T B)^+, as DenseMetric and DiagonalMetric have it.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// A rule for pairs with the indices of its columns on a device.
struct PairPlan {
  PairPlan(form::Pair own, const at::Device& device) : pair(std::move(own)) {
    const auto indices = [&](const std::vector<std::int64_t>& columns) {
      return at::tensor(columns, at::kLong).to(device);
    };
    numbers = indices(pair.numbers);
    first = indices(pair.first);
    second = indices(pair.second);
    order = at::stack({first, second}, 1).flatten();
    for (std::size_t j = 0; j < pair.numbers.size(); ++j) {
      count = std::max(count, pair.numbers[j] + 1);
      are_shared = are_shared || pair.numbers[j] != static_cast<std::int64_t>(j);
    }
  }

  form::Pair pair;
  at::Tensor numbers, first, second;  ///< as in the rule
  at::Tensor order;                   ///< the columns plane by plane
  std::int64_t count = 0;             ///< of numbers
  bool are_shared = false;            ///< by several columns

  /// The mean over the columns that share a number, batch x r, for each of them.
  at::Tensor means(const at::Tensor& columns) const {
    if (!are_shared) return columns;
    const double share = static_cast<double>(columns.size(-1)) / static_cast<double>(count);
    const at::Tensor sums =
        at::zeros({columns.size(0), count}, columns.options()).index_add_(1, numbers, columns);
    return sums.div_(share).index_select(1, numbers);
  }
};

/// The metric of one side of a batch of pairs.
class TensorMetric {
 public:
  /// Of the lines of all blocks on the side, batch x lines x r, which are floats or doubles.
  TensorMetric(const PairPlan& plan, const at::Tensor& weights) : plan_(&plan) {
    const at::Tensor lines = weights.to(at::kDouble);
    if (plan.pair.is_full) {
      tolerance_ = 4 * static_cast<double>(lines.size(-1)) * roundoff_of(weights.scalar_type());
      // Floats have no more digits than a Gram matrix in double carries; doubles need a factor.
      is_factor_ = weights.scalar_type() == at::kDouble;
      form_ = is_factor_ ? factor_of(lines) : gram_matrices(lines, Side::right);
      invert();
    } else {
      lengths_ = at::linalg_vector_norm(lines, 2, {{-2}});
      if (plan.are_shared) lengths_ = plan.means(lengths_.square()).sqrt_();
      invert_lengths();
    }
  }

  /// The metric of Pi(B^T B) + damping^2 Pi(A^T A)^-1, of the blocks B of this one and A of the partner;
  /// damping in double, a number or batch x 1.
  TensorMetric damped(const TensorMetric& partner, const at::Tensor& damping) const {
    TensorMetric result = *this;
    if (plan_->pair.is_full) {
      const at::Tensor added = partner.root_ * damping.unsqueeze(-1);
      if (is_factor_) {
        result.form_ = factor_of(at::cat({form_, added.transpose(-2, -1)}, -2));
      } else {
        result.form_ = form_ + added.matmul(added.transpose(-2, -1));
      }
      result.invert();
    } else {
      result.lengths_ = at::hypot(lengths_, partner.root_ * damping);
      result.invert_lengths();
    }
    return result;
  }

  /// A metric that is `other` for the pairs of which `judge` is singular and not zero, and this one for all
  /// else.
  TensorMetric or_where_partial(const TensorMetric& judge, const TensorMetric& other) const {
    TensorMetric result = *this;
    const at::Tensor is_partial = (judge.rank_ > 0).logical_and_(judge.rank_ < root_.size(-1));
    result.root_ = at::where(is_partial.reshape(plan_->pair.is_full ? std::vector<std::int64_t>{-1, 1, 1}
                                                                    : std::vector<std::int64_t>{-1, 1}),
                             other.root_, root_);
    return result;
  }

  /// x J, or x J^T, times the factors; x: batch x blocks x lines x r.
  at::Tensor multiplied(const at::Tensor& x, bool is_transposed, const at::Tensor& factors) const {
    if (!plan_->pair.is_full) {
      at::Tensor numbers = root_.unsqueeze(1).unsqueeze(1);
      if (factors.defined()) numbers = numbers * factors;
      return x * numbers.to(x.scalar_type());
    }
    at::Tensor square = (is_transposed ? root_.transpose(-2, -1) : root_).unsqueeze(1);
    if (factors.defined()) square = square * factors;
    return x.matmul(square.to(x.scalar_type()));
  }
  /// J, batch x r x r, or its numbers, batch x r.
  const at::Tensor& root() const { return root_; }

 private:
  /// R, r x r, with R^T R = B^T B.
  static at::Tensor factor_of(const at::Tensor& lines) {
    const std::int64_t missing = lines.size(-1) - lines.size(-2);
    const at::Tensor enough = missing > 0 ? at::constant_pad_nd(lines, {0, 0, 0, missing}) : lines;
    return std::get<1>(at::linalg_qr(enough, "r"));
  }
  void invert_lengths() {
    const at::Tensor is_zero = lengths_ == 0;
    root_ = lengths_.reciprocal().masked_fill_(is_zero, 0);
    rank_ = is_zero.logical_not().sum(-1);
  }

  /// Singular values ascending and right singular vectors of the form with columns scaled.
  std::tuple<at::Tensor, at::Tensor> spectrum(const at::Tensor& scale) const {
    if (is_factor_) {
      const auto [u, values, vectors] = at::linalg_svd(form_ * scale.unsqueeze(-2), false);
      return {values.flip({-1}), vectors.transpose(-2, -1).flip({-1})};
    }
    const auto [squares, vectors] = at::linalg_eigh(form_ * scale.unsqueeze(-2) * scale.unsqueeze(-1));
    return {squares.clamp_min(0).sqrt(), vectors};
  }

  /// J of an invertible form from the one with columns of length 1, whatever the lengths; else that of the
  /// pseudo-inverse, which scaling changes.
  void invert() {
    at::Tensor lengths =
        is_factor_ ? at::linalg_vector_norm(form_, 2, {{-2}}) : form_.diagonal(0, -2, -1).clamp_min(0).sqrt();
    const at::Tensor scale = lengths.masked_fill(lengths == 0, 1).reciprocal_();
    const auto [values, vectors] = spectrum(scale);
    const at::Tensor counts = values > tolerance_;
    rank_ = counts.sum(-1);
    const at::Tensor invertible = scale.unsqueeze(-1) * vectors / values.unsqueeze(-2);

    const at::Tensor largest = lengths.amax({-1}, true);
    const at::Tensor alike = largest.masked_fill(largest == 0, 1).reciprocal_().expand_as(lengths);
    const auto [own, directions] = spectrum(alike);
    const at::Tensor zeros = at::zeros_like(directions);
    const at::Tensor singular =
        at::where(counts.unsqueeze(-2), alike.unsqueeze(-1) * directions / own.unsqueeze(-2), zeros);
    const at::Tensor is_invertible = (rank_ == values.size(-1)).reshape({-1, 1, 1});
    root_ = at::where(is_invertible, invertible, singular);
  }

  const PairPlan* plan_;
  double tolerance_ = 0;
  bool is_factor_ = false;
  at::Tensor form_;     // B^T B, or R with R^T R = B^T B
  at::Tensor lengths_;  // of columns, where the algebra has numbers
  at::Tensor root_;     // J, or its numbers
  at::Tensor rank_;     // batch
};

}}}}  // namespace symopt::interop::detail
