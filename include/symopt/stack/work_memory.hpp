// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/step.hpp>
#include <symopt/matrix.hpp>

#include <cstddef>
#include <map>
#include <memory>
#include <tuple>
#include <typeindex>

namespace symopt::inline SYMOPT_ABI::detail {

/// The memory that the steps of a stack work in. Its parameters step one after the other, so those with the
/// same rule and blocks of the same shape take turns in one piece; blocks that step side by side have one for
/// each slot. A piece lives as long as somebody holds it.
class WorkMemory {
 public:
  /// Memory: made from a shape and what the step needs.
  template <class Memory>
  std::shared_ptr<Memory> of(Shape shape, kernel::StepNeeds needs, std::size_t slot = 0) {
    std::weak_ptr<void>& known =
        pieces_[{typeid(Memory), shape.rows, shape.cols, needs.decay_is_horizontal, slot}];
    if (const auto piece = known.lock()) return std::static_pointer_cast<Memory>(piece);
    const auto made = std::make_shared<Memory>(shape, needs);
    known = made;
    return made;
  }

 private:
  std::map<std::tuple<std::type_index, Index, Index, bool, std::size_t>, std::weak_ptr<void>> pieces_;
};

}  // namespace symopt::detail
