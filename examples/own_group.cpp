// SPDX-License-Identifier: Apache-2.0
// A group of your own: cyclic rotations of the rows, the symmetry of a filter bank on a ring. The bound is
// the smallest shipped group that contains it; all derivation goes through the bound.
#include <symopt/check/laws/group_laws.hpp>
#include <symopt/symopt.hpp>

#include <iostream>
#include <random>

using namespace symopt;

struct CyclicRows : IsometricAction<CyclicRows, Side::left> {
  using bound = RowPermutation;

  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    Index turn = 0;  // row i becomes row i + turn, modulo the number of rows
    Index rows = 1;
  };

  template <class Scalar>
  static Element<Scalar> identity(Shape shape) {
    return {0, shape.rows};
  }
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    return {(g.turn + h.turn) % g.rows, g.rows};
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    return {(g.rows - g.turn) % g.rows, g.rows};
  }
  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random(Shape shape, Engine& engine) {
    return {static_cast<Index>(uniform_index(static_cast<std::size_t>(shape.rows), engine)), shape.rows};
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    return {{1 % shape.rows, shape.rows}};
  }
  template <class Scalar>
  static void act(const Element<Scalar>& g, auto& lines) {
    const auto before = lines.eval();
    for (Index i = 0; i < lines.rows(); ++i) lines.row((i + g.turn) % g.rows) = before.row(i);
  }
};
static_assert(SymmetryGroup<CyclicRows> && is_subgroup_v<CyclicRows, RowPermutation>);

/// Filters [directions, width] on a ring, over a width that may be rotated.
struct RingFilters : Product<CyclicRows, RightOrthogonal> {};
static_assert(std::same_as<default_normalization_t<RingFilters>, RowNorm>);

int main() {
  std::cout << check::check_group_laws<RingFilters>();

  std::mt19937_64 random(1);
  const Shape shape{8, 5};
  const auto g = RingFilters::random<double>(shape, random);
  const Update<RingFilters> update;

  Matrix<double> gradient = gaussian<double>(shape, random);
  Matrix<double> moved_direction = update(gradient);
  RingFilters::act_on_update(g, moved_direction);
  RingFilters::act_on_gradient(g, gradient);
  const double error = (update(gradient) - moved_direction).norm() / moved_direction.norm();
  std::cout << "Update<RingFilters> is RowNorm, equivariant up to " << error << '\n';
  return error < 1e-14 ? 0 : 1;
}
