// SPDX-License-Identifier: Apache-2.0
// The checks of locality and of storage: honest rules hold, and what couples blocks or reads a tensor wrongly
// is caught.
#include <symopt/check/laws/layout.hpp>
#include <symopt/check/laws/locality.hpp>
#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <algorithm>
#include <limits>
#include <sstream>

namespace check_storage_test { namespace {

using namespace symopt;
using namespace symopt::check;

const Storage stacked{{3, 4, 6}, layout::experts()};
const Storage stacked_transposed{{3, 6, 4}, layout::experts(layout::transposed())};
const Storage heads{{12, 6}, layout::row_heads(3)};
const Storage paired{{2, 8, 3}, layout::experts(layout::gate_up(GateUp::concatenated, Neurons::paired))};
const Storage interleaved{
    {2, 3, 8}, layout::experts(layout::transposed(layout::gate_up(GateUp::interleaved, Neurons::paired)))};

TEST_CASE("through a stack no block influences another, and storage does not matter") {
  const auto holds = [](const auto& rule) {
    for (const Storage& storage : {stacked, stacked_transposed, heads, paired, interleaved})
      SYMOPT_CHECK(check_locality(rule, storage));
    SYMOPT_CHECK(check_layout(rule, stacked, stacked_transposed));
    SYMOPT_CHECK(check_layout(rule, stacked, heads));
    SYMOPT_CHECK(check_layout(rule, paired, interleaved));
  };
  holds(Update<HiddenMatrix, DualNorm<Spectral<>>>{});
  holds(Update<SwigluInput>{});
  holds(Update<SwigluOutput>{});
  holds(Update<LmHead>{});
  holds(AdamW{});
}

/// A tensor of experts [E, ...] divided by one norm over all of them.
void coupled_by_one_scale(TensorView<const double> gradient, TensorView<double> direction) {
  const Index size = gradient.sizes()[0] * gradient.strides()[0];
  const Eigen::Map<const Eigen::VectorXd> all(gradient.data(), size);
  Eigen::Map<Eigen::VectorXd>(direction.data(), size) = all / (all.stableNorm() + 1e-300);
}
void negated(TensorView<const double> gradient, TensorView<double> direction) {
  const Index size = gradient.sizes()[0] * gradient.strides()[0];
  Eigen::Map<Eigen::VectorXd>(direction.data(), size) =
      -Eigen::Map<const Eigen::VectorXd>(gradient.data(), size);
}

TEST_CASE("experts that share one scale are caught") {
  const Report report = check_locality(coupled_by_one_scale, stacked);
  SYMOPT_CHECK_VERDICT(Verdict::violated, report);
  CHECK(report.reason == "block 1 moves when the gradient of block 0 changes");
  CHECK(report.rule == "a rule for tensors");
  SYMOPT_CHECK(check_locality(negated, stacked));
}

/// Normalizes the rows of the tensor as it is stored, whatever the layout.
void normalize_stored_rows(TensorView<const double> gradient, TensorView<double> direction) {
  const Index cols = gradient.sizes().back();
  const Index rows = gradient.sizes()[0] * gradient.strides()[0] / cols;
  Eigen::Map<Matrix<double>>(direction.data(), rows, cols) =
      RowNorm{}(Eigen::Map<const Matrix<double>>(gradient.data(), rows, cols));
}

TEST_CASE("a rule that takes the stored rows for those of the block is caught") {
  SYMOPT_CHECK(check_layout(normalize_stored_rows, stacked, heads));
  const Report report = check_layout(normalize_stored_rows, stacked, stacked_transposed);
  SYMOPT_CHECK_VERDICT(Verdict::violated, report);
  CHECK(report.counterexample->error > 1e-2);
}

TEST_CASE("a layout alone is tried on a small tensor") {
  const Update<Embedding> update;
  for (const Layout& one :
       {layout::experts(), layout::row_heads(3), layout::column_heads(2), layout::row_sections({2, 5}),
        layout::gate_up(GateUp::interleaved, Neurons::apart),
        layout::experts(layout::transposed(layout::gate_up(GateUp::concatenated, Neurons::paired))),
        layout::experts(layout::as_matrix())})
    SYMOPT_CHECK(check_locality(update, one));
  SYMOPT_CHECK(check_layout(update, layout::experts(), layout::experts(layout::transposed())));
  SYMOPT_CHECK(check_layout(update, layout::experts(), layout::row_heads(3)));
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_locality(coupled_by_one_scale, layout::experts()));
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_layout(normalize_stored_rows, layout::experts(),
                                                       layout::experts(layout::transposed())));
  CHECK_THROWS_AS(check_layout(update, layout::row_heads(2), layout::row_heads(3)), std::invalid_argument);
}

TEST_CASE("a direction that is not finite is a violation") {
  const auto nan = [](TensorView<const double> gradient, TensorView<double> direction) {
    std::fill_n(direction.data(), gradient.sizes()[0] * gradient.strides()[0],
                std::numeric_limits<double>::quiet_NaN());
  };
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_locality(nan, stacked));
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_layout(nan, stacked, heads));
}

TEST_CASE("what cannot fail does not pass") {
  const auto zero = [](TensorView<const double>, TensorView<double> direction) {
    std::fill_n(direction.data(), 72, 0.0);
  };
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_locality(zero, stacked));
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_layout(zero, stacked, heads));
  SYMOPT_CHECK_VERDICT(Verdict::vacuous, check_locality(RowNorm{}, {{4, 6}}));
  CHECK_THROWS_AS(check_layout(RowNorm{}, stacked, {{3, 6, 4}, layout::experts()}), std::invalid_argument);
}

}}  // namespace check_storage_test
