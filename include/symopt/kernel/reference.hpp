// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/divisor.hpp>
#include <symopt/kernel/adamw.hpp>
#include <symopt/kernel/norm_factors.hpp>
#include <symopt/kernel/step.hpp>
#include <symopt/memory/block_view.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

// The fused steps in plain loops in double: no lanes, no chunks, no threads, no windows. Slow, and
// the oracle that they are tested against.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel::reference {

/// A block in double, row by row.
struct Block {
  Index rows, cols;
  std::vector<double> entries;

  explicit Block(Shape shape)
      : rows(shape.rows), cols(shape.cols), entries(static_cast<std::size_t>(rows * cols)) {}
  double& at(Index i, Index j) { return entries[static_cast<std::size_t>(i * cols + j)]; }
};

/// Line l of a block has count entries, entry k at(l, k): divided by its norm with eps, unless it is zero.
void normalize(Index lines, Index count, Eps eps, auto&& at) {
  for (Index l = 0; l < lines; ++l) {
    double largest = 0, sum = 0;
    for (Index k = 0; k < count; ++k) largest = std::max(largest, std::abs(at(l, k)));
    if (largest == 0) continue;
    for (Index k = 0; k < count; ++k) sum += (at(l, k) / largest) * (at(l, k) / largest);
    const double norm = std::sqrt(sum) * largest;
    const bool is_added = eps.divisor == Divisor::norm_plus_eps;
    const double divisor = is_added ? norm + eps.value : std::max(norm, eps.value);
    for (Index k = 0; k < count; ++k) at(l, k) = at(l, k) / divisor;
  }
}

inline void normalize_rows(Block& x, Eps eps) {
  normalize(x.rows, x.cols, eps, [&](Index i, Index j) -> double& { return x.at(i, j); });
}
inline void normalize_columns(Block& x, Eps eps) {
  normalize(x.cols, x.rows, eps, [&](Index j, Index i) -> double& { return x.at(i, j); });
}
inline void normalize_block(Block& x) {
  normalize(1, x.rows * x.cols, 0,
            [&](Index, Index k) -> double& { return x.entries[static_cast<std::size_t>(k)]; });
}
inline void take_signs(Block& x) {
  for (double& entry : x.entries) entry = entry > 0 ? 1 : (entry < 0 ? -1 : entry);
}
inline void subtract_mean_row(Block& x) {
  for (Index j = 0; j < x.cols; ++j) {
    double sum = 0;
    for (Index i = 0; i < x.rows; ++i) sum += x.at(i, j);
    for (Index i = 0; i < x.rows; ++i) x.at(i, j) -= sum / static_cast<double>(x.rows);
  }
}

template <class Scalar>
double without_subnormals(double x) {
  return std::abs(x) < double(std::numeric_limits<Scalar>::min()) ? 0 : x;
}

/// W <- W - decay W (or decay P W) - step_size * direction(x), where x is the momentum that the rule is
/// given; the momentum advances. direction(Block&) works in place.
template <class Scalar>
void step(const BlockView<const Scalar>& gradient, const BlockView<Scalar>& momentum,
          const BlockView<Scalar>& weights, const StepCoefficients& coefficients, auto&& direction) {
  const Shape shape = symopt::detail::shape_of(weights);
  Block x(shape), decayed(shape);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) {
      const double g = coefficients.gradient_factor * double(gradient.row(i)[gradient.cols.offset(j)]);
      Scalar& m = momentum.row(i)[momentum.cols.offset(j)];
      const double next =
          without_subnormals<Scalar>(coefficients.beta * double(m) + coefficients.gradient_weight * g);
      m = static_cast<Scalar>(next);
      x.at(i, j) = coefficients.nesterov ? coefficients.beta * next + coefficients.gradient_weight * g : next;
      decayed.at(i, j) = double(weights.row(i)[weights.cols.offset(j)]);
    }
  direction(x);
  if (coefficients.decay_is_horizontal) subtract_mean_row(decayed);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) {
      Scalar& w = weights.row(i)[weights.cols.offset(j)];
      w = static_cast<Scalar>(double(w) - coefficients.decay * decayed.at(i, j) -
                              coefficients.step_size * x.at(i, j));
    }
}

template <class Scalar>
void adamw_step(const BlockView<const Scalar>& gradient, const BlockView<Scalar>& first,
                const BlockView<Scalar>& second, const BlockView<Scalar>& weights,
                const StepCoefficients& coefficients, const AdamWCoefficients& own) {
  for (Index i = 0; i < weights.row_count(); ++i)
    for (Index j = 0; j < weights.cols.size; ++j) {
      const double g = coefficients.gradient_factor * double(gradient.row(i)[gradient.cols.offset(j)]);
      Scalar& m = first.row(i)[first.cols.offset(j)];
      Scalar& v = second.row(i)[second.cols.offset(j)];
      Scalar& w = weights.row(i)[weights.cols.offset(j)];
      const double m_next = without_subnormals<Scalar>(own.beta1 * double(m) + own.first_weight * g);
      const double v_next = without_subnormals<Scalar>(own.beta2 * double(v) + own.second_weight * g * g);
      m = static_cast<Scalar>(m_next);
      v = static_cast<Scalar>(v_next);
      w = static_cast<Scalar>(double(w) * (1 - coefficients.decay) -
                              coefficients.step_size * m_next * own.first_correction /
                                  (std::sqrt(v_next) * own.second_correction + own.eps));
    }
}

/// A step with second moments, of which each is shared by the entries of one line: roots[line_of(i, j)].
/// project(Block&) works in place. coefficients.beta and gradient_weight are those of the momentum.
template <class Scalar>
void adaptive_step(const BlockView<const Scalar>& gradient, const BlockView<Scalar>& momentum,
                   const BlockView<Scalar>& weights, std::vector<double>& roots, auto&& line_of,
                   const StepCoefficients& coefficients, const AdamWCoefficients& own, auto&& project) {
  const Shape shape = symopt::detail::shape_of(weights);
  Block g(shape), x(shape), decayed(shape);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) {
      g.at(i, j) = coefficients.gradient_factor * double(gradient.row(i)[gradient.cols.offset(j)]);
      decayed.at(i, j) = double(weights.row(i)[weights.cols.offset(j)]);
    }
  project(g);
  std::vector<double> largest(roots.size()), counts(roots.size());
  std::vector<long double> sums(roots.size());  // of a whole block, perhaps
  const auto for_each_entry = [&](auto&& visit) {
    for (Index i = 0; i < shape.rows; ++i)
      for (Index j = 0; j < shape.cols; ++j) visit(i, j, static_cast<std::size_t>(line_of(i, j)));
  };
  for_each_entry([&](Index i, Index j, std::size_t line) {
    largest[line] = std::max({largest[line], std::abs(g.at(i, j)), roots[line]});
  });
  for_each_entry([&](Index i, Index j, std::size_t line) {
    const double ratio = largest[line] > 0 ? g.at(i, j) / largest[line] : 0;
    sums[line] += static_cast<long double>(ratio * ratio);
    ++counts[line];
  });
  for (std::size_t line = 0; line < roots.size(); ++line) {
    if (largest[line] == 0) continue;
    const double root = roots[line] / largest[line];
    roots[line] =
        largest[line] * std::sqrt(own.beta2 * root * root +
                                  own.second_weight * static_cast<double>(sums[line]) / counts[line]);
  }
  for_each_entry([&](Index i, Index j, std::size_t line) {
    Scalar& m = momentum.row(i)[momentum.cols.offset(j)];
    const double next =
        without_subnormals<Scalar>(coefficients.beta * double(m) + coefficients.gradient_weight * g.at(i, j));
    m = static_cast<Scalar>(next);
    x.at(i, j) = next * own.first_correction / (roots[line] * own.second_correction + own.eps);
  });
  project(x);
  if (coefficients.decay_is_horizontal) project(decayed);
  for_each_entry([&](Index i, Index j, std::size_t) {
    Scalar& w = weights.row(i)[weights.cols.offset(j)];
    w = static_cast<Scalar>(double(w) - coefficients.decay * decayed.at(i, j) -
                            coefficients.step_size * x.at(i, j));
  });
}

}}}  // namespace symopt::kernel::reference
