// SPDX-License-Identifier: Apache-2.0
// A symopt that was installed with OpenMP and BLAS brings both along: as flags, and as libraries to link.
#include <symopt/configuration.hpp>

#include <iostream>
#include <string>

extern "C" void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);

int main() {
  const std::string text = symopt::configuration();
  std::cout << text << '\n';
  double a = 9;
  const int one = 1;
  int info = 1;
  dpotrf_("L", &one, &a, &one, &info);
  const bool linked = info == 0 && a == 3;
  return linked && text.find("OpenMP with") != std::string::npos && text.find(", BLAS") != std::string::npos
             ? 0
             : 1;
}
