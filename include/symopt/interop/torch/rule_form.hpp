// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/divisor.hpp>
#include <symopt/optimizer/form_writer.hpp>
#include <symopt/polar/quintic.hpp>
#include <symopt/side.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

// A rule as data: its stages and their options without their types. Found by form_of_rule.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail { namespace form {

/// P: subtracts the mean row (left), the mean column (right), both or nothing.
struct Projection {
  bool left = false, right = false;

  bool is_identity() const { return !left && !right; }
  friend bool operator==(const Projection&, const Projection&) = default;
};

struct Identity {
  friend bool operator==(const Identity&, const Identity&) = default;
};
struct Sign {
  friend bool operator==(const Sign&, const Sign&) = default;
};
struct FrobeniusNorm {
  friend bool operator==(const FrobeniusNorm&, const FrobeniusNorm&) = default;
};
/// Every line along that side's space, the rows (left) or the columns (right), over its norm.
struct LineNorm {
  Side lines = Side::left;
  double eps = 0;
  Divisor divisor = Divisor::norm_plus_eps;

  friend bool operator==(const LineNorm&, const LineNorm&) = default;
};

/// The place of what is a user's own: the rule of a role, and which one it is of those in it. Two of them are
/// alike only there.
struct Origin {
  std::shared_ptr<const void> rule;
  int number;
  friend bool operator==(const Origin&, const Origin&) = default;
};

/// The ways to a polar factor, as in polar/.
///@{
struct Minimax {
  int terms = 3;
  friend bool operator==(const Minimax&, const Minimax&) = default;
};
struct Zolotarev {
  int terms = 3;
  double lower_bound = 0, upper_bound = 1;
  friend bool operator==(const Zolotarev&, const Zolotarev&) = default;
};
/// Odd polynomials of the block; in Gram space, of its Gram matrix, with that many steps before a new one (-1
/// where the scalar asks for it, 0 never).
struct Iteration {
  int steps = 0;
  polar::QuinticList coefficients{{1, 0, 0}};
  double safety = 1, eps = 0;
  std::optional<int> restart_after{};  ///< in Gram space
  bool in_bfloat16 = false;            ///< the products, where they are libtorch's
  friend bool operator==(const Iteration&, const Iteration&) = default;
};
struct Exact {
  double cutoff = 0;
  friend bool operator==(const Exact&, const Exact&) = default;
};
/// One of a user's with a member torch_apply.
class TorchPolar {
 public:
  using Apply = symopt::detail::FormWriter::PolarApply;
  TorchPolar(Origin origin, std::shared_ptr<const void> method, Apply apply)
      : origin_(std::move(origin)), method_(std::move(method)), apply_(apply) {}

  /// blocks, batch x m x n, <- their polar factors.
  void operator()(at::Tensor& blocks, Side gram_side) const { apply_(method_.get(), blocks, gram_side); }
  friend bool operator==(const TorchPolar& a, const TorchPolar& b) { return a.origin_ == b.origin_; }

 private:
  Origin origin_;
  std::shared_ptr<const void> method_;
  Apply apply_;
};
using PolarMethod = std::variant<Minimax, Zolotarev, Iteration, Exact, TorchPolar>;
///@}

/// The polar factor, through the Gram matrix of that side; of the shorter one where none is named.
struct PolarFactor {
  PolarMethod method{};
  std::optional<Side> gram_side{};
  friend bool operator==(const PolarFactor&, const PolarFactor&) = default;
};

/// A map of a user's with a member torch_apply.
class TorchMap {
 public:
  using Apply = symopt::detail::FormWriter::MapApply;
  TorchMap(Origin origin, std::shared_ptr<const void> map, Apply apply)
      : origin_(std::move(origin)), map_(std::move(map)), apply_(apply) {}

  /// blocks, batch x m x n, <- their images.
  void operator()(at::Tensor& blocks) const { apply_(map_.get(), blocks); }
  friend bool operator==(const TorchMap& a, const TorchMap& b) { return a.origin_ == b.origin_; }

 private:
  Origin origin_;
  std::shared_ptr<const void> map_;
  Apply apply_;
};

struct DualNorm;
struct PerHead;

/// A stage within another one.
template <class Inner>
class Nested {
 public:
  explicit Nested(Inner inner) : inner_(std::make_shared<const Inner>(std::move(inner))) {}
  const Inner& operator*() const { return *inner_; }
  const Inner* operator->() const { return inner_.get(); }
  friend bool operator==(const Nested& a, const Nested& b) { return *a == *b; }

 private:
  std::shared_ptr<const Inner> inner_;
};

using Stage = std::variant<Projection, Identity, Sign, FrobeniusNorm, LineNorm, PolarFactor, TorchMap,
                           Nested<DualNorm>, Nested<PerHead>>;

/// X -> nu^alpha N(X), nu = <X, N(X)>, N the stages.
struct DualNorm {
  double alpha = 1;
  std::vector<Stage> stages;
  friend bool operator==(const DualNorm&, const DualNorm&) = default;
};
/// The stages on each head alone, of so many rows (left) or columns (right).
struct PerHead {
  Side side = Side::left;
  int size = 1;
  std::vector<Stage> stages;
  friend bool operator==(const PerHead&, const PerHead&) = default;
};

/// A rule that maps the momentum: its stages with the projections between them.
struct Map {
  std::vector<Stage> stages;
  friend bool operator==(const Map&, const Map&) = default;
};

struct AdamW {
  double beta1 = 0, beta2 = 0, eps = 0;
  friend bool operator==(const AdamW&, const AdamW&) = default;
};

using Moments = symopt::detail::FormWriter::Moments;

struct Adaptive {
  Moments moments = Moments::entries;
  int head_rows = 0, head_columns = 0;  ///< of one_sided; 0 for all
  double beta1 = 0, beta2 = 0, eps = 0;
  int every = 0;
  friend bool operator==(const Adaptive&, const Adaptive&) = default;
};

/// A rule for pairs of blocks of some rank: its normalization, and the algebra that the pair does not see.
struct Pair {
  bool is_full = false;                         ///< all r x r matrices; else those of the numbers below
  std::vector<std::int64_t> numbers{};          ///< of each column the number of a positive element
  std::vector<std::int64_t> first{}, second{};  ///< the two columns of each plane, where there are planes
  bool is_in_order = true;                      ///< planes of neighbours
  std::vector<Stage> stages{};                  ///< N
  double damping = 0;
  bool is_horizontal = false;
  friend bool operator==(const Pair&, const Pair&) = default;
};

/// A rule that is no list of these.
struct Unknown {
  friend bool operator==(const Unknown&, const Unknown&) = default;
};

/// A rule and the projection P of its group, which horizontal decay uses and Adaptive beside it.
struct Rule {
  std::variant<Unknown, Map, AdamW, Adaptive, Pair> value{};
  Projection projection{};
  friend bool operator==(const Rule&, const Rule&) = default;
};

}}}}}  // namespace symopt::interop::detail::form
