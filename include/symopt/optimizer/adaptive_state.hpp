// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/kernel/adaptive.hpp>
#include <symopt/memory/oriented_buffer.hpp>
#include <symopt/optimizer/moment_state.hpp>
#include <symopt/optimizer/moments.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The state of a rule with second moments: a momentum and the roots of the mean squares, which unlike the
/// mean squares stay in range for every finite gradient. Both still have the bias of a start from zero.
template <class Moments, class Scalar>
class AdaptiveState {
  static constexpr bool is_entrywise = std::same_as<Moments, moments::Entries>;
  struct Lines : std::vector<double> {
    explicit Lines(Shape shape) : vector(static_cast<std::size_t>(MomentTraits<Moments>::count(shape))) {}
  };

 public:
  explicit AdaptiveState(Shape shape) : momentum_(shape), roots_(shape) {}

  /// The mean of the gradients, rows x cols, read-only.
  auto momentum() const { return momentum_.view(); }
  /// The roots of the mean squares: rows x cols for moments::Entries, else a number for each row or column,
  /// or one.
  decltype(auto) root_mean_squares() const {
    if constexpr (is_entrywise) {
      return roots_.view();
    } else {
      return static_cast<const std::vector<double>&>(roots_);
    }
  }

  std::int64_t step = 0;

  void visit(auto&& field) {
    field("momentum", momentum_);
    field("root_mean_squares", roots_);
    field("step", step);
  }
  /// Throws Error for what no step makes.
  void validate() const {
    if constexpr (is_entrywise) {
      require_means_of_squares(roots_.view(), "root_mean_squares");
    } else {
      for (const double root : roots_) require_mean_of_squares(root, "root_mean_squares");
    }
  }

  bool is_finite() const {
    const auto are_finite = [](const auto& numbers) {
      return std::all_of(numbers.begin(), numbers.end(), [](auto x) { return symopt::detail::is_finite(x); });
    };
    if constexpr (is_entrywise) {
      return all_entries_finite(momentum()) && all_entries_finite(roots_.view());
    } else {
      return all_entries_finite(momentum()) && are_finite(roots_);
    }
  }
  /// The momentum with its bound.
  kernel::OrientedBuffer<Scalar>& bounded_momentum() { return momentum_; }
  const kernel::OrientedBuffer<Scalar>& bounded_momentum() const { return momentum_; }

  /// The momentum for a step in that orientation, and the roots, as a block whose memory runs along rows or
  /// as a line.
  ///@{
  BlockView<Scalar> momentum_for(Orientation orientation) { return momentum_.for_step(orientation); }
  template <Orientation orientation>
  auto root_lines_for() {
    if constexpr (is_entrywise) {
      const BlockView<Scalar> block = roots_.for_step(orientation);
      return BlockView<Scalar>(along_rows<orientation>(block));
    } else {
      return roots_.data();
    }
  }
  ///@}

 private:
  kernel::OrientedBuffer<Scalar> momentum_;
  std::conditional_t<is_entrywise, kernel::OrientedBuffer<Scalar>, Lines> roots_;
};

}}}  // namespace symopt::detail
