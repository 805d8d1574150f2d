// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/generic.hpp>
#include <symopt/memory/oriented_buffer.hpp>
#include <symopt/optimizer/step_input.hpp>
#include <symopt/optimizer/step_range.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The part of a step that belongs to one block of a pair.
template <class Scalar>
struct PairInput {
  StepInput<Scalar> input;  ///< lines x rank; the gradient means nothing where there is none
  kernel::OrientedBuffer<Scalar>* momentum;
  bool has_gradient = true;  ///< without, the block is read, and stays
};

/// Some rows and columns of a block in memory of their own, as a view of the block: rows contiguous, `stride`
/// apart, `data` the entry at `row` and `col`.
template <class Scalar>
class PartOfBlock {
 public:
  using value_type = Scalar;
  static constexpr bool limits_runs = false;

  PartOfBlock(Scalar* data, Index stride, Index row, Index col)
      : data_(data), stride_(stride), row_(row), col_(col) {}

  SYMOPT_INLINE Index run_from(Index) const { return kernel::detail::unlimited; }

  template <bool>
  class Window {
   public:
    SYMOPT_INLINE Window(const PartOfBlock& part, Index row, Index col, Index)
        : data_(part.data_ + (row - part.row_) * part.stride_ + (col - part.col_)) {}
    SYMOPT_INLINE Scalar* data() const { return data_; }

   private:
    Scalar* data_;
  };

 private:
  Scalar* data_;
  Index stride_, row_, col_;
};

/// A block in the sweeps of a step: its memory along its rows, or as one row where it lies without gaps, for
/// short rows take long.
template <class Scalar>
class PairSweep {
 public:
  PairSweep(const PairInput<Scalar>& block, Orientation orientation, MatrixRef<Scalar> direction)
      : streams_(streams_of(block, orientation)),
        direction_(direction),
        input_(&block.input),
        is_left_(orientation == Orientation::along_columns) {
    const Shape shape = streams_.shape();
    const Scalar* gradient = streams_.gradient.values_without_gaps();
    Scalar* weights = streams_.weights.values_without_gaps();
    if (is_left_ || gradient == nullptr || weights == nullptr) return;
    in_a_row_ = shape.cols;
    const Index size = shape.rows * shape.cols;
    const auto row = [size](auto* data) { return BlockView(data, {1, size}, {size, 1}); };
    streams_ = {row(gradient), row(streams_.momentum.data), row(weights), nullptr,
                streams_.gradient_exponent};
    direction_ = row(direction_.data);
  }

  /// direction <- the momentum that the rule is given. False where the gradient does not pass its check.
  bool begin() const {
    return kernel::write_next_momentum(streams_, input_->coefficients, direction_) || !is_checked();
  }
  /// begin() of some lines, into memory of their own.
  bool begin(kernel::Range lines, const auto& to) const {
    using L = kernel::Lanes<Scalar>;
    const kernel::Average<Scalar> average(input_->coefficients);
    kernel::LargeMarks<Scalar> marks(streams_.gradient_exponent);
    kernel::sweep(
        rows(lines), columns(lines),
        [=](L g, L m, L& d, kernel::LargeMarks<Scalar>& found) SYMOPT_INLINE_LAMBDA {
          found.add(g);
          d = average.nesterov_momentum(average.next(m, g), g);
        },
        kernel::in(streams_.gradient), kernel::in(streams_.momentum), kernel::out(part(lines, to)),
        kernel::accumulate(marks));
    return !marks.any() || !is_checked();
  }

  /// Advances the momentum of some lines and writes what the rule is given of it, without a check.
  void advance(kernel::Range lines, const auto& to) const {
    using L = kernel::Lanes<Scalar>;
    const kernel::Average<Scalar> average(input_->coefficients);
    kernel::sweep(
        rows(lines), columns(lines),
        [=](L g, L& m, L& d) SYMOPT_INLINE_LAMBDA {
          m = average.next(m, g);
          d = average.nesterov_momentum(m, g);
        },
        kernel::in(streams_.gradient), kernel::inout(streams_.momentum), kernel::out(part(lines, to)));
  }

  /// Tests whether the direction, by its entries or by a bound on them, leaves the weights in range.
  ///@{
  bool is_harmless_step() const { return !is_checked() || is_harmless(input_->coefficients, direction_); }
  bool is_harmless_step(double largest) const {
    return !is_checked() || is_harmless<Scalar>(input_->coefficients, largest);
  }
  ///@}

  /// Moves weights and momentum.
  void finish() const { kernel::move_along<Scalar>(streams_, input_->coefficients, direction_, nullptr); }
  /// Moves some lines of the weights, by a direction in memory of its own.
  void move(kernel::Range lines, const auto& direction) const {
    using L = kernel::Lanes<Scalar>;
    const kernel::StepCoefficients& c = input_->coefficients;
    const L keep(static_cast<Scalar>(1.0 - c.decay)), minus_step_size(static_cast<Scalar>(-c.step_size));
    kernel::sweep(
        rows(lines), columns(lines),
        [=](L d, L& w) SYMOPT_INLINE_LAMBDA { w = kernel::moved(w, keep, minus_step_size, d); },
        kernel::in(part(lines, direction)), kernel::inout(streams_.weights));
  }

 private:
  static kernel::Streams<Scalar> streams_of(const PairInput<Scalar>& block, Orientation orientation) {
    const BlockView<Scalar> momentum = along_rows(block.momentum->for_step(orientation), orientation);
    const bool is_along_rows = orientation == Orientation::along_rows;
    return {is_along_rows ? block.input.gradient : block.input.gradient.transposed(), momentum,
            is_along_rows ? block.input.weights : block.input.weights.transposed(), nullptr,
            block.input.gradient_exponent()};
  }

  bool is_checked() const { return input_->check == kernel::Check::gradient; }
  kernel::Range rows(kernel::Range lines) const {
    return is_left_ ? streams_.rows() : in_a_row_ > 0 ? kernel::Range{0, 1} : lines;
  }
  kernel::Range columns(kernel::Range lines) const {
    if (is_left_) return lines;
    return in_a_row_ > 0 ? kernel::Range{lines.begin * in_a_row_, lines.end * in_a_row_} : streams_.columns();
  }
  PartOfBlock<Scalar> part(kernel::Range lines, const auto& to) const {
    return {to.data, to.stride, rows(lines).begin, columns(lines).begin};
  }

  kernel::Streams<Scalar> streams_;
  BlockView<Scalar> direction_;
  const StepInput<Scalar>* input_;
  bool is_left_;
  Index in_a_row_ = 0;  // entries of each line, where all lie in one row
};

}}}  // namespace symopt::detail
