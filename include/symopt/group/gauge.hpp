// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra.hpp>
#include <symopt/group/algebra/elements.hpp>
#include <symopt/group/orthogonal.hpp>
#include <symopt/group/trivial.hpp>
#include <symopt/side.hpp>

#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The size of a pair of blocks: A is rows_of_a x rank, B is rows_of_b x rank.
struct PairShape {
  Index rows_of_a = 0;  ///< m
  Index rows_of_b = 0;  ///< n
  Index rank = 0;       ///< r, the columns of both

  Shape a() const { return {rows_of_a, rank}; }  ///< m x r
  Shape b() const { return {rows_of_b, rank}; }  ///< n x r

  friend bool operator==(const PairShape&, const PairShape&) = default;
};

inline std::string to_string(const PairShape& shape) {
  return to_string(shape.a()) + " and " + to_string(shape.b());
}

/// The gauge group of a pair of blocks A (m x r), B (n x r) of which only A B^T matters, and the groups that
/// act on the rows of A and on the rows of B from outside.
/// Action: g in Algebra, invertible, and outer elements P, Q:
///   weights   A -> P A g,         B -> Q B g^-T
///   gradients G_A -> P^-T G_A g^-T, G_B -> Q^-T G_B g, the contragredient action
///   updates   U_A -> P U_A g,     U_B -> Q U_B g^-T
/// Random element: of a condition up to 1e3, log-uniform, or up to the one given. Generators: those of the
/// algebra and of the outer groups. Cost of the action: 2 (m + n) r^2 flops.
/// Errors, at compile time: an outer group that moves columns, or has a shift.
template <class Algebra, class OuterOfA = Trivial, class OuterOfB = Trivial>
struct Gauge {
  static_assert(PairAlgebra<Algebra>,
                "the first argument of a gauge is an algebra of r x r matrices: algebra::Full, "
                "algebra::Planes<>, algebra::Diagonal, algebra::Scalars, or one of your own with project and "
                "factor; see docs/pairs.md");
  static_assert(!families_of<OuterOfA>.left.translations && !families_of<OuterOfB>.left.translations &&
                    !families_of<OuterOfA>.right.translations && !families_of<OuterOfB>.right.translations,
                "a pair with a shift (SharedShift, ColumnShift) among its outer groups is not derived in "
                "this version; see docs/pairs.md");
  static_assert(!families_of<OuterOfA>.right.is_linear() && !families_of<OuterOfB>.right.is_linear(),
                "the outer groups of a pair act on the rows of A and of B (LeftOrthogonal, RowPermutation); "
                "the columns belong to the gauge; see docs/pairs.md");

  using algebra = Algebra;      ///< whose invertible elements act on the columns
  using outer_of_a = OuterOfA;  ///< what acts on the rows of A
  using outer_of_b = OuterOfB;  ///< what acts on the rows of B

  /// g with its inverse, and the elements that act on the rows of A and of B.
  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    symopt::algebra::Invertible<Scalar> gauge;
    element_t<OuterOfA, Scalar> outer_a;
    element_t<OuterOfB, Scalar> outer_b;
  };

  template <class Scalar>
  static Element<Scalar> identity(PairShape shape) {
    const Index r = shape.rank;
    return {{Matrix<Scalar>::Identity(r, r), Matrix<Scalar>::Identity(r, r)},
            OuterOfA::template identity<Scalar>(shape.a()),
            OuterOfB::template identity<Scalar>(shape.b())};
  }
  /// First h, then g: A -> (A h) g.
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    return {{detail::matrix_product(h.gauge.matrix, g.gauge.matrix),
             detail::matrix_product(g.gauge.inverse, h.gauge.inverse)},
            OuterOfA::compose(g.outer_a, h.outer_a),
            OuterOfB::compose(g.outer_b, h.outer_b)};
  }
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    return {{g.gauge.inverse, g.gauge.matrix}, OuterOfA::inverse(g.outer_a), OuterOfB::inverse(g.outer_b)};
  }
  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random(PairShape shape, Engine& engine, double most_condition = 1e3) {
    detail::require_size<Algebra>(shape.rank);
    const double condition = std::pow(most_condition, uniform_number(engine));
    // Braces fix the order in which the factors draw.
    return Element<Scalar>{detail::random_invertible<Algebra, Scalar>(shape.rank, condition, engine),
                           OuterOfA::template random<Scalar>(shape.a(), engine),
                           OuterOfB::template random<Scalar>(shape.b(), engine)};
  }
  template <class Scalar>
  static std::vector<Element<Scalar>> generators(PairShape shape) {
    detail::require_size<Algebra>(shape.rank);
    std::vector<Element<Scalar>> elements;
    const Element<Scalar> one = identity<Scalar>(shape);
    const auto add = [&](auto&& set) {
      elements.push_back(one);
      set(elements.back());
    };
    for (auto& g : detail::generators_of<Algebra, Scalar>(shape.rank))
      add([&](Element<Scalar>& element) { element.gauge = std::move(g); });
    for (auto& outer : OuterOfA::template generators<Scalar>(shape.a()))
      add([&](Element<Scalar>& element) { element.outer_a = std::move(outer); });
    for (auto& outer : OuterOfB::template generators<Scalar>(shape.b()))
      add([&](Element<Scalar>& element) { element.outer_b = std::move(outer); });
    return elements;
  }

  template <class Scalar>
  static void act_on_weights(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> a,
                             std::type_identity_t<MatrixRef<Scalar>> b) {
    act_on_update(g, a, b);
  }
  template <class Scalar>
  static void act_on_gradient(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> a,
                              std::type_identity_t<MatrixRef<Scalar>> b) {
    OuterOfA::act_on_gradient(g.outer_a, a);
    OuterOfB::act_on_gradient(g.outer_b, b);
    multiply<Scalar>(a, g.gauge.inverse.transpose());
    multiply<Scalar>(b, g.gauge.matrix);
  }
  template <class Scalar>
  static void act_on_update(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> a,
                            std::type_identity_t<MatrixRef<Scalar>> b) {
    OuterOfA::act_on_update(g.outer_a, a);
    OuterOfB::act_on_update(g.outer_b, b);
    multiply<Scalar>(a, g.gauge.matrix);
    multiply<Scalar>(b, g.gauge.inverse.transpose());
  }

 private:
  template <class Scalar>
  static void multiply(MatrixRef<Scalar> block, const Matrix<Scalar>& by) {
    block = detail::matrix_product<Scalar>(Matrix<Scalar>(block), by);
  }
};

/// A LoRA pair, W + A B^T: A the up matrix [out, r], B the transposed down matrix [in, r].
struct LoraPair : Gauge<algebra::Full, LeftOrthogonal, LeftOrthogonal> {};

/// The output and the value matrix of a head, both [width, head size]: A the columns of o, B the transposed
/// rows of v.
struct ValueOutput : Gauge<algebra::Full, LeftOrthogonal, LeftOrthogonal> {};

/// The query and the key matrix of a head under rotary positions, transposed, both [width, head size]. For
/// the pairing of halves derive from Gauge<algebra::Planes<algebra::Pairing::halves>, ...> likewise.
struct QueryKey : Gauge<algebra::Planes<>, LeftOrthogonal, LeftOrthogonal> {};

/// The up and down matrices of gated neurons, both [width, neurons]: up transposed, and down.
struct NeuronPair : Gauge<algebra::Diagonal, LeftOrthogonal, LeftOrthogonal> {};

/// A group of pairs: Gauge, or a struct that derives from one.
template <class G>
concept PairGroup = requires(const typename G::template Element<double>& g, MatrixRef<double> block) {
  typename G::algebra;
  typename G::outer_of_a;
  typename G::outer_of_b;
  G::template identity<double>(PairShape{});
  G::act_on_weights(g, block, block);
  G::act_on_gradient(g, block, block);
  G::act_on_update(g, block, block);
};

static_assert(PairGroup<LoraPair> && PairGroup<ValueOutput> && PairGroup<QueryKey> && PairGroup<NeuronPair>);

}}  // namespace symopt
