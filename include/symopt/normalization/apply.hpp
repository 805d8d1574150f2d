// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/normalization/concept.hpp>

namespace symopt { inline namespace SYMOPT_ABI {

/// For maps that need no memory of their own.
struct NoWorkspace {
  NoWorkspace() = default;
  explicit NoWorkspace(Shape) {}
};

namespace detail {

template <class Map, class Scalar>
struct WorkspaceOf {
  using type = NoWorkspace;
};

template <class Map, class Scalar>
requires InPlaceMap<Map, Scalar>
struct WorkspaceOf<Map, Scalar> {
  using type = typename Map::template Workspace<Scalar>;
};

/// The memory that a map works in: its own workspace, or none for a map that is only callable.
template <class Map, class Scalar>
using workspace_t = typename WorkspaceOf<Map, Scalar>::type;

/// The map X -> map(X^T)^T for a callable that does not state its mirror.
template <class Map>
struct Transposed {
  Map map;

  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return map(block.transpose()).transpose();
  }
};

/// The map as seen from the transposed block.
template <class Map>
auto mirror(const Map& map) {
  if constexpr (requires { map.mirrored(); }) {
    return map.mirrored();
  } else {
    return Transposed<Map>{map};
  }
}

/// The map itself. Errors: what its validate() throws, where it has one.
template <class Map>
const Map& validated(const Map& map) {
  if constexpr (requires { map.validate(); }) map.validate();
  return map;
}

/// The map itself. Errors: what its validate() throws, and its validate_in<Scalar>(), of options that make no
/// sense in that scalar alone.
template <class Scalar, class Map>
const Map& validated_in(const Map& map) {
  validated(map);
  if constexpr (requires { map.template validate_in<Scalar>(); }) map.template validate_in<Scalar>();
  return map;
}

/// The map itself, validated like validated_in; errors name the parameter whose rule it is.
template <class Scalar, class Map>
const Map& validated_for(const std::string& parameter, const Map& map) {
  try {
    return validated_in<Scalar>(map);
  } catch (const Error& error) {
    throw Error(error.text, parameter);
  } catch (const std::invalid_argument& error) {
    throw Error(error.what(), parameter);
  }
}

/// block <- map(block) on a row-major view; the workspace is the map's or its mirror's. `reduction`: nothing,
/// or one for a map that takes it (SplitMap).
template <class Map, class Scalar>
void apply_map(const Map& map, MatrixRef<Scalar> block, [[maybe_unused]] auto& workspace,
               const auto&... reduction) {
  if constexpr (InPlaceMap<Map, Scalar>) {
    map.apply(block, workspace, reduction...);
  } else {
    const Matrix<Scalar> result = map(block);
    if (result.rows() != block.rows() || result.cols() != block.cols())
      throw Error("the rule returned a " + to_string(shape_of(result)) + " matrix for a " +
                  to_string(shape_of(block)) + " block; it must keep the shape");
    block = result;
  }
}

/// block <- map(block) for writable memory of either storage order with inner stride 1: a
/// column-major block is its row-major transpose under the mirrored map.
template <class Map, class Derived>
void apply_in_place(const Map& map, Derived& block, workspace_t<Map, typename Derived::Scalar>& workspace) {
  using Scalar = typename Derived::Scalar;
  if constexpr (is_row_major_v<Derived>) {
    apply_map<Map, Scalar>(map, row_major_view(block), workspace);
  } else {
    const auto mirrored = mirror(map);
    apply_map<std::remove_const_t<decltype(mirrored)>, Scalar>(mirrored, row_major_view(block), workspace);
  }
}

}  // namespace detail

/// map(block) as a new matrix.
template <class Map, class Derived>
Matrix<typename Derived::Scalar> applied(const Map& map, const Eigen::MatrixBase<Derived>& block) {
  using Scalar = typename Derived::Scalar;
  static_assert(RealScalar<Scalar>, "symopt computes in float and double; cast the block first");
  detail::validated(map);
  Matrix<Scalar> result = block;
  detail::workspace_t<Map, Scalar> workspace(detail::shape_of(result));
  detail::apply_in_place(map, result, workspace);
  return result;
}

}}  // namespace symopt
