// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/bound_parameter.hpp>
#include <symopt/interop/torch/rule_steps.hpp>
#include <symopt/kernel/coefficients.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// All that blocks must have in common to step as one batch.
struct BatchKey {
  form::Rule rule;
  at::Device device;
  std::int64_t rows, cols;       ///< of a block; 0 where entries of any block make the batch
  double beta, gradient_weight;  ///< of a rule that maps the momentum
  bool nesterov;

  bool is_entrywise() const { return rows == 0; }
  friend bool operator==(const BatchKey&, const BatchKey&) = default;
};

/// Blocks of one or more parameters that step as one batch, so that a step takes a few operations for all of
/// them. Their states lie one after the other in the batch's arrays.
class Batch {
 public:
  explicit Batch(BatchKey key) : key_(std::move(key)) {}

  const BatchKey& key() const { return key_; }
  void add(BoundParameter& parameter, std::size_t run) {
    const std::int64_t blocks = parameter.runs[run].count();
    const std::int64_t length = key_.is_entrywise() ? blocks * parameter.entries_of(run) : blocks;
    pieces_.push_back({&parameter, run, length_, length});
    length_ += length;
  }

  /// Takes the arrays of the states, with what the blocks' states were before; zeros of new ones.
  void take_states(at::ScalarType type) {
    if (key_.is_entrywise()) {
      for (const BatchArray& array : std::visit(BatchArrays{1, 1, type}, key_.rule.value))
        arrays_.push_back(at::zeros({length_}, options_of(array.type)));
    } else {
      for (const BatchArray& array : std::visit(BatchArrays{key_.rows, key_.cols, type}, key_.rule.value)) {
        std::vector<std::int64_t> sizes{length_};
        sizes.insert(sizes.end(), array.sizes.begin(), array.sizes.end());
        arrays_.push_back(at::zeros(sizes, options_of(array.type)));
      }
    }
    for (const Piece& piece : pieces_) {
      std::vector<at::Tensor>& own = piece.parameter->states[piece.run];
      std::vector<at::Tensor> places = narrowed(arrays_, piece.begin, piece.length);
      for (std::size_t a = 0; a < own.size(); ++a) places[a].copy_(own[a]);
      own = std::move(places);
    }
  }

  /// One step of the blocks of all parameters that have a gradient, in as many batches as there are numbers
  /// of steps among neighbours.
  void step() {
    for (std::size_t begin = 0; begin < pieces_.size();) {
      if (!pieces_[begin].parameter->has_gradient()) {
        ++begin;
        continue;
      }
      std::size_t end = begin + 1;
      while (end < pieces_.size() && pieces_[end].parameter->has_gradient() &&
             pieces_[end].steps() == pieces_[begin].steps())
        ++end;
      step(begin, end);
      begin = end;
    }
  }

 private:
  struct Piece {
    BoundParameter* parameter;
    std::size_t run;
    std::int64_t begin, length;  ///< in blocks, or entries

    std::int64_t& steps() const { return parameter->steps[run]; }
  };

  at::TensorOptions options_of(at::ScalarType type) const {
    return at::TensorOptions().dtype(type).device(key_.device);
  }
  static std::vector<at::Tensor> narrowed(const std::vector<at::Tensor>& arrays, std::int64_t begin,
                                          std::int64_t length) {
    std::vector<at::Tensor> parts;
    for (const at::Tensor& array : arrays) parts.push_back(array.narrow(0, begin, length));
    return parts;
  }

  void step(std::size_t begin, std::size_t end) {
    std::vector<at::Tensor> gradients;
    for (std::size_t p = begin; p < end; ++p) pieces_[p].parameter->add_gradient(pieces_[p].run, gradients);
    const std::int64_t first = pieces_[begin].begin;
    const std::int64_t length = pieces_[end - 1].begin + pieces_[end - 1].length - first;
    const at::Tensor gradient = gradients.size() == 1 ? gradients.front() : at::cat(gradients);
    gradients.clear();
    std::vector<at::Tensor> state = narrowed(arrays_, first, length);
    const kernel::StepCoefficients momentum{
        .beta = key_.beta, .gradient_weight = key_.gradient_weight, .nesterov = key_.nesterov};
    const at::Tensor direction = RuleStep{key_.rule, gradient, state, momentum, pieces_[begin].steps() + 1}();
    for (std::size_t p = begin; p < end; ++p) ++pieces_[p].steps();
    move_along(direction, begin, end);
  }

  /// W <- W - decay W (or decay P W) - step size * direction.
  void move_along(const at::Tensor& direction, std::size_t begin, std::size_t end) {
    std::vector<std::int64_t> lengths;
    for (std::size_t p = begin; p < end; ++p) lengths.push_back(pieces_[p].length);
    const std::vector<at::Tensor> parts = direction.split_with_sizes(lengths);
    std::vector<at::Tensor> weights, directions;
    std::vector<at::Scalar> keeps, step_sizes;
    bool decays = false, are_alike = true;
    for (std::size_t p = begin; p < end; ++p) {
      BoundParameter& parameter = *pieces_[p].parameter;
      const std::size_t run = pieces_[p].run;
      const at::Tensor& part = parts[p - begin];
      const kernel::StepCoefficients& c = parameter.coefficients[run];
      const bool is_horizontal = c.decay != 0 && c.decay_is_horizontal;
      if (is_horizontal || parameter.selected_rows.defined()) {
        const at::Tensor blocks = parameter.weight_blocks(run);
        const at::Tensor kept = is_horizontal ? blocks - projected(blocks, key_.rule.projection) * c.decay
                                              : blocks * (1.0 - c.decay);
        parameter.replace(run, kept.sub(part.reshape(blocks.sizes()), c.step_size));
        continue;
      }
      const at::Tensor& place = parameter.place(run);
      weights.push_back(place);
      directions.push_back(part.sizes() == place.sizes() ? part : part.reshape(place.sizes()));
      keeps.emplace_back(1.0 - c.decay);
      step_sizes.emplace_back(c.step_size);
      decays = decays || c.decay != 0;
      are_alike = are_alike && c.step_size == step_sizes.front().toDouble();
    }
    if (weights.empty()) return;
    if (decays) at::_foreach_mul_(weights, keeps);
    if (are_alike) {
      at::_foreach_sub_(weights, directions, step_sizes.front());
    } else {
      at::_foreach_sub_(weights, at::_foreach_mul(directions, step_sizes));
    }
  }

  BatchKey key_;
  std::vector<Piece> pieces_;
  std::int64_t length_ = 0;
  std::vector<at::Tensor> arrays_;
};

}}}}  // namespace symopt::interop::detail
