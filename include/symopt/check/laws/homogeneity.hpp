// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/check_law.hpp>
#include <symopt/group/trivial.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

namespace detail {

/// "0.5"
std::string degree_text(double degree);
Law homogeneity_law(double degree);
/// The least number of doublings whose power by the degree is a power of two, too; none of 16 or fewer.
std::optional<int> exact_doublings(double degree);
/// Under powers of two whose power by the degree is one too, so that nothing is rounded. There are some.
Law exact_homogeneity_law(double degree);
/// A check of a law that needs no group.
Report check_without_group(const Law& law, const AnyRule& rule, CheckOptions options);

}  // namespace detail

/// Is U(c G) = c^degree U(G) for c > 0? Tried on inputs of every kind, so over the scales 1e-30 to 1e30 too;
/// the weights stay. The rule, options and cost of check_equivariance.
template <class Rule>
Report check_homogeneous(const Rule& rule, double degree, CheckOptions options = {}) {
  return detail::check_without_group(detail::homogeneity_law(degree), any_rule(rule), std::move(options));
}

/// Is it so for powers of two, to the last bit? Scaling a loss by one then changes no rounding. Errors: Error
/// for a degree that is no fraction with a denominator of at most 16.
template <class Rule>
Report check_homogeneous_to_the_bit(const Rule& rule, double degree, CheckOptions options = {}) {
  symopt::detail::require(detail::exact_doublings(degree).has_value(), [&] {
    return "check_homogeneous_to_the_bit: no power of two has a power of two by the degree " +
           detail::degree_text(degree) + "; check_homogeneous allows for rounding";
  });
  return detail::check_without_group(detail::exact_homogeneity_law(degree), any_rule(rule),
                                     std::move(options));
}

#ifdef SYMOPT_CHECK_DEFINITIONS
namespace detail {

/// The block times a number.
SYMOPT_CHECK_INLINE Motion::Map times(Wide factor) {
  return [factor](WideMatrix block) {
    for (Index k = 0; k < block.size(); ++k) block.data()[k] *= factor;
    return block;
  };
}

/// The gradient times c, the step times c^degree.
SYMOPT_CHECK_INLINE Motion scaling(Wide c, Wide c_to_degree, std::string name) {
  return {std::move(name), unmoved(), times(c), times(c_to_degree), unmoved(), times(1 / c)};
}
SYMOPT_CHECK_INLINE Motion scaling(Wide c, double degree, std::string name) {
  return scaling(c, std::pow(c, static_cast<Wide>(degree)), std::move(name));
}

SYMOPT_CHECK_INLINE std::string degree_text(double degree) {
  std::string text = std::to_string(degree);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

SYMOPT_CHECK_INLINE Law homogeneity_law(double degree) {
  return {.name = "homogeneity of degree " + degree_text(degree),
          .violation = "the step of a scaled gradient is not the step times that power of the scale",
          .of_moved = "the step of the scaled gradient",
          .should_be = "the scaled step",
          .generators =
              [degree](Shape) {
                std::vector<Motion> motions;
                for (const char* c : {"2", "0.25", "3", "1e-4", "1e4"})
                  motions.push_back(scaling(std::strtold(c, nullptr), degree, std::string("times ") + c));
                return motions;
              },
          .random =
              [degree](Shape, std::mt19937_64& engine) {
                const double exponent = 8 * uniform_number(engine) - 4;
                return scaling(std::pow(Wide(10), Wide(exponent)), degree, "random scale");
              }};
}

SYMOPT_CHECK_INLINE std::optional<int> exact_doublings(double degree) {
  for (int doublings = 1; doublings <= 16; ++doublings) {
    const double power = doublings * degree;
    if (std::abs(power - std::round(power)) <= 1e-12 * std::max(1.0, std::abs(power))) return doublings;
  }
  return std::nullopt;
}

SYMOPT_CHECK_INLINE Law exact_homogeneity_law(double degree) {
  const int unit = exact_doublings(degree).value();
  // The power by the degree is exact, too: 1.0 / 3 is no third, but 2^(3/3) is 2.
  const auto by = [degree](int exponent) {
    const auto power = static_cast<int>(std::lround(exponent * degree));
    return scaling(std::ldexp(Wide(1), exponent), std::ldexp(Wide(1), power),
                   "times 2^" + std::to_string(exponent));
  };
  Law law = homogeneity_law(degree);
  law.name += " under powers of two, to the bit";
  law.generators = [by, unit](Shape) {
    std::vector<Motion> motions;
    for (const int k : {1, -1, 3, -4}) motions.push_back(by(k * unit));
    return motions;
  };
  law.random = [by, unit](Shape, std::mt19937_64& engine) {
    return by(unit * (static_cast<int>(uniform_index(9, engine)) - 4));
  };
  law.is_to_the_bit = true;
  return law;
}

SYMOPT_CHECK_INLINE Report check_without_group(const Law& law, const AnyRule& rule, CheckOptions options) {
  const ErasedGroup<Trivial> group;
  Report report = check_law(law, group, rule, std::move(options));
  report.group.clear();
  return report;
}

}  // namespace detail
#endif

}}}  // namespace symopt::check
