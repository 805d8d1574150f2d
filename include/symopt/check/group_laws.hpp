// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/check/inputs.hpp>
#include <symopt/check/replay.hpp>
#include <symopt/check/report.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// The laws of a group as errors, in units of what 64 roundings of the scalar that they are computed in
/// allow.
class GroupLaws {
 public:
  GroupLaws(const AnyGroup& group, CheckOptions options, std::string law)
      : group_(group), options_(std::move(options)) {
    report_.law = std::move(law);
    report_.rule = "the group";
    report_.group = group.name();
    report_.seed = options_.seed;
    replay_of(report_);
    report_.reproduce = reproduce_line(report_);
    report_.precision = group.unit() == static_cast<Wide>(std::numeric_limits<float>::epsilon()) ? "float"
                        : group.unit() == static_cast<Wide>(std::numeric_limits<double>::epsilon())
                            ? "double"
                            : "long double";
    if (options_.shapes.empty()) {
      options_.shapes = default_shapes(group.families());
      const Shape large = options_.shapes.back();
      options_.shapes.insert(options_.shapes.end(), {{0, large.cols}, {large.rows, 0}, {0, 0}});
    }
    std::erase_if(options_.shapes, [&](Shape shape) { return !group.fits(shape); });
  }

  /// Calls visit(laws, shape, element, engine) with generators and random elements for every shape.
  Report run(const auto& visit) {
    constexpr std::size_t random_elements = 3;
    for (const Shape shape : options_.shapes) {
      std::mt19937_64 engine = engine_for(report_.seed, report_.law + symopt::to_string(shape));
      std::vector<AnyGroup::Element> elements = group_.generators(shape);
      const std::size_t generators = elements.size();
      where_ = symopt::to_string(shape);
      if (shape.rows > 1 && shape.cols > 1)
        require(generators > 0 || group_.families() == Families{},
                "a group that moves something has generators");
      for (std::size_t i = 0; i < random_elements; ++i) elements.push_back(group_.random(shape, engine));
      for (std::size_t i = 0; i < elements.size(); ++i) {
        where_ = (i < generators ? "generator " + std::to_string(i) : "a random element") + ", " +
                 symopt::to_string(shape);
        const WideMatrix block = gaussian<double>(shape, engine).template cast<Wide>();
        const bool moves = (group_.on_weights(elements[i], block) - block).norm() > Wide(1e-3) * block.norm();
        has_moved_ = has_moved_ || moves;
        if (i < generators && block.size() > 0) require(moves, "every generator moves something");
        visit(*this, shape, elements[i], engine);
      }
    }
    return conclude();
  }

  const AnyGroup& group() const { return group_; }

  /// One instance of a law: the two sides must be equal up to rounding, on that scale.
  void compare(const char* law, const WideMatrix& actual, const WideMatrix& expected, Wide scale) {
    ++report_.trials;
    const Wide difference = (actual - expected).stableNorm();
    const Wide allowed = 64 * group_.unit() * scale;
    const double error = difference == 0 ? 0.0 : static_cast<double>(difference / allowed);
    note(law, std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
  }
  void compare(const char* law, const WideMatrix& actual, const WideMatrix& expected) {
    compare(law, actual, expected, std::max(actual.stableNorm(), expected.stableNorm()));
  }

 private:
  void require(bool good, const char* law) {
    ++report_.trials;
    note(law, good ? 0.0 : std::numeric_limits<double>::infinity());
  }
  void note(const char* law, double error) {
    report_.errors.push_back(error);
    report_.worst = std::max(report_.worst, error);
    if (error <= 1 || std::ranges::find(broken_, law) != broken_.end()) return;
    broken_.emplace_back(law);
    report_.reason += (report_.reason.empty() ? "" : "; ") + broken_.back() + ": not so for " + where_;
  }

  Report conclude() {
    std::sort(report_.errors.begin(), report_.errors.end());
    if (!(report_.worst <= 1)) {
      report_.verdict = Verdict::violated;
    } else if (!has_moved_) {
      report_.verdict = Verdict::vacuous;
      report_.reason = "no element moves anything";
    } else {
      report_.verdict = Verdict::holds;
    }
    return std::move(report_);
  }

  const AnyGroup& group_;
  CheckOptions options_;
  Report report_;
  std::string where_;
  std::vector<std::string> broken_;  // laws
  bool has_moved_ = false;
};

inline WideMatrix wide_gaussian(Shape shape, std::mt19937_64& engine) {
  return gaussian<double>(shape, engine).template cast<Wide>();
}

/// Do g and h act alike on weights, gradients and updates?
inline void compare_actions(GroupLaws& laws, const char* law, const AnyGroup::Element& g,
                            const AnyGroup::Element& h, const WideMatrix& block) {
  const AnyGroup& group = laws.group();
  // Random elements are of the size of one, and what they add may cancel.
  const Wide size = block.norm() + std::sqrt(static_cast<Wide>(block.size()));
  const auto compare = [&](const WideMatrix& by_g, const WideMatrix& by_h) {
    laws.compare(law, by_g, by_h, by_g.norm() + by_h.norm() + size);
  };
  compare(group.on_weights(g, block), group.on_weights(h, block));
  compare(group.on_gradient(g, block), group.on_gradient(h, block));
  compare(group.on_update(g, block), group.on_update(h, block));
}

}  // namespace detail

/// The axioms, seen through the actions: g g^-1 = 1, 1 g = g 1 = g, (g h) k = g (h k). For generators and
/// random elements on small shapes, empty ones among them. Scalar: what the elements are computed in.
template <SymmetryGroup Group, class Scalar = element_scalar_t<Group>>
Report check_group_laws(CheckOptions options = {}) {
  const ErasedGroup<Group, Scalar> group;
  return detail::GroupLaws(group, std::move(options), "group laws")
      .run([](detail::GroupLaws& laws, Shape shape, const AnyGroup::Element& g, std::mt19937_64& engine) {
        const AnyGroup& any = laws.group();
        const WideMatrix block = detail::wide_gaussian(shape, engine);
        const auto one = any.identity(shape);
        const auto h = any.random(shape, engine), k = any.random(shape, engine);
        detail::compare_actions(laws, "g^-1 g = 1", any.compose(any.inverse(g), g), one, block);
        detail::compare_actions(laws, "g g^-1 = 1", any.compose(g, any.inverse(g)), one, block);
        detail::compare_actions(laws, "1 g = g", any.compose(one, g), g, block);
        detail::compare_actions(laws, "g 1 = g", any.compose(g, one), g, block);
        detail::compare_actions(laws, "(g h) k = g (h k)", any.compose(any.compose(g, h), k),
                                any.compose(g, any.compose(h, k)), block);
      });
}

/// The laws of the actions on weights W, gradients G and updates U: act(g h) = act(g) act(h), act(1) = 1,
/// <g_* G, Dg U> = <G, U>, g(W + U) - g W = Dg U, and g_* and Dg are linear.
template <SymmetryGroup Group, class Scalar = element_scalar_t<Group>>
Report check_action_laws(CheckOptions options = {}) {
  const ErasedGroup<Group, Scalar> group;
  return detail::GroupLaws(group, std::move(options), "action laws")
      .run([](detail::GroupLaws& laws, Shape shape, const AnyGroup::Element& g, std::mt19937_64& engine) {
        const AnyGroup& any = laws.group();
        const WideMatrix x = detail::wide_gaussian(shape, engine);
        const WideMatrix u = detail::wide_gaussian(shape, engine);
        const auto one = any.identity(shape);
        const auto h = any.random(shape, engine);
        const auto gh = any.compose(g, h);
        laws.compare("act(1) = 1 on weights", any.on_weights(one, x), x);
        laws.compare("act(1) = 1 on gradients", any.on_gradient(one, x), x);
        laws.compare("act(1) = 1 on updates", any.on_update(one, x), x);
        const WideMatrix moved_twice = any.on_weights(g, any.on_weights(h, x));
        laws.compare("act(g h) = act(g) act(h) on weights", any.on_weights(gh, x), moved_twice,
                     moved_twice.norm() + x.norm() + std::sqrt(static_cast<Wide>(x.size())));
        laws.compare("act(g h) = act(g) act(h) on gradients", any.on_gradient(gh, x),
                     any.on_gradient(g, any.on_gradient(h, x)));
        laws.compare("act(g h) = act(g) act(h) on updates", any.on_update(gh, x),
                     any.on_update(g, any.on_update(h, x)));
        const auto number = [](Wide value) { return WideMatrix::Constant(1, 1, value).eval(); };
        laws.compare("<g_* G, Dg U> = <G, U>",
                     number(any.on_gradient(g, x).cwiseProduct(any.on_update(g, u)).sum()),
                     number(x.cwiseProduct(u).sum()), x.norm() * u.norm());
        const auto linear = [&](const char* law, const auto& act) {
          const WideMatrix of_x = act(x), of_u = act(u);
          laws.compare(law, act(x - 2 * u), of_x - 2 * of_u, of_x.norm() + 2 * of_u.norm());
        };
        linear("gradients move linearly", [&](const WideMatrix& block) { return any.on_gradient(g, block); });
        linear("updates move linearly", [&](const WideMatrix& block) { return any.on_update(g, block); });
        const WideMatrix before = any.on_weights(g, x), after = any.on_weights(g, x + u);
        laws.compare("g(W + U) - g W = Dg U", after - before, any.on_update(g, u),
                     before.norm() + after.norm());
      });
}

}}}  // namespace symopt::check
