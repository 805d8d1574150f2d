// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/algebra/sample.hpp>
#include <symopt/group/haar.hpp>
#include <symopt/group/matrix_product.hpp>

#include <cmath>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace algebra {

/// All r x r matrices: the gauge of a LoRA pair, and of value and output of a head.
/// Orthogonal elements: all of O(r), which is also the normaliser. Factor: upper triangular, by Cholesky
/// (r^3 / 3 flops). Its invertible elements are GL(r); where r exceeds the rows of a block, B^T B is
/// singular.
struct Full {
  static constexpr SideFamilies orthogonal{.rotations = true};
  static constexpr SideFamilies normaliser{.rotations = true};

  template <class Scalar>
  static void project(MatrixRef<Scalar>) {}

  template <class Scalar>
  static bool factor(MatrixRef<Scalar> positive) {
    const Index size = positive.rows();
    for (Index i = 0; i < size; ++i) {
      for (Index k = 0; k < i; ++k)
        for (Index j = i; j < size; ++j) positive(i, j) -= positive(k, i) * positive(k, j);
      if (!(positive(i, i) > 0)) return false;
      const Scalar root = std::sqrt(positive(i, i));
      for (Index j = i; j < size; ++j) positive(i, j) /= root;
      for (Index j = 0; j < i; ++j) positive(i, j) = 0;
    }
    return true;
  }

  /// block <- block F^-1, by substitution: r^2 flops for each row.
  template <class Scalar>
  static void divide(const MatrixRef<Scalar>& factor, MatrixRef<Scalar> block) {
    for (Index i = 0; i < block.rows(); ++i)
      for (Index k = 0; k < block.cols(); ++k) {
        block(i, k) /= factor(k, k);
        for (Index j = k + 1; j < block.cols(); ++j) block(i, j) -= block(i, k) * factor(k, j);
      }
  }

  /// block <- block F^-T.
  template <class Scalar>
  static void divide_by_transpose(const MatrixRef<Scalar>& factor, MatrixRef<Scalar> block) {
    for (Index i = 0; i < block.rows(); ++i)
      for (Index k = block.cols() - 1; k >= 0; --k) {
        for (Index j = k + 1; j < block.cols(); ++j) block(i, k) -= block(i, j) * factor(k, j);
        block(i, k) /= factor(k, k);
      }
  }

  /// Q diag(s) R^T with Q, R from the Haar measure and singular values s that spread over `condition`.
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> random(Index size, double condition, Engine& engine) {
    const Matrix<Scalar> q = haar_orthogonal<Scalar>(size, engine), r = haar_orthogonal<Scalar>(size, engine);
    return product(q, detail::spread_numbers(size, condition, engine), r);
  }
  /// Q diag(s) Q^T.
  template <class Scalar, RandomEngine Engine>
  static Invertible<Scalar> random_positive(Index size, double condition, Engine& engine) {
    const Matrix<Scalar> q = haar_orthogonal<Scalar>(size, engine);
    return product(q, detail::spread_numbers(size, condition, engine), q);
  }
  /// Rotations of neighbouring coordinates, a reflection, and the first coordinate times 2 and times 3: they
  /// generate a dense subgroup of GL(r).
  template <class Scalar>
  static std::vector<Invertible<Scalar>> generators(Index size) {
    std::vector<Invertible<Scalar>> elements;
    for (const auto& rotation : detail::orthogonal_generators<Scalar>(size))
      elements.push_back({rotation, rotation.transpose()});
    if (size > 0)
      for (const Scalar number : {Scalar(2), Scalar(3)})
        elements.push_back(detail::scaled_coordinate(size, 0, number));
    return elements;
  }

 private:
  template <class Scalar>
  static Invertible<Scalar> product(const Matrix<Scalar>& q, const std::vector<double>& values,
                                    const Matrix<Scalar>& r) {
    Matrix<Scalar> stretched = q, shrunk = r;
    for (Index j = 0; j < q.cols(); ++j) {
      const auto value = static_cast<Scalar>(values[static_cast<std::size_t>(j)]);
      for (Index i = 0; i < q.rows(); ++i) {
        stretched(i, j) *= value;
        shrunk(i, j) /= value;
      }
    }
    return {detail::matrix_product<Scalar>(stretched, r.transpose()),
            detail::matrix_product<Scalar>(shrunk, q.transpose())};
  }
};

static_assert(PairAlgebra<Full>);

}}}  // namespace symopt::algebra
