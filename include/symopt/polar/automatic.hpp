// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/normalize.hpp>
#include <symopt/polar/zolotarev.hpp>

#include <ostream>
#include <string>

namespace symopt::inline SYMOPT_ABI::polar {

/// The method that fits the block's shape: what Spectral and its kin use when none is named.
/// A single line is divided by its norm. A block at least 16 times as long as its k x k Gram is wide takes
/// Zolotarev with 6 terms, which cost 4 % more flops there; any other takes 4: three would be enough in
/// double, but in float rounding would take the last percent. Band: within 2 % of 1 for singular values
/// between 1e-3 and 1 of the Frobenius norm in double, within 6 % in float; see Zolotarev. choice(shape,
/// gram_side) tells which method a block gets. Cost and memory: those of the method.
struct Automatic {
  template <class Scalar>
  using Workspace = Zolotarev::Workspace<Scalar>;

  /// What a shape gets: no terms stand for the division by the norm.
  struct Choice {
    int terms = 0;  ///< of Zolotarev; 0 for the norm

    friend bool operator==(const Choice&, const Choice&) = default;
    friend std::string to_string(const Choice& choice) {
      if (choice.terms == 0) return "norm of the line";
      return "Zolotarev, " + std::to_string(choice.terms) + " terms";
    }
    friend std::ostream& operator<<(std::ostream& out, const Choice& choice) {
      return out << to_string(choice);
    }
  };

  /// The method that a shape gets, with the Gram matrix on that side.
  static constexpr Choice choice(Shape shape, Side gram_side) {
    const Index size = line_count(shape, gram_side);
    if (shape.rows <= 1 || shape.cols <= 1) return {0};
    return {line_count(shape, opposite(gram_side)) >= 16 * size ? 6 : 4};
  }

  void validate() const {}

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace) const {
    const Choice chosen = choice(shape_of(block), gram_side);
    if (chosen.terms == 0) {
      kernel::normalize_block(BlockView<Scalar>(block));
    } else {
      Zolotarev{.terms = chosen.terms}.template apply<Scalar>(block, gram_side, workspace);
    }
  }
};

static_assert(PolarMethod<Automatic>);

}  // namespace symopt::polar

namespace symopt::inline SYMOPT_ABI {

/// The method behind Spectral<> and its one-sided forms.
using DefaultPolar = polar::Automatic;

}  // namespace symopt
