// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <symopt/check/any_group.hpp>

#include <vector>

// Elements of a group whose type is hidden, for tests of what a group is made of.
namespace symopt_test {

using symopt::check::AnyGroup;
using symopt::check::ErasedGroup;

/// The generators and a few random elements.
inline std::vector<AnyGroup::Element> sample_elements(const AnyGroup& group, Shape shape, Random& random,
                                                      int draws = 3) {
  std::vector<AnyGroup::Element> elements = group.generators(shape);
  for (int i = 0; i < draws; ++i) elements.push_back(group.random(shape, random));
  return elements;
}

/// The matrix by which an element of a one-sided linear group multiplies: A of W -> A W or W -> W A^T.
inline Matrix<double> matrix_of(const AnyGroup& group, const AnyGroup::Element& g, Index size) {
  const Matrix<double> image = as_double(group.on_update(g, symopt::check::WideMatrix::Identity(size, size)));
  return group.families().left == symopt::SideFamilies{} ? Matrix<double>(image.transpose()) : image;
}

}  // namespace symopt_test
