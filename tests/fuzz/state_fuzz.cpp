// SPDX-License-Identifier: Apache-2.0
// libFuzzer's target: no file makes the loader crash, allocate beyond its size or load by half.
#include "fuzz/state_target.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  symopt_test::load_hostile_bytes(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}

// Most changes of a file's length alone make a header that is cut short, which is refused at its first byte.
// So three times in four the header is changed by itself and given its true length.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  std::uint64_t length = 0;
  if (size > sizeof length) std::memcpy(&length, data, sizeof length);
  const bool has_header = size > sizeof length && length <= size - sizeof length && size <= max_size;
  if (seed % 4 == 0 || !has_header) return LLVMFuzzerMutate(data, size, max_size);
  const std::vector<std::uint8_t> content(data + sizeof length + length, data + size);
  length = LLVMFuzzerMutate(data + sizeof length, length, max_size - sizeof length - content.size());
  std::memcpy(data, &length, sizeof length);
  std::copy(content.begin(), content.end(), data + sizeof length + length);
  return sizeof length + length + content.size();
}
