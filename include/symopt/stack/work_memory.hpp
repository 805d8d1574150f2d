// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/step.hpp>
#include <symopt/matrix.hpp>

#include <cstddef>
#include <memory>
#include <typeinfo>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The memory that the steps of a stack work in. Its parameters step one after the other, so those with the
/// same rule and blocks of the same shape take turns in one piece; blocks that step side by side have one for
/// each slot. A piece lives as long as somebody holds it.
class WorkMemory {
 public:
  /// Memory: made from a shape and what the step needs.
  template <class Memory>
  std::shared_ptr<Memory> of(Shape shape, kernel::ScratchOptions options, std::size_t slot = 0) {
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

}}}  // namespace symopt::detail
