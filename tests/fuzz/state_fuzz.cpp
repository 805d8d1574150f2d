// SPDX-License-Identifier: Apache-2.0
// libFuzzer's target: no file makes the loader crash, allocate beyond its size or load by half.
#include "fuzz/state_target.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  symopt_test::load_hostile_bytes(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
