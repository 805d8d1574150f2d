// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/memory/block_view.hpp>

#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The rows of a block that exist. The others (the padding of a vocabulary) are not there for the rule: they
/// count in no mean and no norm, are never read and never written, and their momentum stays as it is.
///   RowMask()               all rows
///   RowMask::first(50257)   rows 0 to 50256
///   RowMask(exists)         those i with exists[i]
class RowMask {
 public:
  RowMask() = default;

  /// The first `count` rows. Errors: std::invalid_argument for a negative count.
  static RowMask first(Index count) {
    if (count < 0) throw Error("a row mask cannot have a negative number of rows");
    RowMask mask;
    mask.is_all_ = false;
    mask.is_prefix_ = true;
    mask.count_ = count;
    return mask;
  }

  /// Row i for every true exists[i]; its size is the number of rows of the block.
  explicit RowMask(const std::vector<bool>& exists)
      : is_all_(false), size_(static_cast<Index>(exists.size())) {
    for (std::size_t i = 0; i < exists.size(); ++i)
      if (exists[i]) rows_.push_back(static_cast<Index>(i));
    count_ = static_cast<Index>(rows_.size());
    is_prefix_ = rows_.empty() || rows_.back() == count_ - 1;
  }

  /// Tests whether no row is missing.
  bool is_all() const { return is_all_; }
  /// Tests whether the rows that exist come first, so that a plain view shows them.
  bool is_prefix() const { return is_all_ || is_prefix_; }

  /// The rows of `view` that exist, as a view. This mask must outlive it.
  template <class Scalar>
  detail::BlockView<Scalar> existing(detail::BlockView<Scalar> view) const {
    if (is_all_) return view;
    if (is_prefix_) {
      view.rows.size = count_;
    } else {
      view.selected_rows = rows_.data();
      view.selected_count = count_;
    }
    return view;
  }

  /// Throws std::invalid_argument that names the parameter unless the mask is one for blocks with these rows.
  void validate(const std::string& parameter, const detail::Axis& axis) const {
    const Index rows = axis.size;
    const auto require = [&](bool good, const std::string& what) {
      if (!good)
        detail::fail({parameter},
                     detail::joined({"the row mask ", what, " but ",
                                     rows == 1 ? "the block has 1 row"
                                               : "a block has " + std::to_string(rows) + " rows"}));
    };
    // The first rows of several parts are no regular axis.
    detail::require(is_all_ || axis.parts == 1, {parameter},
                    "a row mask needs rows of even spacing, which paired neurons are not; "
                    "use the layout without layout::transposed() inside the pairing");
    require(size_ < 0 || size_ == rows, "is for " + std::to_string(size_) + " rows");
    require(is_all_ || count_ <= rows, "says that " + std::to_string(count_) + " rows exist");
  }

  friend bool operator==(const RowMask&, const RowMask&) = default;

  /// "" for all rows, or "50257 rows exist".
  std::string to_string() const {
    return is_all_ ? "" : std::to_string(count_) + (count_ == 1 ? " row exists" : " rows exist");
  }

  /// Tells this mask from all others: "" for all rows, "first 50257", or "of 12: 0-3 7 9-11" for those that
  /// exist.
  std::string signature() const {
    if (is_all_) return "";
    if (size_ < 0) return "first " + std::to_string(count_);
    std::string text = "of " + std::to_string(size_) + ":";
    for (std::size_t i = 0, end = 0; i < rows_.size(); i = end) {
      for (end = i + 1; end < rows_.size() && rows_[end] == rows_[end - 1] + 1;) ++end;
      text += " " + std::to_string(rows_[i]);
      if (end - i > 1) text += "-" + std::to_string(rows_[end - 1]);
    }
    return text;
  }

 private:
  bool is_all_ = true;
  bool is_prefix_ = true;
  Index count_ = 0;
  Index size_ = -1;  ///< the rows it speaks of; -1: any number
  std::vector<Index> rows_;
};

}}  // namespace symopt
