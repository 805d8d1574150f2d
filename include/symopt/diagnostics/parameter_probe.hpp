// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/parameter.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A trial of a parameter's next step that changes nothing: its blocks step on weights of the probe's own,
/// and their states are put back afterwards, bit for bit.
template <class Scalar>
class ParameterProbe {
 public:
  using Blocks = std::vector<Matrix<double>>;
  /// Moves block number b.
  using Move = std::function<Matrix<double>(std::size_t b, const Matrix<double>& block)>;

  ParameterProbe(Parameter<Scalar>& parameter, const StepSchedule& schedule)
      : parameter_(parameter), schedule_(schedule) {}

  /// Tests whether the states of the blocks can be copied, and so put back.
  static bool can_put_back(const Parameter<Scalar>& parameter) {
    std::shared_ptr<void> kept;
    parameter.blocks().keep(kept);
    return kept != nullptr;
  }

  /// The directions of the blocks, before scale and rate: W moves by -rate * scale * direction. With `move`
  /// those of the moved momenta and gradients.
  Blocks directions(const Move& move = {}) {
    const Restored restored(parameter_.blocks());
    // From zero weights a step is exact; a rule with a state of its own may look at them, so it is given the
    // real ones, and a rate at which the difference is not lost in them.
    const bool sees_weights = !parameter_.facts().families.has_value();
    const double rate = sees_weights ? 0x1p20 : 1.0;
    OptimizerOptions options = parameter_.options();
    options.weight_decay = 0;
    options.scale = Scale::none;
    std::vector<StepInput<Scalar>> inputs = inputs_at(options, rate);
    Blocks before;
    std::vector<std::vector<Scalar>> weights(inputs.size()), gradients(inputs.size());
    for (std::size_t b = 0; b < inputs.size(); ++b) {
      before.push_back(read(inputs[b].weights));
      if (!sees_weights) before.back().setZero();
      inputs[b].weights = stored(before.back(), weights[b]);
      if (move)
        inputs[b].gradient = BlockView<const Scalar>(stored(move(b, read(inputs[b].gradient)), gradients[b]));
    }
    if (move) move_momenta(move);
    parameter_.blocks().step(inputs);
    Blocks result;
    for (std::size_t b = 0; b < inputs.size(); ++b)
      result.push_back((before[b] - read(inputs[b].weights)) / rate);
    return result;
  }

  /// The weights of the rows that exist.
  Blocks weights() {
    Blocks all;
    for (const StepInput<Scalar>& input : inputs_at(parameter_.options(), 0))
      all.push_back(read(input.weights));
    return all;
  }

 private:
  /// The states of the blocks, put back at the end of the scope.
  class Restored {
   public:
    explicit Restored(AnyBlocks<Scalar>& blocks) : blocks_(blocks) { blocks_.keep(kept_); }
    ~Restored() { blocks_.put_back(kept_); }
    Restored(const Restored&) = delete;
    Restored& operator=(const Restored&) = delete;

   private:
    AnyBlocks<Scalar>& blocks_;
    std::shared_ptr<void> kept_;
  };

  std::vector<StepInput<Scalar>> inputs_at(const OptimizerOptions& options, double rate) {
    std::vector<StepInput<Scalar>> inputs;
    StepSchedule schedule = schedule_;
    schedule.factor = 1;
    OptimizerOptions at_rate = options;
    at_rate.learning_rate = rate;
    parameter_.add_inputs(at_rate, schedule, 0, inputs);
    return inputs;
  }

  /// A view of weights or of a gradient, in double.
  static Matrix<double> read(const auto& view) {
    Matrix<double> values(view.shape().rows, view.shape().cols);
    for (Index i = 0; i < values.rows(); ++i)
      for (Index j = 0; j < values.cols(); ++j) values(i, j) = static_cast<double>(view.at(i, j));
    return values;
  }
  /// The values in memory that runs as the parameter's blocks do.
  BlockView<Scalar> stored(const Matrix<double>& values, std::vector<Scalar>& memory) const {
    const Index rows = values.rows(), cols = values.cols();
    memory.resize(static_cast<std::size_t>(rows * cols));
    const BlockView<Scalar> lines = parameter_.orientation() == Orientation::along_rows
                                        ? BlockView<Scalar>(memory.data(), {rows, cols}, {cols, 1})
                                        : BlockView<Scalar>(memory.data(), {rows, 1}, {cols, rows});
    write(lines, values);
    return lines;
  }
  static void write(const BlockView<Scalar>& block, const Matrix<double>& values) {
    for_each_segment(block, [&](Index i, Index j, auto&& segment) {
      segment = values.row(i).segment(j, segment.size()).template cast<Scalar>();
    });
  }

  /// Moves the momenta, which are the whole state under a rule that maps them.
  void move_momenta(const Move& move) {
    std::size_t b = 0;
    const auto move_one = [&](const StateField& field) {
      const BlockView<Scalar> momentum = parameter_.mask().existing(
          BlockView<Scalar>(static_cast<Scalar*>(field.data), {field.shape[0], field.strides[0]},
                            {field.shape[1], field.strides[1]}));
      Matrix<double> values(momentum.row_count(), momentum.cols.size);
      for_each_segment(momentum, [&](Index i, Index j, const auto& segment) {
        values.row(i).segment(j, segment.size()) = segment.template cast<double>();
      });
      write(momentum, move(b++, values));
    };
    parameter_.blocks().visit({move_one, true});
  }

  Parameter<Scalar>& parameter_;
  StepSchedule schedule_;
};

}}}  // namespace symopt::detail
