// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/group/haar.hpp>
#include <symopt/group/permutation.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// Kinds of linear motions of the lines of one side: those that tell apart the largest groups of rules.
enum class LineMotions {
  negation,           ///< the sign of the whole block
  swaps,              ///< two lines change places
  signs,              ///< one line changes its sign
  block_rotations,    ///< orthogonal matrices within blocks of lines: heads
  block_swaps,        ///< two such blocks change places
  ones_rotations,     ///< orthogonal matrices that keep the vector of ones up to its sign
  rotations,          ///< every orthogonal matrix
  positive_scalings,  ///< one line is multiplied by a positive number
};

constexpr const char* to_string(LineMotions motions) {
  switch (motions) {
    case LineMotions::negation:
      return "sign of the block";
    case LineMotions::swaps:
      return "swaps";
    case LineMotions::signs:
      return "signs";
    case LineMotions::block_rotations:
      return "rotations within blocks";
    case LineMotions::block_swaps:
      return "swaps of blocks";
    case LineMotions::ones_rotations:
      return "rotations about the ones";
    case LineMotions::rotations:
      return "rotations";
    case LineMotions::positive_scalings:
      break;
  }
  return "positive scalings";
}

/// The motions of one kind on one side as a group of matrices A: W -> A W on the left, W A^T on the right;
/// gradients move by A^-T. For checks of rules whose group is not known; it derives no update.
class OneSidedGroup final : public AnyGroup {
 public:
  /// Block size: of block_rotations and block_swaps, at least 1; the others have none.
  OneSidedGroup(Side side, LineMotions motions, int block_size = 0)
      : side_(side), motions_(motions), block_size_(moves_blocks(motions) ? std::max(1, block_size) : 0) {}

  std::string name() const override {
    return std::string(side_ == Side::left ? "left " : "right ") + to_string(motions_) +
           (block_size_ > 0 ? " of " + std::to_string(block_size_) : "");
  }
  Families families() const override {
    switch (motions_) {
      case LineMotions::swaps:
        return families_on(side_, {.swaps = true});
      case LineMotions::signs:
        return families_on(side_, {.signs = true});
      case LineMotions::block_rotations:
        return families_on(side_, {.block_rotations = block_size_});
      case LineMotions::block_swaps:
        return families_on(side_, {.block_swaps = block_size_});
      case LineMotions::rotations:
        return families_on(side_, {.rotations = true});
      case LineMotions::positive_scalings:
        return families_on(side_, {.positive_scalings = true});
      case LineMotions::negation:
      case LineMotions::ones_rotations:
        break;
    }
    return {};
  }
  Wide unit() const override { return std::numeric_limits<Wide>::epsilon(); }
  bool has_all_its_families() const override { return true; }

  Element identity(Shape shape) const override {
    const Index n = line_count(shape, side_);
    return WideMatrix(WideMatrix::Identity(n, n));
  }
  Element compose(const Element& g, const Element& h) const override { return WideMatrix(in(g)*in(h)); }
  Element inverse(const Element& g) const override { return inverse_of(in(g)); }

  Element random(Shape shape, std::mt19937_64& engine) const override {
    const Index n = line_count(shape, side_);
    if (motions_ == LineMotions::rotations) return rotation(n, engine);
    if (motions_ == LineMotions::ones_rotations) {
      WideMatrix q = WideMatrix::Identity(n, n);
      if (n > 1) q.bottomRightCorner(n - 1, n - 1) = rotation(n - 1, engine);
      return about_ones(q);
    }
    WideMatrix a = WideMatrix::Identity(n, n);
    if (motions_ == LineMotions::positive_scalings) {
      std::uniform_real_distribution<double> exponent(-3, 3);
      for (Index i = 0; i < n; ++i) a(i, i) = std::exp2(Wide(exponent(engine)));
      return a;
    }
    if (motions_ == LineMotions::block_rotations) {
      for (Index i = 0; i < n; i += block_size_)
        a.block(i, i, block_size_, block_size_) = rotation(block_size_, engine);
      return a;
    }
    // Otherwise a product of generators in any order.
    const std::vector<Element> some = generators(shape);
    for (Index k = 0; k < 2 * n && !some.empty(); ++k)
      a = in(some[std::uniform_int_distribution<std::size_t>(0, some.size() - 1)(engine)]) * a;
    return a;
  }

  std::vector<Element> generators(Shape shape) const override {
    const Index n = line_count(shape, side_);
    const WideMatrix one = WideMatrix::Identity(n, n);
    std::vector<Element> elements;
    const auto add = [&](WideMatrix a) { elements.push_back(std::move(a)); };
    const auto add_swaps = [&](Index size) {
      for (Index i = 0; i + 2 * size <= n; i += size) {
        WideMatrix a = one;
        a.middleRows(i, size).swap(a.middleRows(i + size, size));
        add(a);
      }
    };
    switch (motions_) {
      case LineMotions::negation:
        add(-one);
        break;
      case LineMotions::swaps:
        add_swaps(1);
        break;
      case LineMotions::signs:
        for (Index i = 0; i < n; ++i) add(reflection<Wide>(n, i));
        break;
      case LineMotions::block_rotations:
        for (Index i = 0; i < n; i += block_size_)
          for (const WideMatrix& q : orthogonal_generators<Wide>(block_size_)) {
            WideMatrix a = one;
            a.block(i, i, block_size_, block_size_) = q;
            add(a);
          }
        break;
      case LineMotions::block_swaps:
        add_swaps(block_size_);
        break;
      case LineMotions::ones_rotations:
        add(-one);
        for (const WideMatrix& q : orthogonal_generators<Wide>(n - 1)) {
          WideMatrix a = one;
          a.bottomRightCorner(n - 1, n - 1) = q;
          add(about_ones(a));
        }
        break;
      case LineMotions::rotations:
        for (const WideMatrix& q : orthogonal_generators<Wide>(n)) add(q);
        break;
      case LineMotions::positive_scalings:
        for (Index i = 0; i < n; ++i) {
          WideMatrix a = one;
          a(i, i) = i % 2 == 0 ? 2 : 3;
          add(a);
        }
        break;
    }
    return elements;
  }

  WideMatrix on_weights(const Element& g, const WideMatrix& block) const override {
    return moved(in(g), block);
  }
  WideMatrix on_update(const Element& g, const WideMatrix& block) const override {
    return moved(in(g), block);
  }
  WideMatrix on_gradient(const Element& g, const WideMatrix& block) const override {
    return moved(inverse_of(in(g)).transpose(), block);
  }

 private:
  static bool moves_blocks(LineMotions motions) {
    return motions == LineMotions::block_rotations || motions == LineMotions::block_swaps;
  }

  static const WideMatrix& in(const Element& g) { return *std::any_cast<WideMatrix>(&g); }

  WideMatrix moved(const WideMatrix& a, const WideMatrix& block) const {
    if (side_ == Side::left) return a * block;
    return block * a.transpose();
  }
  WideMatrix inverse_of(const WideMatrix& a) const {
    if (motions_ != LineMotions::positive_scalings) return a.transpose();
    return a.diagonal().cwiseInverse().asDiagonal();
  }

  static WideMatrix rotation(Index n, std::mt19937_64& engine) { return haar_orthogonal<Wide>(n, engine); }

  /// H q H with the reflection H that exchanges the first axis and the direction of the ones.
  static WideMatrix about_ones(const WideMatrix& q) {
    const Index n = q.rows();
    if (n < 2) return q;
    using Vector = Eigen::Matrix<Wide, Eigen::Dynamic, 1>;
    const Vector axis =
        (Vector::Constant(n, 1 / std::sqrt(static_cast<Wide>(n))) - Vector::Unit(n, 0)).normalized();
    const WideMatrix h = WideMatrix::Identity(n, n) - 2 * axis * axis.transpose();
    return h * q * h;
  }

  Side side_;
  LineMotions motions_;
  int block_size_;
};

}}}  // namespace symopt::check
