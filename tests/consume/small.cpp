// SPDX-License-Identifier: Apache-2.0
// A program that takes one header of an installed symopt: quick to compile, and it needs Eigen and
// Boost.Hana.
#include <symopt/derive/update.hpp>
#include <symopt/group/named_groups.hpp>

int main() {
  symopt::Matrix<float> gradient(3, 2);
  gradient << 1, 2, 3, 4, 5, 7;
  const symopt::Matrix<float> direction = symopt::Update<symopt::LmHead>()(gradient);
  return direction.norm() > 0.5F && direction.colwise().sum().norm() < 1e-5F ? 0 : 1;
}
