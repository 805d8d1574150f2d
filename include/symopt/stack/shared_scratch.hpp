// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/scratch.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The scratch of a stack. Its parameters step one after the other, so blocks with the same kind of memory,
/// of the same shape, take turns in one piece; those that step side by side have one for each slot. A piece
/// lives as long as somebody holds it.
class SharedScratch final : public ScratchPool {
 public:
  std::shared_ptr<void> take(const ScratchType& type, Shape shape, kernel::ScratchOptions options,
                             std::size_t slot) override {
    std::weak_ptr<void>& piece = piece_of(type, shape, options, slot);
    if (std::shared_ptr<void> known = piece.lock()) return known;
    std::shared_ptr<void> made = type.made(shape, options);
    piece = made;
    return made;
  }

 private:
  struct Piece {
    const void* type;
    Shape shape;
    bool decay_is_horizontal;
    std::size_t slot;
    std::weak_ptr<void> memory;
  };

  /// A model has few rules and shapes, however many parameters.
  std::weak_ptr<void>& piece_of(const ScratchType& type, Shape shape, kernel::ScratchOptions options,
                                std::size_t slot) {
    for (Piece& known : pieces_)
      if (known.type == type.tag && known.shape == shape && known.slot == slot &&
          known.decay_is_horizontal == options.decay_is_horizontal)
        return known.memory;
    pieces_.push_back({type.tag, shape, options.decay_is_horizontal, slot, {}});
    return pieces_.back().memory;
  }

  std::vector<Piece> pieces_;
};

}}}  // namespace symopt::detail
