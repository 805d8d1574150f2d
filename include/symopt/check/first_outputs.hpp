// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/wide.hpp>

#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The first output of each shape, to tell whether others are another: a rule whose output never changes
/// obeys too many laws. A change of weights is the same up to what their rounding makes of it.
class FirstOutputs {
 public:
  /// Tests whether the output differs from the first of its shape by more than rounding, which `rounding`
  /// bounds for this one.
  bool differs(const WideMatrix& output, double rounding) {
    for (const First& first : first_)
      if (shape_of(first.output) == shape_of(output))
        return static_cast<double>(distance(first.output, output)) > rounding + first.rounding;
    first_.push_back({output, rounding});
    return false;
  }

 private:
  struct First {
    WideMatrix output;
    double rounding;
  };
  std::vector<First> first_;
};

/// A bound on what the rounding of weights makes of their change in some steps.
inline double rounding_of_change(Precision precision, const WideMatrix& weights, const WideMatrix& change,
                                 int steps) {
  return 8 * steps * roundoff(precision) * static_cast<double>(norm(weights) + norm(change));
}

}}}  // namespace symopt::check::detail
