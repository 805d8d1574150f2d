// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/product.hpp>
#include <symopt/side.hpp>

#include <concepts>

// Second moments of a gradient, and which of them a group derives. With an algebra A_L of m x m and A_R of n
// x n matrices, V is the running mean of the gradient's second moment projected onto A_L (x) A_R, and the
// update V^(-1/2) applied to the momentum: see docs/derivation.md.
namespace symopt { inline namespace SYMOPT_ABI {

namespace moments {

/// Diagonal on both sides: one number for each entry, as Adam has it. `families`, here and below, are those
/// under which an update with these moments is equivariant.
struct Entries {
  static constexpr Families families{detail::signed_permutations, detail::signed_permutations};
};
/// Diagonal on the left, scalars on the right: one number for each row.
struct Rows {
  static constexpr Families families{detail::signed_permutations, detail::all_rotations};
};
/// Scalars on the left, diagonal on the right: one number for each column.
struct Columns {
  static constexpr Families families{detail::all_rotations, detail::signed_permutations};
};
/// Scalars on both sides: one number for the block.
struct Block {
  static constexpr Families families{detail::all_rotations, detail::all_rotations};
};
/// All matrices on the shorter side, scalars on the other: a k x k matrix of mean products, k the shorter
/// edge; one for each head where the group rotates within heads. Of a square block: on the left.
struct OneSided {
  static constexpr Families families{detail::all_rotations, detail::all_rotations};
};
/// All matrices on both sides. Not there yet.
struct TwoSided {
  static constexpr Families families{detail::all_rotations, detail::all_rotations};
};

}  // namespace moments

namespace detail {

/// The second moments of the transposed block, and the count of numbers that they keep for a block.
template <class Moments>
struct MomentTraits;
template <>
struct MomentTraits<moments::Entries> {
  using mirrored = moments::Entries;
  static constexpr Index count(Shape block) { return block.rows * block.cols; }
};
template <>
struct MomentTraits<moments::Rows> {
  using mirrored = moments::Columns;
  static constexpr Index count(Shape block) { return block.rows; }
};
template <>
struct MomentTraits<moments::Columns> {
  using mirrored = moments::Rows;
  static constexpr Index count(Shape block) { return block.cols; }
};
template <>
struct MomentTraits<moments::Block> {
  using mirrored = moments::Block;
  static constexpr Index count(Shape) { return 1; }
};

/// The algebra that the linear factor of one side proposes: the one whose normaliser it is in.
enum class ProposedAlgebra { none, diagonal, full };

constexpr ProposedAlgebra proposed_algebra(const SideFamilies& linear) {
  if (linear.rotations || linear.block_rotations > 1) return ProposedAlgebra::full;
  return linear.is_linear() ? ProposedAlgebra::diagonal : ProposedAlgebra::none;
}

/// Two diagonals, or no proposal: both diagonal. A diagonal beside anything else: with scalars there. Full
/// blocks beside none or full ones: full on the shorter side, within heads where there are heads.
template <Families families>
constexpr auto default_moments() {
  using enum ProposedAlgebra;
  constexpr ProposedAlgebra left = proposed_algebra(families.left), right = proposed_algebra(families.right);
  if constexpr (left == right && left != full) {
    return hana::type_c<moments::Entries>;
  } else if constexpr (left == diagonal) {
    return hana::type_c<moments::Rows>;
  } else if constexpr (right == diagonal) {
    return hana::type_c<moments::Columns>;
  } else {
    return hana::type_c<moments::OneSided>;
  }
}

}  // namespace detail

/// The second moments that a group derives. Each side's linear factor proposes an algebra (permutations,
/// signed or not: diagonal matrices; rotations, also within heads: full ones); see docs/derivation.md.
template <class Group>
using default_moments_t = typename decltype(detail::default_moments<families_of<Group>>())::type;

namespace detail {

template <class Moments>
inline constexpr bool are_full_moments = std::same_as<Moments, moments::OneSided>;

/// One static_assert for each way to be wrong, so that the first line of the error is the reason.
template <class Group, class Moments>
struct RequireMoments {
  static constexpr Families group = families_of<Group>;
  static constexpr Families own = Moments::families;

  static_assert(!group.left.positive_scalings && !group.right.positive_scalings,
                "no second moments are equivariant under positive scalings of rows or columns: a gradient "
                "scales by the inverse of what its weights scale by; see docs/derivation.md");

  static_assert(!std::same_as<Moments, moments::TwoSided>,
                "moments::TwoSided is not there yet: name moments::OneSided or moments::Block, or use "
                "Update; see docs/derivation.md");

  static_assert(!group.left.rotations || own.left.rotations,
                "these second moments are not equivariant under rotations of the rows (LeftOrthogonal); "
                "see docs/derivation.md");
  static_assert(!group.right.rotations || own.right.rotations,
                "these second moments are not equivariant under rotations of the columns "
                "(RightOrthogonal); see docs/derivation.md");

  static_assert(group.left.block_rotations == 0 || own.left.has_block_rotations(group.left.block_rotations),
                "these second moments are not equivariant under rotations within heads of rows "
                "(HeadRotations<Side::left, ...>); see docs/derivation.md");
  static_assert(group.right.block_rotations == 0 ||
                    own.right.has_block_rotations(group.right.block_rotations),
                "these second moments are not equivariant under rotations within heads of columns "
                "(HeadRotations<Side::right, ...>); see docs/derivation.md");

  static constexpr bool value = true;
};

}  // namespace detail

}}  // namespace symopt
