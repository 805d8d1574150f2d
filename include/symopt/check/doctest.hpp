// SPDX-License-Identifier: Apache-2.0
#pragma once

// Checks in doctest; include it after the framework's header.
//   SYMOPT_CHECK(symopt::check::check_equivariance<Embedding>(rule));
// fails, and the test case goes on, unless the report's verdict is `holds`. SYMOPT_REQUIRE ends the test
// case. The message of the failure is the report.
#include <symopt/check/report.hpp>

#ifndef DOCTEST_VERSION
#error "symopt: include <doctest/doctest.h> before <symopt/check/doctest.hpp>"
#endif

// Variadic, since a call may hold commas.
#define SYMOPT_CHECK(...)                                                                     \
  do {                                                                                        \
    const ::symopt::check::Report symopt_report = __VA_ARGS__;                                \
    const bool symopt_holds(symopt_report);                                                   \
    DOCTEST_CHECK_MESSAGE(symopt_holds, ::symopt::check::detail::report_text(symopt_report)); \
  } while (false)

#define SYMOPT_REQUIRE(...)                                                                     \
  do {                                                                                          \
    const ::symopt::check::Report symopt_report = __VA_ARGS__;                                  \
    const bool symopt_holds(symopt_report);                                                     \
    DOCTEST_REQUIRE_MESSAGE(symopt_holds, ::symopt::check::detail::report_text(symopt_report)); \
  } while (false)
