// SPDX-License-Identifier: Apache-2.0
#include "support/best_map.hpp"

#include <symopt/polar/zolotarev_coefficients.hpp>

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace symopt_test {

using symopt::polar::RationalMap;

std::vector<double> extremes_of(const std::function<double(double)>& f, double lower) {
  constexpr int steps = 1500;
  const auto at = [&](double step) { return lower * std::pow(1 / lower, step / steps); };
  std::vector<double> found{lower};
  double before = f(at(0)), here = f(at(1));
  for (int i = 1; i < steps; ++i) {
    const double after = f(at(i + 1));
    if ((here - before) * (after - here) <= 0)  // the top of the parabola through the three
      found.push_back(at(i + (before - after) / (2 * (after - 2 * here + before))));
    before = here;
    here = after;
  }
  found.push_back(1);
  return found;
}

BestMap::BestMap(int terms, double lower, double rounding) : rounding_(rounding) {
  constexpr double start = 0.05;
  const auto near = symopt::polar::zolotarev_coefficients(terms, start);
  map_ = near;
  map_.linear = -0.1;
  for (double& shift : map_.shift) shift *= 0.7;
  deviation_ = near.deviation;
  // Extremes lie closer together at both ends of the interval, in the logarithm.
  const int count = 2 * terms + 3;
  for (int i = 0; i < count; ++i) {
    const double even = static_cast<double>(i) / (count - 1);
    const double chebyshev = (1 - std::cos(std::numbers::pi * even)) / 2;
    extremes_.push_back(std::pow(start, 1 - (even + chebyshev) / 2));
  }
  for (int i = 0; i < 50; ++i) level(extremes_);
  for (double next = start; next > lower; next = std::max(lower, 0.85 * next)) move_to(next);
  move_to(lower);
}

void BestMap::move_to(double lower) {
  constexpr int most = 40;
  const std::size_t count = 2 * static_cast<std::size_t>(map_.terms) + 3;
  for (int i = 0; i < most; ++i) {
    extremes_ = extremes_of([this](double s) { return (map_(s) - 1) / allowed(s); }, lower);
    if (extremes_.size() != count) throw std::runtime_error("BestMap: a map without enough extremes");
    if (level(extremes_) < 1e-11) return;
  }
  throw std::runtime_error("BestMap: no convergence");
}

double BestMap::level(const std::vector<double>& points) {
  const auto terms = static_cast<Eigen::Index>(map_.terms), count = 2 * terms + 3;
  Eigen::MatrixXd slopes(count, count);  // by constant, linear, log weights, log shifts and the deviation
  Eigen::VectorXd missing(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const double s = points[static_cast<std::size_t>(i)], sign = i % 2 == 0 ? 1 : -1;
    missing(i) = 1 - map_(s) - sign * allowed(s);
    slopes(i, 0) = s;
    slopes(i, 1) = s * s * s;
    slopes(i, count - 1) = sign;
    for (Eigen::Index j = 0; j < terms; ++j) {
      const auto k = static_cast<std::size_t>(j);
      const double fraction = s * map_.weight[k] / (s * s + map_.shift[k]);
      slopes(i, 2 + j) = fraction;
      slopes(i, 2 + terms + j) = -fraction * map_.shift[k] / (s * s + map_.shift[k]);
    }
  }
  Eigen::VectorXd step = slopes.partialPivLu().solve(missing);
  const double largest = step.segment(2, 2 * terms).cwiseAbs().maxCoeff();
  if (largest > 0.5) step *= 0.5 / largest;
  map_.constant += step(0);
  map_.linear += step(1);
  for (Eigen::Index j = 0; j < terms; ++j) {
    map_.weight[static_cast<std::size_t>(j)] *= std::exp(step(2 + j));
    map_.shift[static_cast<std::size_t>(j)] *= std::exp(step(2 + terms + j));
  }
  deviation_ += step(count - 1);
  return step.cwiseAbs().maxCoeff();
}

}  // namespace symopt_test
