// SPDX-License-Identifier: Apache-2.0
// Whether SGD divides its step size is read from the macros of ensmallen that is included, here from
// definitions.
#include <symopt/interop/ensmallen_batches.hpp>

static_assert(symopt::interop::detail::step_size_is_divided == SYMOPT_EXPECTED);
