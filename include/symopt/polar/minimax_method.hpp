// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/normalize.hpp>
#include <symopt/polar/apply_rational.hpp>
#include <symopt/polar/concept.hpp>
#include <symopt/polar/minimax_map.hpp>

#include <cmath>
#include <ostream>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The method that a shape gets; no terms stand for the division by the norm.
struct MinimaxChoice {
  int terms = 0;  ///< shifted inverses; 0 for the norm

  friend bool operator==(const MinimaxChoice&, const MinimaxChoice&) = default;
  friend std::string to_string(const MinimaxChoice& choice) {
    if (choice.terms == 0) return "norm of the line";
    return "minimax, " + std::to_string(choice.terms) + " terms";
  }
  friend std::ostream& operator<<(std::ostream& out, const MinimaxChoice& choice) {
    return out << to_string(choice);
  }
};

/// The best map with `terms` shifted inverses for a block with those norms of its Gram matrix.
template <class Scalar, int terms>
ScaledMap minimax_map_for(const GramNorms& norms) {
  // Beyond 1 the map falls: the bound must hold also for a norm that was rounded.
  const double bound = norms.norm * (1 + 1e-4);
  return {minimax_map<Scalar, terms>(1e-3 * std::sqrt(norms.trace / bound)), bound};
}

/// The polar factor by the best rational map with `terms` shifted inverses and a linear part,
///   M -> (constant I + linear A + sum_j weight_j (A + shift_j I)^-1) M,   A = M M^T,
/// on the interval that the Gram matrix shows: no singular value exceeds the root of |A|, the Frobenius norm
/// of A, and those under a thousandth of |M| may come out smaller. So the map is the best on
/// [1e-3 |M| / sqrt(|A|), 1] in units of sqrt(|A|). Its coefficients are continuous in the block.
template <int terms>
struct MinimaxMethod {
  template <class Scalar>
  struct Workspace : RationalWorkspace<Scalar> {
    Workspace(Shape shape, Side gram_side) : RationalWorkspace<Scalar>(shape, gram_side, terms) {}
  };

  /// The method that a shape gets: a single line is divided by its norm.
  static constexpr MinimaxChoice choice(Shape shape, Side) {
    return {shape.rows <= 1 || shape.cols <= 1 ? 0 : terms};
  }

  void validate() const {}

  template <class Scalar, class Reduction = kernel::NoReduction>
  void apply(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace,
             const Reduction& reduction = {}) const {
    if (choice(reduction.whole(symopt::detail::shape_of(block)), gram_side).terms == 0) {
      kernel::normalize_block(symopt::detail::BlockView<Scalar>(block), reduction);
      return;
    }
    apply_rational<Scalar>(block, gram_side, workspace, minimax_map_for<Scalar, terms>, reduction);
  }
};

}}}  // namespace symopt::polar
