// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/pipeline.hpp>

#include <boost/hana/flatten.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: X -> N_k(...N_2(N_1(X))): the normalizations one after the other, the first one first.
/// Inside an Update whose group has a shift, the horizontal projection is inserted after each stage
/// that can leave the horizontal space.
/// Then<RowNorm, Spectral<>> and Then<Spectral<>, RowNorm> are the two hybrids of arXiv 2605.18106.
/// Largest group: at least the meet of the stages' groups. Keeps horizontal blocks: where all stages do.
/// Cost: the sum of the stages'.
template <class First, class... Rest>
struct Then {
  boost::hana::tuple<First, Rest...>
      stages{};  ///< the normalizations with their options, the first one first

  /// All stages with their default options.
  Then() = default;
  /// The stages as given.
  Then(First first, Rest... rest) requires(sizeof...(Rest) > 0)
      : stages(std::move(first), std::move(rest)...) {}
  /// The one stage as given.
  explicit Then(First first) requires(sizeof...(Rest) == 0) : stages(std::move(first)) {}

  static constexpr Families families = [] {
    Families common = detail::claimed_families<First>;
    ((common = detail::meet(common, detail::claimed_families<Rest>)), ...);
    return common;
  }();
  static constexpr bool keeps_horizontal(Side side) {
    return (symopt::detail::keeps_horizontal<First>(side) && ... &&
            symopt::detail::keeps_horizontal<Rest>(side));
  }

  template <class Scalar>
  struct Workspace : detail::Pipeline<HorizontalProjection<>, First, Rest...>::template Workspace<Scalar> {
    using detail::Pipeline<HorizontalProjection<>, First, Rest...>::template Workspace<Scalar>::Workspace;
  };

  void validate() const {
    boost::hana::for_each(stages, [](const auto& stage) { detail::validated(stage); });
  }
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, auto& workspace, const auto&... reduction) const {
    const detail::Pipeline<HorizontalProjection<>, First, Rest...> pipeline(stages);
    pipeline.template apply<Scalar>(block, workspace, reduction...);
  }
  auto mirrored() const {
    return boost::hana::unpack(stages, [](const auto&... stage) {
      return Then<std::remove_cvref_t<decltype(detail::mirror(stage))>...>(detail::mirror(stage)...);
    });
  }
};

namespace detail {

template <class... Ns>
constexpr auto stages_of(const Then<Ns...>& then) {
  return hana::unpack(
      then.stages, [](const auto&... stage) { return hana::flatten(hana::make_tuple(stages_of(stage)...)); });
}

}  // namespace detail

}}  // namespace symopt
