// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/any_group.hpp"

#include <functional>
#include <string>
#include <vector>

// Is a map equivariant? Decided on generators, with an allowance that each input states for itself.
namespace symopt_test {

/// A map of blocks with its type hidden.
using Map = std::function<Matrix<double>(const Matrix<double>&)>;

/// One group element as it moves gradients and updates.
struct Motion {
  std::string name;
  Map on_gradient;
  Map on_update;
};

/// X -> A X (left) or X A^T (right) for updates, and with A^-T for gradients.
inline Motion linear_motion(std::string name, Side side, const Matrix<double>& a,
                            const Matrix<double>& inverse) {
  const auto multiply = [side](const Matrix<double>& factor) -> Map {
    return [side, factor](const Matrix<double>& block) -> Matrix<double> {
      if (side == Side::left) return factor * block;
      return block * factor.transpose();
    };
  };
  return {std::move(name), multiply(inverse.transpose()), multiply(a)};
}

/// The generators of a group and a few random elements.
inline std::vector<Motion> motions_of(const AnyGroup& group, Shape shape, Random& random) {
  std::vector<Motion> motions;
  for (const auto& g : sample_elements(group, shape, random))
    motions.push_back({group.name() + " " + std::to_string(motions.size()),
                       [&group, g](const Matrix<double>& block) { return group.on_gradient(g, block); },
                       [&group, g](const Matrix<double>& block) { return group.on_update(g, block); }});
  return motions;
}

struct Equivariance {
  double worst = 0;     ///< the largest error over what the input allows; at most 1 when equivariant
  double relative = 0;  ///< the largest error over the size of the result
  std::string where;    ///< the motion and the input of `worst`
  int tried = 0;
  int ill_posed = 0;  ///< inputs on which rounding decides the result
};

/// The largest change of map(x) when every entry of x moves by one rounding; zeros stay zero.
inline double rounding_change(const Map& map, const Matrix<double>& x, const Matrix<double>& result,
                              double unit, int draws, Random& random) {
  std::bernoulli_distribution coin;
  double change = 0;
  for (int k = 0; k < draws; ++k) {
    const Matrix<double> noisy =
        x.unaryExpr([&](double entry) { return entry * (1 + (coin(random) ? unit : -unit)); });
    change = std::max(change, (map(noisy) - result).stableNorm());
  }
  return change;
}

/// Compares map(g G) with Dg map(G) for every motion and input. Allowed are `roundings` times what one
/// rounding of the input or of the result can change. An input where that is more than a thousandth of the
/// result is ill-posed and only counted.
inline Equivariance try_equivariance(const Map& map, const std::vector<Motion>& motions,
                                     const std::vector<Input>& inputs, Random& random,
                                     double unit = roundoff<double>, double roundings = 64) {
  Equivariance verdict;
  for (const Input& input : inputs) {
    const Matrix<double> result = map(input.value);
    const double change = rounding_change(map, input.value, result, unit, 3, random);
    for (const Motion& motion : motions) {
      ++verdict.tried;
      const Matrix<double> moved_input = motion.on_gradient(input.value);
      const Matrix<double> actual = map(moved_input);
      const Matrix<double> expected = motion.on_update(result);
      const double size = std::max(actual.stableNorm(), expected.stableNorm());
      const double worst_change =
          std::max(change, rounding_change(map, moved_input, actual, unit, 1, random));
      if (worst_change > 1e-3 * size) {
        ++verdict.ill_posed;
        continue;
      }
      const double error = error_on_scale(actual, expected, worst_change + unit * size) / roundings;
      if (!(error <= verdict.worst)) {
        verdict.worst = error > verdict.worst ? error : infinity;
        verdict.where = motion.name + " on " + input.name;
      }
      Worst relative;
      relative.add(verdict.relative);
      relative.add(relative_error(actual, expected));
      verdict.relative = relative.value();
    }
  }
  return verdict;
}

/// The largest relative error over motions that do not round, permutations and changes of sign, on small
/// integers: no input is excused there, for ties and zeros are exact.
inline double integer_error(const Map& map, const std::vector<Motion>& motions, Shape shape, Random& random) {
  std::vector<Input> inputs{{"ones", Matrix<double>::Ones(shape.rows, shape.cols)},
                            {"zero", Matrix<double>::Zero(shape.rows, shape.cols)}};
  for (int k = 0; k < 3; ++k) inputs.push_back({"integers", integer_block(shape, random)});
  inputs.back().value.row(shape.rows - 1) = inputs.back().value.row(0);
  Worst worst;
  for (const Input& input : inputs)
    for (const Motion& motion : motions)
      worst.add(relative_error(map(motion.on_gradient(input.value)), motion.on_update(map(input.value))));
  return worst.value();
}

}  // namespace symopt_test
