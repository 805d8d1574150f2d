// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/small_storage.hpp>
#include <symopt/check/wide.hpp>
#include <symopt/memory/blocks.hpp>

#include <cstddef>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// A rule for whole tensors as users write them: reads the gradient, writes the direction.
using TensorRule = std::function<void(TensorView<const double> gradient, TensorView<double> direction)>;

namespace detail {

/// A stored tensor with its blocks, in memory of its own.
class StoredBlocks {
 public:
  explicit StoredBlocks(const Storage& storage);
  StoredBlocks(const StoredBlocks&) = delete;
  StoredBlocks& operator=(const StoredBlocks&) = delete;

  const TensorView<double>& tensor() const { return tensor_; }
  std::size_t count() const { return blocks_.size(); }
  Shape shape(std::size_t b) const { return shape_of(blocks_[b]); }
  std::vector<Shape> shapes() const;

  Matrix<double> block(std::size_t b) const;
  std::vector<Matrix<double>> all() const;
  void set(std::size_t b, const Matrix<double>& values);

 private:
  std::vector<double> memory_;
  TensorView<double> tensor_;
  std::vector<symopt::detail::BlockView<double>> blocks_;
};

/// Equal shapes and the same bits, NaN and the sign of zero included.
bool has_same_bits(const Matrix<double>& a, const Matrix<double>& b);

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE StoredBlocks::StoredBlocks(const Storage& storage)
    : memory_(static_cast<std::size_t>(
          std::accumulate(storage.sizes.begin(), storage.sizes.end(), Index{1}, std::multiplies<>{}))),
      tensor_(memory_.data(), storage.sizes),
      blocks_(symopt::detail::blocks_of(tensor_, storage.layout, "checked tensor")) {}

SYMOPT_CHECK_INLINE std::vector<Shape> StoredBlocks::shapes() const {
  std::vector<Shape> shapes;
  for (std::size_t b = 0; b < count(); ++b) shapes.push_back(shape(b));
  return shapes;
}

SYMOPT_CHECK_INLINE Matrix<double> StoredBlocks::block(std::size_t b) const {
  Matrix<double> copy(shape(b).rows, shape(b).cols);
  symopt::detail::for_each_segment(blocks_[b], [&](Index i, Index j, const auto& segment) {
    for (Index k = 0; k < segment.size(); ++k) copy(i, j + k) = segment(k);
  });
  return copy;
}

SYMOPT_CHECK_INLINE std::vector<Matrix<double>> StoredBlocks::all() const {
  std::vector<Matrix<double>> copies;
  for (std::size_t b = 0; b < count(); ++b) copies.push_back(block(b));
  return copies;
}

SYMOPT_CHECK_INLINE void StoredBlocks::set(std::size_t b, const Matrix<double>& values) {
  symopt::detail::for_each_segment(blocks_[b], [&](Index i, Index j, auto&& segment) {
    for (Index k = 0; k < segment.size(); ++k) segment(k) = values(i, j + k);
  });
}

SYMOPT_CHECK_INLINE bool has_same_bits(const Matrix<double>& a, const Matrix<double>& b) {
  return shape_of(a) == shape_of(b) &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(double)) == 0;
}
#endif

}  // namespace detail

}}}  // namespace symopt::check
