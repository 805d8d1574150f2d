// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Update policies of ensmallen's SGD, mlpack's optimizer: see docs/trainers.md. Needs Armadillo, and
/// includes ensmallen where it is found; include mlpack before.

#include <symopt/interop/ensmallen_stack.hpp>
#include <symopt/interop/ensmallen_update.hpp>
