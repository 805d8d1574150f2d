// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/map_stages.hpp>
#include <symopt/interop/torch/pair_metric.hpp>
#include <symopt/interop/torch/rule_form.hpp>

#include <ATen/ATen.h>

#include <cstdint>
#include <utility>
#include <vector>

// The map of batches of pairs by libtorch's operations: PairMap.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// One side of a batch of pairs.
struct PairTensors {
  at::Tensor weights;  ///< batch x blocks x lines x r
  at::Tensor momenta;  ///< of the same shape; undefined where the side stays

  /// Tests whether all blocks move.
  bool is_whole() const { return momenta.defined() && momenta.size(1) == weights.size(1); }
  /// The lines of all blocks, batch x lines x r.
  static at::Tensor lines(const at::Tensor& blocks) { return blocks.flatten(1, 2); }
};

/// The directions of both sides.
struct PairDirections {
  at::Tensor a, b;
};

class PairTensorMap {
 public:
  explicit PairTensorMap(const PairPlan& plan) : plan_(plan), pair_(plan.pair) {}

  /// `damping`: delta, in double, batch x 1; undefined for none.
  PairDirections operator()(const PairTensors& a, const PairTensors& b, const at::Tensor& damping) const {
    const TensorMetric plain_a(plan_, PairTensors::lines(a.weights));
    const TensorMetric plain_b(plan_, PairTensors::lines(b.weights));
    TensorMetric of_a = plain_a, of_b = plain_b;
    if (damping.defined()) {
      // Of a singular partner the damped inverse, which moves with the gauge.
      const TensorMetric first_b = plain_b.damped(plain_a, damping);
      of_a = plain_a.damped(plain_b.or_where_partial(plain_b, first_b), damping);
      of_b = plain_b.damped(plain_a.or_where_partial(plain_a, of_a), damping);
    }
    PairDirections directions;
    if (a.momenta.defined()) directions.a = direction(a.momenta, of_b);
    if (b.momenta.defined()) directions.b = direction(b.momenta, of_a);
    if (pair_.is_horizontal && a.is_whole() && b.is_whole())
      make_horizontal(a, b, plain_a, plain_b, directions);
    return directions;
  }

 private:
  /// N(M J) J^T, with M in balance.
  at::Tensor direction(const at::Tensor& momenta, const TensorMetric& partner) const {
    if (momenta.numel() == 0) return momenta;
    const at::Tensor largest = largest_entries(momenta);
    at::Tensor x = partner.multiplied(momenta / largest, false, largest.to(at::kDouble));
    const std::vector<std::int64_t> sizes = x.sizes().vec();
    x = x.flatten(0, 1);
    if (pair_.is_in_order) {
      x = through_stages(x, pair_.stages);
    } else {
      const at::Tensor images = through_stages(x.index_select(2, plan_.order), pair_.stages);
      x = at::empty_like(x).index_copy_(2, plan_.order, images);
    }
    return partner.multiplied(x.reshape(sizes), true, {});
  }

  /// U_A -= A X, U_B += B X^T with X = 1/2 (Pi(A^T A)^-1 Pi(A^T U_A) - Pi(U_B^T B) Pi(B^T B)^-1).
  void make_horizontal(const PairTensors& a, const PairTensors& b, const TensorMetric& of_a,
                       const TensorMetric& of_b, PairDirections& directions) const {
    const at::Tensor w_a = a.weights.to(at::kDouble), w_b = b.weights.to(at::kDouble);
    const at::Tensor u_a = directions.a.to(at::kDouble), u_b = directions.b.to(at::kDouble);
    const auto subtract = [](at::Tensor& from, const at::Tensor& x) {
      from = from - x.to(from.scalar_type());
    };
    if (pair_.is_full) {
      const auto solved = [](const TensorMetric& metric, const at::Tensor& w, const at::Tensor& u) {
        const at::Tensor product = PairTensors::lines(w).transpose(-2, -1).matmul(PairTensors::lines(u));
        return metric.root().matmul(metric.root().transpose(-2, -1).matmul(product));
      };
      const at::Tensor x =
          (solved(of_a, w_a, u_a) - solved(of_b, w_b, u_b).transpose(-2, -1)).mul_(0.5).unsqueeze(1);
      subtract(directions.a, w_a.matmul(x));
      subtract(directions.b, w_b.matmul(x.transpose(-2, -1)).neg_());
      return;
    }
    const at::Tensor real =
        (grouped(of_a, real_products(w_a, u_a)) - grouped(of_b, real_products(w_b, u_b))).mul_(0.5);
    at::Tensor change_a = w_a * spread(real), change_b = w_b * spread(real);
    if (!pair_.first.empty()) {
      const at::Tensor &first = plan_.first, &second = plan_.second;
      const auto imaginary_of = [&](const TensorMetric& metric, const at::Tensor& w, const at::Tensor& u) {
        const at::Tensor sums = real_products(w.index_select(-1, second), u.index_select(-1, first)) -
                                real_products(w.index_select(-1, first), u.index_select(-1, second));
        return sums * metric.root().index_select(-1, first).square() * 0.5;
      };
      const at::Tensor imaginary =
          spread((imaginary_of(of_a, w_a, u_a) + imaginary_of(of_b, w_b, u_b)).mul_(0.5));
      const auto turn = [&](at::Tensor& change, const at::Tensor& w, double sign) {
        change.index_add_(-1, first, w.index_select(-1, second) * imaginary, sign);
        change.index_add_(-1, second, w.index_select(-1, first) * imaginary, -sign);
      };
      turn(change_a, w_a, 1);
      turn(change_b, w_b, -1);
    }
    subtract(directions.a, change_a);
    subtract(directions.b, change_b.neg_());
  }

  /// Sums over the lines of all blocks, batch x columns.
  static at::Tensor real_products(const at::Tensor& w, const at::Tensor& u) { return (w * u).sum({1, 2}); }
  static at::Tensor spread(const at::Tensor& numbers) { return numbers.unsqueeze(1).unsqueeze(1); }

  /// Pi(W^T W)^-1 times the mean of the columns that share a number, for each column.
  at::Tensor grouped(const TensorMetric& metric, const at::Tensor& sums) const {
    return plan_.means(sums) * metric.root().square();
  }

  const PairPlan& plan_;
  const form::Pair& pair_;
};

}}}}  // namespace symopt::interop::detail
