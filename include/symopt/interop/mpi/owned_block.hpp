// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/block_type.hpp>
#include <symopt/interop/mpi/number_run.hpp>
#include <symopt/memory/buffer.hpp>
#include <symopt/stack/parameter.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// One block of a stack over several processes: its owner, how its weights are sent, and on the owner the
/// memory of its averaged gradient.
template <class Scalar>
class OwnedBlock {
 public:
  using Parameter = symopt::detail::Parameter<Scalar>;

  OwnedBlock(Parameter& parameter, std::size_t number, int owner)
      : parameter_(&parameter), number_(number), owner_(owner), type_(made_type()) {}

  Parameter& parameter() const { return *parameter_; }
  std::size_t number() const { return number_; }
  int owner() const { return owner_; }
  bool has_gradient() const { return parameter_->gradient().count() > 0; }

  /// The numbers of the gradient that exist.
  Index count() const { return parameter_->shapes()[number_].rows * parameter_->shapes()[number_].cols; }
  /// use(NumberRun) for the gradient as the trainer stores it, in Scalar or in bfloat16.
  decltype(auto) with_gradient(const auto& use) const {
    const auto& gradient = parameter_->gradient();
    if constexpr (std::same_as<Scalar, float>)
      if (!gradient.bf16.empty()) return use(NumberRun(parameter_->mask().existing(gradient.bf16[number_])));
    return use(NumberRun(parameter_->mask().existing(gradient.values[number_])));
  }
  /// The numbers of the average that exist.
  NumberRun<Scalar> average() const { return NumberRun(parameter_->mask().existing(average_)); }

  /// Takes memory for the average, which lies as the gradient does, all rows of it; returns the view of it.
  BlockView<Scalar> take_average() {
    const auto place_of = [&](const auto& given) {
      const auto existing = parameter_->mask().existing(given);
      const Index rows = given.rows.size, cols = given.cols.size;
      memory_ = kernel::Buffer<Scalar>(rows * cols);
      const bool is_along_rows = orientation_of(existing) == symopt::detail::Orientation::along_rows;
      average_ = is_along_rows ? BlockView<Scalar>(memory_.data(), {rows, cols}, {cols, 1})
                               : BlockView<Scalar>(memory_.data(), {rows, 1}, {cols, rows});
    };
    const auto& gradient = parameter_->gradient();
    gradient.bf16.empty() ? place_of(gradient.values[number_]) : place_of(gradient.bf16[number_]);
    return average_;
  }

  /// The memory that the other ranks are sent after a step, where the trainer has bound it last, and its
  /// type: the bfloat16 numbers where the model computes with these, else the weights.
  ///@{
  void* sent_weights() const {
    const auto& weights = parameter_->weights();
    if (!weights.bf16.empty()) return weights.bf16[number_].data;
    return weights.values[number_].data;
  }
  MPI_Datatype sent_type() const { return type_.get(); }
  ///@}

  /// use(memory, type) for what is current on the owner alone after a step: floats of which bfloat16 is sent.
  void with_kept_weights(const auto& use) const {
    const auto& weights = parameter_->weights();
    const auto with = [&](const auto& block) {
      const BlockType type(parameter_->mask().existing(block));
      use(static_cast<void*>(block.data), type.get());
    };
    if (weights.bf16.empty()) return;
    if (!weights.values.empty()) with(weights.values[number_]);
    if (!weights.low.empty()) with(weights.low[number_]);
  }

 private:
  BlockType made_type() const {
    const auto& weights = parameter_->weights();
    if (!weights.bf16.empty()) return BlockType(parameter_->mask().existing(weights.bf16[number_]));
    return BlockType(parameter_->mask().existing(weights.values[number_]));
  }

  Parameter* parameter_;
  std::size_t number_;
  int owner_;
  BlockType type_;
  kernel::Buffer<Scalar> memory_;
  BlockView<Scalar> average_;
};

}}}  // namespace symopt::mpi::detail
