// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/outcome.hpp>
#include <symopt/check/replay.hpp>
#include <symopt/check/report.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The name of a trial.
struct TrialId {
  std::string words;    ///< of the line that repeats it
  std::string input{};  ///< the kind of its input, where laws have some
};

/// The sentences of a check's verdicts; a law changes those that it says otherwise.
struct Wording {
  const char* nothing_tried = "there was nothing to try";
  const char* constant_output = "the rule's output is the same for every input";
  const char* nothing_moved = "no element of the group moved any input";
  const char* unknown_trial = "SYMOPT_REPRODUCE names no trial of this check";
  const char* only_trial = "that trial does; only the one of SYMOPT_REPRODUCE was run";
  const char* trials = "trials";
  const char* where_rounding_decides = "a rank cut-off, a tie, or a zero row under centring";
};

/// The trials of one check, of whatever law: takes their outcomes in and reaches the verdict. Every law is a
/// function that asks which trials are wanted and adds what they came to.
///   violated       a well-posed trial fails: the first that does, or the first that does clearly, is shown
///   vacuous        nothing was tried, the output never varied, or nothing moved
///   inconclusive   more than half of the trials were ill-posed
///   holds          otherwise
class Trials {
 public:
  /// The heading: a report with law, rule, group, precision and seed. Where the environment asks to repeat
  /// this check, its seed is the one of that line.
  explicit Trials(Report heading, Wording wording = {});

  std::uint64_t seed() const { return report_.seed; }
  /// False for all trials but one where the environment asks to repeat that one.
  bool wants(const std::string& words) const { return !replay_ || replay_->wants(words); }
  bool has_failed() const { return bool(failed_); }

  void add(const TrialId& id, Outcome outcome);
  Report conclude() &&;

 private:
  struct Failed {
    std::string words;
    bool is_clear;
    std::function<Failure()> failure;
  };
  struct IllPosed {
    std::string input;
    int trials;
  };

  void count_ill_posed(const TrialId& id, const Outcome& outcome);
  /// The verdict where nothing failed.
  std::pair<Verdict, std::string> verdict_without_failure() const;
  std::string inconclusive_reason() const;

  Wording wording_;
  Report report_;
  std::optional<Replay> replay_;
  std::optional<Failed> failed_;
  bool has_moved_ = false;
  bool has_varied_ = false;
  std::vector<IllPosed> ill_posed_;  // by kinds of inputs
  std::string approximation_reason_;
  double largest_in_double_ = 0, largest_in_float_ = 0;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE Trials::Trials(Report heading, Wording wording)
    : wording_(wording), report_(std::move(heading)), replay_(replay_of(report_)) {}

SYMOPT_CHECK_INLINE void Trials::add(const TrialId& id, Outcome outcome) {
  ++report_.trials;
  has_moved_ = has_moved_ || outcome.has_moved;
  has_varied_ = has_varied_ || outcome.has_varied;
  if (outcome.is_ill_posed) {
    count_ill_posed(id, outcome);
  } else {
    const bool is_number = outcome.is_finite && outcome.error == outcome.error;
    report_.errors.push_back(is_number ? outcome.error : infinity);
  }
  if (outcome.relative_in_float && !outcome.is_ill_posed) {
    largest_in_double_ = std::max(largest_in_double_, outcome.relative);
    largest_in_float_ = std::max(largest_in_float_, *outcome.relative_in_float);
  }
  const bool is_clear = outcome.is_clear_violation();
  if (outcome.is_violation() && (!failed_ || (is_clear && !failed_->is_clear)))
    failed_ = {id.words, is_clear, std::move(outcome.failure)};
}

SYMOPT_CHECK_INLINE void Trials::count_ill_posed(const TrialId& id, const Outcome& outcome) {
  ++report_.ill_posed;
  if (approximation_reason_.empty()) approximation_reason_ = outcome.approximation_reason;
  for (IllPosed& known : ill_posed_)
    if (known.input == id.input) {
      ++known.trials;
      return;
    }
  ill_posed_.push_back({id.input, 1});
}

SYMOPT_CHECK_INLINE Report Trials::conclude() && {
  std::sort(report_.errors.begin(), report_.errors.end());
  if (!report_.errors.empty()) report_.worst = report_.errors.back();
  if (largest_in_double_ > 0) report_.ladder_ratio = largest_in_float_ / largest_in_double_;
  report_.reproduce = reproduce_line(report_, failed_ ? failed_->words : "");
  if (failed_) {
    Failure failure = failed_->failure();
    report_.verdict = Verdict::violated;
    report_.reason = std::move(failure.reason);
    report_.counterexample = std::move(failure.counterexample);
  } else {
    std::tie(report_.verdict, report_.reason) = verdict_without_failure();
  }
  return std::move(report_);
}

SYMOPT_CHECK_INLINE std::pair<Verdict, std::string> Trials::verdict_without_failure() const {
  const bool is_one_trial = replay_ && replay_->is_one_trial();
  if (report_.trials == 0)
    return {Verdict::vacuous, is_one_trial ? wording_.unknown_trial : wording_.nothing_tried};
  if (!is_one_trial && !has_varied_) return {Verdict::vacuous, wording_.constant_output};
  if (!is_one_trial && !has_moved_) return {Verdict::vacuous, wording_.nothing_moved};
  if (2 * report_.ill_posed > report_.trials) return {Verdict::inconclusive, inconclusive_reason()};
  return {Verdict::holds, is_one_trial ? wording_.only_trial : ""};
}

SYMOPT_CHECK_INLINE std::string Trials::inconclusive_reason() const {
  const std::string share =
      std::to_string(report_.ill_posed) + " of " + std::to_string(report_.trials) + " " + wording_.trials;
  if (!approximation_reason_.empty())
    return "the rule calls its own output approximate in " + share + ": " + approximation_reason_;
  const auto fewer = [](const IllPosed& a, const IllPosed& b) { return a.trials < b.trials; };
  const auto most = std::max_element(ill_posed_.begin(), ill_posed_.end(), fewer);
  return "rounding decides the output in " + share + ", most of them on '" + most->input +
         "': " + wording_.where_rounding_decides;
}
#endif

}}}  // namespace symopt::check::detail
