// SPDX-License-Identifier: Apache-2.0
#include "steps.hpp"

double error_with_wide_registers() {
  return error_of_steps();
}
