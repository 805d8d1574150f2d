// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/step.hpp>
#include <symopt/matrix.hpp>

#include <cstddef>
#include <memory>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A tag whose address stands for a type, also where there is no typeid (-fno-rtti).
template <class T>
inline constexpr char type_tag = 0;

/// A type of scratch memory, made from a shape and the options.
struct ScratchType {
  const void* tag;
  void* (*make)(Shape, kernel::ScratchOptions);
  void (*destroy)(void*);

  template <class Memory>
  static ScratchType of() {
    return {&type_tag<Memory>,
            [](Shape shape, kernel::ScratchOptions options) -> void* { return new Memory(shape, options); },
            [](void* memory) { delete static_cast<Memory*>(memory); }};
  }
  std::shared_ptr<void> made(Shape shape, kernel::ScratchOptions options) const {
    return {make(shape, options), destroy};
  }
};

/// Scratch that blocks take turns in: see stack/shared_scratch.hpp.
class ScratchPool {
 public:
  ScratchPool() = default;
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;
  virtual ~ScratchPool() = default;

  virtual std::shared_ptr<void> take(const ScratchType& type, Shape shape, kernel::ScratchOptions options,
                                     std::size_t slot) = 0;
};

/// The source of a block's scratch, and the options that it depends on besides the shape.
struct ScratchSource {
  kernel::ScratchOptions options{};
  ScratchPool* pool = nullptr;  ///< none: memory of its own
  std::size_t slot = 0;
};

/// Memory that a block works in, shared with those that take turns. A copy of it is memory of its own, of the
/// same shape: what lies in it means nothing between steps.
class Scratch {
 public:
  Scratch() = default;
  Scratch(Scratch&&) = default;
  Scratch& operator=(Scratch&&) = default;
  Scratch(const Scratch& other) : type_(other.type_), shape_(other.shape_), options_(other.options_) {
    if (other.memory_) memory_ = type_.made(shape_, options_);
  }
  Scratch& operator=(const Scratch& other) { return *this = Scratch(other); }

  bool is_empty() const { return memory_ == nullptr; }

  /// Takes memory of that type.
  template <class Memory>
  void take(const ScratchSource& source, Shape shape) {
    take(ScratchType::of<Memory>(), source, shape);
  }
  template <class Memory>
  Memory& as() const {
    return *static_cast<Memory*>(memory_.get());
  }

 private:
  void take(const ScratchType& type, const ScratchSource& source, Shape shape) {
    type_ = type;
    shape_ = shape;
    options_ = source.options;
    memory_ = source.pool != nullptr ? source.pool->take(type, shape, options_, source.slot)
                                     : type.made(shape, options_);
  }

  ScratchType type_{};
  Shape shape_;
  kernel::ScratchOptions options_;
  std::shared_ptr<void> memory_;
};

}}}  // namespace symopt::detail
