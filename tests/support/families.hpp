// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/equivariance.hpp"

// The families of linear generators by hand, without any of the library's groups.
namespace symopt_test {

struct LinearFamily {
  std::string name;
  symopt::SideFamilies families;
};

/// Block sizes 2 and 3 stand for all.
inline const std::vector<LinearFamily>& linear_families() {
  static const std::vector<LinearFamily> all{{"swaps", {.swaps = true}},
                                             {"signs", {.signs = true}},
                                             {"rotations", {.rotations = true}},
                                             {"positive scalings", {.positive_scalings = true}},
                                             {"rotations in blocks of 2", {.block_rotations = 2}},
                                             {"rotations in blocks of 3", {.block_rotations = 3}},
                                             {"swaps of blocks of 2", {.block_swaps = 2}},
                                             {"swaps of blocks of 3", {.block_swaps = 3}}};
  return all;
}

namespace detail {

inline Matrix<double> rotation(Index n, Index i, Index j, double angle) {
  Matrix<double> a = Matrix<double>::Identity(n, n);
  a(i, i) = a(j, j) = std::cos(angle);
  a(j, i) = std::sin(angle);
  a(i, j) = -a(j, i);
  return a;
}

inline Matrix<double> diagonal_entry(Index n, Index i, double value) {
  Matrix<double> a = Matrix<double>::Identity(n, n);
  a(i, i) = value;
  return a;
}

inline Matrix<double> block_swap(Index n, Index first, Index size) {
  Matrix<double> a = Matrix<double>::Identity(n, n);
  for (Index i = first; i < first + size; ++i) a.row(i).swap(a.row(i + size));
  return a;
}

}  // namespace detail

/// The generators of one family on a side with n lines.
inline std::vector<Motion> generators_of(const LinearFamily& family, Side side, Index n) {
  std::vector<Motion> motions;
  const auto add = [&](const Matrix<double>& a, const Matrix<double>& inverse) {
    motions.push_back(linear_motion(
        to_string(side) + " " + family.name + " " + std::to_string(motions.size()), side, a, inverse));
  };
  const auto add_orthogonal = [&](const Matrix<double>& a) { add(a, a.transpose()); };
  const symopt::SideFamilies& f = family.families;
  for (Index i = 0; i < n; ++i) {
    if (f.swaps && i + 1 < n) add_orthogonal(detail::block_swap(n, i, 1));
    if (f.signs) add_orthogonal(detail::diagonal_entry(n, i, -1));
    if (f.rotations && i + 1 < n) add_orthogonal(detail::rotation(n, i, i + 1, 0.7));
    if (f.positive_scalings) add(detail::diagonal_entry(n, i, 2.5), detail::diagonal_entry(n, i, 0.4));
    if (f.block_rotations > 0 && (i + 1) % f.block_rotations != 0)
      add_orthogonal(detail::rotation(n, i, i + 1, 0.7));
    if (f.block_swaps > 0 && i % f.block_swaps == 0 && i + f.block_swaps < n)
      add_orthogonal(detail::block_swap(n, i, f.block_swaps));
  }
  return motions;
}

}  // namespace symopt_test
