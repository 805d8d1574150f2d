// SPDX-License-Identifier: Apache-2.0
#pragma once

// For the one translation unit that compiles the checks of a program with SYMOPT_CHECK_COMPILED; see
// linkage.hpp. To be included before all other headers of the checks.
#if defined(SYMOPT_CHECK_COMPILED) && defined(SYMOPT_CHECK_INLINE)
#error "symopt: include <symopt/check/compiled.hpp> before all other headers of the checks"
#endif
#ifdef SYMOPT_CHECK_COMPILED
#define SYMOPT_CHECK_DEFINITIONS
#endif

#include <symopt/check.hpp>
