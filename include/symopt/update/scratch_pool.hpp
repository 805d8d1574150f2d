// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/step.hpp>
#include <symopt/matrix.hpp>

#include <cstddef>
#include <memory>
#include <typeinfo>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Whose memory a step works in: blocks of one kind of memory, shape and options take turns in one piece,
/// those that step side by side in one piece for each slot. A piece lives as long as somebody holds it.
class ScratchPool {
 public:
  /// Memory: made from a shape and the options.
  template <class Memory>
  std::shared_ptr<Memory> take(Shape shape, kernel::ScratchOptions options, std::size_t slot) {
    std::weak_ptr<void>& known = piece_of(typeid(Memory), shape, options, slot);
    if (const auto piece = known.lock()) return std::static_pointer_cast<Memory>(piece);
    const auto made = std::make_shared<Memory>(shape, options);
    known = made;
    return made;
  }

 private:
  struct Piece {
    const std::type_info* type;
    Shape shape;
    bool decay_is_horizontal;
    std::size_t slot;
    std::weak_ptr<void> memory;
  };

  /// A model has few rules and shapes, however many parameters.
  std::weak_ptr<void>& piece_of(const std::type_info& type, Shape shape, kernel::ScratchOptions options,
                                std::size_t slot) {
    for (Piece& piece : pieces_)
      if (*piece.type == type && piece.shape == shape && piece.slot == slot &&
          piece.decay_is_horizontal == options.decay_is_horizontal)
        return piece.memory;
    pieces_.push_back({&type, shape, options.decay_is_horizontal, slot, {}});
    return pieces_.back().memory;
  }

  std::vector<Piece> pieces_;
};

/// Where a block takes its scratch from, and what it depends on besides the shape.
struct ScratchSource {
  kernel::ScratchOptions options{};
  std::shared_ptr<ScratchPool> pool{};  ///< none: memory of its own
  std::size_t slot = 0;
};

/// Memory that a block works in, shared with those that take turns. A copy of it is memory of its own, of the
/// same shape: what lies in it means nothing between steps.
template <class Memory>
class Scratch {
 public:
  Scratch() = default;
  Scratch(Scratch&&) = default;
  Scratch(const Scratch& other) : shape_(other.shape_), options_(other.options_) {
    if (other.memory_) memory_ = std::make_shared<Memory>(shape_, options_);
  }
  Scratch& operator=(Scratch other) {
    std::swap(shape_, other.shape_);
    std::swap(options_, other.options_);
    memory_.swap(other.memory_);
    return *this;
  }

  bool is_empty() const { return memory_ == nullptr; }
  void take(const ScratchSource& source, Shape shape) {
    shape_ = shape;
    options_ = source.options;
    memory_ = source.pool ? source.pool->take<Memory>(shape, options_, source.slot)
                          : std::make_shared<Memory>(shape, options_);
  }
  Memory& operator*() const { return *memory_; }
  Memory* operator->() const { return memory_.get(); }

 private:
  Shape shape_;
  kernel::ScratchOptions options_;
  std::shared_ptr<Memory> memory_;
};

}}}  // namespace symopt::detail
