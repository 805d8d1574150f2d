// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/threads.hpp>
#include <symopt/version.hpp>

#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// The build options of this translation unit, in one line:
///   symopt 0.2.0: avx512, OpenMP with 2 threads, BLAS
/// Without OpenMP it says "one thread", without SYMOPT_USE_BLAS "own products". A unit that the compiler did
/// not optimize says so, and what to do: its steps take many times as long.
inline std::string configuration() {
#define SYMOPT_TEXT_EXPANDED(x) #x
#define SYMOPT_TEXT(x) SYMOPT_TEXT_EXPANDED(x)
  std::string text = "symopt " SYMOPT_TEXT(SYMOPT_VERSION_MAJOR) "." SYMOPT_TEXT(
      SYMOPT_VERSION_MINOR) "." SYMOPT_TEXT(SYMOPT_VERSION_PATCH) ": " SYMOPT_TEXT(SYMOPT_ABI_ISA) ", ";
#undef SYMOPT_TEXT
#undef SYMOPT_TEXT_EXPANDED
#ifdef _OPENMP
  text += "OpenMP with " + std::to_string(kernel::thread_count()) + " threads, ";
#else
  text += "one thread, ";
#endif
#ifdef SYMOPT_USE_BLAS
  text += "BLAS";
#else
  text += "own products";
#endif
#if !defined(__OPTIMIZE__) && (defined(__GNUC__) || defined(__clang__))
  text += "; not optimized, so slow: compile with -O3 -march=native";
#endif
  return text;
}

}}  // namespace symopt
