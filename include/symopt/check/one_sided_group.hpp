// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/check/generator_kind.hpp>
#include <symopt/group/haar.hpp>
#include <symopt/group/matrix_product.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The group of one kind of generators on one side, of matrices A: W -> A W on the left, W A^T on the right;
/// gradients move by A^-T. For checks of rules whose group is not known; it derives no update.
class OneSidedGroup final : public AnyGroup {
 public:
  /// Block size: of block_rotations and block_permutations, at least 1; the others have none.
  OneSidedGroup(Side side, GeneratorKind kind, int block_size = 0)
      : side_(side), kind_(kind), block_size_(moves_blocks(kind) ? std::max(1, block_size) : 0) {}

  std::string name() const override;
  Families families() const override;
  Wide unit() const override { return std::numeric_limits<Wide>::epsilon(); }
  bool has_all_its_families() const override { return true; }

  Element identity(Shape shape) const override;
  Element compose(const Element& g, const Element& h) const override;
  Element inverse(const Element& g) const override { return inverse_of(in(g)); }
  Element random(Shape shape, std::mt19937_64& engine) const override;
  std::vector<Element> generators(Shape shape) const override;

  WideMatrix on_weights(const Element& g, const WideMatrix& block) const override {
    return moved(in(g), block);
  }
  WideMatrix on_update(const Element& g, const WideMatrix& block) const override {
    return moved(in(g), block);
  }
  WideMatrix on_gradient(const Element& g, const WideMatrix& block) const override;

 private:
  static bool moves_blocks(GeneratorKind kind) {
    return kind == GeneratorKind::block_rotations || kind == GeneratorKind::block_permutations;
  }
  static const WideMatrix& in(const Element& g) { return *std::any_cast<WideMatrix>(&g); }
  WideMatrix moved(const WideMatrix& a, const WideMatrix& block) const;
  WideMatrix inverse_of(WideMatrix a) const;
  std::vector<WideMatrix> generator_matrices(Index n) const;

  Side side_;
  GeneratorKind kind_;
  int block_size_;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

using symopt::detail::matrix_product;

/// The matrix with q in its diagonal, from that line on.
SYMOPT_CHECK_INLINE WideMatrix with_block(WideMatrix a, Index begin, const WideMatrix& q) {
  for (Index i = 0; i < q.rows(); ++i)
    for (Index j = 0; j < q.cols(); ++j) a(begin + i, begin + j) = q(i, j);
  return a;
}

/// The unit matrix with two neighbouring blocks of that size exchanged.
SYMOPT_CHECK_INLINE WideMatrix block_exchange(Index n, Index begin, Index size) {
  WideMatrix a = unit_matrix(n);
  for (Index i = begin; i < begin + size; ++i) {
    a(i, i) = a(i + size, i + size) = 0;
    a(i, i + size) = a(i + size, i) = 1;
  }
  return a;
}

/// An orthogonal matrix q of n - 1 lines as one of n that keeps the vector of ones: H (1 + q) H with the
/// reflection H that exchanges the first axis and the direction of the ones, 1 - 2 a a^T / |a|^2 for their
/// difference a.
SYMOPT_CHECK_INLINE WideMatrix about_ones(Index n, const WideMatrix& q) {
  if (n < 2) return unit_matrix(n);
  const Wide direction = 1 / std::sqrt(static_cast<Wide>(n));
  const auto axis = [&](Index i) { return direction - (i == 0 ? 1 : 0); };
  const Wide squared = 2 - 2 * direction;
  WideMatrix h = unit_matrix(n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) h(i, j) -= 2 * axis(i) * axis(j) / squared;
  return matrix_product(matrix_product(h, with_block(unit_matrix(n), 1, q)), h);
}

}  // namespace detail

SYMOPT_CHECK_INLINE std::string OneSidedGroup::name() const {
  return std::string(side_ == Side::left ? "left " : "right ") + to_string(kind_) +
         (block_size_ > 0 ? " of " + std::to_string(block_size_) : "");
}

SYMOPT_CHECK_INLINE Families OneSidedGroup::families() const {
  switch (kind_) {
    case GeneratorKind::permutations:
      return families_on(side_, {.permutations = true});
    case GeneratorKind::signs:
      return families_on(side_, {.signs = true});
    case GeneratorKind::block_rotations:
      return families_on(side_, {.block_rotations = block_size_});
    case GeneratorKind::block_permutations:
      return families_on(side_, {.block_permutations = block_size_});
    case GeneratorKind::rotations:
      return families_on(side_, {.rotations = true});
    case GeneratorKind::positive_scalings:
      return families_on(side_, {.positive_scalings = true});
    case GeneratorKind::negation:
    case GeneratorKind::stabilizer_of_ones:
      break;
  }
  return {};
}

SYMOPT_CHECK_INLINE AnyGroup::Element OneSidedGroup::identity(Shape shape) const {
  return detail::unit_matrix(extent(shape, side_));
}

SYMOPT_CHECK_INLINE AnyGroup::Element OneSidedGroup::compose(const Element& g, const Element& h) const {
  return detail::matrix_product(in(g), in(h));
}

SYMOPT_CHECK_INLINE AnyGroup::Element OneSidedGroup::random(Shape shape, std::mt19937_64& engine) const {
  const Index n = extent(shape, side_);
  if (kind_ == GeneratorKind::rotations) return haar_orthogonal<Wide>(n, engine);
  if (kind_ == GeneratorKind::stabilizer_of_ones)
    return detail::about_ones(n, haar_orthogonal<Wide>(std::max<Index>(0, n - 1), engine));
  WideMatrix a = detail::unit_matrix(n);
  if (kind_ == GeneratorKind::positive_scalings) {
    for (Index i = 0; i < n; ++i) a(i, i) = std::exp2(Wide(6 * uniform_number(engine) - 3));
    return a;
  }
  if (kind_ == GeneratorKind::block_rotations) {
    for (Index i = 0; i < n; i += block_size_)
      a = detail::with_block(std::move(a), i, haar_orthogonal<Wide>(block_size_, engine));
    return a;
  }
  // Otherwise a product of generators in any order.
  const std::vector<WideMatrix> some = generator_matrices(n);
  for (Index k = 0; k < 2 * n && !some.empty(); ++k)
    a = detail::matrix_product(some[uniform_index(some.size(), engine)], a);
  return a;
}

SYMOPT_CHECK_INLINE std::vector<AnyGroup::Element> OneSidedGroup::generators(Shape shape) const {
  std::vector<Element> elements;
  for (WideMatrix& a : generator_matrices(extent(shape, side_))) elements.emplace_back(std::move(a));
  return elements;
}

SYMOPT_CHECK_INLINE std::vector<WideMatrix> OneSidedGroup::generator_matrices(Index n) const {
  using detail::unit_matrix, detail::with_block;
  std::vector<WideMatrix> matrices;
  const auto add_permutations = [&](Index size) {
    for (Index i = 0; i + 2 * size <= n; i += size) matrices.push_back(detail::block_exchange(n, i, size));
  };
  const auto add_negation = [&] {
    matrices.push_back(detail::sum(WideMatrix::Zero(n, n), unit_matrix(n), -1));
  };
  const auto add_scalings = [&](const auto& factor_of) {
    for (Index i = 0; i < n; ++i)
      matrices.push_back(with_block(unit_matrix(n), i, WideMatrix::Constant(1, 1, factor_of(i))));
  };
  switch (kind_) {
    case GeneratorKind::negation:
      add_negation();
      break;
    case GeneratorKind::permutations:
      add_permutations(1);
      break;
    case GeneratorKind::signs:
      add_scalings([](Index) { return Wide(-1); });
      break;
    case GeneratorKind::block_rotations:
      for (Index i = 0; i < n; i += block_size_)
        for (const WideMatrix& q : symopt::detail::orthogonal_generators<Wide>(block_size_))
          matrices.push_back(with_block(unit_matrix(n), i, q));
      break;
    case GeneratorKind::block_permutations:
      add_permutations(block_size_);
      break;
    case GeneratorKind::stabilizer_of_ones:
      add_negation();
      for (const WideMatrix& q : symopt::detail::orthogonal_generators<Wide>(n - 1))
        matrices.push_back(detail::about_ones(n, q));
      break;
    case GeneratorKind::rotations:
      matrices = symopt::detail::orthogonal_generators<Wide>(n);
      break;
    case GeneratorKind::positive_scalings:
      add_scalings([](Index i) { return Wide(i % 2 == 0 ? 2 : 3); });
      break;
  }
  return matrices;
}

SYMOPT_CHECK_INLINE WideMatrix OneSidedGroup::on_gradient(const Element& g, const WideMatrix& block) const {
  return moved(detail::transpose(inverse_of(in(g))), block);
}

SYMOPT_CHECK_INLINE WideMatrix OneSidedGroup::moved(const WideMatrix& a, const WideMatrix& block) const {
  if (side_ == Side::left) return detail::matrix_product(a, block);
  return detail::transpose(detail::matrix_product(a, detail::transpose(block)));
}

SYMOPT_CHECK_INLINE WideMatrix OneSidedGroup::inverse_of(WideMatrix a) const {
  if (kind_ != GeneratorKind::positive_scalings) return detail::transpose(a);
  for (Index i = 0; i < a.rows(); ++i) a(i, i) = 1 / a(i, i);
  return a;
}
#endif

}}}  // namespace symopt::check
