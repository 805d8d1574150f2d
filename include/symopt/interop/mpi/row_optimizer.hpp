// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/mpi/row_options.hpp>
#include <symopt/interop/mpi/row_partition.hpp>
#include <symopt/interop/mpi/row_reduction.hpp>
#include <symopt/interop/mpi/split_rule.hpp>
#include <symopt/optimizer/careful_step.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <exception>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

/// The optimizer of one block whose rows several processes share, as the vocabulary of an embedding or a head
/// is shared: every rank has some consecutive rows of weights, gradient and state, and all step at once.
///   const auto rows = mpi::row_partition({50304, 768}, ranks)[rank];
///   mpi::RowOptimizer<Update<LmHead>> optimizer(MPI_COMM_WORLD, rows.end - rows.begin, 768, options);
///   optimizer.step(weights, gradient);    // the rank's rows of both
/// Its interface is Optimizer's, and so is its step: row norms, signs, AdamW and second moments of rows or
/// entries need nothing of other ranks; shifts, norms of columns and of the block, and second moments of
/// those need sums; polar factors the Gram matrix of the shorter side, for which a block with fewer rows than
/// columns is turned, so that each rank has all rows of some columns, and back.
///
/// With rows split as row_partition does, weights, state and reports have the bits of an Optimizer of the
/// whole block on one process, but for rules with polar factors and Frobenius norms among several stages:
/// these differ by rounding. All ranks have the same bits of what they share in any case.
/// A gradient with an Inf or NaN, or a step out of the range of Scalar, on one rank is refused on all with
/// nothing changed on any, and the error says on which rank. Wrong arguments of one rank throw on all, too.
/// An exception of a rank outside of these calls leaves the others waiting: see RowOptions::timeout.
/// With NonFinite::unchecked none of that is asked, and nothing is sent but what the rule needs: a wrong
/// argument then throws on its rank alone.
///
/// mpi::save_state and load_state of row_state.hpp have the file of one process.
/// Every member that is not const is collective: all ranks call it, those without rows too, with the same
/// numbers. Memory: Optimizer's, of the rank's rows, and a RowReduction's. Weights are row-major, and not
/// rounded stochastically. Rules that cannot be split do not compile: see docs/distributed-rows.md.
template <class Rule, class Scalar = float>
class RowOptimizer : public AdjustableOptions<RowOptimizer<Rule, Scalar>> {
  static_assert(RealScalar<Scalar>, "symopt optimizes float and double blocks");
  static_assert(StatelessRule<Rule, Scalar> || StatefulRule<Rule, Scalar>,
                "an optimizer needs a rule: callable on a matrix, or with a State and operator()(weights, "
                "gradient, state, direction); see docs/adding-a-rule.md");
  static_assert(
      symopt::detail::can_split_rows<Rule, Scalar>(),
      "this rule cannot step a block whose rows are split over processes: a stage of it needs all rows "
      "and does not say how to reduce over them; give the block whole to one process, or take a rule "
      "of docs/distributed-rows.md");
  static constexpr bool is_stateful = StatefulRule<Rule, Scalar>;
  static constexpr auto along = symopt::detail::Orientation::along_rows;
  using Adjustable = AdjustableOptions<RowOptimizer>;

 public:
  using rule_type = Rule;      ///< what makes a direction
  using scalar_type = Scalar;  ///< of weights, gradients and momentum

  /// An optimizer of a block with so many rows on this rank, none among them, in the order of the ranks of
  /// the communicator, of which it makes a copy. Collective. Errors, on all ranks: std::invalid_argument for
  /// options out of range or that do not suit the rule, for ranks with other columns, rules or options, and
  /// for heads that are parted; std::logic_error before MPI_Init; MpiError.
  RowOptimizer(MPI_Comm communicator, Index own_rows, Index cols, OptimizerOptions options = {},
               Rule rule = {}, RowOptions row_options = {})
      : Adjustable(std::move(options)),
        rule_(std::move(rule)),
        reduction_(
            agreed(detail::RowRanks(communicator, row_options.timeout), {own_rows, cols}, row_options)),
        block_({own_rows, cols}, {scratch_options()}) {
    block_.template reserve<along>();
  }

  /// One step, as Optimizer::step does it, of the rank's rows of weights and gradient. The weights are
  /// row-major; float ones may be split_weights or have a copy that is rounded to the nearest.
  template <class Weights, class Gradient>
  StepReport step(Weights&& weights, const Eigen::MatrixBase<Gradient>& gradient) {
    using Given = symopt::detail::StepWeights<Scalar, std::remove_cvref_t<Weights>>;
    static_assert(symopt::detail::are_storable<Scalar, Weights, Gradient>());
    static_assert(symopt::detail::orientation_v<typename Given::Storage> == along,
                  "the rows of row-major weights are split: a column-major block is its transpose, split by "
                  "columns; pass a row-major matrix");
    if constexpr (symopt::detail::is_memory_v<Gradient>) {
      const Given given(weights, []<class Seed>(Seed) {
        static_assert(sizeof(Seed) == 0,
                      "the random bits of stochastic rounding are those of a row of the whole block, which a "
                      "step of split rows does not know: round to the nearest, or use split_weights");
        return kernel::Rounder{};
      });
      using GradientScalar = typename Gradient::Scalar;
      return step_of_views(given.memory, symopt::detail::memory_of("gradient", gradient.derived()),
                           symopt::detail::BlockView<const GradientScalar>(gradient.derived()), given.view);
    } else {
      return step(weights, gradient.eval());
    }
  }
  /// The step of with_copy(weights, copy).
  template <class Weights, class Gradient, class Copy>
  StepReport step(Weights&& weights, const Eigen::MatrixBase<Gradient>& gradient, Copy&& copy) {
    return step(with_copy(weights, copy), gradient);
  }

  /// The rule that the optimizer was made with.
  const Rule& rule() const { return rule_.rule; }

  /// The shape of the rank's part: what weights and gradients must have.
  Shape shape() const { return block_.shape(); }
  /// The shape of the whole block, and the rank's rows of it.
  ///@{
  Shape whole() const { return reduction_.whole(); }
  RowRange rows() const { return reduction_.rows(); }
  ///@}
  /// The rows that another rank has.
  RowRange rows(int rank) const { return reduction_.rows(rank); }
  /// The processes that share the rows, and the messages between them.
  const Communicator& processes() const { return ranks().processes(); }

  /// The rank's rows of the momentum, as a read-only view.
  auto momentum() const requires(!is_stateful) { return block_.memory().view(); }

  /// The state of a stateful rule for the rank's rows. Moments of columns or of the block are the same on all
  /// ranks, but where one of them has all rows: then on that one.
  const auto& state() const requires is_stateful { return block_.memory(); }

 private:
  friend Adjustable;
  friend symopt::detail::StateAccess;
  using Adjustable::options_;
  using Adjustable::schedule_factor_;
  using Adjustable::steps_;

  /// The findings of a rank on its part of a step: the worst of all ranks decides.
  enum Severity : int { fine, careful, out_of_range, not_finite, wrong };

  double scale_factor() const { return symopt::detail::scale_factor_of(rule(), options_.scale, whole()); }

  kernel::ScratchOptions scratch_options() const {
    kernel::ScratchOptions scratch = symopt::detail::scratch_options(options_);
    if (reduction_.is_split()) scratch.whole_rows = whole().rows;
    return scratch;
  }

  /// The reduction, once all ranks agree on what they were given.
  detail::RowReduction<Scalar> agreed(const detail::RowRanks& ranks, Shape part,
                                      const RowOptions& row_options) const {
    const std::string& parameter = options_.parameter;
    ranks.require_none(problem_of([&] {
                         validate(row_options);
                         symopt::detail::require_block_shape<Scalar>(part, parameter);
                         symopt::detail::validate_for_rule<Rule, Scalar>(options_);
                         symopt::detail::validated_in<Scalar>(rule());
                       }),
                       parameter);
    std::ostringstream text;
    text << part.cols << " columns, " << symopt::detail::rule_text(rule()) << " of "
         << symopt::detail::rule_group_text<Rule>() << " (" << symopt::detail::rule_options_text(rule())
         << "), " << options_;
    ranks.require_same(text.str(), parameter);
    const detail::RowReduction<Scalar> reduction(ranks, part, parameter);
    ranks.require_none(problem_of([&] {
                         const double scale =
                             symopt::detail::scale_factor_of(rule(), options_.scale, reduction.whole());
                         symopt::detail::require_factors_in_range<Scalar>(options_, 1, scale);
                         require_whole_heads(reduction.rows());
                       }),
                       parameter);
    return reduction;
  }

  void require_whole_heads(RowRange rows) const {
    const Index together = symopt::detail::rows_together<Rule, Scalar>(rule());
    symopt::detail::require(rows.begin % together == 0 && rows.end % together == 0, [&] {
      return "the rows " + std::to_string(rows.begin) + " to " + std::to_string(rows.end) +
             " part a head of " + std::to_string(together) +
             " rows; split the rows with row_partition(shape, ranks, " + std::to_string(together) + ")";
    });
  }

  /// The error of a check of this rank, as text; empty where there is none.
  static std::string problem_of(auto&& check) {
    try {
      check();
    } catch (const Error& error) {
      return error.text;
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return {};
  }

  void require_usable(const OptimizerOptions& options, double schedule_factor) const {
    symopt::detail::validate_for_rule<Rule, Scalar>(options);
    symopt::detail::require_factors_in_range<Scalar>(options, schedule_factor, scale_factor());
  }

  StepReport step_of_views(const symopt::detail::WeightsStorage& weights,
                           const symopt::detail::MatrixMemory& gradient,
                           const kernel::GradientView<Scalar>& read,
                           const kernel::WeightsView<Scalar>& written) {
    const auto check = [&] {
      weights.require_usable(shape(), gradient, options_.parameter);
      symopt::detail::require_factors_in_range<Scalar>(options_, schedule_factor_, scale_factor());
    };
    const double rate = this->rate();
    symopt::detail::StepInput<Scalar> input{read, written,
                                            symopt::detail::step_coefficients(options_, rate, scale_factor()),
                                            kernel::Check::nothing};
    if (options_.non_finite == NonFinite::unchecked) {
      check();
      step_rows(input);
      return {true, ++steps_, rate};
    }
    input.largest_gradient = symopt::detail::usual_gradient<Scalar>;
    const std::string problem = problem_of(check);
    detail::RowRanks::Verdict all = ranks().worst(problem.empty() ? verdict_on(input) : wrong);
    if (all.severity == wrong) fail_everywhere(all.rank, problem);
    if (all.severity == careful) {
      const bool stands =
          !takes_part() || symopt::detail::careful_step<along>(block_, rule_, input, reduction_);
      all = ranks().worst(stands ? fine : out_of_range);
    } else if (all.severity == fine) {
      step_rows(input);
    }
    if (all.severity == fine) return {true, ++steps_, rate};
    if (options_.non_finite == NonFinite::skip) return {false, steps_, rate};
    throw NonFiniteGradient(symopt::detail::joined({reason(all), "; nothing was changed on any rank. ",
                                                    symopt::detail::remedy_of_non_finite}),
                            options_.parameter);
  }

  const detail::RowRanks& ranks() const { return reduction_.ranks(); }

  /// A rank without rows of a block that another one has whole has nothing to do.
  bool takes_part() const { return shape().rows > 0 || reduction_.is_split() || whole().rows == 0; }
  void step_rows(const symopt::detail::StepInput<Scalar>& input) {
    if (takes_part()) block_.template step<along>(rule_, input, reduction_);
  }

  /// The verdict on the rank's gradient, before anything is written: one read of it, and the bounds that say
  /// whether the step stays in range.
  Severity verdict_on(const symopt::detail::StepInput<Scalar>& input) {
    if (kernel::is_usual(input.gradient) && block_.is_in_range(rule_, input, false)) return fine;
    return kernel::all_finite(input.gradient) ? careful : not_finite;
  }

  [[noreturn, gnu::cold]] void fail_everywhere(int rank, const std::string& problem) const {
    const std::string theirs = ranks().text_of(rank, problem);
    const std::string nothing = "; nothing was changed on any rank";
    if (!problem.empty()) symopt::detail::fail({options_.parameter}, problem + nothing);
    symopt::detail::fail({options_.parameter},
                         "rank " + std::to_string(rank) + " refused its step: " + theirs + nothing);
  }

  [[gnu::cold]] static std::string reason(detail::RowRanks::Verdict verdict) {
    if (verdict.severity == out_of_range) return symopt::detail::out_of_range;
    return "the gradient of rank " + std::to_string(verdict.rank) + " has an Inf or NaN";
  }

  symopt::detail::BlockRule<Rule, Scalar> rule_;
  detail::RowReduction<Scalar> reduction_;
  symopt::detail::Block<Rule, Scalar> block_;
};

}}}  // namespace symopt::mpi
