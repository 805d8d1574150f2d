// SPDX-License-Identifier: Apache-2.0
// The products and shifted inverses behind the spectral methods, against plain loops in long double; and the
// same bits for any number of threads. Built several times: as it is, with OpenMP, with a BLAS, with both.
#include "support/kernel_reference.hpp"

#include <symopt/product/products.hpp>
#include <symopt/product/shifted_inverse.hpp>
#ifdef _OPENMP
#include <symopt/symopt.hpp>
#endif

#include <doctest/doctest.h>

#include <map>

namespace kernel_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// Below, at and above the edges of strips, tiles and slabs.
const std::vector<Shape> shapes{{1, 1},   {1, 50},   {5, 3},     {16, 40},   {31, 33},
                                {96, 97}, {97, 200}, {130, 260}, {200, 1100}};

/// A view into a larger matrix: its rows are not neighbours and begin anywhere in a cache line.
template <class Scalar>
struct Embedded {
  explicit Embedded(const Matrix<double>& value)
      : memory(Matrix<Scalar>::Constant(value.rows() + 2, value.cols() + 5,
                                        std::numeric_limits<Scalar>::quiet_NaN())),
        rows(value.rows()),
        cols(value.cols()) {
    view() = value.template cast<Scalar>();
  }
  MatrixRef<Scalar> view() { return memory.block(1, 3, rows, cols); }
  bool surroundings_are_untouched() const {
    Index finite = 0;
    for (Index i = 0; i < memory.size(); ++i) finite += std::isfinite(memory.data()[i]) ? 1 : 0;
    return finite == rows * cols;
  }

  Matrix<Scalar> memory;
  Index rows, cols;
};

TEST_CASE_TEMPLATE("Gram matrices of all inputs, in either order, strided and scaled", Scalar, float,
                   double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : shapes)
    for (const Input& input :
         {Input{"Gaussian", gaussian_block(shape, random)},
          Input{"condition 1e8",
                gaussian_block(shape, random)
                    .cwiseProduct(gaussian_block(shape, random).array().exp().pow(6).matrix())},
          Input{"zero", Matrix<double>::Zero(shape.rows, shape.cols)}}) {
      INFO(symopt::to_string(shape), ", ", input.name);
      Embedded<Scalar> block(input.value);
      const Matrix<double> given = as_double(block.view());
      for (const Side side : {Side::left, Side::right}) {
        const Index size = extent(shape, side);
        kernel::ProductMemory<Scalar> memory(size, extent(shape, opposite(side)));
        Embedded<Scalar> out(Matrix<double>::Constant(size, size, 7.0));
        kernel::gram<Scalar>(block.view(), side, out.view(), memory, Scalar(0.5));
        const Matrix<double> lanes = side == Side::left ? given : given.transpose();
        CHECK(error_in_roundoff(out.view(),
                                reference_product<Scalar>(0.5 * lanes, 0.5 * lanes.transpose())) <= 64);
        CHECK(out.view() == out.view().transpose());
        CHECK(out.surroundings_are_untouched());
      }
    }
}

TEST_CASE_TEMPLATE("a square times a block, in place, and commuting squares", Scalar, float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : shapes)
    for (const Side side : {Side::left, Side::right}) {
      INFO(symopt::to_string(shape), ", ", symopt_test::to_string(side));
      const Index size = extent(shape, side);
      kernel::ProductMemory<Scalar> memory(size, extent(shape, opposite(side)));
      Embedded<Scalar> block(gaussian_block(shape, random)), square(gaussian_block({size, size}, random));
      const Matrix<double> given = 0.25 * as_double(block.view()), factor = as_double(square.view());
      kernel::multiply_square<Scalar>(square.view(), block.view(), side, memory, Scalar(0.25));
      CHECK(error_in_roundoff(block.view(), side == Side::left
                                                ? reference_product<Scalar>(factor, given)
                                                : reference_product<Scalar>(given, factor)) <= 64);
      CHECK(block.surroundings_are_untouched());

      const Matrix<double> half = factor + factor.transpose();
      Embedded<Scalar> a(half), b(half), out(half);
      kernel::symmetric_product<Scalar>(a.view(), b.view(), out.view(), memory);
      const Matrix<double> rounded = as_double(a.view());
      CHECK(error_in_roundoff(out.view(), reference_product<Scalar>(rounded, rounded)) <= 64);
      CHECK(out.view() == out.view().transpose());
    }
}

TEST_CASE_TEMPLATE("shifted inverses", Scalar, float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  CHECK(kernel::sweep_edge(1024) == kernel::block_edge);
  CHECK(kernel::sweep_edge(1025) == 2 * kernel::block_edge);
  for (const Index size : {1, 2, 7, 8, 9, 31, 64, 96, 97, 150, 250, 390})
    for (const auto& given : {std::pair{size, kernel::block_edge},
                              {(size + 1) / 2, kernel::block_edge},
                              {size, 2 * kernel::block_edge}}) {
      const auto rank = given.first;
      const auto edge = given.second;
      CAPTURE(size);
      CAPTURE(rank);
      CAPTURE(edge);
      Matrix<double> block = gaussian_block({size, rank}, random);
      block /= block.norm();
      Matrix<Scalar> gram = (block * block.transpose()).template cast<Scalar>();
      gram = ((gram + gram.transpose()) / Scalar(2)).eval();
      kernel::InverseMemory<Scalar> memory(size, 3, edge);
      const double shifts[] = {1e-1, 1e-3, 1e-5};
      for (std::size_t m = 0; m < 3; ++m) {
        memory.each[m].shift = static_cast<Scalar>(shifts[m]);
        memory.each[m].status = m == 1 ? kernel::InverseStatus::done : kernel::InverseStatus::pending;
      }
      memory.each[1].square.data()[0] = Scalar(42);
      kernel::invert_shifted<Scalar>(gram, memory);
      CHECK(memory.each[1].square.data()[0] == Scalar(42));  // what is not pending is left alone
      for (const std::size_t m : {std::size_t(0), std::size_t(2)}) {
        CHECK(memory.each[m].status == kernel::InverseStatus::done);
        Matrix<double> shifted = as_double(gram), inverse;
        shifted.diagonal().array() += static_cast<double>(memory.each[m].shift);
        REQUIRE(reference_inverse(shifted, inverse));
        double error = 0;
        for (Index i = 0; i < size; ++i)
          for (Index j = 0; j <= i; ++j) {
            const double entry =
                static_cast<double>(memory.each[m].square.data()[i * kernel::square_stride(size) + j]);
            error = std::max(error, std::abs(entry + inverse(i, j)));
          }
        // |inverse|^2 times a backward error of a few units of the norm, which is 1.
        const double largest = 1 / shifts[m];
        CHECK(error <= 8 * roundoff<Scalar> * largest * largest * as_double(gram).norm());
      }
    }
}

TEST_CASE_TEMPLATE("a matrix that is not definite is told apart", Scalar, float, double) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Index size : {1, 5, 96, 200})
    for (const Index bad : {Index(0), size / 2, size - 1}) {
      CAPTURE(size);
      CAPTURE(bad);
      Matrix<Scalar> matrix = Matrix<Scalar>::Identity(size, size);
      for (const Scalar entry :
           {Scalar(-1), std::numeric_limits<Scalar>::quiet_NaN(), std::numeric_limits<Scalar>::infinity()}) {
        matrix(bad, bad) = entry;
        kernel::InverseMemory<Scalar> memory(size, 1);
        kernel::invert_shifted<Scalar>(matrix, memory);
        CHECK(memory.each[0].status == kernel::InverseStatus::not_definite);
      }
    }
}

#ifdef _OPENMP

template <class Method>
Matrix<float> with_threads(int threads, const Matrix<float>& block, const Method& method) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  const Matrix<float> result = Spectral<Method>{method}(block);
  omp_set_num_threads(before);
  return result;
}

TEST_CASE_TEMPLATE("the same bits for 1, 2, 3 and 8 threads", Method, polar::Automatic, polar::Fast,
                   polar::Zolotarev, polar::GramNewtonSchulz, polar::PolarExpress, polar::NewtonSchulz) {
  CAPTURE(default_seed);
  Random random(default_seed);
  for (const Shape shape : {Shape{40, 30}, Shape{300, 310}, Shape{200, 2500}, Shape{2100, 250}}) {
    CAPTURE(symopt::to_string(shape));
    const Matrix<float> block = gaussian_block(shape, random).cast<float>();
    const Matrix<float> one = with_threads(1, block, Method{});
    for (const int threads : {2, 3, 8}) CHECK(same_bits(one, with_threads(threads, block, Method{})));
  }
}

TEST_CASE("the same bits for blocks of a stack, alone, side by side and one after another") {
  CAPTURE(default_seed);
  Random random(default_seed);
  constexpr Index count = 7, rows = 24, cols = 130;
  const Matrix<float> start = gaussian_block({count * rows, cols}, random).cast<float>();
  const Matrix<float> gradient = gaussian_block({count * rows, cols}, random).cast<float>();
  const OptimizerOptions options{.learning_rate = 0.1, .nesterov = true, .weight_decay = 0.01};
  std::map<int, Matrix<float>> results;
  const int before = omp_get_max_threads();
  for (const int threads : {1, 2, 3, 8}) {
    omp_set_num_threads(threads);
    Matrix<float> weights = start;
    LayerwiseOptimizer stack;
    stack.add<HiddenMatrix>("heads", weights, gradient, options, layout::row_heads(count));
    stack.step();
    stack.step();
    results[threads] = weights;
  }
  omp_set_num_threads(before);
  for (const int threads : {2, 3, 8}) CHECK(same_bits(results[1], results[threads]));
  Matrix<float> weights = start;
  for (Index b = 0; b < count; ++b) {
    Optimizer<Update<HiddenMatrix>> optimizer(rows, cols, options);
    for (int step = 0; step < 2; ++step)
      optimizer.step(weights.middleRows(b * rows, rows), gradient.middleRows(b * rows, rows));
  }
  CHECK(same_bits(results[1], weights));
}

#endif

}}  // namespace kernel_test
