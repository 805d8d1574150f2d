// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Saving and loading of states: where programs that were written for version 0.1 look for it.

#include <symopt/state/state.hpp>
