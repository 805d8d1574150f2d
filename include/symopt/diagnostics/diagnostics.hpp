// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/diagnostics/parameter_probe.hpp>
#include <symopt/diagnostics/sampled_element.hpp>
#include <symopt/diagnostics/singular_band.hpp>
#include <symopt/diagnostics/table_text.hpp>
#include <symopt/stack/state_access.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The diagnostics of the next step of one parameter.
struct ParameterDiagnostics {
  std::string name;         ///< of the parameter
  Index blocks = 0;         ///< of its layout
  double rms = 0;           ///< root mean square of the change of the weights, rate and scale included
  double smallest = 0;      ///< singular value of the directions, before rate and scale
  double largest = 0;       ///< singular value of the directions, before rate and scale
  double nuclear_norm = 0;  ///< of the directions, summed over the blocks
  bool is_exact = true;     ///< false where these three are estimates; see singular_band.hpp
  /// The part of the change along the shift (the mean row of a head's change), decay included, relative to
  /// the update; none for a group without a shift.
  std::optional<double> drift{};
  /// |U(gM) - g U(M)| / |U(M)| for an element g of the group drawn at random, in the scalar of the stack;
  /// none for a rule without a group or with a state of its own.
  std::optional<double> equivariance{};
};

/// The diagnostics of the parameters that take part in a step.
class Diagnostics {
 public:
  /// Made by diagnose().
  Diagnostics(std::int64_t step, std::vector<ParameterDiagnostics> rows)
      : step_(step), rows_(std::move(rows)) {}

  /// The steps that were done before.
  std::int64_t step() const { return step_; }
  /// One for each parameter, in the order of adding.
  const std::vector<ParameterDiagnostics>& rows() const { return rows_; }

  /// A table of 80 columns. "~" marks estimates.
  friend std::ostream& operator<<(std::ostream& out, const Diagnostics& diagnostics) {
    out << "before step " << diagnostics.step_ + 1
        << "; s: singular values of the direction; drift: along the shift\n"
        << "parameter                      rms    s min    s max  nuclear    drift   equiv.\n";
    for (const ParameterDiagnostics& row : diagnostics.rows_) {
      const char mark = row.is_exact ? ' ' : '~';
      out << detail::name_cell(row.name) << detail::number_cell(row.rms)
          << detail::number_cell(row.smallest, mark) << detail::number_cell(row.largest, mark)
          << detail::number_cell(row.nuclear_norm, mark) << detail::number_cell(row.drift)
          << detail::number_cell(row.equivariance) << '\n';
    }
    return out;
  }

  /// Comma-separated values, all digits; an empty field for what there is none of. The first line names them
  /// unless `with_header` is false: for a file to which the rows of later steps are added.
  void write_csv(std::ostream& out, bool with_header = true) const {
    if (with_header)
      out << "step,parameter,blocks,rms,smallest,largest,nuclear_norm,is_exact,drift,equivariance\n";
    for (const ParameterDiagnostics& row : rows_) {
      out << step_ + 1 << ',' << detail::name_field(row.name) << ',' << row.blocks << ','
          << detail::number_field(row.rms) << ',' << detail::number_field(row.smallest) << ','
          << detail::number_field(row.largest) << ',' << detail::number_field(row.nuclear_norm) << ','
          << (row.is_exact ? 1 : 0) << ',' << detail::number_field(row.drift) << ','
          << detail::number_field(row.equivariance) << '\n';
    }
  }

 private:
  std::int64_t step_;
  std::vector<ParameterDiagnostics> rows_;
};

/// The options of the diagnostics.
struct DiagnosticsOptions {
  SingularBandOptions band{};  ///< how singular values are found
  std::uint64_t seed = 1;      ///< of the group elements
};

namespace detail {

/// The part of a block along the shifts of its group.
inline Matrix<double> along_shifts(const Matrix<double>& block, const Families& families) {
  Matrix<double> horizontal = block;
  if (families.left.translations) horizontal.rowwise() -= horizontal.colwise().mean().eval();
  if (families.right.translations) horizontal.colwise() -= horizontal.rowwise().mean().eval();
  return block - horizontal;
}

template <class Scalar>
ParameterDiagnostics diagnose_parameter(Parameter<Scalar>& parameter, const StepSchedule& schedule,
                                        const DiagnosticsOptions& options) {
  ParameterProbe<Scalar> probe(parameter, schedule);
  const auto directions = probe.directions();
  const auto weights = probe.weights();
  const auto families = parameter.facts().families;
  const OptimizerOptions& own = parameter.options();
  const double rate = own.learning_rate * schedule.factor;
  ParameterDiagnostics row{.name = parameter.name(), .blocks = static_cast<Index>(directions.size())};
  row.smallest = directions.empty() ? 0 : std::numeric_limits<double>::infinity();
  double sum = 0, entries = 0, drifted = 0;
  for (std::size_t b = 0; b < directions.size(); ++b) {
    const SingularBand band = singular_band(directions[b], options.band);
    row.smallest = std::min(row.smallest, band.smallest);
    row.largest = std::max(row.largest, band.largest);
    row.nuclear_norm += band.nuclear_norm;
    row.is_exact = row.is_exact && band.is_exact;
    const Matrix<double> update = rate * parameter.scale_factor(own.scale, b) * directions[b];
    sum += update.squaredNorm();
    entries += static_cast<double>(update.size());
    if (!families || update.size() == 0) continue;
    const double decay = own.decay == Decay::all ? rate * own.weight_decay * schedule.decay_factor : 0;
    drifted += along_shifts(update + decay * weights[b], *families).squaredNorm();
  }
  row.rms = entries > 0 ? std::sqrt(sum / entries) : 0;
  if (!families) return row;
  if (families->left.translations || families->right.translations)
    row.drift = sum > 0 ? std::sqrt(drifted / sum) : 0;
  if (!families->left.is_linear() && !families->right.is_linear()) return row;  // nothing to move it by

  std::vector<SampledElement> elements;
  for (const Matrix<double>& direction : directions)
    elements.emplace_back(*families, shape_of(direction), options.seed + elements.size());
  const auto moved =
      probe.directions([&](std::size_t b, const Matrix<double>& block) { return elements[b].act(block); });
  double worst = 0;
  for (std::size_t b = 0; b < directions.size(); ++b) {
    const double length = directions[b].norm();
    const double error = (moved[b] - elements[b].act(directions[b])).norm();
    if (!(error <= worst * length)) worst = length > 0 ? error / length : error;
  }
  row.equivariance = worst;
  return row;
}

}  // namespace detail

/// The diagnostics of the next step, of each parameter that has a gradient: to be called between the backward
/// pass and the step, when somebody wants to know. Changes nothing, not one bit; a step that is not diagnosed
/// costs nothing. A singular value far from 1 under a polar factor, a drift or an equivariance error far
/// above rounding mean that the update is not what it is taken for. Cost: two steps of each parameter, and
/// for its singular values those of singular_band; memory a few copies of one parameter in double. Parameters
/// whose gradients are not finite are left out, and so are the blocks of pairs and those of a rule of your
/// own whose state cannot be copied. Errors: what a rule throws.
template <class Scalar>
Diagnostics diagnose(BasicLayerwiseOptimizer<Scalar>& stack, const DiagnosticsOptions& options = {}) {
  std::vector<ParameterDiagnostics> rows;
  for (const auto& parameter : detail::StateAccess::parameters(stack))
    if (!parameter->blocks().is_paired() && parameter->has_gradient() && parameter->gradient_is_finite() &&
        detail::ParameterProbe<Scalar>::can_put_back(*parameter))
      rows.push_back(detail::diagnose_parameter(*parameter, detail::StateAccess::schedule(stack), options));
  return Diagnostics(stack.steps(), std::move(rows));
}

}}  // namespace symopt
