// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/kernel/reduction.hpp>
#include <symopt/polar/concept.hpp>
#include <symopt/product/products.hpp>
#include <symopt/scaling.hpp>
#include <symopt/threads.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace polar {

/// One step of an odd polynomial iteration: X <- a X + b (X X^T) X + c (X X^T)^2 X, which sends each
/// singular value s to a s + b s^3 + c s^5.
struct Quintic {
  double a = 0;  ///< of X
  double b = 0;  ///< of (X X^T) X
  double c = 0;  ///< of (X X^T)^2 X

  /// The singular value that the step makes of s.
  constexpr double operator()(double s) const { return s * (a + s * s * (b + s * s * c)); }
  friend bool operator==(const Quintic&, const Quintic&) = default;
};

/// The steps of an iteration, at most sixteen; past the end the last one repeats.
class QuinticList {
 public:
  static constexpr int capacity = 16;  ///< the most steps

  /// Errors: std::invalid_argument for no step or more than the capacity; in a constant, at compile time.
  constexpr QuinticList(std::initializer_list<Quintic> steps) : size_(static_cast<int>(steps.size())) {
    if (size_ < 1 || size_ > capacity) throw Error("a QuinticList has between 1 and 16 steps");
    for (std::size_t i = 0; i < steps.size(); ++i) steps_[i] = steps.begin()[i];
  }

  /// The number of steps given.
  constexpr int size() const { return size_; }
  /// The coefficients of a step, counted from 0.
  constexpr const Quintic& operator[](int step) const {
    return steps_[static_cast<std::size_t>(std::min(step, size_ - 1))];
  }
  friend bool operator==(const QuinticList&, const QuinticList&) = default;

 private:
  std::array<Quintic, capacity> steps_{};
  int size_ = 0;
};

/// The known lists by name. The band is that of five steps (eight for polar_express) for singular
/// values between 1e-3 and 1 of the normalized input; smaller ones are pulled towards 1 but need
/// not reach it, none ever exceeds the band.
namespace lists {

/// Order 3, the classical Newton-Schulz step. Converges for every s in (0, sqrt 3), slowly for small s.
inline constexpr QuinticList cubic{{1.5, -0.5, 0.0}};

/// Order 5, third-order convergence near 1, slow for small s.
inline constexpr QuinticList quintic{{1.875, -1.25, 0.375}};

/// One step repeated, tuned for the steepest slope at zero; it does not converge to 1. Band after
/// five steps: [0.47, 1.21]. Source: Jordan et al., kellerjordan.github.io/posts/muon.
inline constexpr QuinticList jordan{{3.4445, -4.7750, 2.0315}};

/// The minimax steps for [1e-3, 1], with the safety factor 1.05 in all but the last step. Band after
/// five steps [0.72, 1.13], after eight within 3e-8 of 1. Source: Amsel et al., arXiv 2505.16932;
/// figures as in the reference implementation of arXiv 2605.18106.
inline constexpr QuinticList polar_express{
    {8.28721201814563 / 1.05, -23.595886519098837 / 1.157625, 17.300387312530933 / 1.2762815625},
    {4.107059111542203 / 1.05, -2.9478499167379106 / 1.157625, 0.5448431082926601 / 1.2762815625},
    {3.9486908534822946 / 1.05, -2.908902115962949 / 1.157625, 0.5518191394370137 / 1.2762815625},
    {3.3184196573706015 / 1.05, -2.488488024314874 / 1.157625, 0.51004894012372 / 1.2762815625},
    {2.300652019954817 / 1.05, -1.6689039845747493 / 1.157625, 0.4188073119525673 / 1.2762815625},
    {1.891301407787398 / 1.05, -1.2679958271945868 / 1.157625, 0.37680408948524835 / 1.2762815625},
    {1.8750014808534479 / 1.05, -1.2500016453999487 / 1.157625, 0.3750001645474248 / 1.2762815625},
    {1.875, -1.25, 0.375}};

/// The five steps that the published Muon of arXiv 2605.18106 uses. Band [0.85, 1.15].
inline constexpr QuinticList muon{{8.156554524902461, -22.48329292557795, 15.878769915207462},
                                  {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                                  {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                                  {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                                  {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}};

}  // namespace lists

/// Throws unless `steps` is at least 1.
inline void validate_steps(const char* method, int steps) {
  if (steps < 1)
    throw Error(std::string(method) + "::steps is " + std::to_string(steps) + "; at least 1 step is needed");
}

/// Throws unless the options of an iteration on X are usable.
inline void validate_iteration(const char* method, int steps, double safety, double eps) {
  validate_steps(method, steps);
  if (!(safety >= 1.0) || !symopt::detail::is_finite(safety))
    throw Error(std::string(method) +
                "::safety must be finite and at least 1, or the norm of the input "
                "would exceed the iteration's range");
  if (!(eps >= 0.0) || !symopt::detail::is_finite(eps))
    throw Error(std::string(method) + "::eps must be finite and not negative");
}

/// The memory of an iteration on X: two Gram-sized squares and what products work in.
template <class Scalar>
struct IterationWorkspace {
  IterationWorkspace(Shape shape, Side gram_side)
      : products(extent(shape, gram_side), extent(shape, opposite(gram_side))),
        gram(extent(shape, gram_side) * extent(shape, gram_side)),
        polynomial(gram.size()) {}

  kernel::ProductMemory<Scalar> products;
  kernel::Buffer<Scalar> gram;
  kernel::Buffer<Scalar> polynomial;
};

/// block <- the iteration's polynomial of block / (safety * Frobenius norm + eps).
/// The block is first scaled by a power of two, so that the result does not depend on its magnitude.
/// A reduction adds up norms and Gram matrices, as for apply_rational.
/// Cost per step for a k x k Gram of a block with k n entries: 3 k^2 n + k^3 flops.
template <class Scalar, class Reduction = kernel::NoReduction>
void iterate(MatrixRef<Scalar> block, Side gram_side, const QuinticList& steps, int count, double safety,
             double eps, IterationWorkspace<Scalar>& workspace, const Reduction& reduction = {}) {
  const Index size = extent(symopt::detail::shape_of(block), gram_side);
  const double flops = 3.0 * count * static_cast<double>(size) * static_cast<double>(block.size());
  kernel::with_team(flops, [&] {
    const Scalar largest = reduction.largest(kernel::max_abs(block));
    if (largest == Scalar(0)) return;
    const Scalar scale = kernel::power_of_two_scale(largest);
    block *= scale;
    block /= static_cast<Scalar>(reduction.norm(kernel::norm(block)) * safety + eps * double(scale));

    MatrixRef<Scalar> gram = workspace.gram.as({size, size});
    MatrixRef<Scalar> polynomial = workspace.polynomial.as({size, size});
    for (int step = 0; step < count; ++step) {
      const Quintic& q = steps[step];
      kernel::lower_gram<Scalar>(block, gram_side, gram, workspace.products);
      reduction.sum_lower(gram);
      kernel::symmetrize_from_lower<Scalar>(gram);
      kernel::symmetric_product<Scalar>(gram, gram, polynomial, workspace.products);
      polynomial = Scalar(q.c) * polynomial + Scalar(q.b) * gram;
      polynomial.diagonal().array() += Scalar(q.a);
      kernel::multiply_square<Scalar>(polynomial, block, gram_side, workspace.products);
    }
  });
}

}}}  // namespace symopt::polar
