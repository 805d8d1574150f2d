// SPDX-License-Identifier: Apache-2.0
#pragma once

// Checks in doctest; include it after the framework's header.
//   SYMOPT_CHECK(symopt::check::check_equivariance<Embedding>(rule));
// fails, and the test case goes on, unless the report's verdict is `holds`. SYMOPT_REQUIRE ends the test
// case. The message of the failure is the report.
//   SYMOPT_CHECK_VERDICT(Verdict::violated, check_equivariance<HiddenMatrix>(rule));
// asks for another verdict. Reports of whole models are taken, too.
#include <symopt/check/report.hpp>

#ifndef DOCTEST_VERSION
#error "symopt: include <doctest/doctest.h> before <symopt/check/doctest.hpp>"
#endif

// Variadic, since a call may hold commas.
#define SYMOPT_CHECK(...) SYMOPT_DOCTEST_VERDICT(CHECK, ::symopt::check::Verdict::holds, __VA_ARGS__)
#define SYMOPT_REQUIRE(...) SYMOPT_DOCTEST_VERDICT(REQUIRE, ::symopt::check::Verdict::holds, __VA_ARGS__)
#define SYMOPT_CHECK_VERDICT(expected, ...) SYMOPT_DOCTEST_VERDICT(CHECK, expected, __VA_ARGS__)

#define SYMOPT_DOCTEST_VERDICT(assertion, expected, ...)                                                  \
  do {                                                                                                    \
    const ::symopt::check::Verdict symopt_expected = expected;                                            \
    const auto symopt_report = __VA_ARGS__;                                                               \
    const bool symopt_is_expected = symopt_report.verdict == symopt_expected;                             \
    DOCTEST_##assertion##_MESSAGE(symopt_is_expected,                                                     \
                                  ::symopt::check::detail::failure_text(symopt_report, symopt_expected)); \
  } while (false)
