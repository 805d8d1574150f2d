// SPDX-License-Identifier: Apache-2.0
// The rules of examples/field are those of their papers: each trains beside its formulas, written once more
// as loops over numbers, from the same weights on the same gradients.
#include "../../examples/field/ada_muon.hpp"
#include "../../examples/field/dion2.hpp"
#include "../../examples/field/lion.hpp"
#include "../../examples/field/nor_muon.hpp"
#include "../../examples/field/sink_gd.hpp"
#include "../../examples/field/soap.hpp"
#include "../../examples/field/turbo_muon.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <random>
#include <utility>
#include <vector>

namespace published_rules_test { namespace {

using namespace symopt;

/// A matrix as rows of numbers.
using Rows = std::vector<std::vector<double>>;
/// The step that a rule's formulas make of one gradient after the other.
using Formulas = std::function<Rows(const Rows& gradient)>;

std::size_t height(const Rows& x) {
  return x.size();
}
std::size_t width(const Rows& x) {
  return x.front().size();
}
Rows zeros(std::size_t rows, std::size_t columns) {
  return Rows(rows, std::vector<double>(columns, 0.0));
}
/// f of the entries at every place.
template <class F, class... Others>
Rows each(F f, const Rows& x, const Others&... others) {
  Rows y = x;
  for (std::size_t i = 0; i < height(x); ++i)
    for (std::size_t j = 0; j < width(x); ++j) y[i][j] = f(x[i][j], others[i][j]...);
  return y;
}
/// b x + c y.
Rows mix(double b, const Rows& x, double c, const Rows& y) {
  return each([&](double s, double t) { return b * s + c * t; }, x, y);
}
Rows transpose(const Rows& x) {
  Rows y = zeros(width(x), height(x));
  for (std::size_t i = 0; i < height(x); ++i)
    for (std::size_t j = 0; j < width(x); ++j) y[j][i] = x[i][j];
  return y;
}
Rows times(const Rows& x, const Rows& y) {
  Rows z = zeros(height(x), width(y));
  for (std::size_t i = 0; i < height(x); ++i)
    for (std::size_t j = 0; j < width(y); ++j)
      for (std::size_t k = 0; k < width(x); ++k) z[i][j] += x[i][k] * y[k][j];
  return z;
}
double sum_of_squares(const Rows& x) {
  double sum = 0;
  for (const auto& row : x)
    for (const double entry : row) sum += entry * entry;
  return sum;
}
double sign(double x) {
  return x > 0 ? 1 : x < 0 ? -1 : 0;
}

/// X <- a X + b X X^T X + c X X^T X X^T X, so many times.
Rows quintic(Rows x, int steps) {
  for (int step = 0; step < steps; ++step) {
    const Rows cubed = times(times(x, transpose(x)), x), fifth = times(times(x, transpose(x)), cubed);
    x = each([](double s, double t, double u) { return 3.4445 * s - 4.775 * t + 2.0315 * u; }, x, cubed,
             fifth);
  }
  return x;
}
Rows newton_schulz(const Rows& x) {
  const double norm = std::sqrt(sum_of_squares(x));
  return quintic(each([&](double s) { return s / norm; }, x), 5);
}
Rows at_a_fifth(const Rows& x) {
  const double factor = 0.2 * std::sqrt(double(height(x) * width(x)) / sum_of_squares(x));
  return each([&](double s) { return factor * s; }, x);
}

Rows rows_of(const Matrix<double>& block) {
  Rows x = zeros(std::size_t(block.rows()), std::size_t(block.cols()));
  for (Index i = 0; i < block.rows(); ++i)
    for (Index j = 0; j < block.cols(); ++j) x[std::size_t(i)][std::size_t(j)] = block(i, j);
  return x;
}

/// The largest difference of the weights in twelve steps.
template <class Rule>
double difference(Shape shape, const Rule& rule, const Formulas& formulas, double momentum = 0.95) {
  std::mt19937_64 random(5);
  Optimizer<Rule, double> optimizer(shape.rows, shape.cols, {.learning_rate = 0.1, .momentum = momentum},
                                    rule);
  Matrix<double> weights = gaussian<double>(shape, random);
  Rows expected = rows_of(weights);
  double worst = 0;
  for (int step = 0; step < 12; ++step) {
    const Matrix<double> gradient = gaussian<double>(shape, random);
    optimizer.step(weights, gradient);
    expected = mix(1, expected, -0.1, formulas(rows_of(gradient)));
    const Rows off = mix(1, expected, -1, rows_of(weights));
    worst = std::max(worst, std::sqrt(sum_of_squares(off)));
  }
  return worst;
}

constexpr double rounding = 1e-12;
const std::vector<Shape> shapes{{4, 3}, {3, 5}, {4, 4}};

TEST_CASE("Lion") {
  for (const Shape shape : shapes) {
    Rows m = zeros(std::size_t(shape.rows), std::size_t(shape.cols));
    CHECK(difference(shape, field::Lion{}, [&](const Rows& g) {
            const Rows update = each(sign, mix(0.9, m, 0.1, g));
            m = mix(0.99, m, 0.01, g);
            return update;
          }) < rounding);
  }
}

TEST_CASE("NorMuon") {
  for (const Shape shape : shapes) {
    Rows m = zeros(std::size_t(shape.rows), std::size_t(shape.cols));
    std::vector<double> v(std::size_t(shape.rows), 0.0);
    CHECK(difference(shape, field::NorMuon{}, [&](const Rows& g) {
            m = mix(0.95, m, 0.05, g);
            Rows o = newton_schulz(m);
            for (std::size_t i = 0; i < height(o); ++i) {
              double mean = 0;
              for (const double entry : o[i]) mean += entry * entry / double(width(o));
              v[i] = 0.95 * v[i] + 0.05 * mean;
              for (double& entry : o[i]) entry /= std::sqrt(v[i]) + 1e-8;
            }
            return at_a_fifth(o);
          }) < rounding);
  }
}

TEST_CASE("AdaMuon") {
  for (const Shape shape : shapes) {
    Rows m = zeros(std::size_t(shape.rows), std::size_t(shape.cols)), v = m;
    CHECK(difference(shape, field::AdaMuon{}, [&](const Rows& g) {
            m = mix(0.95, m, 1, g);  // the heavy ball of the authors' code
            const Rows o = newton_schulz(each(sign, m));
            v = mix(0.95, v, 0.05, each([](double s) { return s * s; }, o));
            return at_a_fifth(each([](double s, double t) { return s / (std::sqrt(t) + 1e-8); }, o, v));
          }) < rounding);
  }
}

TEST_CASE("Turbo-Muon") {
  for (const Shape shape : shapes) {
    Rows m = zeros(std::size_t(shape.rows), std::size_t(shape.cols));
    CHECK(difference(shape, field::TurboMuon{}, [&](const Rows& g) {
            m = mix(0.95, m, 1, g);
            const Rows gram = times(transpose(m), m);
            Rows x = m;
            for (std::size_t j = 0; j < width(m); ++j) {
              double sum = 0;
              for (const double entry : gram[j]) sum += std::abs(entry);
              for (auto& row : x) row[j] *= std::pow(sum, -0.5);
            }
            return quintic(x, 4);
          }) < rounding);
  }
}

TEST_CASE("SinkGD") {
  for (const Shape shape : shapes)
    CHECK(difference(
              shape, field::SinkGd{},
              [](Rows x) {
                for (int k = 0; k < 5; ++k)  // rows, then the rows of the transposed
                  for (int side = 0; side < 2; ++side) {
                    for (auto& row : x) {
                      const double norm = std::sqrt(sum_of_squares({row}));
                      for (double& entry : row) entry *= std::sqrt(double(row.size())) / norm;
                    }
                    x = transpose(x);
                  }
                return x;
              },
              0) < rounding);
}

TEST_CASE("Dion2") {
  for (const Shape shape : shapes) {
    const bool is_wide = shape.rows <= shape.cols;
    const std::size_t lines = std::size_t(is_wide ? shape.rows : shape.cols);
    const std::size_t chosen = std::size_t(std::ceil(0.5 * double(lines)));
    Rows m = zeros(lines, std::size_t(is_wide ? shape.cols : shape.rows));
    CHECK(difference(shape, field::Dion2{.fraction = 0.5}, [&](const Rows& g) {
            m = mix(1, m, 1, is_wide ? g : transpose(g));
            // The lines of which fewer than so many have a larger sum.
            const auto sum = [&](std::size_t i) {
              double total = 0;
              for (const double entry : m[i]) total += std::abs(entry);
              return total;
            };
            std::vector<std::size_t> places;
            Rows selected;
            for (std::size_t i = 0; i < lines; ++i) {
              std::size_t larger = 0;
              for (std::size_t k = 0; k < lines; ++k) larger += sum(k) > sum(i) ? 1 : 0;
              if (larger >= chosen) continue;
              places.push_back(i);
              selected.push_back(m[i]);
            }
            const Rows u = newton_schulz(selected);
            Rows update = zeros(height(m), width(m));
            for (std::size_t k = 0; k < places.size(); ++k) {
              update[places[k]] = u[k];
              for (double& entry : m[places[k]]) entry *= 0.95;
            }
            return is_wide ? update : transpose(update);
          }) < rounding);
  }
}

/// The eigenvectors of a symmetric matrix as columns, by Jacobi's rotations, eigenvalues descending.
Rows eigenvectors(Rows a) {
  const std::size_t n = height(a);
  Rows q = zeros(n, n);
  for (std::size_t i = 0; i < n; ++i) q[i][i] = 1;
  for (int sweep = 0; sweep < 30; ++sweep)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j) {
        const double angle = 0.5 * std::atan2(2 * a[i][j], a[i][i] - a[j][j]);
        Rows turn = zeros(n, n);
        for (std::size_t k = 0; k < n; ++k) turn[k][k] = 1;
        turn[i][i] = turn[j][j] = std::cos(angle);
        turn[j][i] = std::sin(angle);
        turn[i][j] = -turn[j][i];
        a = times(times(transpose(turn), a), turn);
        q = times(q, turn);
      }
  Rows columns = transpose(q);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j)
      if (a[j][j] > a[i][i]) {
        std::swap(a[i][i], a[j][j]);
        std::swap(columns[i], columns[j]);
      }
  return transpose(columns);
}
/// The columns made orthonormal one after the other.
Rows gram_schmidt(const Rows& x) {
  Rows columns = transpose(x);
  for (std::size_t j = 0; j < columns.size(); ++j) {
    for (int twice = 0; twice < 2; ++twice)
      for (std::size_t k = 0; k < j; ++k)
        columns[j] =
            mix(1, {columns[j]}, -times({columns[j]}, transpose({columns[k]}))[0][0], {columns[k]})[0];
    const double norm = std::sqrt(sum_of_squares({columns[j]}));
    for (double& entry : columns[j]) entry /= norm;
  }
  return transpose(columns);
}

TEST_CASE("SOAP, on square blocks, whose bases are unique up to signs") {
  const std::size_t n = 4;
  Rows m = zeros(n, n), v = m, l = m, r = m, q_left, q_right;
  int t = 0;
  CHECK(difference({4, 4}, field::Soap{.every = 3}, [&](const Rows& g) {
          Rows update = zeros(n, n);
          if (t > 0) {
            m = mix(0.95, m, 0.05, g);
            const auto turned = [&](const Rows& x) { return times(times(transpose(q_left), x), q_right); };
            v = mix(0.95, v, 0.05, each([](double s) { return s * s; }, turned(g)));
            const double corrected = 1 - std::pow(0.95, t);
            update =
                each([&](double s, double u) { return s / corrected / (std::sqrt(u / corrected) + 1e-8); },
                     turned(m), v);
            update = times(times(q_left, update), transpose(q_right));
          }
          l = mix(0.95, l, 0.05, times(g, transpose(g)));
          r = mix(0.95, r, 0.05, times(transpose(g), g));
          if (t == 0) {
            q_left = eigenvectors(l);
            q_right = eigenvectors(r);
          } else if (t % 3 == 0) {
            q_left = gram_schmidt(times(l, q_left));
            q_right = gram_schmidt(times(r, q_right));
          }
          ++t;
          return update;
        }) < 1e-10);
}

}}  // namespace published_rules_test
