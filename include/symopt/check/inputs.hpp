// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/check/options.hpp>
#include <symopt/group/families.hpp>
#include <symopt/group/haar.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// Random singular vectors, these singular values; the others are zero.
inline Matrix<double> with_spectrum(Shape shape, const std::vector<double>& values, std::mt19937_64& engine) {
  const Matrix<double> left = haar_orthogonal<double>(shape.rows, engine);
  const Matrix<double> right = haar_orthogonal<double>(shape.cols, engine);
  Matrix<double> middle = Matrix<double>::Zero(shape.rows, shape.cols);
  for (std::size_t i = 0; i < values.size(); ++i)
    middle(static_cast<Index>(i), static_cast<Index>(i)) = values[i];
  return left * middle * right.transpose();
}

/// From 1 down to 1 / condition, evenly in the logarithm.
inline std::vector<double> log_spaced(Index count, double condition) {
  std::vector<double> values;
  for (Index i = 0; i < count; ++i)
    values.push_back(
        count == 1 ? 1.0 : std::pow(condition, -static_cast<double>(i) / static_cast<double>(count - 1)));
  return values;
}

inline Matrix<double> integers(Shape shape, std::mt19937_64& engine) {
  std::uniform_int_distribution<int> entry(-2, 2);
  return Matrix<double>::NullaryExpr(shape.rows, shape.cols,
                                     [&] { return static_cast<double>(entry(engine)); });
}

}  // namespace detail

/// A kind of gradient to try rules on.
struct InputKind {
  std::string_view name;
  std::function<Matrix<double>(Shape, std::mt19937_64&)> draw;
};

/// The kinds that every check runs over: blocks in general position first, then those that have a symmetry of
/// their own or lie on the edge of a rule's domain.
inline const std::vector<InputKind>& input_kinds() {
  using detail::log_spaced, detail::with_spectrum;
  const auto rank = [](Shape shape) { return std::min(shape.rows, shape.cols); };
  const auto conditioned = [rank](double condition) {
    return [=](Shape shape, std::mt19937_64& e) {
      return with_spectrum(shape, log_spaced(rank(shape), condition), e);
    };
  };
  const auto changed = [](auto change) {
    return [=](Shape shape, std::mt19937_64& e) {
      Matrix<double> block = gaussian<double>(shape, e);
      change(block);
      return block;
    };
  };
  static const std::vector<InputKind> kinds{
      {"gaussian", [](Shape shape, std::mt19937_64& e) { return gaussian<double>(shape, e); }},
      {"integers", detail::integers},
      {"condition-3", conditioned(3)},
      {"condition-1e3", conditioned(1e3)},
      {"condition-1e6", conditioned(1e6)},
      {"rank-1", [](Shape shape, std::mt19937_64& e) { return with_spectrum(shape, {2.0}, e); }},
      {"half-rank",
       [=](Shape shape, std::mt19937_64& e) {
         return with_spectrum(shape, log_spaced((rank(shape) + 1) / 2, 4), e);
       }},
      {"equal-singular-values",
       [=](Shape shape, std::mt19937_64& e) {
         return with_spectrum(shape, std::vector<double>(static_cast<std::size_t>(rank(shape)), 1.5), e);
       }},
      {"zero-row", changed([](auto& block) { block.row(0).setZero(); })},
      {"zero-column", changed([](auto& block) { block.col(0).setZero(); })},
      {"equal-rows", changed([](auto& block) { block.row(block.rows() - 1) = block.row(0).eval(); })},
      {"equal-columns", changed([](auto& block) { block.col(block.cols() - 1) = block.col(0).eval(); })},
      {"tied-rows", changed([](auto& block) {
         for (Index i = 0; i < block.rows(); ++i) block.row(i).normalize();
       })},
      {"one-entry", changed([](auto& block) {
         block.setZero();
         block(0, 0) = 3;
       })},
      {"ones", changed([](auto& block) { block.setOnes(); })},
      {"zero", changed([](auto& block) { block.setZero(); })},
      {"horizontal", changed([](auto& block) { block.rowwise() -= block.colwise().mean().eval(); })},
      {"horizontal-columns", changed([](auto& block) { block.colwise() -= block.rowwise().mean().eval(); })},
      {"scale-1e-30", changed([](auto& block) { block *= 1e-30; })},
      {"scale-1e30", changed([](auto& block) { block *= 1e30; })},
  };
  return kinds;
}

/// The shapes that are tried when none are given: small ones first; whole heads for groups that have some.
inline std::vector<Shape> default_shapes(const Families& families) {
  const Index row = std::max(1, families.left.block_rotations);
  const Index col = std::max(1, families.right.block_rotations);
  std::vector<Shape> shapes;
  for (const Shape shape :
       std::array<Shape, 8>{Shape{1, 1}, {2, 2}, {1, 3}, {3, 1}, {3, 2}, {2, 3}, {6, 4}, {4, 6}})
    shapes.push_back({shape.rows * row, shape.cols * col});
  return shapes;
}

namespace detail {

/// The kinds of these names, or all. Errors: std::invalid_argument for a name that none has.
inline std::vector<const InputKind*> chosen_kinds(const std::vector<std::string>& names) {
  std::vector<const InputKind*> kinds;
  for (const InputKind& kind : input_kinds())
    if (names.empty() || std::ranges::find(names, kind.name) != names.end()) kinds.push_back(&kind);
  if (names.empty() || kinds.size() == names.size()) return kinds;
  std::string known;
  for (const InputKind& kind : input_kinds()) known += (known.empty() ? "" : ", ") + std::string(kind.name);
  for (const std::string& name : names)
    if (std::ranges::find(input_kinds(), name, &InputKind::name) == input_kinds().end())
      throw std::invalid_argument("symopt: CheckOptions::inputs: there is no kind '" + name +
                                  "'; known are " + known);
  throw std::invalid_argument("symopt: CheckOptions::inputs names a kind twice");
}

/// The shapes, or the default ones, that the group's heads fill. Errors: std::invalid_argument for an empty
/// block, of which no law says anything.
inline std::vector<Shape> chosen_shapes(std::vector<Shape> shapes, const AnyGroup& group) {
  if (shapes.empty()) shapes = default_shapes(group.families());
  for (const Shape shape : shapes)
    if (shape.rows < 1 || shape.cols < 1)
      throw std::invalid_argument("symopt: a check on blocks of shape " + symopt::to_string(shape) +
                                  " would say nothing; give shapes with entries");
  std::erase_if(shapes, [&](Shape shape) { return !group.fits(shape); });
  return shapes;
}

}  // namespace detail

}}}  // namespace symopt::check
