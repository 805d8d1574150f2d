// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The version of symopt; CMake parses these three lines, so a plain `-I include` works too.
#define SYMOPT_VERSION_MAJOR 0
#define SYMOPT_VERSION_MINOR 2
#define SYMOPT_VERSION_PATCH 0
