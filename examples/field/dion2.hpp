// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace field {

/// Dion2: Muon of a part of the lines, those of the momentum that are largest.
///   M <- M + G
///   K: the fraction of the shorter side's lines (rows of a square block) with the largest sums of |M|
///   U = orthogonalized M_K on these lines, 0 on the others;  M_K <- b M_K
/// Equal sums are taken in the order of the lines.
/// Source: Ahn, Amsel and Langford, arXiv 2512.16928, with the choice by sums of their code, microsoft/dion;
/// the paper also draws the lines at random.
struct Dion2 {
  double fraction = 0.25;
  double beta = 0.95;
  Orthogonalize orthogonalize{};

  template <class Scalar>
  struct State {
    explicit State(Shape shape) : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> momentum;
  };

  template <class Weights, class Gradient, class Scalar, class Direction>
  void operator()(const Weights&, const Gradient& gradient, State<Scalar>& state,
                  Direction& direction) const {
    Matrix<Scalar>& momentum = state.momentum;
    momentum += gradient;
    direction.setZero();
    if (momentum.rows() <= momentum.cols()) {
      const std::vector<Index> rows = largest(momentum.cwiseAbs().rowwise().sum());
      const Matrix<Scalar> update = orthogonalize(momentum(rows, Eigen::all));
      direction(rows, Eigen::all) = update;
      momentum(rows, Eigen::all) *= Scalar(beta);
    } else {
      const std::vector<Index> columns = largest(momentum.cwiseAbs().colwise().sum());
      const Matrix<Scalar> update = orthogonalize(momentum(Eigen::all, columns));
      direction(Eigen::all, columns) = update;
      momentum(Eigen::all, columns) *= Scalar(beta);
    }
  }

  /// The places of the largest sums, ascending: the fraction of them, at least one.
  std::vector<Index> largest(const auto& sums) const {
    std::vector<Index> places(static_cast<std::size_t>(sums.size()));
    std::iota(places.begin(), places.end(), Index{0});
    std::stable_sort(places.begin(), places.end(), [&](Index i, Index j) { return sums(i) > sums(j); });
    const double count = std::ceil(fraction * static_cast<double>(places.size()));
    places.resize(std::max<std::size_t>(1, static_cast<std::size_t>(count)));
    std::sort(places.begin(), places.end());
    return places;
  }
};

}  // namespace field
