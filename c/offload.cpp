// SPDX-License-Identifier: Apache-2.0
// Optimizers by number, for trainers that keep flat buffers and step them on the CPU: calls over those of
// symopt.cpp.
#include "boundary.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace {

using symopt_c::require;

struct FreeOptimizer {
  void operator()(symopt_optimizer* optimizer) const { symopt_free(optimizer); }
};

/// An optimizer, and the memory that it was shown last.
struct Offloaded {
  std::unique_ptr<float[]>
      placeholder;  ///< until the first step says where the parameters lie; never touched
  std::unique_ptr<symopt_optimizer, FreeOptimizer> optimizer{};
  double learning_rate = 0;  ///< of the options
  const float* parameters = nullptr;
  const std::uint16_t* copy = nullptr;
};

/// The optimizers of the process by their numbers.
class Registry {
 public:
  static Registry& of_process() {
    static Registry registry;
    return registry;
  }

  void add(std::int32_t id, std::shared_ptr<Offloaded> made) {
    const std::lock_guard lock(mutex_);
    require(optimizers_.emplace(id, std::move(made)).second,
            "there is an optimizer " + std::to_string(id) + " already; symopt_offload_destroy gives it up");
  }
  /// Kept alive by who holds it, whoever destroys it meanwhile.
  std::shared_ptr<Offloaded> find(std::int32_t id) {
    const std::lock_guard lock(mutex_);
    const auto found = optimizers_.find(id);
    require(found != optimizers_.end(),
            "there is no optimizer " + std::to_string(id) + "; symopt_offload_create makes it");
    return found->second;
  }
  void remove(std::int32_t id) {
    const std::shared_ptr<Offloaded> last = find(id);  // freed outside of the lock
    const std::lock_guard lock(mutex_);
    optimizers_.erase(id);
  }

 private:
  std::mutex mutex_;
  std::map<std::int32_t, std::shared_ptr<Offloaded>> optimizers_;
};

/// Scalars that a table spans; 1 where a block is one that symopt_create refuses.
std::size_t span_of(const symopt_block* blocks, std::size_t count) {
  std::int64_t span = 1;
  const auto* next = reinterpret_cast<const std::byte*>(blocks);
  for (std::size_t i = 0; i < count; ++i) {
    symopt_block block{};
    std::size_t size = 0;
    std::memcpy(&size, next, sizeof size);
    if (size < sizeof size || size > sizeof block) return 1;
    std::memcpy(&block, next, size);
    next += size;
    std::int64_t end = block.rows;
    if (block.offset < 0 || block.rows <= 0 || block.cols <= 0 || block.batch < 0 ||
        __builtin_mul_overflow(end, block.cols, &end) ||
        __builtin_mul_overflow(end, std::max<std::int64_t>(block.batch, 1), &end) ||
        __builtin_add_overflow(end, block.offset, &end) ||
        end > std::numeric_limits<std::ptrdiff_t>::max() / 8)
      return 1;
    span = std::max(span, end);
  }
  return static_cast<std::size_t>(span);
}

/// Shows the optimizer where everything lies in this step.
symopt_status bind(Offloaded& own, double learning_rate, float* parameters, std::uint16_t* copy) {
  symopt_status status = SYMOPT_OK;
  if (copy != own.copy && own.copy != nullptr) {  // may lie where the parameters come to lie
    status = symopt_copy_to(own.optimizer.get(), nullptr);
    if (status != SYMOPT_OK) return status;
    own.copy = nullptr;
  }
  if (parameters != own.parameters) {
    status = symopt_move_parameters(own.optimizer.get(), parameters);
    if (status != SYMOPT_OK) return status;
    own.parameters = parameters;
    own.placeholder.reset();
  }
  if (copy != own.copy) {
    status = symopt_copy_to(own.optimizer.get(), copy);
    if (status != SYMOPT_OK) return status;
    own.copy = copy;
  }
  return symopt_set_schedule_factor(own.optimizer.get(), learning_rate / own.learning_rate);
}

}  // namespace

symopt_status symopt_offload_create(int32_t id, const symopt_options* options, const symopt_block* blocks,
                                    size_t count) {
  symopt_status status = SYMOPT_OK;
  const symopt_status outcome = symopt_c::guarded([&] {
    require(blocks != nullptr && count > 0, "symopt_offload_create: the block table is empty");
    const symopt_options all =
        options == nullptr ? symopt_options{} : symopt_c::in_own_size(options, "symopt_options");
    auto made = std::make_shared<Offloaded>();
    made->placeholder = std::make_unique_for_overwrite<float[]>(span_of(blocks, count));
    made->learning_rate = all.learning_rate == 0 ? 1e-3 : all.learning_rate;
    symopt_optimizer* optimizer = nullptr;
    status = symopt_create(options, blocks, count, made->placeholder.get(), &optimizer);
    if (status != SYMOPT_OK) return;
    made->optimizer.reset(optimizer);
    Registry::of_process().add(id, std::move(made));
  });
  return status == SYMOPT_OK ? outcome : status;
}

symopt_status symopt_offload_step(int32_t id, double learning_rate, float* parameters, const void* gradients,
                                  uint16_t* copy, symopt_report* report) {
  symopt_status status = SYMOPT_OK;
  const symopt_status outcome = symopt_c::guarded([&] {
    const std::shared_ptr<Offloaded> own = Registry::of_process().find(id);
    require(parameters != nullptr, "symopt_offload_step: the parameters are NULL");
    status = bind(*own, learning_rate, parameters, copy);
    if (status == SYMOPT_OK) status = symopt_step(own->optimizer.get(), gradients, report);
  });
  return status == SYMOPT_OK ? outcome : status;
}

symopt_status symopt_offload_destroy(int32_t id) {
  return symopt_c::guarded([&] { Registry::of_process().remove(id); });
}

symopt_optimizer* symopt_offload_optimizer(int32_t id) {
  symopt_optimizer* optimizer = nullptr;
  (void)symopt_c::guarded([&] { optimizer = Registry::of_process().find(id)->optimizer.get(); });
  return optimizer;
}
