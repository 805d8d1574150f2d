// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/symopt.h>
#include <symopt/error.hpp>

#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

// The boundary between C and C++: statuses for what is thrown, and structs of any version.
namespace symopt_c {

/// The status of the exception that is being handled, whose message becomes the last error. Called in a
/// catch.
symopt_status status_of_exception() noexcept;

/// The status of a call, whatever it throws.
template <class Call>
symopt_status guarded(Call&& call) noexcept {
  try {
    std::forward<Call>(call)();
    return SYMOPT_OK;
  } catch (...) {
    return status_of_exception();
  }
}

inline void require(bool good, const std::string& what, const char* parameter = "") {
  if (!good) throw symopt::Error(what, parameter);
}

/// A caller's struct in the size of this library: what an older caller lacks is zero.
template <class Struct>
Struct in_own_size(const Struct* given, const char* name, std::size_t step = alignof(Struct)) {
  Struct own{};
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  const bool ends_with_a_field = size % step == 0;  // no version ends within one
  require(size >= sizeof size && size <= sizeof(Struct) && ends_with_a_field,
          std::string(name) + ".struct_size is " + std::to_string(size) + "; set it to sizeof(" + name +
              "), which is " + std::to_string(sizeof(Struct)) + " in this version of the library");
  std::memcpy(&own, given, size);
  own.struct_size = sizeof(Struct);
  return own;
}

}  // namespace symopt_c
