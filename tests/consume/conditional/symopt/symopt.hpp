// SPDX-License-Identifier: Apache-2.0
#pragma once
#ifdef SYMOPT_USE_BLAS
#include <symopt/version.hpp>
#endif
