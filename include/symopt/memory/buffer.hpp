// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Memory for rows * cols scalars, allocated once and viewed as a row-major block of any shape of at
/// most that size; a block and its transpose can take turns in it. Starts at zero, on a cache line.
template <class Scalar>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index size) : data_(allocate(size)), size_(size) {
    if (size > 0) std::memset(data_, 0, bytes(size));
  }
  Buffer(const Buffer& other) : data_(allocate(other.size_)), size_(other.size_) {
    if (size_ > 0) std::memcpy(data_, other.data_, bytes(size_));
  }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) ::operator delete(data_, alignment);
  }

  Index size() const { return size_; }
  Scalar* data() { return data_; }
  const Scalar* data() const { return data_; }

  MatrixRef<Scalar> as(Shape shape) {
    eigen_assert(shape.rows * shape.cols <= size_);
    return Eigen::Map<Matrix<Scalar>, 0, Eigen::OuterStride<>>(data_, shape.rows, shape.cols,
                                                               Eigen::OuterStride<>(shape.cols));
  }

  Eigen::Map<const Matrix<Scalar>> as(Shape shape) const {
    eigen_assert(shape.rows * shape.cols <= size_);
    return {data_, shape.rows, shape.cols};
  }

 private:
  static constexpr std::align_val_t alignment{64};

  static std::size_t bytes(Index size) { return static_cast<std::size_t>(size) * sizeof(Scalar); }
  static Scalar* allocate(Index size) {
    return size > 0 ? static_cast<Scalar*>(::operator new(bytes(size), alignment)) : nullptr;
  }

  Scalar* data_ = nullptr;
  Index size_ = 0;
};

}}}  // namespace symopt::kernel
