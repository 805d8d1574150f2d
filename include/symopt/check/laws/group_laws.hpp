// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/check/inputs.hpp>
#include <symopt/check/laws/bound.hpp>
#include <symopt/check/trials.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// The axioms of a group whose type is hidden.
Report check_group_laws(const AnyGroup& group, CheckOptions options = {});
/// The laws of the actions of a group whose type is hidden.
Report check_action_laws(const AnyGroup& group, CheckOptions options = {});

/// The axioms, seen through the actions: g g^-1 = 1, 1 g = g 1 = g, (g h) k = g (h k); and that every element
/// lies in the families that the group states, or in those of its bound. For generators and random elements
/// on small shapes; on empty ones where the group says that it takes them, by a member `static constexpr bool
/// takes_empty_blocks = true`. Scalar: what the elements are computed in. Of the options, seed and shapes
/// count.
template <SymmetryGroup Group, class Scalar = element_scalar_t<Group>>
Report check_group_laws(CheckOptions options = {}) {
  return check_group_laws(ErasedGroup<Group, Scalar>(), std::move(options));
}

/// The laws of the actions on weights W, gradients G and updates U: act(g h) = act(g) act(h), act(1) = 1,
/// <g_* G, Dg U> = <G, U>, g(W + U) - g W = Dg U, and g_* and Dg are linear.
template <SymmetryGroup Group, class Scalar = element_scalar_t<Group>>
Report check_action_laws(CheckOptions options = {}) {
  return check_action_laws(ErasedGroup<Group, Scalar>(), std::move(options));
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

SYMOPT_CHECK_INLINE const char* precision_text(Wide unit) {
  if (unit == static_cast<Wide>(std::numeric_limits<float>::epsilon())) return "float";
  return unit == static_cast<Wide>(std::numeric_limits<double>::epsilon()) ? "double" : "long double";
}

/// The trials of laws that speak of one element of a group after the other, generators and random ones, on
/// small shapes.
class ElementTrials {
 public:
  ElementTrials(const AnyGroup& group, CheckOptions options, std::string law)
      : group_(group),
        law_(std::move(law)),
        shapes_(std::move(options.shapes)),
        trials_(
            {.law = law_,
             .rule = "the group",
             .group = group.name(),
             .precision = precision_text(group.unit()),
             .seed = options.seed},
            {.nothing_tried = "no element moves anything", .nothing_moved = "no element moves anything"}) {
    if (shapes_.empty()) {
      shapes_ = default_shapes(group.families());
      const Shape large = shapes_.back();
      if (group.takes_empty_blocks())
        shapes_.insert(shapes_.end(), {{0, large.cols}, {large.rows, 0}, {0, 0}});
    }
    std::erase_if(shapes_, [&](Shape shape) { return !group.fits(shape); });
  }

  using Visit = std::function<void(ElementTrials&, Shape, const AnyGroup::Element&, std::mt19937_64&)>;
  Report run(const Visit& visit) && {
    for (const Shape shape : shapes_) run_shape(shape, visit);
    return std::move(trials_).conclude();
  }

  const AnyGroup& group() const { return group_; }

  /// One instance of a law: the two sides must be equal up to rounding, on that scale.
  void compare(const char* law, const WideMatrix& actual, const WideMatrix& expected, Wide scale) {
    note(law, error_on(scale, actual, expected));
  }
  void compare(const char* law, const WideMatrix& actual, const WideMatrix& expected) {
    compare(law, actual, expected, std::max(norm(actual), norm(expected)));
  }

 private:
  void run_shape(Shape shape, const Visit& visit) {
    constexpr std::size_t random_elements = 3;
    std::mt19937_64 engine = engine_for(trials_.seed(), law_ + to_string(shape));
    std::vector<AnyGroup::Element> elements = group_.generators(shape);
    const std::size_t generators = elements.size();
    where_ = to_string(shape);
    const bool has_lines = shape.rows > 1 && shape.cols > 1;
    if (has_lines)
      require(generators > 0 || group_.families() == Families{},
              "a group that moves something has generators");
    for (std::size_t i = 0; i < random_elements; ++i) elements.push_back(group_.random(shape, engine));
    for (std::size_t i = 0; i < elements.size(); ++i) {
      where_ =
          (i < generators ? "generator " + std::to_string(i) : "a random element") + ", " + to_string(shape);
      const WideMatrix block = gaussian<Wide>(shape, engine);
      const bool moves = error_on(norm(block), group_.on_weights(elements[i], block), block) > 1;
      has_moved_ = has_moved_ || moves;
      if (i < generators && has_lines) require(moves, "every generator moves something");
      visit(*this, shape, elements[i], engine);
    }
  }

  double error_on(Wide scale, const WideMatrix& actual, const WideMatrix& expected) const {
    return tolerance.error(static_cast<double>(distance(actual, expected)),
                           static_cast<double>(group_.unit() * scale));
  }

  void require(bool good, const char* law) { note(law, good ? 0.0 : infinity); }

  void note(const char* law, double error) {
    const std::string id = std::string(law) + ": " + where_;
    if (!trials_.wants(id)) return;
    Outcome outcome;
    outcome.error = error;
    outcome.has_moved = has_moved_;
    outcome.failure = [this] { return Failure{.reason = broken_laws_}; };
    const bool is_known = std::find(broken_.begin(), broken_.end(), law) != broken_.end();
    if (outcome.is_violation() && !is_known) {
      broken_.emplace_back(law);
      broken_laws_ += (broken_laws_.empty() ? "" : "; ") + broken_.back() + ": not so for " + where_;
    }
    trials_.add({id}, std::move(outcome));
  }

  const AnyGroup& group_;
  std::string law_;
  std::vector<Shape> shapes_;
  Trials trials_;
  std::string where_;
  std::vector<std::string> broken_;
  std::string broken_laws_;  // and where each was broken first
  bool has_moved_ = false;
};

/// Do g and h act alike on weights, gradients and updates?
SYMOPT_CHECK_INLINE void compare_actions(ElementTrials& trials, const char* law, const AnyGroup::Element& g,
                                         const AnyGroup::Element& h, const WideMatrix& block) {
  const AnyGroup& group = trials.group();
  // Random elements are of the size of one, and what they add may cancel.
  const Wide size = norm(block) + std::sqrt(static_cast<Wide>(block.size()));
  const auto compare = [&](const WideMatrix& by_g, const WideMatrix& by_h) {
    trials.compare(law, by_g, by_h, norm(by_g) + norm(by_h) + size);
  };
  compare(group.on_weights(g, block), group.on_weights(h, block));
  compare(group.on_gradient(g, block), group.on_gradient(h, block));
  compare(group.on_update(g, block), group.on_update(h, block));
}

SYMOPT_CHECK_INLINE void try_axioms(ElementTrials& trials, Shape shape, const AnyGroup::Element& g,
                                    std::mt19937_64& engine) {
  const AnyGroup& any = trials.group();
  const WideMatrix block = gaussian<Wide>(shape, engine);
  const auto one = any.identity(shape);
  const auto h = any.random(shape, engine), k = any.random(shape, engine);
  const auto number = [](Wide value) { return WideMatrix(WideMatrix::Constant(1, 1, value)); };
  if (block.size() > 0)
    trials.compare("g lies in the families that the group states, or in its bound's",
                   number(distance_from_families(any, g, shape)), number(0),
                   norm(any.on_weights(g, block)) + norm(block) + static_cast<Wide>(block.size()));
  compare_actions(trials, "g^-1 g = 1", any.compose(any.inverse(g), g), one, block);
  compare_actions(trials, "g g^-1 = 1", any.compose(g, any.inverse(g)), one, block);
  compare_actions(trials, "1 g = g", any.compose(one, g), g, block);
  compare_actions(trials, "g 1 = g", any.compose(g, one), g, block);
  compare_actions(trials, "(g h) k = g (h k)", any.compose(any.compose(g, h), k),
                  any.compose(g, any.compose(h, k)), block);
}

SYMOPT_CHECK_INLINE void try_actions(ElementTrials& trials, Shape shape, const AnyGroup::Element& g,
                                     std::mt19937_64& engine) {
  const AnyGroup& any = trials.group();
  const WideMatrix x = gaussian<Wide>(shape, engine), u = gaussian<Wide>(shape, engine);
  const auto one = any.identity(shape);
  const auto h = any.random(shape, engine);
  const auto gh = any.compose(g, h);
  trials.compare("act(1) = 1 on weights", any.on_weights(one, x), x);
  trials.compare("act(1) = 1 on gradients", any.on_gradient(one, x), x);
  trials.compare("act(1) = 1 on updates", any.on_update(one, x), x);
  const WideMatrix moved_twice = any.on_weights(g, any.on_weights(h, x));
  trials.compare("act(g h) = act(g) act(h) on weights", any.on_weights(gh, x), moved_twice,
                 norm(moved_twice) + norm(x) + std::sqrt(static_cast<Wide>(x.size())));
  trials.compare("act(g h) = act(g) act(h) on gradients", any.on_gradient(gh, x),
                 any.on_gradient(g, any.on_gradient(h, x)));
  trials.compare("act(g h) = act(g) act(h) on updates", any.on_update(gh, x),
                 any.on_update(g, any.on_update(h, x)));
  const auto number = [](Wide value) { return WideMatrix(WideMatrix::Constant(1, 1, value)); };
  trials.compare("<g_* G, Dg U> = <G, U>", number(inner_product(any.on_gradient(g, x), any.on_update(g, u))),
                 number(inner_product(x, u)), norm(x) * norm(u));
  const auto linear = [&](const char* law, const std::function<WideMatrix(const WideMatrix&)>& act) {
    const WideMatrix of_x = act(x), of_u = act(u);
    trials.compare(law, act(sum(x, u, -2)), sum(of_x, of_u, -2), norm(of_x) + 2 * norm(of_u));
  };
  linear("gradients move linearly", [&](const WideMatrix& block) { return any.on_gradient(g, block); });
  linear("updates move linearly", [&](const WideMatrix& block) { return any.on_update(g, block); });
  const WideMatrix before = any.on_weights(g, x), after = any.on_weights(g, sum(x, u));
  trials.compare("g(W + U) - g W = Dg U", sum(after, before, -1), any.on_update(g, u),
                 norm(before) + norm(after));
}

}  // namespace detail

SYMOPT_CHECK_INLINE Report check_group_laws(const AnyGroup& group, CheckOptions options) {
  return detail::ElementTrials(group, std::move(options), "group laws").run(detail::try_axioms);
}

SYMOPT_CHECK_INLINE Report check_action_laws(const AnyGroup& group, CheckOptions options) {
  return detail::ElementTrials(group, std::move(options), "action laws").run(detail::try_actions);
}
#endif

}}}  // namespace symopt::check
