// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/report.hpp>

#include <doctest/doctest.h>

namespace symopt_test {

/// Fails with the report as the message unless the verdict is that one.
inline void expect(symopt::check::Verdict verdict, const symopt::check::Report& report) {
  INFO(report);
  CHECK(report.verdict == verdict);
}
inline void expect_holds(const symopt::check::Report& report) {
  expect(symopt::check::Verdict::holds, report);
}

}  // namespace symopt_test
