// SPDX-License-Identifier: Apache-2.0
// The Gram matrix of lines in double, and lines times a small square, beside plain loops in more digits.
#include "support/inputs.hpp"

#include <symopt/pair/line_gram.hpp>
#include <symopt/pair/line_product.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace line_products_test { namespace {

using namespace symopt;
using namespace symopt_test;
using symopt::detail::LineGram;
using symopt::detail::LineProduct;

constexpr Index ranks[] = {1, 2, 3, 5, 8, 12, 16, 17, 31, 33, 64, 100, 128};
constexpr Index counts[] = {1, 3, 8, 17, 63, 200, 256};
constexpr Index padding = 3;

/// Lines whose columns are nearly one, scaled by 30 and 1/30 in turn: of condition 1e3 and more.
Matrix<float> hard_lines(Index count, Index rank, Random& random) {
  const Matrix<double> first = gaussian_block({count, 1}, random),
                       others = gaussian_block({count, rank}, random);
  Matrix<double> lines(count, rank);
  for (Index j = 0; j < rank; ++j)
    lines.col(j) = (first + 1e-3 * others.col(j)) * (j % 2 == 0 ? 30.0 : 1.0 / 30);
  return lines.cast<float>();
}

/// Memory of lines with gaps: as rows, or as columns.
struct Memory {
  Memory(const Matrix<float>& lines, Side side)
      : stride((side == Side::right ? lines.cols() : lines.rows()) + padding),
        data(static_cast<std::size_t>((side == Side::right ? lines.rows() : lines.cols()) * stride), -7.0F) {
    for (Index l = 0; l < lines.rows(); ++l)
      for (Index j = 0; j < lines.cols(); ++j) at(l, j, side) = lines(l, j);
  }
  float& at(Index line, Index column, Side side) {
    return data[static_cast<std::size_t>(side == Side::right ? line * stride + column
                                                             : column * stride + line)];
  }

  Index stride;
  std::vector<float> data;
};

/// The largest error of a Gram matrix in units of |x_i| |x_j|.
double gram_error(const Matrix<float>& lines, const Matrix<double>& gram) {
  double worst = 0;
  for (Index i = 0; i < lines.cols(); ++i)
    for (Index j = 0; j < lines.cols(); ++j) {
      long double sum = 0, first = 0, second = 0;
      for (Index l = 0; l < lines.rows(); ++l) {
        const auto x = static_cast<long double>(lines(l, i)), y = static_cast<long double>(lines(l, j));
        sum += x * y;
        first += x * x;
        second += y * y;
      }
      const long double error = std::abs(static_cast<long double>(gram(i, j)) - sum);
      worst = std::max(worst, static_cast<double>(error / std::sqrt(first * second)));
    }
  return worst;
}

TEST_CASE("Gram matrices of float lines have the digits of double, in either storage, of any size") {
  Random random(default_seed);
  for (const Index rank : ranks)
    for (const Index count : counts) {
      if (rank > 33 && count > 17 && count < 256) continue;
      CAPTURE(rank);
      CAPTURE(count);
      const Matrix<float> lines = hard_lines(count, rank, random);
      const LineGram<double> gram(rank);
      std::vector<double> slab(static_cast<std::size_t>(gram.slab_size()), 1e300);
      const double most = static_cast<double>(count + 8) * 0x1p-53;
      for (const Side side : {Side::right, Side::left}) {
        Memory memory(lines, side);
        std::vector<double> sums(static_cast<std::size_t>(gram.sums_size()));
        const auto row = [&](Index i, Index j, Index, float*) {
          return memory.data.data() + i * memory.stride + j;
        };
        gram.add(row, side, count, slab.data(), sums.data());
        Matrix<double> result = Matrix<double>::Zero(rank, rank);
        gram.add_to(result, sums.data());
        CHECK(gram_error(lines, result) <= most);
        CHECK(same_bits(result, Matrix<double>(result.transpose())));
        gram.add(row, side, count, slab.data(), sums.data());  // sums go on
        Matrix<double> twice = Matrix<double>::Zero(rank, rank);
        gram.add_to(twice, sums.data());
        CHECK((twice - 2 * result).cwiseAbs().maxCoeff() <= most * twice.cwiseAbs().maxCoeff());
      }
      if (gram.has_whole_tiles()) {
        std::vector<double> sums(static_cast<std::size_t>(gram.sums_size()));
        gram.add(lines.data(), count, slab.data(), sums.data());
        Matrix<double> result = Matrix<double>::Zero(rank, rank);
        gram.add_to(result, sums.data());
        CHECK(gram_error(lines, result) <= most);
      }
    }
}

TEST_CASE("lines times a small square, in either storage, and nothing beside them is written") {
  Random random(default_seed);
  for (const Index rank : ranks)
    for (const Index count : counts) {
      if (rank > 33 && count > 17 && count < 256) continue;
      CAPTURE(rank);
      CAPTURE(count);
      const Matrix<float> lines = hard_lines(count, rank, random);
      const Matrix<float> square = gaussian_block({rank, rank}, random).cast<float>();
      LineProduct<float> product(rank);
      for (Index i = 0; i < rank; ++i)
        for (Index j = 0; j < rank; ++j) product.entry(i, j) = square(i, j);
      const Matrix<double> exact = lines.cast<double>() * square.cast<double>();
      const Matrix<double> bound = lines.cast<double>().cwiseAbs() * square.cast<double>().cwiseAbs() *
                                   (static_cast<double>(rank + 1) * 0x1p-24);
      for (const Side side : {Side::right, Side::left}) {
        Memory from(lines, side), to(Matrix<float>::Constant(count, rank, 5), side);
        const float marker = to.data.back();
        product.apply(from.data.data(), from.stride, side, count, to.data.data(), to.stride);
        bool is_close = true;
        for (Index l = 0; l < count; ++l)
          for (Index j = 0; j < rank; ++j)
            is_close = is_close &&
                       std::abs(static_cast<double>(to.at(l, j, side)) - exact(l, j)) <= bound(l, j) + 1e-40;
        CHECK(is_close);
        const Index rows = side == Side::right ? count : rank;
        bool is_untouched = true;
        for (Index i = 0; i < rows; ++i)
          for (Index k = to.stride - padding; k < to.stride; ++k)
            is_untouched = is_untouched && to.data[static_cast<std::size_t>(i * to.stride + k)] == marker;
        CHECK(is_untouched);
      }
    }
}

}}  // namespace line_products_test::
