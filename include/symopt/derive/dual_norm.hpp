// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/derive/then.hpp>
#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/memory/buffer.hpp>
#include <symopt/normalization/root_mean_square.hpp>
#include <symopt/normalization/scale_free.hpp>

#include <boost/hana/length.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// Definition: X -> nu^alpha N(X) with nu = <X, N(X)>, the dual norm that goes with the normalization
/// N: the nuclear norm for a polar factor, the sum of the row norms for RowNorm, the l1 norm for Sign.
/// nu is taken between this stage's own input and output. Homogeneous of degree alpha when N is of
/// degree 0: unlike N it sees the convention of the momentum (EMA or heavy ball).
/// Largest group and horizontal blocks: as N. A zero block stays zero.
/// Cost: N's, one copy and one product sum. Errors: std::invalid_argument for alpha not finite.
/// Source: arXiv 2505.21799 (alpha = 1, PolarGrad); arXiv 2605.18106.
template <class N>
struct DualNorm {
  static_assert(detail::stage_count_v<N> == 1,
                "DualNorm takes nu between the input and the output of one stage: put it inside Then, "
                "around the stage that is meant");

  double alpha = 1.0;  ///< the power of nu; 0 is N alone
  N normalization{};   ///< N, with its options

  static constexpr Families families = detail::claimed_families<N>;
  static constexpr bool keeps_horizontal(Side side) { return symopt::detail::keeps_horizontal<N>(side); }

  template <class Scalar>
  struct Workspace {
    explicit Workspace(Shape shape) : input(shape.rows * shape.cols), inner(shape) {}

    kernel::Buffer<Scalar> input;
    detail::workspace_t<N, Scalar> inner;
  };

  /// The method that N gets for a block of that shape, where it is chosen by shape.
  std::string method_for(Shape shape) const requires requires(const N& map) { map.method_for(shape); }
  { return normalization.method_for(shape); }
  /// N's: the factor nu^alpha is not matched.
  double root_mean_square(Shape shape, Shape span) const requires(detail::has_root_mean_square<N>()) {
    return detail::root_mean_square_of_stage(normalization, shape, span);
  }
  /// A bound on the entries of the output, from the bound `input` on those of the input; Inf where none is
  /// known.
  double largest_entry(Shape shape, double input) const requires(detail::has_root_mean_square<N>()) {
    if (!is_scale_free_v<N> || alpha < 0) return std::numeric_limits<double>::infinity();
    const double count = static_cast<double>(shape.rows) * static_cast<double>(shape.cols);
    const double largest =
        16 * detail::root_mean_square_of_stage(normalization, shape, shape) * std::sqrt(count);
    return largest * std::pow(std::max(1.0, count * input * largest), alpha);
  }
  void options(auto&& field) {
    field("alpha", alpha);
    field("normalization", normalization);
  }
  void validate() const {
    if (!detail::is_finite(alpha)) throw Error("DualNorm::alpha must be finite");
    detail::validated(normalization);
  }
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return applied(*this, block);
  }
  template <class Scalar>
  void apply(MatrixRef<Scalar> block, auto& workspace) const {
    MatrixRef<Scalar> input = workspace.input.as(detail::shape_of(block));
    input = block;
    detail::apply_map<N, Scalar>(normalization, block, workspace.inner);
    double scale = 1;
    const auto nu = [&] {
      double sum = 0;
      for (Index i = 0; i < block.rows(); ++i)
        sum += (input.row(i).template cast<double>() * scale).dot(block.row(i).template cast<double>());
      return sum;
    };
    double scaled = nu();
    if (!detail::is_finite(scaled)) {  // the sum of doubles, but not its power
      scale = 0x1p-64;
      scaled = nu();
    }
    // nu vanishes only with the block: a negative power of it must not make NaN of zeros.
    if (scaled != 0) block *= static_cast<Scalar>(std::pow(scaled, alpha) * std::pow(scale, -alpha));
  }
  auto mirrored() const {
    const auto inner = detail::mirror(normalization);
    return DualNorm<std::remove_const_t<decltype(inner)>>{alpha, inner};
  }
};

}}  // namespace symopt
