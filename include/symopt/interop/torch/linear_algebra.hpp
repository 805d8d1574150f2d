// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <ATen/ATen.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <mutex>
#include <vector>

// The state of libtorch that products and factorizations depend on.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// Products of float matrices in float while this lives, whatever the program allows, autocast too: TF32 and
/// bfloat16 have too few digits for Gram matrices.
class FullPrecision {
 public:
  FullPrecision() : before_(at::globalContext().float32MatmulPrecision()) {
    if (before_ != at::Float32MatmulPrecision::HIGHEST)
      at::globalContext().setFloat32MatmulPrecision("highest");
  }
  ~FullPrecision() {
    if (before_ != at::Float32MatmulPrecision::HIGHEST)
      at::globalContext().setFloat32MatmulPrecision(before_ == at::Float32MatmulPrecision::HIGH ? "high"
                                                                                                : "medium");
  }
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;

 private:
  at::Float32MatmulPrecision before_;
  c10::impl::ExcludeDispatchKeyGuard no_autocast_{c10::autocast_dispatch_keyset};
};

/// Loads libtorch's linear algebra of a device, once: it does so at its first use, and fails where two
/// threads are the first.
inline void load_linear_algebra(const at::Device& device) {
  if (device.is_cpu()) return;
  static std::mutex one_at_a_time;
  static std::vector<at::Device> loaded;
  const std::lock_guard lock(one_at_a_time);
  if (std::ranges::find(loaded, device) != loaded.end()) return;
  (void)at::linalg_cholesky_ex(at::ones({1, 1, 1}, at::TensorOptions().device(device)));
  loaded.push_back(device);
}

}}}}  // namespace symopt::interop::detail
