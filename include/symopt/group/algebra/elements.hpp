// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra/concept.hpp>
#include <symopt/group/matrix_product.hpp>
#include <symopt/group/random.hpp>

#include <cmath>
#include <utility>
#include <vector>

// Elements of any algebra: its own where it draws them, else from its projection.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The inverse of a square matrix, by Gauss-Jordan with partial pivoting; not finite for a singular one.
template <class Scalar>
Matrix<Scalar> inverse_of(Matrix<Scalar> matrix) {
  const Index size = matrix.rows();
  Matrix<Scalar> inverse = Matrix<Scalar>::Identity(size, size);
  for (Index k = 0; k < size; ++k) {
    Index pivot = k;
    for (Index i = k + 1; i < size; ++i)
      if (std::abs(matrix(i, k)) > std::abs(matrix(pivot, k))) pivot = i;
    for (Index j = 0; j < size; ++j) {
      std::swap(matrix(k, j), matrix(pivot, j));
      std::swap(inverse(k, j), inverse(pivot, j));
    }
    const Scalar scale = 1 / matrix(k, k);
    for (Index j = 0; j < size; ++j) {
      matrix(k, j) *= scale;
      inverse(k, j) *= scale;
    }
    for (Index i = 0; i < size; ++i) {
      const Scalar factor = matrix(i, k);
      if (i == k || factor == 0) continue;
      for (Index j = 0; j < size; ++j) {
        matrix(i, j) -= factor * matrix(k, j);
        inverse(i, j) -= factor * inverse(k, j);
      }
    }
  }
  return inverse;
}

/// I + step, and its inverse.
template <class Scalar>
algebra::Invertible<Scalar> near_identity(Matrix<Scalar> step) {
  for (Index i = 0; i < step.rows(); ++i) step(i, i) += 1;
  return {step, inverse_of(step)};
}

/// The projection of a matrix, scaled to a Frobenius norm; zero where it is zero.
template <class A, class Scalar>
Matrix<Scalar> projected_to_norm(Matrix<Scalar> matrix, double norm) {
  A::template project<Scalar>(matrix);
  Scalar squares = 0;
  for (Index k = 0; k < matrix.size(); ++k) squares += matrix.data()[k] * matrix.data()[k];
  const Scalar factor = squares > 0 ? static_cast<Scalar>(norm) / std::sqrt(squares) : Scalar(0);
  for (Index k = 0; k < matrix.size(); ++k) matrix.data()[k] *= factor;
  return matrix;
}

/// An invertible element of condition up to `condition`: drawn by the algebra, or the product of three
/// elements I + Y of the cube root's condition, with Y the projection of a Gaussian matrix.
template <class A, class Scalar, RandomEngine Engine>
algebra::Invertible<Scalar> random_invertible(Index size, double condition, Engine& engine) {
  if constexpr (requires { A::template random<Scalar>(size, condition, engine); }) {
    return A::template random<Scalar>(size, condition, engine);
  } else {
    const double each = std::cbrt(condition), length = (each - 1) / (each + 1);
    algebra::Invertible<Scalar> element{Matrix<Scalar>::Identity(size, size),
                                        Matrix<Scalar>::Identity(size, size)};
    for (int factor = 0; factor < 3; ++factor) {
      const auto next =
          near_identity(projected_to_norm<A, Scalar>(gaussian<Scalar>({size, size}, engine), length));
      element = {matrix_product(element.matrix, next.matrix), matrix_product(next.inverse, element.inverse)};
    }
    return element;
  }
}

/// The algebra's generators; without any, I + Y / 2 for the projection Y of each matrix with a single entry,
/// which generate the component of the identity.
template <class A, class Scalar>
std::vector<algebra::Invertible<Scalar>> generators_of(Index size) {
  if constexpr (requires { A::template generators<Scalar>(size); }) {
    return A::template generators<Scalar>(size);
  } else {
    std::vector<algebra::Invertible<Scalar>> elements;
    for (Index i = 0; i < size; ++i)
      for (Index j = 0; j < size; ++j) {
        Matrix<Scalar> entry = Matrix<Scalar>::Zero(size, size);
        entry(i, j) = 1;
        elements.push_back(near_identity(projected_to_norm<A, Scalar>(entry, 0.5)));
      }
    return elements;
  }
}

/// Throws Error for a size without elements.
template <class A>
void require_size([[maybe_unused]] Index size) {
  if constexpr (requires { A::require_size(size); }) A::require_size(size);
}

}}}  // namespace symopt::detail
