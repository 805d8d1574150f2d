// SPDX-License-Identifier: Apache-2.0
// Prints include/symopt/polar/minimax_table.hpp. In the top folder:
//   g++ -std=c++20 -O1 -I include -I tests -isystem /usr/include/eigen3 tests/polar/write_minimax_table.cpp
//     tests/support/best_map.cpp -o /tmp/write_minimax_table
//   /tmp/write_minimax_table > /tmp/minimax_table.hpp; mv /tmp/minimax_table.hpp include/symopt/polar/
// The test `minimax` computes every digit again.
#include "support/best_map.hpp"

#include <symopt/polar/minimax_map.hpp>

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>

namespace {

using namespace symopt::polar;

/// Numbers as the table has them.
void print(const double* values, int count) {
  for (int i = 0; i < count; ++i) std::printf("%s%.*e", i > 0 ? ", " : "", minimax_digits - 1, values[i]);
}

template <class Scalar>
void print_table(int terms, const char* scalar, const char* words) {
  std::printf("/// %s\ntemplate <>\ninline constexpr MinimaxTable minimax_table<%s, %d>{{\n", words, scalar,
              terms);
  constexpr int last = minimax_entries - 1;
  symopt_test::BestMap best(terms, minimax_lower_bound(last), minimax_rounding<Scalar>);
  std::array<RationalMap, minimax_entries> maps;
  for (int i = last; i >= 0; --i) {
    best.move_to(minimax_lower_bound(i));
    maps[static_cast<std::size_t>(i)] = best.map();
  }
  for (const RationalMap& map : maps) {
    const double polynomial[] = {map.constant, map.linear};
    std::printf("    {%d, ", terms);
    print(polynomial, 2);
    std::printf(",\n     {");
    print(map.shift.data(), terms);
    std::printf("},\n     {");
    print(map.weight.data(), terms);
    std::printf("}},\n");
  }
  std::printf("}};\n\n");
}

}  // namespace

int main() {
  std::printf(
      "// SPDX-License-Identifier: Apache-2.0\n"
      "// Written by tests/polar/write_minimax_table.cpp, which says how.\n"
      "#pragma once\n\n"
      "#include <symopt/polar/rational_map.hpp>\n\n"
      "#include <array>\n\n"
      "namespace symopt { inline namespace SYMOPT_ABI { namespace polar {\n\n"
      "/// The best maps on [l, 1]: at entry i for l = 1e-3 * 2^(i / 4). Each is its terms, the constant "
      "and\n"
      "/// the linear part, the shifts and the weights.\n"
      "using MinimaxTable = std::array<RationalMap, %d>;\n\n"
      "/// The table for maps with so many terms on blocks of Scalar.\n"
      "template <class Scalar, int terms>\n"
      "inline constexpr MinimaxTable minimax_table{};\n\n"
      "// clang-format off\n",
      minimax_entries);
  print_table<double>(2, "double", "Two terms: the least |map(s) - 1|.");
  print_table<double>(3, "double", "Three terms.");
  print_table<float>(2, "float",
                     "Two terms for float: the least |map(s) - 1| + minimax_rounding<float> / s^2.");
  print_table<float>(3, "float", "Three terms for float.");
  std::printf("// clang-format on\n\n}}}  // namespace symopt::polar\n");
}
