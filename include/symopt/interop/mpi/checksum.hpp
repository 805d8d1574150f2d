// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <bit>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// A number that tells long inputs apart: FNV-1a, word by word.
class Checksum {
 public:
  void add(std::uint64_t word) { sum_ = (sum_ ^ word) * 0x100000001b3U; }
  void add(double number) { add(std::bit_cast<std::uint64_t>(number)); }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
  }
  /// All but the sign, so that its negative exists too.
  long long value() const { return static_cast<long long>(sum_ >> 1); }
  std::string text() const {
    std::ostringstream hex;
    hex << std::hex << sum_;
    return hex.str();
  }

 private:
  std::uint64_t sum_ = 0xcbf29ce484222325U;
};

}}}  // namespace symopt::mpi::detail
