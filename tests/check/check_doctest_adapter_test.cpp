// SPDX-License-Identifier: Apache-2.0
// In doctest a report that holds passes, and any other fails with the report as the message.
#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <symopt/check/laws/equivariance.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/normalization/row_norm.hpp>

#include <sstream>
#include <string>
#include <vector>

namespace check_doctest_adapter_test { namespace {

using namespace symopt;
using namespace symopt::check;

std::vector<std::string>& messages() {
  static std::vector<std::string> all;
  return all;
}

/// Keeps the message of every failed assertion of this program.
struct Listener : doctest::IReporter {
  explicit Listener(const doctest::ContextOptions&) {}

  void log_assert(const doctest::AssertData& data) override {
    if (!data.m_failed) return;
    std::ostringstream text;
    for (int i = 0; i < get_num_active_contexts(); ++i) get_active_contexts()[i]->stringify(&text);
    messages().push_back(text.str());
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("messages", 1, Listener);

Report failing() {
  return check_equivariance<HiddenMatrix>(RowNorm{}, {.seed = 7, .trials = 4});
}

TEST_CASE("a report that holds passes") {
  SYMOPT_CHECK(check_equivariance<Embedding>(RowNorm{}, {.trials = 4}));
  SYMOPT_REQUIRE(check_equivariance<Embedding>(RowNorm{}, {.trials = 4}));
}

int steps_after_check = 0;
TEST_CASE("a report that does not hold fails" * doctest::should_fail()) {
  SYMOPT_CHECK(failing());
  ++steps_after_check;
}

int steps_after_requirement = 0;
TEST_CASE("one that is required ends the test case" * doctest::should_fail()) {
  SYMOPT_REQUIRE(check_equivariance<Trivial>(RowNorm{}));
  ++steps_after_requirement;
}

TEST_CASE("a report of another verdict than the one expected fails" * doctest::should_fail()) {
  SYMOPT_CHECK_VERDICT(Verdict::violated, failing());
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, failing());
}

TEST_CASE("the messages are the reports") {
  REQUIRE(messages().size() == 3);  // of the test cases above: they run in the order of the file
  CHECK(messages()[0] == to_string(failing()));
  CHECK(messages()[0].find("counterexample: ") != std::string::npos);
  CHECK(messages()[1].find("Trivial: vacuous") != std::string::npos);
  CHECK(messages()[2] == "vacuous was expected, but\n" + to_string(failing()));
  CHECK(steps_after_check == 1);
  CHECK(steps_after_requirement == 0);
}

}}  // namespace check_doctest_adapter_test
