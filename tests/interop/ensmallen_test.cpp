// SPDX-License-Identifier: Apache-2.0
// Update policies for ensmallen's SGD, in loops that hand them what its versions 2 and 3 do.
#include <symopt/group/named_groups.hpp>
#include <symopt/interop/ensmallen.hpp>
#include <symopt/optimizer/adamw.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <functional>
#include <memory>
#include <vector>

namespace ensmallen_test { namespace {

using namespace symopt;
using interop::BasicEnsmallenStack;
using interop::EnsmallenStack;
using interop::EnsmallenUpdate;

/// The sizes of SGD's batches: what it takes the minimum of.
std::vector<std::size_t> batches_of(std::size_t batch_size, std::size_t samples, std::size_t iterations) {
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0, in_epoch = 0; i < iterations; i += sizes.back()) {
    sizes.push_back(std::min({batch_size, iterations - i, samples - in_epoch}));
    in_epoch = (in_epoch + sizes.back()) % samples;
  }
  return sizes;
}

/// The table of two layers: 3 x 4 and 5 x 3, each with its biases.
std::vector<EnsmallenStack::Block> blocks_of_two_layers() {
  using Blocks = EnsmallenStack;
  return {Blocks::block<HiddenMatrix>("hidden", {3, 4}),
          Blocks::block<AdamW>("hidden.bias", {3}),
          Blocks::block<LmHead>("head", {5, 3}),
          {"head.bias", {5}, role<AdamW, double>({.learning_rate = 2, .scale = Scale::match_rms})}};
}
constexpr arma::uword column_size = 3 * 4 + 3 + 5 * 3 + 5;

/// The largest difference between the column of a policy and a stack of matrices that is given mean
/// gradients, after 15 samples in batches of 4 of 11, the last of them cut off by max_iterations.
double difference(bool is_divided) {
  using Blocks = EnsmallenStack;
  arma::arma_rng::set_seed(4);
  arma::mat column(column_size, 1, arma::fill::randn);
  std::unique_ptr<Blocks> parent(new Blocks({.batch_size = 4,
                                             .samples = 11,
                                             .blocks = blocks_of_two_layers(),
                                             .options = {.learning_rate = 77, .weight_decay = 0.3},
                                             .step_size_is_divided = is_divided,
                                             .max_iterations = 17}));
  Blocks::Policy<arma::mat, arma::mat> policy(*parent, column_size, 1);
  parent.reset();  // the policy needs it no longer

  // Row-major, so that nothing but the numbers is the same.
  struct Part {
    const char* name;
    arma::uword begin;
    Index rows, cols;
    Matrix<double> w{rows, cols}, g{rows, cols};

    static void read(const arma::mat& from, arma::uword begin, Matrix<double>& to) {
      for (Index j = 0; j < to.cols(); ++j)
        for (Index i = 0; i < to.rows(); ++i) to(i, j) = from(begin + arma::uword(j * to.rows() + i));
    }
  };
  std::vector<Part> parts{
      {"hidden", 0, 3, 4}, {"hidden.bias", 12, 3, 1}, {"head", 15, 5, 3}, {"head.bias", 30, 5, 1}};
  const double step_size = 0.05;
  BasicLayerwiseOptimizer<double> reference({.learning_rate = step_size, .weight_decay = 0.3});
  for (Part& part : parts) Part::read(column, part.begin, part.w);
  reference.add<HiddenMatrix>("hidden", parts[0].w, parts[0].g);
  reference.add<AdamW>("hidden.bias", parts[1].w, parts[1].g);
  reference.add<LmHead>("head", parts[2].w, parts[2].g);
  reference.add<AdamW>("head.bias", parts[3].w, parts[3].g,
                       {.learning_rate = 2 * step_size, .scale = Scale::match_rms});

  arma::mat gradients[2] = {arma::mat(column_size, 1), arma::mat(column_size, 1)};  // in turn
  int turn = 0;
  for (const std::size_t count : batches_of(4, 11, 17)) {
    arma::mat& gradient = gradients[turn = 1 - turn];
    gradient.randn();
    policy.Update(column, is_divided ? step_size / double(count) : step_size, gradient);
    for (Part& part : parts) {
      Part::read(gradient, part.begin, part.g);
      part.g /= static_cast<double>(count);
    }
    reference.step();
  }
  double worst = 0;
  for (Part& part : parts) {
    Part::read(column, part.begin, part.g);
    worst = std::max(worst, (part.g - part.w).cwiseAbs().maxCoeff());
  }
  return worst / step_size;
}

TEST_CASE("the blocks of a column step as matrices of their own do on mean gradients") {
  CHECK(batches_of(4, 11, 17) == std::vector<std::size_t>{4, 4, 3, 4, 2});
  CHECK(difference(true) <= 1e-12);
  CHECK(difference(false) <= 1e-12);
}

TEST_CASE("a column of floats has a table of floats") {
  using Blocks = BasicEnsmallenStack<float>;
  const Blocks parent({.batch_size = 2,
                       .samples = 2,
                       .blocks = {Blocks::block<AdamW>("w", {3, 2})},
                       .step_size_is_divided = true});
  Blocks::Policy<arma::fmat, arma::fmat> policy(parent, 6, 1);
  arma::fmat column(6, 1, arma::fill::ones);
  arma::fmat gradient = column;
  gradient(1) = -3;
  policy.Update(column, 0.1 / 2, gradient);  // AdamW's first step is the rate, whatever the gradient
  for (const arma::uword i : {0U, 1U, 5U}) CHECK(column(i) == doctest::Approx(i == 1 ? 1.1 : 0.9));
}

TEST_CASE("a column that has moved goes on where it is") {
  arma::arma_rng::set_seed(4);
  arma::mat column(column_size, 1, arma::fill::randn), other = column;
  const arma::mat gradient(column_size, 1, arma::fill::randn);
  const EnsmallenStack parent({.batch_size = 1, .samples = 5, .blocks = blocks_of_two_layers()});
  EnsmallenStack::Policy<arma::mat, arma::mat> moving(parent, column_size, 1),
      staying(parent, column_size, 1);
  moving.Update(column, 0.1, gradient);
  staying.Update(other, 0.1, gradient);
  arma::mat moved = column;
  moving.Update(moved, 0.1, gradient);
  staying.Update(other, 0.1, gradient);
  CHECK(arma::approx_equal(moved, other, "absdiff", 0.0));
  CHECK_FALSE(arma::approx_equal(column, other, "absdiff", 1e-3));
}

TEST_CASE("kernels of a convolution are blocks by their layout") {
  // mlpack's Convolution: width, height, maps * inputs, here 2 x 3 kernels of 4 inputs for 5 maps.
  using Blocks = EnsmallenStack;
  arma::arma_rng::set_seed(4);
  arma::mat column(2 * 3 * 4 * 5, 1, arma::fill::randn), by_matrix = column;
  const arma::mat gradient(column.n_rows, 1, arma::fill::randn);
  const Blocks kernels({.batch_size = 1,
                        .samples = 1,
                        .blocks = {Blocks::block<LmHead>("kernels", {2 * 3 * 4, 5}, layout::transposed())}});
  Blocks::Policy<arma::mat, arma::mat> policy(kernels, column.n_rows, 1);
  policy.Update(column, 0.1, gradient);
  // In symopt's order of sizes, [maps, inputs, height, width], what mlpack stores is row-major.
  BasicLayerwiseOptimizer<double> stack({.learning_rate = 0.1});
  stack.add<LmHead>("kernels", TensorView<double>(by_matrix.memptr(), {5, 4, 3, 2}),
                    TensorView<const double>(gradient.memptr(), {5, 4, 3, 2}), layout::as_matrix());
  stack.step();
  CHECK(arma::approx_equal(column, by_matrix, "absdiff", 1e-14));
}

TEST_CASE("the plan names the blocks, with rates that multiply the step size") {
  const EnsmallenStack parent({.batch_size = 1, .samples = 5, .blocks = blocks_of_two_layers()});
  const Plan plan = parent.plan();
  REQUIRE(plan.rows().size() == 4);
  CHECK(plan.rows()[2].name == "head");
  CHECK(plan.rows()[2].shape == "5x3");
  CHECK(plan.rows()[2].rate == 1);
  CHECK(plan.rows()[3].rate == 2);
}

TEST_CASE("errors say what is wrong with the table") {
  using Blocks = EnsmallenStack;
  using Policy = Blocks::Policy<arma::mat, arma::mat>;
  const auto blocks = blocks_of_two_layers();
  CHECK_THROWS_WITH_AS(Blocks({.samples = 5, .blocks = blocks}), doctest::Contains("batch_size is 0"), Error);
  CHECK_THROWS_WITH_AS(Blocks({.batch_size = 5, .blocks = blocks}), doctest::Contains("samples is 0"), Error);
  CHECK_THROWS_WITH_AS(Blocks({.batch_size = 5, .samples = 5}), doctest::Contains("there are no blocks"),
                       Error);
  CHECK_THROWS_WITH_AS(EnsmallenUpdate<AdamW>({.samples = 5}), doctest::Contains("batch_size is 0"), Error);
  CHECK_THROWS_WITH_AS(EnsmallenUpdate<AdamW>({.batch_size = 5}), doctest::Contains("samples is 0"), Error);
  const Blocks parent({.batch_size = 1, .samples = 5, .blocks = blocks});
  CHECK_THROWS_WITH_AS(Policy(parent, column_size + 1, 1),
                       doctest::Contains("the blocks have 35 numbers, and SGD's iterate has 36"), Error);
  CHECK_THROWS_WITH_AS(Policy(parent, column_size, 2), doctest::Contains("'head' of 15"), Error);
  const Blocks twice({.batch_size = 1,
                      .samples = 5,
                      .blocks = {Blocks::block<AdamW>("w", {2}), Blocks::block<AdamW>("w", {2})}});
  CHECK_THROWS_WITH_AS(twice.plan(), doctest::Contains("'w': is there already"), Error);
  const Blocks vector({.batch_size = 1, .samples = 5, .blocks = {Blocks::block<HiddenMatrix>("bias", {4})}});
  CHECK_THROWS_WITH_AS(vector.plan(), doctest::Contains("'bias'"), Error);

  // What is not finite changes nothing.
  arma::mat column(column_size, 1, arma::fill::ones), gradient = column;
  gradient(20) = arma::datum::nan;
  Policy policy(parent, column_size, 1);
  CHECK_THROWS_WITH_AS(policy.Update(column, 0.1, gradient), doctest::Contains("'head'"), NonFiniteGradient);
  CHECK(arma::all(arma::vectorise(column) == 1));
}

/// Points around one centre for each of five classes, and the loss of a softmax classifier.
struct Data {
  static constexpr std::size_t classes = 5, inputs = 8, samples = 330;
  arma::mat points;
  arma::uvec labels;
  Data() {
    arma::arma_rng::set_seed(7);
    const arma::mat centres = 2 * arma::randn(inputs, classes);
    labels = arma::randi<arma::uvec>(samples, arma::distr_param(0, classes - 1));
    points = arma::randn(inputs, samples);
    for (std::size_t i = 0; i < samples; ++i) points.col(i) += centres.col(labels(i));
  }
  /// The sum of -log p(label | point) over some samples; `gradient` is its gradient.
  double loss(const arma::mat& weights, std::size_t first, std::size_t count, arma::mat& gradient) const {
    double total = 0;
    gradient.zeros(classes, inputs);
    for (std::size_t i = first; i < first + count; ++i) {
      const arma::vec logits = weights * points.col(i);
      arma::vec p = arma::exp(logits - logits.max());
      p /= arma::accu(p);
      total -= std::log(p(labels(i)));
      p(labels(i)) -= 1;
      gradient += p * points.col(i).t();
    }
    return total;
  }
};

/// The loss after ten passes of SGD over the loss of zero weights.
template <class Rule>
double trained(double step_size, bool is_divided) {
  constexpr std::size_t batch = 32;  // the last batch has ten
  const Data data;
  arma::mat weights(Data::classes, Data::inputs, arma::fill::zeros), gradient;
  const double before = data.loss(weights, 0, Data::samples, gradient);
  using Update = EnsmallenUpdate<Rule>;
  const Update update({.batch_size = batch, .samples = Data::samples, .step_size_is_divided = is_divided});
  typename Update::template Policy<arma::mat, arma::mat> policy(update, Data::classes, Data::inputs);
  for (int epoch = 0; epoch < 10; ++epoch)
    for (std::size_t first = 0; first < Data::samples; first += batch) {
      const std::size_t count = std::min(batch, Data::samples - first);
      data.loss(weights, first, count, gradient);
      policy.Update(weights, is_divided ? step_size / static_cast<double>(count) : step_size, gradient);
    }
  return data.loss(weights, 0, Data::samples, gradient) / before;
}

TEST_CASE("one rule for one matrix learns, under both versions alike") {
  const double loss = trained<AdamW>(0.05, true);
  CHECK(loss < 0.3);
  CHECK(std::abs(trained<AdamW>(0.05, false) - loss) <= 1e-9);
}

}}  // namespace ensmallen_test
