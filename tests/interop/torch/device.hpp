// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/ATen.h>

#include <cstdlib>

namespace symopt_test {

/// The device whose tensors these tests step by operations: that of SYMOPT_TEST_DEVICE, "cuda", or the CPU.
inline at::Device device_under_test() {
  const char* name = std::getenv("SYMOPT_TEST_DEVICE");
  return name != nullptr && *name != '\0' ? at::Device(name) : at::Device(at::kCPU);
}

}  // namespace symopt_test
