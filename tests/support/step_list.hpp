// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <symopt/kernel/centred.hpp>
#include <symopt/kernel/column.hpp>
#include <symopt/kernel/entrywise.hpp>
#include <symopt/kernel/frobenius.hpp>
#include <symopt/kernel/reference.hpp>
#include <symopt/kernel/row.hpp>

#include <functional>
#include <string>
#include <vector>

namespace symopt_test {

/// A fused step beside its reference.
template <class Scalar>
struct StepPair {
  std::string name;
  std::function<bool(const symopt::kernel::Streams<Scalar>&, const symopt::kernel::StepCoefficients&,
                     symopt::kernel::Check)>
      fused;
  std::function<void(symopt::kernel::reference::Block&)> direction;
  bool is_scale_free = true;
  bool can_decay_horizontally = false;
};

template <class Scalar>
std::vector<StepPair<Scalar>> step_pairs(symopt::kernel::Eps eps) {
  using namespace symopt::kernel;
  namespace plain = symopt::kernel::reference;
  const auto runner = [](auto step) {
    return [step](const Streams<Scalar>& streams, const StepCoefficients& coefficients, Check check) {
      typename decltype(step)::template Memory<Scalar> memory(
          streams.shape(), ScratchOptions{.decay_is_horizontal = coefficients.decay_is_horizontal});
      return step.run(streams, coefficients, check, memory);
    };
  };
  return {
      {"identity", runner(IdentityStep{}), [](plain::Block&) {}, false},
      {"sign", runner(SignStep{}), [](plain::Block& x) { plain::take_signs(x); }},
      {"row norm", runner(RowNormStep{eps}), [eps](plain::Block& x) { plain::normalize_rows(x, eps); }},
      {"column norm", runner(ColumnNormStep{eps}),
       [eps](plain::Block& x) { plain::normalize_columns(x, eps); }},
      {"Frobenius norm", runner(FrobeniusStep{}), [](plain::Block& x) { plain::normalize_block(x); }},
      {"centred row norm", runner(CentredRowNormStep{eps}),
       [eps](plain::Block& x) {
         plain::subtract_mean_row(x);
         plain::normalize_rows(x, eps);
         plain::subtract_mean_row(x);
       },
       true, true},
  };
}

}  // namespace symopt_test
