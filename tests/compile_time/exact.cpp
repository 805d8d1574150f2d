// SPDX-License-Identifier: Apache-2.0
// The one that names Exact.
#include <symopt/symopt.hpp>

symopt::Matrix<float> direction(const symopt::Matrix<float>& momentum) {
  return symopt::Update<symopt::HiddenMatrix, symopt::Spectral<symopt::polar::Exact>>()(momentum);
}
