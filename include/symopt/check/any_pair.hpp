// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/check/any_optimizer.hpp>
#include <symopt/check/any_rule.hpp>
#include <symopt/group/gauge.hpp>
#include <symopt/pair/pair_optimizer.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// Pairs as the checks see them: one block, A above B, (m + n) x r with m = n or one more.
namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// The sizes of the pair that a block of that shape is.
constexpr PairShape pair_shape(Shape stacked) {
  const Index m = (stacked.rows + 1) / 2;
  return {m, stacked.rows - m, stacked.cols};
}

/// A and B in Scalar.
template <class Scalar>
struct StackedPair {
  template <class From>
  explicit StackedPair(const Matrix<From>& stacked) {
    const PairShape shape = pair_shape(shape_of(stacked));
    a.resize(shape.rows_of_a, shape.rank);
    b.resize(shape.rows_of_b, shape.rank);
    for (Index k = 0; k < stacked.size(); ++k) entry(k) = static_cast<Scalar>(stacked.data()[k]);
  }
  Matrix<Scalar> stacked() const {
    Matrix<Scalar> both(a.rows() + b.rows(), a.cols());
    for (Index k = 0; k < both.size(); ++k)
      both.data()[k] = k < a.size() ? a.data()[k] : b.data()[k - a.size()];
    return both;
  }

  Matrix<Scalar> a, b;

 private:
  Scalar& entry(Index k) { return k < a.size() ? a.data()[k] : b.data()[k - a.size()]; }
};

/// The shapes of pairs that are tried where none are given: rank 1 and 2, and more where A and B have at
/// least as many rows.
std::vector<Shape> default_pair_shapes(bool has_planes);

}  // namespace detail

/// A group of pairs, as a group of the block A above B. Random elements are of a condition up to the one
/// given.
template <PairGroup G>
class ErasedPairGroup final : public AnyGroup {
  using E = typename G::template Element<Wide>;
  static const E& in(const Element& g) { return *std::any_cast<E>(&g); }
  static WideMatrix moved(const WideMatrix& block, const auto& act) {
    detail::StackedPair<Wide> pair(block);
    act(pair.a, pair.b);
    return pair.stacked();
  }

 public:
  explicit ErasedPairGroup(double most_condition) : most_condition_(most_condition) {}

  std::string name() const override { return symopt::detail::type_name<G>(); }
  /// None, but that planes fill the columns: its elements are not orthogonal.
  Families families() const override {
    return families_on(Side::right, {.block_rotations = has_planes ? 2 : 0});
  }
  Wide unit() const override { return std::numeric_limits<Wide>::epsilon(); }
  bool has_all_its_families() const override { return false; }

  Element identity(Shape shape) const override {
    return G::template identity<Wide>(detail::pair_shape(shape));
  }
  Element compose(const Element& g, const Element& h) const override { return G::compose(in(g), in(h)); }
  Element inverse(const Element& g) const override { return G::inverse(in(g)); }
  Element random(Shape shape, std::mt19937_64& engine) const override {
    return G::template random<Wide>(detail::pair_shape(shape), engine, most_condition_);
  }
  std::vector<Element> generators(Shape shape) const override {
    std::vector<Element> elements;
    for (auto& generator : G::template generators<Wide>(detail::pair_shape(shape)))
      elements.push_back(std::move(generator));
    return elements;
  }

  WideMatrix on_weights(const Element& g, const WideMatrix& block) const override {
    return moved(block, [&](WideMatrix& a, WideMatrix& b) { G::act_on_weights(in(g), a, b); });
  }
  WideMatrix on_gradient(const Element& g, const WideMatrix& block) const override {
    return moved(block, [&](WideMatrix& a, WideMatrix& b) { G::act_on_gradient(in(g), a, b); });
  }
  WideMatrix on_update(const Element& g, const WideMatrix& block) const override {
    return moved(block, [&](WideMatrix& a, WideMatrix& b) { G::act_on_update(in(g), a, b); });
  }

  /// Sizes of rank r exist for even r alone.
  static constexpr bool has_planes =
      symopt::detail::orthogonal_families<typename G::algebra>().block_rotations == 2;

 private:
  double most_condition_;
};

namespace detail {

/// A rule of pairs: writes the directions of both.
template <class Rule, class Scalar>
concept MapsPairs = requires(const Rule& rule, const Matrix<Scalar>& block, Matrix<Scalar>& direction) {
  rule(block, block, block, block, direction, direction);
};

template <class Scalar, class Rule>
auto call_pair_rule(const Rule& rule, const StackedPair<Scalar>& weights, const StackedPair<Scalar>& gradient,
                    StackedPair<Scalar>& direction) {
  return rule(weights.a, weights.b, gradient.a, gradient.b, direction.a, direction.b);
}

template <class Scalar, class Rule>
Direction<Scalar> direction_of_pair(const Rule& rule) {
  if constexpr (MapsPairs<Rule, Scalar>) {
    return [rule](const Matrix<Scalar>& weights, const Matrix<Scalar>& gradient) {
      StackedPair<Scalar> direction(gradient);
      call_pair_rule<Scalar>(rule, StackedPair<Scalar>(weights), StackedPair<Scalar>(gradient), direction);
      return direction.stacked();
    };
  } else {
    return {};
  }
}

inline std::string reason_of_ranks(const PairRanks& ranks, bool is_damped) {
  return ranks.are_regular(is_damped) ? "" : "a block of a rank between 0 and r";
}

/// A rule of pairs as a rule of the block A above B. One that returns PairRanks says by them where its
/// pseudo-inverse depends on the choice of g.
template <class Rule>
AnyRule any_pair_rule(const Rule& rule) {
  static_assert(MapsPairs<Rule, double> || MapsPairs<Rule, float>,
                "a rule of pairs to check is callable as rule(a, b, gradient_a, gradient_b, direction_a, "
                "direction_b) on matrices of float or double, and writes the last two");
  const std::string name = symopt::detail::type_name<Rule>();
  AnyRule any{name.find("lambda") == std::string::npos ? name : "a callable", direction_of_pair<double>(rule),
              direction_of_pair<float>(rule), true};
  using Scalar = std::conditional_t<MapsPairs<Rule, double>, double, float>;
  using Result = decltype(call_pair_rule<Scalar>(rule, std::declval<const StackedPair<Scalar>&>(),
                                                 std::declval<const StackedPair<Scalar>&>(),
                                                 std::declval<StackedPair<Scalar>&>()));
  if constexpr (std::same_as<Result, PairRanks>)
    any.approximation_reason = [rule](const Matrix<double>& weights, const Matrix<double>& gradient) {
      const StackedPair<Scalar> of_gradient(gradient);
      StackedPair<Scalar> direction = of_gradient;
      return reason_of_ranks(
          call_pair_rule<Scalar>(rule, StackedPair<Scalar>(weights), of_gradient, direction), false);
    };
  return any;
}

template <class Factory>
auto make_pair_optimizer(const Factory& factory, const PairShape& shape) {
  if constexpr (requires { factory(shape); }) {
    return factory(shape);
  } else {
    return factory(shape.rows_of_a, shape.rows_of_b, shape.rank);
  }
}

template <class O>
auto scalar_of_pair_optimizer() {
  if constexpr (requires { typename O::scalar_type; }) {
    return typename O::scalar_type{};
  } else {
    return double{};
  }
}

template <class O>
struct FloatPair {
  static constexpr bool exists = false;
};
template <class Rule>
struct FloatPair<PairOptimizer<Rule, double>> {
  static constexpr bool exists = true;

  static PairOptimizer<Rule, float> of(const PairOptimizer<Rule, double>& optimizer) {
    const PairShape shape = optimizer.shape();
    PairOptimizer<Rule, float> counterpart(shape.rows_of_a, shape.rows_of_b, shape.rank, optimizer.options(),
                                           optimizer.pair_options(), optimizer.rule());
    counterpart.set_schedule_factor(optimizer.schedule_factor());
    return counterpart;
  }
};

/// An optimizer of pairs, anything with step(a, gradient_a, b, gradient_b), as one of the block A above B.
template <class O>
class ErasedPairOptimizer final : public AnyOptimizer {
  using Scalar = decltype(scalar_of_pair_optimizer<O>());

 public:
  explicit ErasedPairOptimizer(const std::invocable auto& make) : optimizer_(make()) {}

  void step(WideMatrix& weights, const WideMatrix& gradient) override {
    StackedPair<Scalar> own(weights);
    const StackedPair<Scalar> own_gradient(gradient);
    optimizer_.step(own.a, own_gradient.a, own.b, own_gradient.b);
    weights = widened(own.stacked());
  }
  std::unique_ptr<AnyOptimizer> in_float() const override {
    if constexpr (FloatPair<O>::exists) {
      using InFloat = decltype(FloatPair<O>::of(optimizer_));
      try {
        return std::make_unique<ErasedPairOptimizer<InFloat>>([&] { return FloatPair<O>::of(optimizer_); });
      } catch (const std::invalid_argument&) {
      }
    }
    return nullptr;
  }
  std::string approximation_reason() const override {
    if constexpr (requires { optimizer_.ranks(); }) {
      return reason_of_ranks(optimizer_.ranks(), optimizer_.pair_options().damping > 0);
    } else {
      return {};
    }
  }

 private:
  O optimizer_;
};

template <class Factory>
AnyOptimizerFactory any_pair_optimizer_factory(const Factory& factory) {
  using O = decltype(make_pair_optimizer(factory, PairShape{}));
  constexpr bool is_float = std::same_as<decltype(scalar_of_pair_optimizer<O>()), float>;
  return {symopt::detail::type_name<O>(), is_float ? Precision::in_float : Precision::in_double,
          FloatPair<O>::exists, [factory](Shape shape) -> std::unique_ptr<AnyOptimizer> {
            return std::make_unique<ErasedPairOptimizer<O>>(
                [&] { return make_pair_optimizer(factory, pair_shape(shape)); });
          }};
}

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE std::vector<Shape> default_pair_shapes(bool has_planes) {
  if (has_planes) return {{4, 2}, {7, 2}, {8, 4}, {13, 4}, {17, 6}};
  return {{2, 1}, {4, 2}, {5, 2}, {7, 3}, {8, 4}, {13, 5}, {17, 6}};
}
#endif

}  // namespace detail

}}}  // namespace symopt::check
