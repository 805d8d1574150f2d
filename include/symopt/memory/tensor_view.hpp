// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/matrix.hpp>
#include <symopt/memory/countable.hpp>

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// A parameter tensor in the trainer's memory: any number of dimensions, any strides (in scalars). `Scalar`
/// may be const. Owns sizes and strides, never the elements.
///   TensorView<float>(pointer, {experts, rows, cols})    row-major without gaps
///   TensorView<float>(matrix)                            an Eigen matrix, map or block
/// A vector has one dimension.
/// Errors: std::invalid_argument for a negative size, for more bytes than Index counts, or as many strides as
/// sizes not given.
template <class Scalar>
class TensorView {
 public:
  /// Without const.
  using value_type = std::remove_const_t<Scalar>;

  /// Row-major without gaps.
  TensorView(Scalar* data, std::vector<Index> sizes) : TensorView(data, sizes, row_major_strides(sizes)) {}

  /// Any strides, in scalars; 0 and negative ones too.
  TensorView(Scalar* data, std::vector<Index> sizes, std::vector<Index> strides)
      : data_(data), sizes_(std::move(sizes)), strides_(std::move(strides)) {
    if (sizes_.size() != strides_.size())
      throw Error("a tensor of " + std::to_string(sizes_.size()) + " dimensions needs as many strides, not " +
                  std::to_string(strides_.size()));
    for (const Index size : sizes_)
      if (size < 0) throw Error("a tensor cannot have the size " + to_string());
    require_countable();
  }

  /// The memory of an Eigen object that outlives the view, in either storage order.
  template <detail::EigenMemory<Scalar> Derived>
  requires detail::outlives_expression_v<Derived>
  explicit TensorView(Derived&& block) : data_(block.data()) {
    using Plain = std::remove_cvref_t<Derived>;
    if constexpr (Plain::IsVectorAtCompileTime) {
      sizes_ = {block.size()};
      strides_ = {block.innerStride()};
    } else {
      sizes_ = {block.rows(), block.cols()};
      strides_ = {block.rowStride(), block.colStride()};
    }
    require_countable();
  }

  /// The read-only view of what a writable one shows.
  template <class Writable>
  requires(std::same_as<const Writable, Scalar> && !std::same_as<Writable, Scalar>)
      TensorView(const TensorView<Writable>& other)
      : data_(other.data()), sizes_(other.sizes()), strides_(other.strides()) {}

  /// The element with all indices 0; sizes and strides of the dimensions; their number.
  ///@{
  Scalar* data() const { return data_; }
  const std::vector<Index>& sizes() const { return sizes_; }
  const std::vector<Index>& strides() const { return strides_; }
  Index dimensions() const { return static_cast<Index>(sizes_.size()); }

  ///@}

  /// Tests whether a size is 0: there are no elements.
  bool is_empty() const {
    for (const Index size : sizes_)
      if (size == 0) return true;
    return false;
  }

  /// The first address and the one past the last: what the tensor's elements lie between.
  std::pair<Scalar*, Scalar*> address_range() const {
    if (is_empty()) return {data_, data_};
    Index below = 0, above = 0;
    for (std::size_t d = 0; d < sizes_.size(); ++d) {
      const Index extent = (sizes_[d] - 1) * strides_[d];
      (extent < 0 ? below : above) += extent;
    }
    return {data_ + below, data_ + above + 1};
  }

  /// Tensor number i along the first dimension.
  TensorView slice(Index i) const {
    return TensorView(data_ + i * strides_.front(), {sizes_.begin() + 1, sizes_.end()},
                      {strides_.begin() + 1, strides_.end()});
  }

  /// "32x1024x2048"
  std::string to_string() const {
    std::string text;
    for (const Index size : sizes_) {
      if (!text.empty()) text += 'x';
      text += std::to_string(size);
    }
    return text.empty() ? "scalar" : text;
  }

 private:
  /// Where the strides overflow there are too many elements, and the constructor says so.
  static std::vector<Index> row_major_strides(const std::vector<Index>& sizes) {
    std::vector<Index> strides(sizes.size(), 1);
    for (std::size_t d = sizes.size(); d-- > 1;)
      if (__builtin_mul_overflow(strides[d], sizes[d], &strides[d - 1])) strides[d - 1] = 0;
    return strides;
  }

  void require_countable() const {
    detail::require_countable(sizes_, strides_, sizeof(Scalar), {},
                              [&] { return "a tensor of " + to_string(); });
  }

  Scalar* data_;
  std::vector<Index> sizes_;
  std::vector<Index> strides_;
};

}}  // namespace symopt
