// SPDX-License-Identifier: Apache-2.0
// Blocks of more than 2^31 elements, and strides and distances beyond it. The memory is address space alone,
// of which the rows that exist touch a few pages.
#include "support/inputs.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>

#include <doctest/doctest.h>

#include <sys/mman.h>

#include <memory>
#include <vector>

namespace huge_block_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Index two_to_31 = Index{1} << 31;

/// Address space for that many floats, zero where it is touched.
class AddressSpace {
 public:
  explicit AddressSpace(Index floats) : bytes_(static_cast<std::size_t>(floats) * sizeof(float)) {
    void* const mapped =
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(mapped != MAP_FAILED);
    data_ = static_cast<float*>(mapped);
  }
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;
  ~AddressSpace() { ::munmap(data_, bytes_); }
  float* data() const { return data_; }

 private:
  std::size_t bytes_;
  float* data_ = nullptr;
};

using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
using Spread = Eigen::Map<Matrix<float>, 0, Strides>;

/// Three steps in the large memory and in matrices; the two must agree to rounding.
template <class ClassOrRule>
void check_strides(Index row_stride, Index col_stride) {
  CAPTURE(row_stride);
  CAPTURE(col_stride);
  const Shape shape{4, 3};
  const Index extent = 3 * row_stride + 2 * col_stride + 1;
  const AddressSpace weights_view_of(extent), gradient_view_of(extent);
  Spread weights(weights_view_of.data(), 4, 3, Strides(row_stride, col_stride));
  Spread gradient(gradient_view_of.data(), 4, 3, Strides(row_stride, col_stride));
  Random random(default_seed);
  Matrix<float> small = gaussian_block(shape, random).cast<float>(), small_gradient(4, 3);
  weights = small;
  const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1};
  LayerwiseOptimizer stack, reference;
  const std::vector<Index> sizes{4, 3}, strides{row_stride, col_stride};
  stack.add<ClassOrRule>("w", TensorView<float>(weights_view_of.data(), sizes, strides),
                         TensorView<const float>(gradient_view_of.data(), sizes, strides), options);
  reference.add<ClassOrRule>("w", small, std::as_const(small_gradient), options);
  for (int step = 0; step < 3; ++step) {
    small_gradient = gaussian_block(shape, random).cast<float>();
    gradient = small_gradient;
    stack.step();
    reference.step();
  }
  CHECK(relative_error(as_double(Matrix<float>(weights)), as_double(small)) <= 1e-5);
}

TEST_CASE("lines may be further apart than 2^31 scalars, whichever way a block runs") {
  CAPTURE(default_seed);
  for (const Index far : {two_to_31 + 7, 2 * two_to_31 + 1}) {
    check_strides<LmHead>(far, 1);
    check_strides<LmHead>(1, far);
    check_strides<AdamW>(far, 1);
    check_strides<AdamW>(5, far);
    check_strides<HiddenMatrix>(far, 2);
  }
}

TEST_CASE("experts may be further apart than 2^31 scalars") {
  const Index far = two_to_31 + 64;
  const AddressSpace weights(3 * far), gradient(3 * far);
  for (Index e = 0; e < 3; ++e)
    for (Index i = 0; i < 12; ++i) gradient.data()[e * far + i] = static_cast<float>(e + 1);
  LayerwiseOptimizer stack;
  stack.add<Sign>("experts", TensorView<float>(weights.data(), {3, 3, 4}, {far, 4, 1}),
                  TensorView<const float>(gradient.data(), {3, 3, 4}, {far, 4, 1}), {.learning_rate = 0.5},
                  layout::experts());
  stack.step();
  for (Index e = 0; e < 3; ++e)
    for (Index i = 0; i < 12; ++i) CHECK(weights.data()[e * far + i] == -0.5F);
  CHECK(weights.data()[12] == 0);
}

TEST_CASE("a block of 2^32 elements, of which three rows exist") {
  const Index rows = Index{1} << 22, cols = 1024;
  const AddressSpace weights(rows * cols), gradient(rows * cols);
  const std::vector<Index> existing{0, (Index{1} << 21) + 3, rows - 1};
  std::vector<bool> exists(static_cast<std::size_t>(rows), false);
  Matrix<float> small(3, cols), small_gradient(3, cols);
  Random random(default_seed);
  small = gaussian_block({3, cols}, random).cast<float>();
  small_gradient = gaussian_block({3, cols}, random).cast<float>();
  for (Index i = 0; i < 3; ++i) {
    const Index row = existing[static_cast<std::size_t>(i)];
    exists[static_cast<std::size_t>(row)] = true;
    for (Index j = 0; j < cols; ++j) {
      weights.data()[row * cols + j] = small(i, j);
      gradient.data()[row * cols + j] = small_gradient(i, j);
    }
  }
  LayerwiseOptimizer stack, reference;
  stack.add<AdamW>("w", TensorView<float>(weights.data(), {rows, cols}),
                   TensorView<const float>(gradient.data(), {rows, cols}), {.learning_rate = 0.1}, {},
                   RowMask(exists));
  reference.add<AdamW>("w", small, std::as_const(small_gradient), {.learning_rate = 0.1});
  for (int step = 0; step < 2; ++step) {
    CHECK(stack.step().applied);
    reference.step();
  }
  for (Index i = 0; i < 3; ++i) {
    const Eigen::Map<const Matrix<float>> row(weights.data() + existing[static_cast<std::size_t>(i)] * cols,
                                              1, cols);
    CHECK(relative_error(as_double(row), as_double(small.row(i))) <= 1e-6);
  }
  CHECK(stack.plan().rows().front().shape == "4194304x1024");
}

TEST_CASE("the optimizer of one block takes an outer stride beyond 2^31") {
  const Index far = two_to_31 + 9;
  const AddressSpace memory(2 * far + 16);
  using Far = Eigen::Map<Matrix<float>, 0, Eigen::OuterStride<>>;
  Far weights(memory.data(), 3, 4, Eigen::OuterStride<>(far));
  Matrix<float> small = Matrix<float>::Constant(3, 4, 2), gradient(3, 4);
  Random random(default_seed);
  gradient = gaussian_block({3, 4}, random).cast<float>();
  weights = small;
  Optimizer<Update<LmHead>> one(3, 4), other(3, 4);
  one.step(weights, gradient);
  other.step(small, gradient);
  CHECK(relative_error(as_double(Matrix<float>(weights)), as_double(small)) <= 1e-6);
}

}}  // namespace huge_block_test
