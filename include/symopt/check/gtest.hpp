// SPDX-License-Identifier: Apache-2.0
#pragma once

// Checks in GoogleTest; include it after the framework's header.
//   SYMOPT_EXPECT(symopt::check::check_equivariance<Embedding>(rule));
// fails, and the test goes on, unless the report's verdict is `holds`. SYMOPT_ASSERT ends the test. The
// message of the failure is the report, and more can be streamed in.
//   SYMOPT_EXPECT_VERDICT(Verdict::violated, check_equivariance<HiddenMatrix>(rule));
// asks for another verdict. Reports of whole models are taken, too.
#include <symopt/check/model/report.hpp>
#include <symopt/check/report.hpp>

#ifndef EXPECT_TRUE
#error "symopt: include <gtest/gtest.h> before <symopt/check/gtest.hpp>"
#endif

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

::testing::AssertionResult assertion_of(Verdict expected, const auto& report) {
  if (report.verdict == expected) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << failure_text(report, expected);
}

}}}  // namespace symopt::check::detail

// Variadic, since a call may hold commas. The switch keeps a following `else` the caller's.
#define SYMOPT_EXPECT(...) \
  SYMOPT_GTEST_VERDICT(GTEST_NONFATAL_FAILURE_, ::symopt::check::Verdict::holds, __VA_ARGS__)
#define SYMOPT_ASSERT(...) \
  SYMOPT_GTEST_VERDICT(GTEST_FATAL_FAILURE_, ::symopt::check::Verdict::holds, __VA_ARGS__)
#define SYMOPT_EXPECT_VERDICT(expected, ...) \
  SYMOPT_GTEST_VERDICT(GTEST_NONFATAL_FAILURE_, expected, __VA_ARGS__)

#define SYMOPT_GTEST_VERDICT(failure, expected, ...)                    \
  GTEST_AMBIGUOUS_ELSE_BLOCKER_                                         \
  if (const ::testing::AssertionResult symopt_result =                  \
          ::symopt::check::detail::assertion_of(expected, __VA_ARGS__)) \
    ;                                                                   \
  else                                                                  \
    failure(symopt_result.failure_message())
