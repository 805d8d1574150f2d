// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/stack_parameter.hpp>

#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// What a parameter's next step would do, without doing it: the step is run on weights of its own, with the
/// momenta and states put back afterwards, bit for bit.
template <class Scalar>
class ParameterProbe {
 public:
  using Blocks = std::vector<Matrix<double>>;
  /// Moves block number b.
  using Move = std::function<Matrix<double>(std::size_t b, const Matrix<double>& block)>;

  explicit ParameterProbe(StackParameter<Scalar>& parameter) : parameter_(parameter) {}

  /// The directions of the blocks, before scale and rate: W moves by -rate * scale * direction. With `move`
  /// those of the moved momenta and gradients.
  Blocks directions(const Move& move = {}) {
    parameter_.remember();
    const Restored restored{parameter_};
    std::vector<std::vector<Scalar>> memory, moved;
    auto weights = parameter_.weights_;
    for (auto& block : weights) block = like(block, memory.emplace_back());
    auto gradient = parameter_.gradient_;
    auto half_gradient = parameter_.half_gradient_;
    if (move) {
      gradient.clear();
      half_gradient.clear();
      for (std::size_t b = 0; b < weights.size(); ++b) {
        const BlockView<Scalar> copy = like(weights[b], moved.emplace_back());
        write(existing(copy), move(b, gradient_of(b)));
        gradient.push_back(copy);
      }
      move_momenta(move);
    }
    // From zero weights a step is exact; a rule with a state of its own may look at them, so it is given the
    // real ones, and a rate at which the difference is not lost in them.
    const bool sees_weights = !parameter_.families_of_update().has_value();
    const double rate = sees_weights ? 0x1p20 : 1.0;
    const Blocks before = sees_weights ? read_all(parameter_.weights_) : zeros();
    for (std::size_t b = 0; b < weights.size(); ++b) write(existing(weights[b]), before[b]);
    OptimizerOptions options = parameter_.options_;
    options.learning_rate = rate;
    options.weight_decay = 0;
    options.scale = Scale::none;
    const ExchangedForProbe exchanged(parameter_, std::move(options), weights, gradient, half_gradient);
    parameter_.step(1.0);
    Blocks result = read_all(weights);
    for (std::size_t b = 0; b < result.size(); ++b) result[b] = (before[b] - result[b]) / rate;
    return result;
  }

  /// The weights of the rows that exist.
  Blocks weights() const { return read_all(parameter_.weights_); }

 private:
  struct Restored {
    StackParameter<Scalar>& parameter;
    ~Restored() {
      parameter.restore();  // into the trainer's weights, which are as they were
      parameter.forget();
    }
  };

  /// Exchanges what a step works on, and back.
  class ExchangedForProbe {
   public:
    ExchangedForProbe(StackParameter<Scalar>& parameter, OptimizerOptions options,
                      std::vector<BlockView<Scalar>> weights, std::vector<BlockView<const Scalar>> gradient,
                      std::vector<BlockView<const bfloat16>> half_gradient)
        : parameter_(parameter),
          options_(std::move(options)),
          weights_(std::move(weights)),
          gradient_(std::move(gradient)),
          half_gradient_(std::move(half_gradient)) {
      swap();
    }
    ~ExchangedForProbe() { swap(); }
    ExchangedForProbe(const ExchangedForProbe&) = delete;
    ExchangedForProbe& operator=(const ExchangedForProbe&) = delete;

   private:
    void swap() {
      std::swap(parameter_.options_, options_);
      parameter_.weights_.swap(weights_);
      parameter_.gradient_.swap(gradient_);
      parameter_.half_gradient_.swap(half_gradient_);
      parameter_.copy_.swap(copy_);
    }
    StackParameter<Scalar>& parameter_;
    OptimizerOptions options_;
    std::vector<BlockView<Scalar>> weights_;
    std::vector<BlockView<const Scalar>> gradient_;
    std::vector<BlockView<const bfloat16>> half_gradient_;
    std::vector<BlockView<bfloat16>> copy_;  // none: a probe writes nowhere
  };

  /// A view of new memory for a block of that shape, which runs the same way.
  template <class S>
  static BlockView<Scalar> like(const BlockView<S>& block, std::vector<Scalar>& memory) {
    const Index rows = block.rows.size, cols = block.cols.size;
    memory.assign(static_cast<std::size_t>(rows * cols), Scalar(0));
    const bool runs_along_columns = std::abs(block.rows.stride) < std::abs(block.cols.stride) && cols > 1;
    if (runs_along_columns) return {memory.data(), {rows, 1}, {cols, rows}};
    return {memory.data(), {rows, cols}, {cols, 1}};
  }

  template <class S>
  BlockView<S> existing(const BlockView<S>& block) const {
    return parameter_.mask_.existing(block);
  }

  template <class S>
  static Matrix<double> read(const BlockView<S>& block) {
    Matrix<double> values(block.row_count(), block.cols.size);
    for_each_segment(block, [&](Index i, Index j, const auto& segment) {
      values.row(i).segment(j, segment.size()) = segment.template cast<double>();
    });
    return values;
  }
  Matrix<double> gradient_of(std::size_t b) const {
    const kernel::GradientView<Scalar> gradient = parameter_.gradient_view_of(b);
    Matrix<double> values(gradient.shape().rows, gradient.shape().cols);
    for (Index i = 0; i < values.rows(); ++i)
      for (Index j = 0; j < values.cols(); ++j) values(i, j) = static_cast<double>(gradient.at(i, j));
    return values;
  }
  static void write(const BlockView<Scalar>& block, const Matrix<double>& values) {
    for_each_segment(block, [&](Index i, Index j, auto&& segment) {
      segment = values.row(i).segment(j, segment.size()).template cast<Scalar>();
    });
  }
  Blocks read_all(const std::vector<BlockView<Scalar>>& blocks) const {
    Blocks all;
    for (const BlockView<Scalar>& block : blocks) all.push_back(read<Scalar>(existing(block)));
    return all;
  }
  Blocks zeros() const {
    Blocks all;
    for (const Shape shape : parameter_.shapes_) all.push_back(Matrix<double>::Zero(shape.rows, shape.cols));
    return all;
  }

  void move_momenta(const Move& move) {
    const SavedParameter saved = parameter_.saved();
    for (std::size_t b = 0; b < saved.fields.size(); ++b) {
      const StateField& field = saved.fields[b];
      const BlockView<Scalar> momentum =
          existing(BlockView<Scalar>(static_cast<Scalar*>(field.data), {field.shape[0], field.strides[0]},
                                     {field.shape[1], field.strides[1]}));
      write(momentum, move(b, read<Scalar>(momentum)));
    }
  }

  StackParameter<Scalar>& parameter_;
};

}}}  // namespace symopt::detail
