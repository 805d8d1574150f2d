// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/kernel/reduction.hpp>
#include <symopt/polar/rational_map.hpp>
#include <symopt/product/inverse_sum.hpp>
#include <symopt/product/products.hpp>
#include <symopt/scaling.hpp>
#include <symopt/threads.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// Two norms of a block with the singular values s, from its Gram matrix A, without an eigensolver.
struct GramNorms {
  double trace = 0;  ///< sum of s^2, the squared Frobenius norm of the block
  double norm = 0;   ///< the Frobenius norm of A, root of the sum of s^4: no s^2 exceeds it

  /// (sum of s^2)^2 / sum of s^4: from 1 to the rank, which it is when all are equal.
  double effective_rank() const { return trace / norm * (trace / norm); }
};

/// A map for singular values in units of `unit`.
struct ScaledMap {
  RationalMap map;          ///< of s / unit
  double unit_squared = 1;  ///< the square of the unit
};

/// The memory of a rational map: squares of k x k for the Gram matrix and for the inverses that are computed
/// together, and packed slabs.
template <class Scalar>
struct RationalWorkspace {
  RationalWorkspace(Shape shape, Side gram_side, int most_terms = 3)
      : products(extent(shape, gram_side), extent(shape, opposite(gram_side))),
        square(extent(shape, gram_side) * kernel::square_stride(extent(shape, gram_side))),
        diagonal(extent(shape, gram_side)),
        inverses(extent(shape, gram_side), std::min(most_terms, inverses_at_once(extent(shape, gram_side)))) {
  }

  kernel::ProductMemory<Scalar> products;
  kernel::Buffer<Scalar> square;    // on and under the diagonal the Gram matrix, above it the sum of inverses
  kernel::Buffer<Scalar> diagonal;  // of that sum
  kernel::InverseMemory<Scalar> inverses;

 private:
  /// Few lanes are few tiles to share, and take little memory: their inverses are computed together.
  static constexpr int inverses_at_once(Index lanes) { return lanes <= 832 ? 3 : lanes <= 1024 ? 2 : 1; }
};

namespace detail {

/// The norms of a Gram matrix, of which the lower triangle is read; the scratch holds a number for each of
/// its rows. Cost: k^2.
template <class Scalar>
GramNorms norms_of(const MatrixRef<Scalar>& gram, kernel::Buffer<Scalar>& scratch) {
  const double trace = gram.diagonal().template cast<double>().sum();
  Scalar* rows = scratch.data();
  kernel::share_work(gram.rows(), 4.0 * static_cast<double>(gram.size()), [&](Index i) {
    const Scalar part = static_cast<Scalar>(1 / trace);
    const Scalar diagonal = part * gram.coeff(i, i);
    rows[i] = 2 * (part * gram.row(i).head(i)).squaredNorm() + diagonal * diagonal;
  });
  double sum = 0;
  for (Index i = 0; i < gram.rows(); ++i) sum += static_cast<double>(rows[i]);
  return {trace, trace * std::sqrt(sum)};
}

/// square <- the rational function of it by which `chosen` multiplies a block.
template <class Scalar>
void evaluate(MatrixRef<Scalar> square, double trace, const ScaledMap& chosen,
              RationalWorkspace<Scalar>& workspace) {
  auto& each = workspace.inverses.each;
  const RationalMap& map = chosen.map;
  const double unit = chosen.unit_squared;
  const auto terms = static_cast<std::size_t>(map.terms);
  const double lowest = 2 * static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * trace;
  kernel::InverseSum<Scalar> sum{square, workspace.diagonal.data(), static_cast<Scalar>(map.constant),
                                 static_cast<Scalar>(map.linear / unit),
                                 static_cast<Scalar>(1 / std::sqrt(unit))};
  const std::size_t batches = (terms + each.size() - 1) / each.size();
  for (std::size_t batch = 0; batch < batches; ++batch) {
    const std::size_t begin = terms * batch / batches, used = terms * (batch + 1) / batches - begin;
    for (std::size_t m = 0; m < each.size(); ++m) {
      each[m].status = m < used ? kernel::InverseStatus::pending : kernel::InverseStatus::done;
      each[m].weight = 0;
      if (m >= used) continue;
      each[m].shift = static_cast<Scalar>(std::max(map.shift[begin + m] * unit, lowest));
      each[m].weight = static_cast<Scalar>(-map.weight[begin + m] * unit);
    }
    const auto is_pending = [](const auto& one) { return one.status == kernel::InverseStatus::pending; };
    while (std::any_of(each.begin(), each.end(), is_pending)) {
      kernel::invert_shifted<Scalar>(square, workspace.inverses);
      for (auto& one : each)
        if (one.status == kernel::InverseStatus::not_definite) {
          one.shift *= Scalar(4);
          one.status = kernel::InverseStatus::pending;
        }
    }
    sum.add(workspace.inverses, used, batch == 0, batch + 1 == batches);
  }
}

}  // namespace detail

/// block <- its image under the map that choose(norms) returns as a ScaledMap: with A the Gram matrix on that
/// side and u the unit, M -> 1 / u (constant I + linear / u^2 A + sum_j weight_j u^2 (A + shift_j u^2 I)^-1)
/// M. The block is first scaled by a power of two, so that the result does not depend on its magnitude. A
/// shift that the precision of the Gram matrix cannot carry is raised: to two units of roundoff of the trace,
/// and where a Cholesky factorization fails fourfold until it does not. What lies below its root comes out
/// smaller then. A zero block stays zero; one that is not finite becomes NaN. Of a block whose other lines
/// along the Gram matrix other processes have, the reduction adds up the Gram matrices.
/// Cost: 3 k^2 n + terms * k^3 flops.
template <class Scalar, class Choose, class Reduction = kernel::NoReduction>
void apply_rational(MatrixRef<Scalar> block, Side gram_side, RationalWorkspace<Scalar>& workspace,
                    Choose&& choose, const Reduction& reduction = {}) {
  const Index size = extent(symopt::detail::shape_of(block), gram_side);
  const double lanes = static_cast<double>(size);
  kernel::with_team(lanes * (3 * static_cast<double>(block.size()) + 3 * lanes * lanes), [&] {
    const Scalar largest = reduction.largest(kernel::largest_entry<Scalar>(block));
    if (largest == Scalar(0)) return;
    if (!symopt::detail::is_finite(largest)) {
      block.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
      return;
    }
    MatrixRef<Scalar> square = workspace.square.as({size, kernel::square_stride(size)}).leftCols(size);
    const Scalar scale = kernel::power_of_two_scale(largest);
    kernel::lower_gram<Scalar>(block, gram_side, square, workspace.products, scale);
    reduction.sum_lower(square);
    const GramNorms norms = detail::norms_of<Scalar>(square, workspace.diagonal);
    detail::evaluate<Scalar>(square, norms.trace, choose(norms), workspace);
    kernel::multiply_square<Scalar>(square, block, gram_side, workspace.products, scale);
  });
}

}}}  // namespace symopt::polar
