// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the checks are compiled. As it comes, every translation unit that calls one compiles what it calls,
// as with any header. A program with many of them defines SYMOPT_CHECK_COMPILED for all its translation
// units, and includes symopt/check/compiled.hpp in one: that one has the definitions, the others the
// declarations alone.
#ifdef SYMOPT_CHECK_COMPILED
#define SYMOPT_CHECK_INLINE
#else
#define SYMOPT_CHECK_INLINE inline
#define SYMOPT_CHECK_DEFINITIONS
#endif
