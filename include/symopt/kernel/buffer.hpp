// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

namespace symopt::inline SYMOPT_ABI::kernel {

/// Memory for rows * cols scalars, taken once and viewed as a row-major block of any shape of at
/// most that size; a block and its transpose can take turns in it. Starts at zero.
template <class Scalar>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index size) : storage_(Storage::Zero(size)) {}

  Index size() const { return storage_.size(); }
  Scalar* data() { return storage_.data(); }
  const Scalar* data() const { return storage_.data(); }

  MatrixRef<Scalar> as(Shape shape) {
    eigen_assert(shape.rows * shape.cols <= storage_.size());
    return Eigen::Map<Matrix<Scalar>, 0, Eigen::OuterStride<>>(storage_.data(), shape.rows, shape.cols,
                                                               Eigen::OuterStride<>(shape.cols));
  }

  Eigen::Map<const Matrix<Scalar>> as(Shape shape) const {
    eigen_assert(shape.rows * shape.cols <= storage_.size());
    return {storage_.data(), shape.rows, shape.cols};
  }

 private:
  using Storage = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
  Storage storage_;
};

}  // namespace symopt::kernel
