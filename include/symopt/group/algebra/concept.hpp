// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/families.hpp>
#include <symopt/matrix.hpp>

#include <concepts>

// The algebras of r x r matrices whose invertible elements a pair of blocks A (m x r), B (n x r) does not
// see: A -> A g, B -> B g^-T leaves A B^T as it is. Each contains the identity and the transposes of its
// elements.
namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

template <class A, class Scalar>
concept ProjectsAndFactors = requires(MatrixRef<Scalar> square) {
  A::template project<Scalar>(square);
  { A::template factor<Scalar>(square) } -> std::same_as<bool>;
};

}  // namespace detail

/// An algebra of r x r matrices with the identity and all transposes: a stateless policy.
///
/// Minimal definition, for Scalar double:
///   project<Scalar>(square)     square <- Pi(square), the orthogonal projection onto the algebra
///   factor<Scalar>(positive)    positive <- F in the algebra with F^T F = positive, for a positive definite
///                               element; false for one that is not
/// Optional:
///   require_size(r)             throws Error for a size without elements
///   orthogonal                  SideFamilies that contain the orthogonal elements: what a normalization has
///                               to allow; absent: all rotations
///   normaliser                  SideFamilies of the orthogonal Q with Q^T a Q in the algebra for all a: what
///                               the derived normalization follows; absent: all rotations
///
/// Laws, for a, b in the algebra and every S: Pi(Pi(S)) = Pi(S); Pi(a S b) = a Pi(S) b; Pi(S^T) = Pi(S)^T;
/// <Pi(S), T> = <S, Pi(T)>; Pi(I) = I; products, transposes and inverses stay in the algebra.
///
/// Models: those of namespace algebra.
template <class A>
concept PairAlgebra = detail::ProjectsAndFactors<A, double>;

namespace algebra {

/// An invertible element and its inverse.
template <class Scalar>
struct Invertible {
  Matrix<Scalar> matrix;   ///< g
  Matrix<Scalar> inverse;  ///< g^-1
};

}  // namespace algebra

}}  // namespace symopt
