// SPDX-License-Identifier: Apache-2.0
// In GoogleTest a report that holds passes, and any other fails with the report as the message.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <symopt/check/gtest.hpp>

#include <symopt/check/laws/equivariance.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/row_norm.hpp>

#include <cstdlib>
#include <sstream>
#include <string>

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

TEST(GoogleTestAdapter, AnotherVerdictCanBeExpected) {
  SYMOPT_EXPECT_VERDICT(Verdict::violated, failing());
  EXPECT_NONFATAL_FAILURE(SYMOPT_EXPECT_VERDICT(Verdict::vacuous, failing()), "vacuous was expected, but\n");
}

TEST(GoogleTestAdapter, LineOfFailureRepeatsThatTrial) {
  const std::string line = failing().reproduce;
  const std::size_t begin = line.find('"') + 1;
  ::setenv("SYMOPT_REPRODUCE", line.substr(begin, line.size() - begin - 1).c_str(), 1);
  const Report again = failing();
  ::unsetenv("SYMOPT_REPRODUCE");
  EXPECT_EQ(again.trials, 1);
  EXPECT_EQ(again.verdict, Verdict::violated);
}

}  // namespace
