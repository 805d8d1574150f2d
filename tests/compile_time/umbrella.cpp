// SPDX-License-Identifier: Apache-2.0
#include <symopt/symopt.hpp>
