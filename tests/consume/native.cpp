// SPDX-License-Identifier: Apache-2.0
// native yes|no: whether this program has the flags of symopt::native, by what symopt says of them.
#include <symopt/configuration.hpp>

#include <iostream>
#include <string>

int main(int count, char** arguments) {
  const std::string text = symopt::configuration();
  std::cout << text << '\n';
  const bool is_native =
      text.find("not optimized") == std::string::npos && text.find("OpenMP") != std::string::npos;
  return count == 2 && is_native == (arguments[1] == std::string("yes")) ? 0 : 1;
}
