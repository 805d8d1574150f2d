// SPDX-License-Identifier: Apache-2.0
// The library in a second translation unit: everything that is not a template must be inline.
#include <symopt/symopt.hpp>

double norm_of_step(const symopt::Matrix<float>& gradient) {
  return symopt::Update<symopt::Embedding>()(gradient).norm();
}
