// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/storages.hpp"

#include <symopt/derive/update.hpp>
#include <symopt/group/head_rotations.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/one_sided_spectral.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// The rules of the stack's tests, their types hidden, so that what is checked of every rule is compiled once.
namespace symopt_test {

using symopt::OptimizerOptions;
using symopt::Update;

/// A rule without symmetry that is only callable: it sees every row and every column differently.
struct Lopsided {
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    using Scalar = typename Derived::Scalar;
    Matrix<Scalar> result = block;
    Scalar sum = 0;
    for (Index i = 0; i < result.rows(); ++i)
      for (Index j = 0; j < result.cols(); ++j) {
        sum = std::tanh(sum + result(i, j));
        result(i, j) = sum + Scalar(0.1) * static_cast<Scalar>(i + 3 * j) * result(i, j);
      }
    return result;
  }
};

/// The bent rows as a normalization for a neuron's row.
struct BentRows {
  using largest_group = symopt::RowPermutation;

  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    Matrix<typename Derived::Scalar> result = block;
    for (auto row : result.rowwise()) row = Lopsided{}(row);
    return result;
  }
};

/// Attention's q as one matrix, with heads of two rows.
using HeadsOfTwo = symopt::Product<symopt::HeadRotations<Side::left, 2>, symopt::RightOrthogonal>;
/// Neurons whose inputs are not rotated.
struct PlainNeurons : symopt::RowPermutation {};

using DerivedPolar = Update<symopt::HiddenMatrix>;
using DualPolar = Update<symopt::HiddenMatrix, symopt::DualNorm<symopt::Spectral<>>>;
using DerivedRows = Update<symopt::Embedding>;
using DerivedHead = Update<symopt::LmHead>;
using DerivedColumns = Update<symopt::SwigluOutput>;
using RowsThenPolar = Update<symopt::SwigluInput, symopt::Then<symopt::RowNorm, symopt::Spectral<>>>;
using RouterPolar = Update<symopt::Router, symopt::LeftSpectral<>>;
using PolarOfHeads = Update<HeadsOfTwo>;
using BentNeurons = Update<PlainNeurons, BentRows>;
using AdaptiveEntries = symopt::Adaptive<symopt::Trivial>;
using AdaptiveRows = symopt::Adaptive<symopt::Embedding>;
using AdaptiveHead = symopt::Adaptive<symopt::LmHead>;
using AdaptiveColumns = symopt::Adaptive<symopt::SwigluOutput>;
using AdaptiveOneSided = symopt::Adaptive<symopt::HiddenMatrix>;
using AdaptiveHeads = symopt::Adaptive<HeadsOfTwo>;
using AdaptiveBlock = symopt::Adaptive<symopt::HiddenMatrix, symopt::moments::Block>;

/// A rule with a state, of a group with a shift, which its decay may respect.
struct SumUnderShift {
  using group = symopt::LmHead;

  template <class Scalar>
  struct State {
    explicit State(Shape shape) : sum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> sum;
  };

  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    state.sum += gradient;
    direction = state.sum;
  }
};

/// Everything that enters a step, where the rule allows it.
template <class Rule>
OptimizerOptions full_options() {
  OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.3, .scale = symopt::Scale::aspect};
  if constexpr (!symopt::StatefulRule<Rule, double>) {
    options.momentum = 0.8;
    options.nesterov = true;
  }
  if constexpr (!symopt::detail::projection_of_t<Rule>::is_identity)
    options.decay = symopt::Decay::horizontal;
  return options;
}

template <class Scalar>
struct AnyRule {
  std::string name;
  symopt::BasicRole<Scalar> role;
  bool is_stateful;
  bool allocates;  ///< as a rule does that is only callable
  /// One optimizer for a plain row-major matrix of a shape.
  std::function<std::function<void(Matrix<Scalar>&, const Matrix<Scalar>&)>(Shape)> optimizer;
};

template <class Rule, class Scalar>
AnyRule<Scalar> any_rule() {
  const OptimizerOptions options = full_options<Rule>();
  return {type_name<Rule>(), symopt::role<Rule, Scalar>(options), symopt::StatefulRule<Rule, Scalar>,
          std::is_same_v<Rule, Lopsided> || std::is_same_v<Rule, BentNeurons>, [options](Shape shape) {
            auto one = std::make_shared<symopt::Optimizer<Rule, Scalar>>(shape.rows, shape.cols, options);
            return [one](Matrix<Scalar>& weights, const Matrix<Scalar>& gradient) {
              one->step(weights, gradient);
            };
          }};
}

template <class Scalar>
using Matrices = std::vector<Matrix<Scalar>>;

template <class Scalar>
Matrices<Scalar> gaussian_blocks(const std::vector<Shape>& shapes, Random& random) {
  Matrices<Scalar> blocks;
  for (const Shape shape : shapes) blocks.push_back(gaussian_block(shape, random).cast<Scalar>());
  return blocks;
}

/// The largest relative error of a block; infinite when the blocks are not as many.
template <class Scalar>
double worst_error(const Matrices<Scalar>& actual, const Matrices<Scalar>& expected) {
  if (actual.size() != expected.size()) return infinity;
  Worst worst;
  for (std::size_t b = 0; b < actual.size(); ++b)
    worst.add(relative_error(as_double(actual[b]), as_double(expected[b])));
  return worst.value();
}

/// How weights and gradient lie in memory.
struct Orders {
  Order weights = Order::dense;
  Order gradient = Order::dense;
};

inline const std::vector<Orders> several_orders{
    {Order::dense, Order::dense},        {Order::gaps, Order::backwards},
    {Order::backwards, Order::gaps},     {Order::column_major, Order::column_major},
    {Order::dense, Order::column_major}, {Order::column_major, Order::gaps},
};

/// One parameter in a stack of its own, stored in some way.
template <class Scalar>
class StoredParameter {
 public:
  StoredParameter(const symopt::BasicRole<Scalar>& role, const Storage& storage, Orders orders,
                  const Matrices<Scalar>& start, symopt::RowMask mask = {})
      : StoredParameter(role.with(storage.layout).with(std::move(mask)), storage, orders) {
    weights_.set_blocks(start);
  }
  StoredParameter(const StoredParameter&) = delete;
  StoredParameter& operator=(const StoredParameter&) = delete;

  void set_gradient(const Matrices<Scalar>& gradient) { gradient_.set_blocks(gradient); }
  void step() { stack_.step(); }
  void step(const Matrices<Scalar>& gradient) {
    set_gradient(gradient);
    step();
  }
  void set_row_mask(symopt::RowMask mask) { stack_.set_row_mask("weight", std::move(mask)); }

  Matrices<Scalar> weights() const { return weights_.blocks(); }
  bool surroundings_are_intact() const {
    return weights_.surroundings_are_intact() && gradient_.surroundings_are_intact();
  }

 private:
  StoredParameter(const symopt::BasicRole<Scalar>& role, const Storage& storage, Orders orders)
      : weights_(storage, orders.weights), gradient_(storage, orders.gradient) {
    stack_.add("weight", role, weights_.view(), std::as_const(gradient_).view());
  }

  Stored<Scalar> weights_;
  Stored<Scalar> gradient_;
  symopt::BasicLayerwiseOptimizer<Scalar> stack_;
};

}  // namespace symopt_test
