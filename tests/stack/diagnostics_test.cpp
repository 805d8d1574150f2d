// SPDX-License-Identifier: Apache-2.0
// The diagnostics say what the next step does, and asking for them changes nothing.
#include "support/named_model.hpp"
#include "support/temporary_file.hpp"

#include <symopt/diagnostics/diagnostics.hpp>
#include <symopt/diagnostics/head_diagnostics.hpp>
#include <symopt/diagnostics/router_diagnostics.hpp>
#include <symopt/diagnostics/state_sizes.hpp>
#include <symopt/optimizer/adaptive.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <sstream>

namespace diagnostics_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// A rule that is not equivariant under what its group says: it looks at where a row stands.
struct Crooked {
  using group = Embedding;
  Matrix<float> operator()(const Matrix<float>& block) const {
    Matrix<float> result = block;
    for (Index i = 0; i < result.rows(); ++i) result.row(i) *= static_cast<float>(1 + i);
    return result;
  }
};

struct Model {
  NamedModel model = NamedModel()
                         .add("head", {12, 6})
                         .add("leaning head", {12, 6})
                         .add("layers.0.attention.query.weight", {8, 8})
                         .add("experts", {2, 5, 7})
                         .add("norm", {6})
                         .add("adaptive", {5, 7})
                         .add("crooked", {6, 4})
                         .add("frozen", {3, 3});
  LayerwiseOptimizer stack;

  Model() {
    const auto add = [&]<class Rule>(std::type_identity<Rule>, const char* name,
                                     const OptimizerOptions& options, Layout layout = {}) {
      stack.add<Rule>(name, model[name].weights_view(), std::as_const(model[name]).gradient_view(), options,
                      std::move(layout));
    };
    const OptimizerOptions plain{.learning_rate = 0.1};
    add(std::type_identity<LmHead>{}, "head",
        {.learning_rate = 0.1, .weight_decay = 0.2, .decay = Decay::horizontal});
    add(std::type_identity<LmHead>{}, "leaning head", {.learning_rate = 0.1, .weight_decay = 0.2});
    add(std::type_identity<HiddenMatrix>{}, "layers.0.attention.query.weight",
        {.learning_rate = 0.1, .scale = Scale::match_rms}, layout::row_heads(2));
    add(std::type_identity<SwigluOutput>{}, "experts", plain, layout::experts(layout::transposed()));
    add(std::type_identity<AdamW>{}, "norm", plain);
    add(std::type_identity<Adaptive<LmHead>>{}, "adaptive", plain);
    add(std::type_identity<Crooked>{}, "crooked", plain);
    add(std::type_identity<Sign>{}, "frozen", plain);
    stack.set_gradient("frozen", std::nullopt);
    stack.step();
    model.draw_gradients();
    stack.set_schedule_factor(0.5);
  }

  /// How far the weights of a parameter are from some others, by entry.
  double rms_of_change(const std::string& name, const std::vector<float>& before) {
    double sum = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
      sum += std::pow(static_cast<double>(model[name].weights[i]) - static_cast<double>(before[i]), 2);
    return std::sqrt(sum / static_cast<double>(before.size()));
  }
};

const ParameterDiagnostics& row_of(const Diagnostics& diagnostics, const std::string& name) {
  return *std::ranges::find(diagnostics.rows(), name, &ParameterDiagnostics::name);
}

TEST_CASE("asking changes nothing: the steps before and after are the same bits") {
  CAPTURE(default_seed);
  Model asked, silent;
  for (int step = 0; step < 3; ++step) {
    const auto before = asked.model.weights();
    for (int times = 0; times < 2; ++times) CHECK(diagnose(asked.stack).rows().size() == 7);
    CHECK(asked.model.weights() == before);
    CHECK(asked.stack.steps() == silent.stack.steps());
    asked.stack.step();
    silent.stack.step();
    CHECK(asked.model.weights() == silent.model.weights());
    asked.model.draw_gradients();
    silent.model.draw_gradients();
  }
}

TEST_CASE("the root mean square is that of the step which follows") {
  Model model;
  const Diagnostics diagnostics = diagnose(model.stack);
  CHECK(diagnostics.step() == 1);
  const auto before = model.model.weights();
  model.stack.step();
  for (const char* name : {"layers.0.attention.query.weight", "experts", "norm", "crooked"}) {
    CAPTURE(name);
    const std::size_t p = static_cast<std::size_t>(&model.model[name] - model.model.parameters.data());
    const double actual = model.rms_of_change(name, before[p]);
    CHECK(std::abs(row_of(diagnostics, name).rms - actual) <= 1e-4 * actual);
  }
}

TEST_CASE("band and nuclear norm are those of the direction, block by block") {
  Model model;
  const Diagnostics diagnostics = diagnose(model.stack);
  const ParameterDiagnostics& query = row_of(diagnostics, "layers.0.attention.query.weight");
  CHECK(query.blocks == 2);
  CHECK(query.is_exact);
  CHECK(query.smallest > 0.6);  // a polar factor, as well as the default method makes it
  CHECK(query.largest < 1.3);
  CHECK(std::abs(query.nuclear_norm - 8) <= 1.5);  // two heads of rank four
  const ParameterDiagnostics& head = row_of(diagnostics, "head");
  CHECK(head.smallest <= head.largest);
  CHECK(head.nuclear_norm <= 6 * head.largest * (1 + 1e-9));
}

TEST_CASE("a drift along the shift is seen, from the decay too, and only where there is a shift") {
  Model model;
  const Diagnostics diagnostics = diagnose(model.stack);
  CHECK(row_of(diagnostics, "head").drift.value() <= 1e-6);
  CHECK(row_of(diagnostics, "leaning head").drift.value() >= 1e-3);
  CHECK_FALSE(row_of(diagnostics, "norm").drift.has_value());
  CHECK_FALSE(row_of(diagnostics, "experts").drift.has_value());
}

TEST_CASE("an update that is equivariant shows rounding, and one that is not shows it") {
  Model model;
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const Diagnostics diagnostics = diagnose(model.stack, {.seed = seed});
    for (const char* name : {"head", "leaning head", "experts"}) {
      CAPTURE(name);
      CHECK(row_of(diagnostics, name).equivariance.value() <= 1e-5);
    }
    CHECK(row_of(diagnostics, "layers.0.attention.query.weight").equivariance.value() <= 1e-3);
    CHECK(row_of(diagnostics, "crooked").equivariance.value() >= 0.05);
    CHECK_FALSE(row_of(diagnostics, "norm").equivariance.has_value());
  }
}

TEST_CASE("gradients that are not finite and parameters without one are left out") {
  Model model;
  model.model["experts"].gradient[3] = std::numeric_limits<float>::quiet_NaN();
  const Diagnostics diagnostics = diagnose(model.stack);
  CHECK(diagnostics.rows().size() == 6);
  for (const ParameterDiagnostics& row : diagnostics.rows())
    CHECK((row.name != "experts" && row.name != "frozen"));
}

TEST_CASE("the table is 80 columns wide, and the CSV has every number") {
  Model model;
  const Diagnostics diagnostics = diagnose(model.stack);
  std::ostringstream table, csv;
  table << diagnostics;
  MESSAGE(table.str());
  std::istringstream lines(table.str());
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 80);
  }
  for (const char* words : {"before step 2", "equiv.", "layers.0.attention.query.weight\n", "leaning head  "})
    CHECK(table.str().find(words) != std::string::npos);
  diagnostics.write_csv(csv);
  diagnostics.write_csv(csv, false);
  std::istringstream rows(csv.str());
  int count = 0;
  for (std::string line; std::getline(rows, line); ++count) {
    CAPTURE(line);
    CHECK(std::ranges::count(line, ',') == 9);
  }
  CHECK(count == 1 + 2 * 7);
  std::ostringstream quoted;
  Diagnostics(0, {{.name = "a,\"b\""}}).write_csv(quoted, false);
  CHECK(quoted.str().starts_with("1,\"a,\"\"b\"\"\",0,"));
}

/// The true values next to the band.
void check_band(const std::vector<double>& values, Shape shape, const SingularBandOptions& options,
                double end, double nuclear) {
  CAPTURE(symopt::to_string(shape));
  Random random(default_seed);
  const Matrix<double> block = block_with_spectrum(shape, values, random);
  for (const double scale : {1.0, 1e-30, 1e30}) {
    CAPTURE(scale);
    const SingularBand band = singular_band(scale * block, options);
    const double largest = *std::ranges::max_element(values);
    const double smallest = static_cast<Index>(values.size()) < std::min(shape.rows, shape.cols)
                                ? 0.0
                                : *std::ranges::min_element(values);
    double sum = 0;
    for (const double value : values) sum += value;
    CHECK(std::abs(band.largest / scale - largest) <= end * largest);
    CHECK(std::abs(band.smallest / scale - smallest) <= end * largest);
    CHECK(std::abs(band.nuclear_norm / scale - sum) <= nuclear * sum);
    CHECK(band.largest / scale <= largest * (1 + 1e-9));
    CHECK(band.smallest / scale >= smallest - 3e-8 * largest);
  }
}

TEST_CASE("small blocks have their singular values to rounding of the Gram matrix") {
  for (const Shape shape : {Shape{1, 1}, Shape{7, 3}, Shape{3, 7}, Shape{20, 20}}) {
    const Index rank = std::min(shape.rows, shape.cols);
    check_band(log_spaced(rank, 1e4), shape, {}, 3e-8, 1e-6);
    check_band(std::vector<double>(static_cast<std::size_t>(rank), 1.5), shape, {}, 3e-8, 1e-6);
  }
  check_band({2.0}, {6, 5}, {}, 3e-8, 1e-6);
  CHECK(singular_band(Matrix<float>(0, 3)).largest == 0);
  CHECK(singular_band(Matrix<float>(Matrix<float>::Zero(4, 3))).nuclear_norm == 0);
  CHECK_THROWS_AS(singular_band(Matrix<float>(4, 3), {.probes = 0}), std::invalid_argument);
  CHECK_THROWS_AS(singular_band(Matrix<float>(4, 3), {.steps = 0}), std::invalid_argument);
}

/// A rule whose state cannot be copied.
struct Unique {
  template <class Scalar>
  struct State {
    explicit State(Shape) {}
    std::unique_ptr<int> calls = std::make_unique<int>(0);
  };
  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    direction = gradient * static_cast<Scalar>(++*state.calls);
  }
};

TEST_CASE("a state that cannot be put back is not tried") {
  Matrix<float> weights = Matrix<float>::Zero(4, 3), gradient = Matrix<float>::Ones(4, 3), head = weights;
  LayerwiseOptimizer stack;
  stack.add<Unique>("unique", weights, gradient, {.learning_rate = 1});
  stack.add<LmHead>("head", head, gradient);
  const Diagnostics found = diagnose(stack);
  REQUIRE(found.rows().size() == 1);
  CHECK(found.rows().front().name == "head");
  stack.step();
  CHECK(weights == Matrix<float>(Matrix<float>::Constant(4, 3, -1)));  // the state's first call
}

TEST_CASE("large blocks have an estimate of the stated accuracy") {
  std::vector<double> band(260), one(260, 1.0);
  for (std::size_t i = 0; i < band.size(); ++i) band[i] = 0.7 + 0.5 * static_cast<double>(i) / 259;
  check_band(band, {260, 300}, {}, 0.03, 0.02);
  check_band(one, {300, 260}, {}, 1e-6, 1e-6);
  Random random(default_seed);
  const Matrix<double> gaussian = gaussian_block({260, 320}, random);
  const SingularBand exact = singular_band(gaussian, {.exact_up_to = 260}), found = singular_band(gaussian);
  CHECK(exact.is_exact);
  CHECK_FALSE(found.is_exact);
  CHECK(std::abs(found.largest - exact.largest) <= 0.03 * exact.largest);
  CHECK(std::abs(found.smallest - exact.smallest) <= 0.03 * exact.largest);
  CHECK(std::abs(found.nuclear_norm - exact.nuclear_norm) <= 0.05 * exact.nuclear_norm);
}

TEST_CASE("a router's load, by hand") {
  Matrix<float> logits{{3, 1, 0, -9}, {0, 2, 1, -9}, {5, 4, 0, 0}, {1, 1, 1, 1}};
  RouterStatistics one = router_statistics(logits, 1);  // experts 0, 1, 0, 0
  const double entropy = -(0.75 * std::log(0.75) + 0.25 * std::log(0.25)) / std::log(4.0);
  CHECK(std::abs(one.load_entropy - entropy) <= 1e-12);
  CHECK(one.dead_fraction == 0.5);
  CHECK(one.largest_load == 3);
  CHECK(one.largest_logit == 9);
  CHECK(std::abs(one.load_cv - std::sqrt(6.0 / 4.0)) <= 1e-12);  // shares 3, 1, 0, 0 of a mean of 1
  const RouterStatistics all = router_statistics(logits, 4);
  CHECK(all.load_cv == 0);
  CHECK(std::abs(all.load_entropy - 1) <= 1e-12);
  CHECK(all.dead_fraction == 0);
  CHECK(router_statistics(logits.topRows(0), 1).load_entropy == 0);
  CHECK_THROWS_AS(router_statistics(logits, 0), std::invalid_argument);
  CHECK_THROWS_AS(router_statistics(logits, 5), std::invalid_argument);
  logits(2, 1) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(router_statistics(logits, 1), std::invalid_argument);
}

TEST_CASE("routers make a table under 80 columns and a file of all digits") {
  const Matrix<float> logits{{3, 1, 0, -9}, {0, 2, 1, -9}, {5, 4, 0, 0}, {1, 1, 1, 1}};
  RouterDiagnostics routers(7);
  routers.add("layers.0.router", router_statistics(logits, 1));
  routers.add("a name, with a comma, longer than a column", router_statistics(logits, 4));
  std::ostringstream table, csv;
  table << routers;
  MESSAGE(table.str());
  std::istringstream lines(table.str());
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
  CHECK(
      table.str().find("layers.0.router              0.41      0.5        3         9      1.2       12\n") !=
      std::string::npos);
  CHECK(table.str().find("longer than a column\n") != std::string::npos);
  routers.write_csv(csv);
  routers.write_csv(csv, false);
  std::istringstream rows(csv.str());
  std::string header, first, second;
  std::getline(rows, header);
  std::getline(rows, first);
  std::getline(rows, second);
  CHECK(header ==
        "step,router,load_entropy,dead_fraction,largest_load,largest_logit,load_cv,probability_cv,"
        "probability_entropy,rms,centred_rms,centred_maximum,logsumexp,z_loss,entropy");
  CHECK(first.starts_with("7,layers.0.router,0.4056390622295"));
  CHECK(first.find(",0.5,3,9,1.2247448713915") != std::string::npos);
  CHECK(second.starts_with("7,\"a name, with a comma, longer than a column\",1,0,1,9,0,"));
  CHECK(std::ranges::count(csv.str(), '\n') == 5);
}

/// The statistics in plain loops, from the definitions.
LogitStatistics plainly(const Matrix<double>& logits) {
  LogitStatistics plain;
  const double tokens = double(logits.rows());
  const Matrix<double> centred = logits.colwise() - logits.rowwise().mean();
  plain.rms = std::sqrt(logits.squaredNorm() / double(logits.size()));
  plain.centred_rms = std::sqrt(centred.squaredNorm() / double(logits.size()));
  plain.centred_maximum = centred.cwiseAbs().maxCoeff();
  for (Index t = 0; t < logits.rows(); ++t) {
    double sum = 0;
    for (Index c = 0; c < logits.cols(); ++c) sum += std::exp(logits(t, c));
    plain.logsumexp += std::log(sum) / tokens;
    plain.z_loss += std::log(sum) * std::log(sum) / tokens;
    for (Index c = 0; c < logits.cols(); ++c) {
      const double p = std::exp(logits(t, c)) / sum;
      plain.entropy -= p * std::log(p) / tokens;
    }
  }
  return plain;
}

void check_equal(const LogitStatistics& found, const LogitStatistics& expected, double tolerance) {
  std::vector<double> numbers;
  expected.fields([&](const char*, double value) { numbers.push_back(value); });
  std::size_t next = 0;
  found.fields([&](const char* name, double value) {
    CAPTURE(name);
    CHECK(std::abs(value - numbers[next]) <= tolerance * (1 + std::abs(numbers[next])));
    ++next;
  });
  CHECK(next == 6);
}

TEST_CASE("the statistics of logits are those of their definitions") {
  Random random(default_seed);
  for (const Shape shape : {Shape{1, 1}, Shape{7, 1}, Shape{1, 9}, Shape{13, 50}}) {
    const Matrix<double> logits = 3 * gaussian_block(shape, random);
    check_equal(logit_statistics(logits), plainly(logits), 1e-13);
    const RouterStatistics router = router_statistics(logits, 1);
    check_equal(router.logits, plainly(logits), 1e-13);
    Matrix<double> probability = logits.array().exp();
    for (Index t = 0; t < shape.rows; ++t) probability.row(t) /= probability.row(t).sum();
    const Eigen::ArrayXd mean = probability.colwise().mean().transpose().array();
    const double even = 1 / double(shape.cols);
    const double cv = std::sqrt((mean - even).square().mean()) / even;
    CHECK(std::abs(router.probability_cv - cv) <= 1e-13 * (1 + cv));
    const double entropy = shape.cols == 1 ? 0 : -(mean * mean.log()).sum() / std::log(double(shape.cols));
    CHECK(std::abs(router.probability_entropy - entropy) <= 1e-13);
  }
}

TEST_CASE("a row added to all logits of a token moves what a softmax does not see, and that alone") {
  Random random(default_seed);
  const Matrix<double> logits = gaussian_block({11, 20}, random);
  const Matrix<double> shifted = logits.colwise() + 40 * gaussian_block({11, 1}, random).col(0);
  const LogitStatistics a = logit_statistics(logits), b = logit_statistics(shifted);
  CHECK(std::abs(a.centred_rms - b.centred_rms) <= 1e-12);
  CHECK(std::abs(a.centred_maximum - b.centred_maximum) <= 1e-12);
  CHECK(std::abs(a.entropy - b.entropy) <= 1e-12);
  CHECK(b.rms > 10 * a.rms);
  CHECK(b.z_loss > 10 * a.z_loss);
}

TEST_CASE("logits far from one, equal, none and no numbers") {
  const Matrix<double> huge{{1e300, -1e300, 0}, {1e300, 1e300, 1e300}};
  const LogitStatistics far = logit_statistics(huge);
  CHECK(std::abs(far.rms / 1e300 - std::sqrt(5.0 / 6.0)) <= 1e-12);
  CHECK(far.centred_maximum == 1e300);
  CHECK(std::abs(far.entropy - std::log(3.0) / 2) <= 1e-12);
  const LogitStatistics tiny = logit_statistics(1e-300 * Matrix<double>::Ones(2, 3));
  CHECK(tiny.rms == doctest::Approx(1e-300));
  CHECK(tiny.centred_rms <= 1e-312);
  CHECK(tiny.logsumexp == doctest::Approx(std::log(3.0)));
  const LogitStatistics none = logit_statistics(Matrix<float>(0, 5));
  none.fields([](const char*, double value) { CHECK(value == 0); });
  Matrix<float> bad = Matrix<float>::Zero(2, 3);
  bad(1, 2) = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH_AS(logit_statistics(bad),
                       "symopt: logit_statistics: the logit of token 1 and class 2 is Inf or NaN",
                       std::invalid_argument);
}

TEST_CASE("heads make a table of 80 columns and a file of all digits") {
  HeadDiagnostics heads(3);
  heads.add("lm_head", logit_statistics(Matrix<double>{{1, 3}, {-1, 1}}));
  std::ostringstream table, csv;
  table << heads;
  MESSAGE(table.str());
  std::istringstream lines(table.str());
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
  CHECK(
      table.str().find("lm_head                       1.7        1        1      2.1      5.5     0.37\n") !=
      std::string::npos);
  heads.write_csv(csv);
  CHECK(csv.str().starts_with(
      "step,head,rms,centred_rms,centred_maximum,logsumexp,z_loss,entropy\n3,lm_head,1.73"));
  std::ostringstream line;
  line << heads.rows().front().second;
  CHECK(line.str().starts_with("rms 1.73205, centred_rms 1, centred_maximum 1, logsumexp 2.12693"));
}

TEST_CASE("states are listed with the bytes that they have, parameter by parameter and together") {
  std::vector<float> weights(300);
  LayerwiseOptimizer stack;
  const auto add = [&](const std::string& name, const Role& role, int at, std::vector<Index> sizes) {
    stack.add(name, role, TensorView<float>(weights.data() + at, std::move(sizes)), std::nullopt);
  };
  add("layers.0.up", role<SwigluInput>(), 0, {4, 5});
  add("layers.1.up", role<SwigluInput>(), 20, {4, 5});
  add("experts", role<SwigluInput>(layout::experts()), 40, {2, 3, 4});
  add("gain", role<AdamW>(), 70, {7});
  add("second", role<Adaptive<Embedding>>(), 80, {6, 5});
  add("empty", role<Embedding>(), 290, {0, 5});
  const StateSizes sizes = state_sizes(stack);
  REQUIRE(sizes.rows().size() == 6);
  const auto bytes = [&](std::size_t row) { return sizes.rows()[row].bytes; };
  CHECK(bytes(0) == 20 * 4);
  CHECK(bytes(2) == 24 * 4);
  CHECK(bytes(3) == 7 * 8 + 8);           // two moments and the count of steps
  CHECK(bytes(4) == 30 * 4 + 6 * 8 + 8);  // moments of the rows in double
  CHECK(bytes(5) == 0);
  CHECK(sizes.rows()[2].sizes == std::vector<Index>{2, 3, 4});
  CHECK(sizes.rows()[0].bytes_per_entry() == 4);
  CHECK(sizes.rows()[5].bytes_per_entry() == 0);
  CHECK(sizes.entries() == 20 + 20 + 24 + 7 + 30);
  CHECK(sizes.bytes() == bytes(0) + bytes(1) + bytes(2) + bytes(3) + bytes(4));
  std::ostringstream text;
  text << sizes;
  MESSAGE(text.str());
  CHECK(text.str().find("layers.[0-1].up                    40            160         4  RowNorm\n") !=
        std::string::npos);
  std::istringstream lines(text.str());
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
  std::size_t sum = 0;
  for (const StateSize& row : state_sizes(stack).rows()) sum += row.bytes;  // of sizes that end here
  CHECK(sum == sizes.bytes());
  const Optimizer<Update<LmHead>, double> alone(3, 4);
  CHECK(state_sizes(alone).bytes() == 12 * 8);
}

TEST_CASE("the diagnostics of a step are those of the schedule's momentum and decay") {
  std::vector<float> weights(20, 1.0F), gradient(20);
  for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] = std::sin(float(i + 1));
  LayerwiseOptimizer stack;
  stack.add<Update<BiOrthogonal, Identity>>("w", TensorView<float>(weights.data(), {4, 5}),
                                            TensorView<const float>(gradient.data(), {4, 5}),
                                            {.learning_rate = 1, .momentum = 0.9});
  const double half = diagnose(stack).rows().front().rms;
  stack.set_schedule_momentum(0.5);
  CHECK(diagnose(stack).rows().front().rms == doctest::Approx(5 * half).epsilon(1e-5));
}

}}  // namespace diagnostics_test
