// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/check/options.hpp>
#include <symopt/error.hpp>
#include <symopt/group/haar.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// A kind of gradient to try rules on: blocks of a source, Gaussian ones where it has none, with their
/// entries changed.
struct InputKind {
  std::string_view name;
  Matrix<double> (*source)(Shape shape, std::mt19937_64& engine) = nullptr;
  /// Entry (i, j) of the changed block b.
  double (*change)(const Matrix<double>& b, Index i, Index j) = nullptr;

  Matrix<double> draw(Shape shape, std::mt19937_64& engine) const;
};

/// The kinds that every check runs over: blocks in general position first, then those that have a symmetry of
/// their own or lie on the edge of a rule's domain.
const std::vector<InputKind>& input_kinds();

/// The kinds of weights that a rule sees which looks at them, by names of input_kinds().
const std::vector<std::string_view>& weight_kinds();

/// The shapes that are tried when none are given: small ones first; whole heads for groups that have some.
std::vector<Shape> default_shapes(const Families& families);
/// A tall, a wide and another large shape, drawn by the seed, that are tried beside these: 17 lines and 19
/// at most, or what heads fill of them.
std::vector<Shape> large_shapes(const Families& families, std::uint64_t seed);

namespace detail {

/// The kinds of these names, or all. Errors: Error for a name that none has, or that is given twice.
std::vector<const InputKind*> chosen_kinds(const std::vector<std::string>& names);
/// The kinds of these names with the integers first, for a failure on them is the easiest to read.
std::vector<const InputKind*> readable_kinds(const std::vector<std::string>& names);

/// The shapes, or the default ones, that the group's heads fill. Errors: Error for an empty block, of which
/// no law says anything.
std::vector<Shape> chosen_shapes(std::vector<Shape> shapes, const AnyGroup& group);
/// The large shapes that belong to the default ones; none where shapes were given.
std::vector<Shape> chosen_large_shapes(const std::vector<Shape>& given, const AnyGroup& group,
                                       std::uint64_t seed);
/// The kind of that name. The name is known.
const InputKind& kind_named(std::string_view name);

/// Small integers.
Matrix<double> integers(Shape shape, std::mt19937_64& engine);

}  // namespace detail

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

/// Random singular vectors, these singular values; the others are zero.
SYMOPT_CHECK_INLINE Matrix<double> with_spectrum(Shape shape, const std::vector<double>& values,
                                                 std::mt19937_64& engine) {
  const Matrix<double> left = haar_orthogonal<double>(shape.rows, engine);
  const Matrix<double> right = haar_orthogonal<double>(shape.cols, engine);
  Matrix<double> block = Matrix<double>::Zero(shape.rows, shape.cols);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j)
      for (std::size_t k = 0; k < values.size(); ++k)
        block(i, j) += left(i, static_cast<Index>(k)) * values[k] * right(j, static_cast<Index>(k));
  return block;
}

/// From 1 down to 1 / condition, evenly in the logarithm.
SYMOPT_CHECK_INLINE std::vector<double> log_spaced(Index count, double condition) {
  std::vector<double> values;
  for (Index i = 0; i < count; ++i)
    values.push_back(
        count == 1 ? 1.0 : std::pow(condition, -static_cast<double>(i) / static_cast<double>(count - 1)));
  return values;
}

SYMOPT_CHECK_INLINE Matrix<double> integers(Shape shape, std::mt19937_64& engine) {
  Matrix<double> block(shape.rows, shape.cols);
  for (Index k = 0; k < block.size(); ++k)
    block.data()[k] = static_cast<double>(uniform_index(5, engine)) - 2;
  return block;
}

/// A Gaussian block in which one entry is a hundred times larger.
SYMOPT_CHECK_INLINE Matrix<double> with_outlier(Shape shape, std::mt19937_64& engine) {
  Matrix<double> block = gaussian<double>(shape, engine);
  block.data()[uniform_index(static_cast<std::size_t>(block.size()), engine)] *= 100;
  return block;
}

/// A Gaussian block of any size from 1e-20 to 1e20.
SYMOPT_CHECK_INLINE Matrix<double> at_any_scale(Shape shape, std::mt19937_64& engine) {
  const double factor = std::pow(10, 40 * uniform_number(engine) - 20);
  Matrix<double> block = gaussian<double>(shape, engine);
  for (Index k = 0; k < block.size(); ++k) block.data()[k] *= factor;
  return block;
}

/// Log-spaced singular values, as many as the block may have or, with `part` 2, half as many.
SYMOPT_CHECK_INLINE Matrix<double> conditioned(Shape shape, double condition, std::mt19937_64& engine,
                                               int part = 1) {
  const Index rank = std::min(shape.rows, shape.cols);
  return with_spectrum(shape, log_spaced((rank + part - 1) / part, condition), engine);
}

SYMOPT_CHECK_INLINE double row_length(const Matrix<double>& b, Index i) {
  double squares = 0;
  for (Index j = 0; j < b.cols(); ++j) squares += b(i, j) * b(i, j);
  return std::sqrt(squares);
}
SYMOPT_CHECK_INLINE double row_mean(const Matrix<double>& b, Index i) {
  double total = 0;
  for (Index j = 0; j < b.cols(); ++j) total += b(i, j);
  return total / static_cast<double>(b.cols());
}
SYMOPT_CHECK_INLINE double column_mean(const Matrix<double>& b, Index j) {
  double total = 0;
  for (Index i = 0; i < b.rows(); ++i) total += b(i, j);
  return total / static_cast<double>(b.rows());
}

}  // namespace detail

SYMOPT_CHECK_INLINE Matrix<double> InputKind::draw(Shape shape, std::mt19937_64& engine) const {
  Matrix<double> block = source ? source(shape, engine) : gaussian<double>(shape, engine);
  if (!change) return block;
  Matrix<double> changed(shape.rows, shape.cols);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) changed(i, j) = change(block, i, j);
  return changed;
}

SYMOPT_CHECK_INLINE const std::vector<InputKind>& input_kinds() {
  using detail::conditioned, detail::with_spectrum;
  using Block = const Matrix<double>&;
  using Engine = std::mt19937_64&;
  static const std::vector<InputKind> kinds{
      {"gaussian"},
      {"integers", detail::integers},
      {"condition-3", [](Shape shape, Engine e) { return conditioned(shape, 3, e); }},
      {"condition-1e3", [](Shape shape, Engine e) { return conditioned(shape, 1e3, e); }},
      {"condition-1e6", [](Shape shape, Engine e) { return conditioned(shape, 1e6, e); }},
      {"rank-1", [](Shape shape, Engine e) { return with_spectrum(shape, {2.0}, e); }},
      {"half-rank", [](Shape shape, Engine e) { return conditioned(shape, 4, e, 2); }},
      {"equal-singular-values",
       [](Shape shape, Engine e) {
         const auto rank = static_cast<std::size_t>(std::min(shape.rows, shape.cols));
         return with_spectrum(shape, std::vector<double>(rank, 1.5), e);
       }},
      {"zero-row", nullptr, [](Block b, Index i, Index j) { return i == 0 ? 0 : b(i, j); }},
      {"zero-column", nullptr, [](Block b, Index i, Index j) { return j == 0 ? 0 : b(i, j); }},
      {"equal-rows", nullptr, [](Block b, Index i, Index j) { return b(i == b.rows() - 1 ? 0 : i, j); }},
      {"equal-columns", nullptr, [](Block b, Index i, Index j) { return b(i, j == b.cols() - 1 ? 0 : j); }},
      {"tied-rows", nullptr, [](Block b, Index i, Index j) { return b(i, j) / detail::row_length(b, i); }},
      {"one-entry", nullptr, [](Block, Index i, Index j) { return i == 0 && j == 0 ? 3.0 : 0.0; }},
      {"ones", nullptr, [](Block, Index, Index) { return 1.0; }},
      {"zero", nullptr, [](Block, Index, Index) { return 0.0; }},
      {"horizontal", nullptr, [](Block b, Index i, Index j) { return b(i, j) - detail::column_mean(b, j); }},
      {"horizontal-columns", nullptr,
       [](Block b, Index i, Index j) { return b(i, j) - detail::row_mean(b, i); }},
      {"scale-1e-30", nullptr, [](Block b, Index i, Index j) { return 1e-30 * b(i, j); }},
      {"scale-1e30", nullptr, [](Block b, Index i, Index j) { return 1e30 * b(i, j); }},
      {"outlier", detail::with_outlier},
      {"any-scale", detail::at_any_scale},
      {"scale-1e-3", nullptr, [](Block b, Index i, Index j) { return 1e-3 * b(i, j); }},
      {"scale-1e3", nullptr, [](Block b, Index i, Index j) { return 1e3 * b(i, j); }},
      {"scale-1e-6", nullptr, [](Block b, Index i, Index j) { return 1e-6 * b(i, j); }},
      {"scale-1e6", nullptr, [](Block b, Index i, Index j) { return 1e6 * b(i, j); }},
  };
  return kinds;
}

SYMOPT_CHECK_INLINE const std::vector<std::string_view>& weight_kinds() {
  static const std::vector<std::string_view> kinds{"gaussian", "zero",       "integers",  "ones",
                                                   "zero-row", "scale-1e-3", "scale-1e3", "equal-rows"};
  return kinds;
}

SYMOPT_CHECK_INLINE std::vector<Shape> large_shapes(const Families& families, std::uint64_t seed) {
  std::mt19937_64 engine = engine_for(seed, "large shapes");
  const auto from = [&engine](Index least, std::size_t count) {
    return least + static_cast<Index>(uniform_index(count, engine));
  };
  std::vector<Shape> shapes{{17, from(2, 4)}, {from(2, 4), 19}, {from(7, 11), from(7, 13)}};
  const auto fill = [](Index lines, int head) {
    return head > 0 ? head * std::max<Index>(1, lines / head) : lines;
  };
  for (Shape& shape : shapes)
    shape = {fill(shape.rows, families.left.block_rotations),
             fill(shape.cols, families.right.block_rotations)};
  return shapes;
}

SYMOPT_CHECK_INLINE std::vector<Shape> default_shapes(const Families& families) {
  const Index row = std::max(1, families.left.block_rotations);
  const Index col = std::max(1, families.right.block_rotations);
  std::vector<Shape> shapes{{1, 1}, {2, 2}, {1, 3}, {3, 1}, {3, 2}, {2, 3}, {6, 4}, {4, 6}};
  for (Shape& shape : shapes) shape = {shape.rows * row, shape.cols * col};
  return shapes;
}

SYMOPT_CHECK_INLINE std::vector<const InputKind*> detail::chosen_kinds(
    const std::vector<std::string>& names) {
  std::vector<const InputKind*> kinds;
  for (const InputKind& kind : input_kinds())
    if (names.empty() || std::find(names.begin(), names.end(), kind.name) != names.end())
      kinds.push_back(&kind);
  if (names.empty() || kinds.size() == names.size()) return kinds;
  std::string known;
  for (const InputKind& kind : input_kinds()) known.append(known.empty() ? "" : ", ").append(kind.name);
  for (const std::string& name : names) {
    const auto is_named = [&](const InputKind& kind) { return kind.name == name; };
    symopt::detail::require(std::any_of(input_kinds().begin(), input_kinds().end(), is_named), [&] {
      return symopt::detail::joined({"the option inputs: there is no kind '", name, "'; known are ", known});
    });
  }
  throw Error("the option inputs names a kind twice");
}

SYMOPT_CHECK_INLINE const InputKind& detail::kind_named(std::string_view name) {
  return *std::find_if(input_kinds().begin(), input_kinds().end(),
                       [&](const InputKind& known) { return known.name == name; });
}

SYMOPT_CHECK_INLINE std::vector<Shape> detail::chosen_large_shapes(const std::vector<Shape>& given,
                                                                   const AnyGroup& group,
                                                                   std::uint64_t seed) {
  std::vector<Shape> shapes;
  if (given.empty()) shapes = large_shapes(group.families(), seed);
  std::erase_if(shapes, [&](Shape shape) { return !group.fits(shape); });
  return shapes;
}

SYMOPT_CHECK_INLINE std::vector<const InputKind*> detail::readable_kinds(
    const std::vector<std::string>& names) {
  std::vector<const InputKind*> kinds = chosen_kinds(names);
  std::stable_partition(kinds.begin(), kinds.end(),
                        [](const InputKind* kind) { return kind->name == "integers"; });
  return kinds;
}

SYMOPT_CHECK_INLINE std::vector<Shape> detail::chosen_shapes(std::vector<Shape> shapes,
                                                             const AnyGroup& group) {
  if (shapes.empty()) shapes = default_shapes(group.families());
  for (const Shape shape : shapes)
    symopt::detail::require(shape.rows > 0 && shape.cols > 0, [&] {
      return "a check on blocks of shape " + to_string(shape) +
             " would say nothing; give shapes with entries";
    });
  std::erase_if(shapes, [&](Shape shape) { return !group.fits(shape); });
  return shapes;
}
#endif

}}}  // namespace symopt::check
