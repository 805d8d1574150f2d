// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/normalize.hpp>
#include <symopt/polar/zolotarev.hpp>

#include <ostream>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// The method that fits the block: what Spectral and its kin use when none is named.
/// A single line is divided by its norm. Any other block takes Zolotarev with 3 terms where many singular
/// values share the norm, as in gradients, and with 4 where few hold it all, so that others come near the
/// bound and rounding would take the last percent: the Gram matrix says which. Where that
/// changes the result jumps by as much as the two maps differ: by at most 6.2 % of 1 for those singular
/// values, 6.6 % in float, and 7.5 % below them. Band: within 5 % of 1 for singular values between 1e-3 and 1
/// of the Frobenius norm in double, within 7 % in float. choice(shape, gram_side) tells which method a block
/// gets. Cost and memory: those of the method.
struct Automatic {
  template <class Scalar>
  using Workspace = Zolotarev::Workspace<Scalar>;

  /// The least effective rank, as Zolotarev::Spectrum has it, of blocks that take fewer terms; the fourth
  /// root of its inverse is under 0.5, which no singular value exceeds then. No spectrum of equal values lies
  /// on the border, where rounding would choose.
  static constexpr double spread_rank = 16.5;

  /// The method for a shape; no terms stand for the division by the norm.
  struct Choice {
    int terms = 0;            ///< of Zolotarev; 0 for the norm
    int terms_if_spread = 0;  ///< from the effective rank of 16.5 on

    friend bool operator==(const Choice&, const Choice&) = default;
    friend std::string to_string(const Choice& choice) {
      if (choice.terms == 0) return "norm of the line";
      const std::string fewer =
          choice.terms_if_spread == choice.terms ? "" : std::to_string(choice.terms_if_spread) + " or ";
      return "Zolotarev, " + fewer + std::to_string(choice.terms) + " terms";
    }
    friend std::ostream& operator<<(std::ostream& out, const Choice& choice) {
      return out << to_string(choice);
    }
  };

  /// The method that a shape gets, with the Gram matrix on that side.
  static constexpr Choice choice(Shape shape, Side gram_side) {
    const Index size = extent(shape, gram_side);
    if (shape.rows <= 1 || shape.cols <= 1) return {0, 0};
    return {4, static_cast<double>(size) < spread_rank ? 4 : 3};
  }

  void validate() const {}

  template <class Scalar>
  void apply(MatrixRef<Scalar> block, Side gram_side, Workspace<Scalar>& workspace) const {
    const Choice chosen = choice(symopt::detail::shape_of(block), gram_side);
    if (chosen.terms == 0) {
      kernel::normalize_block(symopt::detail::BlockView<Scalar>(block));
      return;
    }
    Zolotarev::apply_chosen<Scalar>(block, gram_side, workspace, [&](const auto& spectrum) -> Zolotarev {
      if (chosen.terms == chosen.terms_if_spread || spectrum.effective_rank() < spread_rank)
        return {.terms = chosen.terms};
      return {.terms = chosen.terms_if_spread, .upper_bound = 0.5};
    });
  }
};

}}}  // namespace symopt::polar

namespace symopt { inline namespace SYMOPT_ABI {

/// The method behind Spectral<> and its one-sided forms.
using DefaultPolar = polar::Automatic;

}}  // namespace symopt
