// SPDX-License-Identifier: Apache-2.0
// The checks, compiled once for all tests; these define SYMOPT_CHECK_COMPILED. See symopt/check/linkage.hpp.
#include <symopt/check/compiled.hpp>
