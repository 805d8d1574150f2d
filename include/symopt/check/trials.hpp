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
  Shape shape{};        ///< of the block, where it has one
  double size = 0;      ///< the norm of the gradient
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
  bool has_failed_clearly() const { return failed_ && failed_->rank > 0; }

  void add(const TrialId& id, Outcome outcome);
  Report conclude() &&;

 private:
  struct Failed {
    std::string words;
    int rank;  // failures of a higher one are shown
    bool is_defect;
    std::function<Failure()> failure;
  };

  /// Adds to what the report says of the inputs.
  void count(const TrialId& id, bool is_ill_posed);
  /// The verdict where nothing failed.
  std::pair<Verdict, std::string> verdict_without_failure() const;
  std::string inconclusive_reason() const;

  Wording wording_;
  Report report_;
  std::optional<Replay> replay_;
  std::optional<Failed> failed_;
  bool has_moved_ = false;
  bool has_varied_ = false;
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
  count(id, outcome.is_ill_posed);
  if (outcome.is_ill_posed) {
    if (approximation_reason_.empty()) approximation_reason_ = outcome.approximation_reason;
  } else {
    const bool is_number = !outcome.is_defective() && outcome.error == outcome.error;
    report_.errors.push_back(is_number ? outcome.error : infinity);
  }
  if (outcome.relative_in_float && !outcome.is_ill_posed) {
    largest_in_double_ = std::max(largest_in_double_, outcome.relative);
    largest_in_float_ = std::max(largest_in_float_, *outcome.relative_in_float);
  }
  // A rule that is no function, or whose output has another shape, is first of all that; one that is not
  // finite on some inputs may be wrong on others, too.
  const int rank = !outcome.is_function || !outcome.has_shape ? 3
                   : !outcome.is_finite                       ? 1
                   : outcome.is_clear_violation()             ? 2
                                                              : 0;
  if (outcome.is_violation() && (!failed_ || rank > failed_->rank))
    failed_ = {id.words, rank, outcome.is_defective(), std::move(outcome.failure)};
}

SYMOPT_CHECK_INLINE void Trials::count(const TrialId& id, bool is_ill_posed) {
  report_.ill_posed += is_ill_posed ? 1 : 0;
  if (id.input.empty()) return;
  const auto same = [&](const Tried& known) { return known.input == id.input; };
  auto kind = std::find_if(report_.inputs.begin(), report_.inputs.end(), same);
  if (kind == report_.inputs.end()) kind = report_.inputs.insert(kind, Tried{id.input});
  ++kind->trials;
  kind->ill_posed += is_ill_posed ? 1 : 0;
  const auto end = report_.shapes.end();
  if (std::find(report_.shapes.begin(), end, id.shape) == end) report_.shapes.push_back(id.shape);
  if (!(id.size > 0)) return;
  report_.smallest_input = report_.smallest_input > 0 ? std::min(report_.smallest_input, id.size) : id.size;
  report_.largest_input = std::max(report_.largest_input, id.size);
}

SYMOPT_CHECK_INLINE Report Trials::conclude() && {
  std::sort(report_.errors.begin(), report_.errors.end());
  if (!report_.errors.empty()) report_.worst = report_.errors.back();
  if (largest_in_double_ > 0) report_.ladder_ratio = largest_in_float_ / largest_in_double_;
  report_.reproduce = reproduce_line(report_, failed_ ? failed_->words : "");
  if (failed_) {
    Failure failure = failed_->failure();
    report_.verdict = Verdict::violated;
    report_.is_defect = failed_->is_defect;
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
  const auto fewer = [](const Tried& a, const Tried& b) { return a.ill_posed < b.ill_posed; };
  const auto most = std::max_element(report_.inputs.begin(), report_.inputs.end(), fewer);
  return "rounding decides the output in " + share + ", most of them on '" + most->input +
         "': " + wording_.where_rounding_decides;
}
#endif

}}}  // namespace symopt::check::detail
