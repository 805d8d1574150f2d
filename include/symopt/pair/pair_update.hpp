// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/pair/pair_map.hpp>
#include <symopt/pair/pair_normalization.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The update that a group of pairs derives: the map from the momenta (or gradients) of A (m x r) and B
/// (n x r) to their directions,
///   U_A = N(M_A F_B^-1) F_B^-T,   U_B = N(M_B F_A^-1) F_A^-T,
/// with factors F_A, F_B in the algebra of the gauge, F_A^T F_A = Pi(A^T A), F_B^T F_B = Pi(B^T B). It is
/// equivariant: where A moves by g and B by g^-T, U_A does by g and U_B by g^-T. Pure: no state, no damping.
///
/// Units: for N a polar factor under algebra::Full, U_A B^T and A U_B^T have the singular values 1, so the
/// learning rate is the spectral norm of a step of the product; under other algebras at most the square root
/// of the number of planes, of columns, or of r.
/// Singular partners: F^-1 is the pseudo-inverse, so B = 0 gives U_A = 0. Where Pi(B^T B) has a rank between
/// 0 and r, the step of the product is invariant, but U_A depends on the choice of g.
/// Cost: for algebra::Full 4 (m + n) r^2 flops and two Gram matrices in double besides N, and for floats
/// under Spectral and FrobeniusNorm 2 (m + n) r^2 and four Gram matrices with N on r x r matrices; for other
/// algebras two reads and writes of each block. Errors: at compile time, a normalization that does not
/// commute with the orthogonal elements of the gauge or of the outer groups; Error for shapes that do not
/// fit, and for options of the normalization out of range. Source: docs/pairs.md; arXiv 2005.08898 (N =
/// Identity), arXiv 2606.12921 (N = Spectral).
template <class PairGroup, class Normalization = default_pair_normalization_t<PairGroup>>
class PairUpdate : detail::RequirePairAdmissible<PairGroup, Normalization> {
 public:
  using pair_group = PairGroup;              ///< what the update is equivariant under
  using normalization_type = Normalization;  ///< N

  /// The update with the options of its normalization. Errors: Error for one out of range.
  PairUpdate(Normalization normalization = {}) : normalization_(std::move(normalization)) {
    detail::validated(normalization_);
  }

  /// N, with its options.
  const Normalization& normalization() const { return normalization_; }

  /// Writes the directions for the momenta, and returns the ranks of the blocks. a, b and the momenta are
  /// dense Eigen expressions, m x r and n x r, or vectors of several of these where several A share one B, or
  /// several B one A; the directions are memory of the same shapes to write into, in any storage, which may
  /// be that of the momenta. A transposed view is right where a block is stored as r x n.
  template <class A, class B, class MomentumA, class MomentumB, class DirectionA, class DirectionB>
  PairRanks operator()(const A& a, const B& b, const MomentumA& momentum_a, const MomentumB& momentum_b,
                       DirectionA&& direction_a, DirectionB&& direction_b) const {
    using Scalar = typename std::remove_cvref_t<decltype(first(a))>::Scalar;
    static_assert(RealScalar<Scalar>, "symopt computes in float and double; cast the blocks first");
    static_assert(
        std::same_as<Scalar, typename std::remove_cvref_t<decltype(first(direction_a))>::Scalar> &&
            std::same_as<Scalar, typename std::remove_cvref_t<decltype(first(direction_b))>::Scalar>,
        "blocks and directions must have the same scalar");
    std::vector<Matrix<Scalar>> of_a = copied<Scalar>(a), of_b = copied<Scalar>(b);
    std::vector<Matrix<Scalar>> to_a = copied<Scalar>(momentum_a), to_b = copied<Scalar>(momentum_b);
    const detail::PairExtents extents = checked("A", of_a, to_a, "B", of_b, to_b);
    detail::PairMap<PairGroup, Normalization, Scalar> map(extents);
    auto side_a = blocks(of_a, to_a), side_b = blocks(of_b, to_b);
    map.apply(normalization_, side_a, side_b, 0);
    write("A", to_a, direction_a);
    write("B", to_b, direction_b);
    return map.ranks();
  }

 private:
  template <class Given>
  static const auto& first(const Given& given) {
    if constexpr (detail::EigenObject<Given>) {
      return given;
    } else {
      return *given.begin();
    }
  }
  template <class Scalar>
  static std::vector<Matrix<Scalar>> copied(const auto& given) {
    std::vector<Matrix<Scalar>> copies;
    if constexpr (detail::EigenObject<decltype(given)>) {
      copies.emplace_back(given);
    } else {
      for (const auto& block : given) copies.emplace_back(block);
    }
    return copies;
  }

  template <class Scalar>
  static detail::PairExtents checked(const char* name_a, const std::vector<Matrix<Scalar>>& a,
                                     const std::vector<Matrix<Scalar>>& momenta_a, const char* name_b,
                                     const std::vector<Matrix<Scalar>>& b,
                                     const std::vector<Matrix<Scalar>>& momenta_b) {
    require_alike(name_a, a, momenta_a);
    require_alike(name_b, b, momenta_b);
    const Shape of_a = detail::shape_of(a.front()), of_b = detail::shape_of(b.front());
    detail::require(of_a.cols == of_b.cols, [&] {
      return "A is " + to_string(of_a) + " and B is " + to_string(of_b) +
             ", but the blocks of a pair have as many columns, their rank; give a block that is stored as r "
             "x "
             "n by its transposed view";
    });
    detail::require(a.size() == 1 || b.size() == 1, [&] {
      return std::to_string(a.size()) + " blocks A and " + std::to_string(b.size()) +
             " blocks B were given; several of the one share a single one of the other";
    });
    detail::require_size<typename PairGroup::algebra>(of_a.cols);
    return {{of_a.rows, of_b.rows, of_a.cols}, static_cast<Index>(a.size()), static_cast<Index>(b.size())};
  }

  template <class Scalar>
  static void require_alike(const char* name, const std::vector<Matrix<Scalar>>& blocks,
                            const std::vector<Matrix<Scalar>>& momenta) {
    const auto text = [name](const char* what) { return std::string(what) + name; };
    detail::require(!blocks.empty() && blocks.size() == momenta.size(), [&] {
      return text("there are ") + ": " + std::to_string(blocks.size()) + ", and " +
             std::to_string(momenta.size()) + " momenta of it; give one momentum for each block";
    });
    for (std::size_t k = 0; k < blocks.size(); ++k) {
      const Shape shape = detail::shape_of(blocks[k]), momentum = detail::shape_of(momenta[k]);
      detail::require(shape == momentum, [&] {
        return text("the momentum of ") + " is " + to_string(momentum) + " but the block is " +
               to_string(shape) + "; give both in one shape";
      });
      detail::require(shape == detail::shape_of(blocks.front()), [&] {
        return text("blocks ") + " of " + to_string(detail::shape_of(blocks.front())) + " and " +
               to_string(shape) + " cannot share a partner; those that do have one shape";
      });
    }
  }

  template <class Scalar>
  static detail::PairBlocks<Scalar> blocks(std::vector<Matrix<Scalar>>& weights,
                                           std::vector<Matrix<Scalar>>& directions) {
    detail::PairBlocks<Scalar> side;
    for (Matrix<Scalar>& block : weights) side.weights.emplace_back(detail::BlockView<Scalar>(block));
    for (Matrix<Scalar>& block : directions) side.directions.emplace_back(block);
    return side;
  }

  template <class Scalar, class Given>
  static void write(const char* name, const std::vector<Matrix<Scalar>>& from, Given& to) {
    const auto write_one = [&](const Matrix<Scalar>& direction, auto&& memory) {
      static_assert(detail::is_writable_memory_v<decltype(memory)>,
                    "the directions must be memory to write into: a Matrix, Map, Ref or Block");
      detail::require(detail::shape_of(memory) == detail::shape_of(direction), [&] {
        return std::string("the direction of ") + name + " is " + to_string(detail::shape_of(memory)) +
               " but the momentum is " + to_string(detail::shape_of(direction)) +
               "; give the update directions of the momenta's shapes";
      });
      memory = direction;
    };
    if constexpr (detail::EigenObject<Given>) {
      write_one(from.front(), to);
    } else {
      detail::require(static_cast<std::size_t>(to.size()) == from.size(), [&] {
        return std::to_string(from.size()) + " directions of " + name + " need as much memory, not " +
               std::to_string(to.size()) + " blocks; give one for each momentum";
      });
      for (std::size_t k = 0; k < from.size(); ++k) write_one(from[k], to[k]);
    }
  }

  Normalization normalization_;
};

/// A rule for pairs of blocks: PairUpdate.
template <class Rule>
concept PairRule = PairGroup<typename Rule::pair_group> && requires(const Rule& rule) {
  typename Rule::normalization_type;
  rule.normalization();
};

}}  // namespace symopt
