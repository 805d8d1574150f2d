// SPDX-License-Identifier: Apache-2.0
#include "support/inputs.hpp"

#include <symopt/group/haar.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace symopt_test {

Matrix<double> block_with_spectrum(Shape shape, const std::vector<double>& values, Random& random) {
  const Matrix<double> left = symopt::haar_orthogonal<double>(shape.rows, random);
  const Matrix<double> right = symopt::haar_orthogonal<double>(shape.cols, random);
  Matrix<double> middle = Matrix<double>::Zero(shape.rows, shape.cols);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Index k = static_cast<Index>(i);
    middle(k, k) = values[i];
  }
  return left * middle * right.transpose();
}

std::vector<double> log_spaced(Index count, double condition) {
  std::vector<double> values;
  for (Index i = 0; i < count; ++i)
    values.push_back(
        std::pow(condition, count == 1 ? 0.0 : -static_cast<double>(i) / static_cast<double>(count - 1)));
  return values;
}

Matrix<double> integer_block(Shape shape, Random& random) {
  std::uniform_int_distribution<int> entry(-2, 2);
  return Matrix<double>::NullaryExpr(shape.rows, shape.cols,
                                     [&] { return static_cast<double>(entry(random)); });
}

Matrix<double> centred(const Matrix<double>& block, Side side) {
  if (side == Side::left) return block.rowwise() - block.colwise().mean();
  return block.colwise() - block.rowwise().mean();
}

std::vector<Input> well_conditioned_inputs(Shape shape, Random& random) {
  const Index rank = std::min(shape.rows, shape.cols);
  return {{"Gaussian", gaussian_block(shape, random)},
          {"condition 3", block_with_spectrum(shape, log_spaced(rank, 3), random)}};
}

std::vector<Input> hard_inputs(Shape shape, Random& random) {
  const Index rank = std::min(shape.rows, shape.cols);
  std::vector<Input> inputs;
  const auto add = [&](const char* name, const Matrix<double>& value) { inputs.push_back({name, value}); };
  add("zero", Matrix<double>::Zero(shape.rows, shape.cols));
  add("ones", Matrix<double>::Ones(shape.rows, shape.cols));
  add("rank 1", block_with_spectrum(shape, {2.0}, random));
  add("half the rank", block_with_spectrum(shape, log_spaced((rank + 1) / 2, 4), random));
  add("repeated singular values",
      block_with_spectrum(shape, std::vector<double>(static_cast<std::size_t>(rank), 1.5), random));
  add("integers", integer_block(shape, random));

  Matrix<double> block = gaussian_block(shape, random);
  block.row(shape.rows - 1) = block.row(0);
  add("duplicate rows", block);
  block = gaussian_block(shape, random);
  block.col(shape.cols - 1) = block.col(0);
  add("duplicate columns", block);
  block = gaussian_block(shape, random);
  block.row(0).setZero();
  add("zero row", block);
  block = gaussian_block(shape, random);
  block.col(0).setZero();
  add("zero column", block);
  block = Matrix<double>::Zero(shape.rows, shape.cols);
  block(0, 0) = 3;
  add("one entry", block);
  add("horizontal on the left", centred(gaussian_block(shape, random), Side::left));
  add("horizontal on the right", centred(gaussian_block(shape, random), Side::right));
  add("scale 1e-30", 1e-30 * gaussian_block(shape, random));
  add("scale 1e30", 1e30 * gaussian_block(shape, random));
  return inputs;
}

std::vector<Input> all_inputs(Shape shape, Random& random) {
  std::vector<Input> inputs = well_conditioned_inputs(shape, random);
  for (Input& input : hard_inputs(shape, random)) inputs.push_back(std::move(input));
  return inputs;
}

}  // namespace symopt_test
