// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/frame/frame_averaged_map.hpp>
#include <symopt/frame/frame_averaged_stateful.hpp>

#include <type_traits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

template <class Group, class Rule>
using frame_average_base_t = std::conditional_t<is_stateful_rule_v<Rule>, FrameAveragedStateful<Group, Rule>,
                                                FrameAveragedMap<Group, Rule>>;

}  // namespace detail

/// Definition: the rule made equivariant under Group by an average over a frame. A frame F maps a block X to
/// finitely many elements with F(g X) = g F(X); the average  1/|F(X)| sum over f in F(X) of  f rule(f^-1 X)
/// is equivariant whatever the rule, and equal to the rule where that is equivariant already. No frame is
/// taken on a side where the rule claims what the group does there; else
///   permutations   the lines in sorted order; over equal lines the direction is averaged
///   rotations      the singular vectors of that side, in all 2^r signs (r the rank), or in one if the rule
///                  commutes with signs. Beyond r = 8, 256 of the signs are drawn by a fixed seed and the
///                  average is approximate.
///   both rotated   a stateless rule becomes U diag(rule(S)) V^T: exact for every rule and rank
///   shifts         P o average o P, with P the horizontal projection
/// Stateful rules: the state lives in frame coordinates and is never moved. The frame is made of the
/// eigenvectors of a running average of the Gram matrices (FrameOptions::memory) and is continued from step
/// to step: each coordinate keeps the axis nearest to its last one, in its sign, so that the twin of a run
/// keeps one change of signs at all steps. Averaging over signs keeps one state per choice. Sorted lines keep
/// their places once gradients or weights have told them apart, so the state follows them. Ties: equal lines
/// are exact. Equal singular values on one rotated side are told apart by the norms of the lines of the other
/// side where these do not turn; what remains equal makes the average depend on rounding, and report()
/// (state.report of a stateful rule) says so. The null space is exact: its direction is zero until a gradient
/// reaches it. Largest group: Group, and what the rule claims on a side without a frame; no claim when signs
/// are averaged. Shapes: m x n in and out, float or double; computed in double. Double gradients between
/// 1e-70 and 1e70. Cost: an eigendecomposition, 9 k^3 flops, and two products per rotated side of k lines; a
/// sort per permuted side; the rule once, or 2^min(r, 8) times. Allocates at each call. Errors:
/// std::invalid_argument for options out of range, or a memory for a rule without a state; at compile time
/// for groups without a frame (see docs/frame-averaging.md). Source: Puny et al., arXiv 2110.03336, theorem 1
/// and section 3; the moving basis as in SOAP, arXiv 2409.11321.
template <class Group, class Rule>
class FrameAveraged : public detail::frame_average_base_t<Group, Rule> {
 public:
  /// The average of `rule`. Errors: std::invalid_argument for options out of range, or a memory for a rule
  /// without a state.
  FrameAveraged(Rule rule = {}, FrameOptions options = {})
      : detail::frame_average_base_t<Group, Rule>(std::move(rule), options) {}
};

/// The rule averaged over the frame of Group: `frame_average<Embedding>(AdamW{})`.
template <class Group, class Rule>
FrameAveraged<Group, Rule> frame_average(Rule rule, FrameOptions options = {}) {
  return FrameAveraged<Group, Rule>(std::move(rule), options);
}

}}  // namespace symopt
