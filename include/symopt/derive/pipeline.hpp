// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/normalization/horizontal_projection.hpp>

#include <boost/hana/append.hpp>
#include <boost/hana/fold_left.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/integral_constant.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>

#include <utility>

namespace symopt { inline namespace SYMOPT_ABI {

template <class First, class... Rest>
struct Then;

namespace detail {

namespace hana = boost::hana;

/// A place in a pipeline: the i-th stage, or the projection.
template <std::size_t i, class Map>
struct Stage {};
struct Project {};

/// Tests whether the map keeps the horizontal space of every shift that the projection removes.
template <class Projection, class Map>
constexpr bool stays_horizontal() {
  return (!Projection::projects(Side::left) || keeps_horizontal<Map>(Side::left)) &&
         (!Projection::projects(Side::right) || keeps_horizontal<Map>(Side::right));
}

/// U = P o N_k o ... o N_1 o P as a list: the projection first and last, and again after each stage
/// that can leave the horizontal space. Without a shift, the stages alone.
template <class Projection, class... Maps, std::size_t... i>
constexpr auto derive_steps(std::index_sequence<i...>) {
  constexpr auto stages = hana::make_tuple(Stage<i, Maps>{}...);
  if constexpr (Projection::is_identity) {
    return stages;
  } else {
    return hana::fold_left(stages, hana::make_tuple(Project{}),
                           []<std::size_t k, class Map>(auto before, Stage<k, Map> stage) {
                             constexpr bool is_last = k + 1 == sizeof...(Maps);
                             if constexpr (is_last || !stays_horizontal<Projection, Map>()) {
                               return hana::append(hana::append(before, stage), Project{});
                             } else {
                               return hana::append(before, stage);
                             }
                           });
  }
}

/// Maps one after the other with projections between them, in the order derived at compile time: what
/// an update is once its group is known. Works in place.
template <class Projection, class... Maps>
class Pipeline {
 public:
  using projection = Projection;  ///< P; the mirrored pipeline has the mirrored one

  explicit Pipeline(const hana::tuple<Maps...>& maps) : maps_(maps) {}

  template <class Scalar>
  struct Workspace {
    explicit Workspace(Shape shape) : projection(shape), maps(workspace_t<Maps, Scalar>(shape)...) {}

    typename Projection::template Workspace<Scalar> projection;
    hana::tuple<workspace_t<Maps, Scalar>...> maps;
  };

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, auto& workspace) const {
    hana::for_each(steps,
                   Runner<Scalar, std::remove_reference_t<decltype(workspace)>>{*this, block, workspace});
  }
  /// The steps on the rows that one process has of a block, where every stage takes the reduction.
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, auto& workspace, const auto& reduction) const {
    hana::for_each(steps, [&](auto step) {
      Runner<Scalar, std::remove_reference_t<decltype(workspace)>>{*this, block, workspace}(step, reduction);
    });
  }

  template <std::size_t i>
  const auto& map() const {
    return maps_[hana::size_c<i>];
  }

  auto mirrored() const {
    return hana::unpack(maps_, [](const auto&... map) {
      return Pipeline<decltype(Projection{}.mirrored()), std::remove_cvref_t<decltype(mirror(map))>...>(
          hana::make_tuple(mirror(map)...));
    });
  }

 private:
  static constexpr auto steps = derive_steps<Projection, Maps...>(std::index_sequence_for<Maps...>{});

  template <class Scalar, class W>
  struct Runner {
    const Pipeline& pipeline;
    MatrixRef<Scalar>& block;
    W& workspace;

    void operator()(Project, const auto&... reduction) const {
      Projection{}.template apply<Scalar>(block, workspace.projection, reduction...);
    }
    template <std::size_t i, class Map>
    void operator()(Stage<i, Map>, const auto&... reduction) const {
      apply_map<Map, Scalar>(pipeline.maps_[hana::size_c<i>], block, workspace.maps[hana::size_c<i>],
                             reduction...);
    }
  };

  hana::tuple<Maps...> maps_;
};

/// The maps of a normalization as a flat tuple of values; of a composition its stages, those of nested ones
/// among them.
///@{
template <class N>
constexpr auto stages_of(const N& normalization) {
  return hana::make_tuple(normalization);
}
template <class... Ns>
constexpr auto stages_of(const Then<Ns...>& then);
///@}

/// How many there are.
template <class N>
inline constexpr std::size_t stage_count_v =
    decltype(hana::length(stages_of(std::declval<const N&>())))::value;

/// The pipeline of a normalization under a projection.
template <class Projection, class N>
constexpr auto make_pipeline(const N& normalization) {
  return hana::unpack(stages_of(normalization), []<class... Maps>(const Maps&... map) {
    return Pipeline<Projection, Maps...>(hana::make_tuple(map...));
  });
}

}  // namespace detail

}}  // namespace symopt
