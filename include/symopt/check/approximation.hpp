// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// A report by which a rule says of its own direction whether it is exact, and why it is not.
template <class Report>
concept SaysIfExact = requires(const Report& report) {
  {bool(report.is_exact)};
  {std::string(report.reason)};
};

/// Why a rule calls its direction approximate; empty where it does not.
std::string approximation_reason_in(const SaysIfExact auto& report) {
  return report.is_exact ? "" : report.reason;
}

}}}  // namespace symopt::check::detail
