// SPDX-License-Identifier: Apache-2.0
// In GoogleTest a report that holds passes, and any other fails with the report as the message.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <symopt/check/gtest.hpp>

#include <symopt/check/equivariance.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/parameter/named_groups.hpp>

#include <sstream>

namespace {

using namespace symopt;
using namespace symopt::check;

Report failing() {
  return check_equivariance<HiddenMatrix>(RowNorm{}, {.seed = 7, .trials = 4});
}

TEST(GoogleTestAdapter, ReportThatHoldsPasses) {
  SYMOPT_EXPECT(check_equivariance<Embedding>(RowNorm{}, {.trials = 4}));
  SYMOPT_ASSERT(check_equivariance<Embedding>(RowNorm{}, {.trials = 4})) << "with words of one's own";
}

TEST(GoogleTestAdapter, MessageOfFailureIsTheReport) {
  std::ostringstream report;
  report << failing();
  EXPECT_NONFATAL_FAILURE(SYMOPT_EXPECT(failing()), report.str());
  EXPECT_NE(report.str().find("counterexample: "), std::string::npos);
}

TEST(GoogleTestAdapter, VacuousReportFails) {
  EXPECT_NONFATAL_FAILURE(SYMOPT_EXPECT(check_equivariance<Trivial>(RowNorm{})) << "and words of one's own",
                          "and words of one's own");
  EXPECT_FATAL_FAILURE(SYMOPT_ASSERT(check_equivariance<Trivial>(RowNorm{})), "Trivial: vacuous");
}

}  // namespace
