// SPDX-License-Identifier: Apache-2.0
#pragma once

// Checks in GoogleTest; include it after the framework's header.
//   SYMOPT_EXPECT(symopt::check::check_equivariance<Embedding>(rule));
// fails, and the test goes on, unless the report's verdict is `holds`. SYMOPT_ASSERT ends the test. The
// message of the failure is the report, and more can be streamed in.
#include <symopt/check/report.hpp>

#ifndef EXPECT_TRUE
#error "symopt: include <gtest/gtest.h> before <symopt/check/gtest.hpp>"
#endif

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

inline ::testing::AssertionResult assertion_of(const Report& report) {
  if (report) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << report_text(report);
}

}}}  // namespace symopt::check::detail

// Variadic, since a call may hold commas. The switch keeps a following `else` the caller's.
#define SYMOPT_EXPECT(...)                                                                                 \
  GTEST_AMBIGUOUS_ELSE_BLOCKER_                                                                            \
  if (const ::testing::AssertionResult symopt_result = ::symopt::check::detail::assertion_of(__VA_ARGS__)) \
    ;                                                                                                      \
  else                                                                                                     \
    GTEST_NONFATAL_FAILURE_(symopt_result.failure_message())

#define SYMOPT_ASSERT(...)                                                                                 \
  GTEST_AMBIGUOUS_ELSE_BLOCKER_                                                                            \
  if (const ::testing::AssertionResult symopt_result = ::symopt::check::detail::assertion_of(__VA_ARGS__)) \
    ;                                                                                                      \
  else                                                                                                     \
    GTEST_FATAL_FAILURE_(symopt_result.failure_message())
