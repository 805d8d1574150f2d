// SPDX-License-Identifier: Apache-2.0
// The solver of dlib's trainer: what it makes of each type of layer, the multipliers, saving, errors.
#include <symopt/interop/dlib.hpp>

#include <dlib/dnn/input.h>
#include <dlib/dnn/loss.h>
#include <dlib/dnn/trainer.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dlib_test { namespace {

using namespace symopt;
using interop::DlibSolver;
using Output = dlib::fc_<5, dlib::FC_HAS_BIAS>;
using Convolution = dlib::con_<4, 3, 2, 1, 1>;
using Transposed = dlib::cont_<4, 3, 2, 1, 1>;

/// The layer below, whose output a layer sees when it is set up.
struct Below {
  dlib::resizable_tensor output{4, 3, 6, 7};  // samples, channels, rows, columns
  const dlib::tensor& get_output() const { return output; }
};

template <class Layer>
Layer made(Layer layer = Layer()) {
  layer.setup(Below());
  return layer;
}

/// A gradient of a layer.
template <class Layer>
dlib::resizable_tensor gradient_of(const Layer& layer, std::mt19937& random) {
  dlib::resizable_tensor gradient;
  gradient.copy_size(layer.get_layer_params());
  std::normal_distribution<float> normal;
  for (float& g : gradient) g = normal(random);
  return gradient;
}

/// Adds what the solver returns, as dlib's trainer does.
template <class Layer>
void take_step(Layer& layer, DlibSolver& solver, float rate, const dlib::tensor& gradient) {
  const dlib::tensor& step = solver(rate, layer, gradient);
  dlib::tt::add(layer.get_layer_params(), layer.get_layer_params(), step);
}

template <class Layer>
std::vector<float> numbers(const Layer& layer) {
  return {layer.get_layer_params().begin(), layer.get_layer_params().end()};
}

/// The number of a place of a matrix in the tensor.
using Place = std::function<Index(Index, Index)>;

/// A matrix at these places of a tensor, row-major.
Matrix<float> matrix_at(const dlib::tensor& tensor, Shape shape, const Place& place) {
  Matrix<float> matrix(shape.rows, shape.cols);
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) matrix(i, j) = tensor.host()[place(i, j)];
  return matrix;
}

/// The largest difference between five steps of a layer and those of a stack that has the layer's matrix,
/// row-major, and the numbers after it. In units of the rate, since weights move by about that.
template <class Layer>
double difference(Layer layer, Shape shape, const Place& place, Index biases) {
  const StackOptions options{.weight_decay = 0.5, .momentum = 0.8};
  const Role role = symopt::role<LmHead>();
  DlibSolver solver(options);
  solver.assign(layer, role);
  layer.set_weight_decay_multiplier(0.7);
  if (biases > 0) {
    layer.set_bias_learning_rate_multiplier(3);
    layer.set_bias_weight_decay_multiplier(0.25);
  }
  const Index size = shape.rows * shape.cols;
  const Place after = [&](Index i, Index) { return size + i; };
  REQUIRE(static_cast<Index>(layer.get_layer_params().size()) == size + biases);

  Matrix<float> w = matrix_at(layer.get_layer_params(), shape, place), g = w;
  Eigen::VectorXf b = matrix_at(layer.get_layer_params(), {biases, 1}, after), db = b;
  LayerwiseOptimizer reference(options);
  reference.add("w", role, w, g);
  if (biases > 0) reference.add<AdamW>("b", b, db);
  reference.set_weight_decay("w", 0.5 * 0.7);
  if (biases > 0) reference.set_weight_decay("b", 0.5 * 0.7 * 0.25);

  std::mt19937 random(5);
  double worst = 0;
  for (const float rate : {0.1F, 0.1F, 0.02F, 0.05F, 0.1F}) {
    const dlib::resizable_tensor gradient = gradient_of(layer, random);
    g << matrix_at(gradient, shape, place);  // in the memory that the stack reads
    if (biases > 0) db << matrix_at(gradient, {biases, 1}, after);
    take_step(layer, solver, rate, gradient);
    reference.set_learning_rate("w", static_cast<double>(rate));
    if (biases > 0) reference.set_learning_rate("b", 3 * static_cast<double>(rate));
    reference.step();
    const float of_weights = (matrix_at(layer.get_layer_params(), shape, place) - w).cwiseAbs().maxCoeff();
    worst = std::max(worst, double(of_weights / rate));
    if (biases > 0)
      worst = std::max(
          worst,
          double((matrix_at(layer.get_layer_params(), {biases, 1}, after) - b).cwiseAbs().maxCoeff() / rate));
  }
  return worst;
}

TEST_CASE("weights step as the matrix of outputs x inputs, biases apart under AdamW, with all multipliers") {
  const Index inputs = 3 * 6 * 7;
  const Place of_fc = [](Index i, Index j) { return j * 5 + i; };
  const Place of_con = [](Index i, Index j) { return i * 18 + j; };
  const Place of_cont = [](Index i, Index j) { return i * 24 + j; };
  CHECK(difference(made<Output>(), {5, inputs}, of_fc, 5) <= 1e-5);
  CHECK(difference(made<dlib::fc_<5, dlib::FC_NO_BIAS>>(), {5, inputs}, of_fc, 0) <= 1e-5);
  CHECK(difference(made<Convolution>(), {4, 18}, of_con, 4) <= 1e-5);
  CHECK(difference(made<Transposed>(), {3, 24}, of_cont, 4) <= 1e-5);
  Output output;
  output.disable_bias();
  CHECK(difference(made(output), {5, inputs}, of_fc, 0) <= 1e-5);
  Convolution convolution;
  convolution.disable_bias();
  CHECK(difference(made(convolution), {4, 18}, of_con, 0) <= 1e-5);
  // The inputs as rows are another matrix, of the same numbers.
  CHECK(difference(
            made(output), {inputs, 5}, [](Index i, Index j) { return i * 5 + j; }, 0) > 0.01);
}

TEST_CASE("what normalizes, and layers of one vector, step under AdamW") {
  const auto check = [](auto layer, Index biases) {
    CAPTURE(numbers(layer).size());
    DlibSolver solver({.weight_decay = 0.5});
    const auto size = static_cast<Index>(layer.get_layer_params().size());
    Eigen::VectorXf all(size), gradient(size);
    std::copy_n(layer.get_layer_params().host(), size, all.data());
    LayerwiseOptimizer reference({.learning_rate = 0.1, .weight_decay = 0.5});
    auto weights = all.head(size - biases), shifts = all.tail(biases);
    reference.add<AdamW>("w", weights, gradient.head(size - biases));
    reference.set_weight_decay("w", 0.5 * dlib::get_weight_decay_multiplier(layer));
    if (biases > 0) {
      reference.add<AdamW>("b", shifts, gradient.tail(biases));
      reference.set_weight_decay("b", 0.5 * dlib::get_weight_decay_multiplier(layer) *
                                          dlib::get_bias_weight_decay_multiplier(layer));
      reference.set_learning_rate("b", 0.1 * dlib::get_bias_learning_rate_multiplier(layer));
    }
    std::mt19937 random(6);
    for (int i = 0; i < 3; ++i) {
      const dlib::resizable_tensor given = gradient_of(layer, random);
      std::copy_n(given.host(), size, gradient.data());
      take_step(layer, solver, 0.1F, given);
      reference.step();
    }
    const std::vector<float> after = numbers(layer);
    CHECK((Eigen::Map<const Eigen::VectorXf>(after.data(), size) - all).cwiseAbs().maxCoeff() <= 1e-6F);
  };
  dlib::bn_<dlib::CONV_MODE> batch_norm;
  batch_norm.set_weight_decay_multiplier(0.5);
  batch_norm.set_bias_weight_decay_multiplier(0.25);
  batch_norm.set_bias_learning_rate_multiplier(2);
  check(made(batch_norm), 3);
  check(made<dlib::layer_norm_>(), 3 * 6 * 7);
  check(made<dlib::prelu_>(), 0);
}

TEST_CASE("the plan says which role a layer has, its rate and its decay") {
  std::mt19937 random(1);
  DlibSolver solver({.weight_decay = 0.1});
  solver.assign(Output(), role<LmHead>());
  CHECK(solver.plan().rows().empty());
  const auto group_of_weights = [&](auto layer) {
    DlibSolver own = solver;
    take_step(layer, own, 0.01F, gradient_of(layer, random));
    const PlanRow row = own.plan().rows().front();
    CHECK(row.rate == doctest::Approx(0.01));
    return row.name + " " + row.group.substr(0, row.group.find(':'));
  };
  CHECK(group_of_weights(made<Output>()) == "fc(5).weights LmHead");
  CHECK(group_of_weights(made<dlib::fc_<6, dlib::FC_HAS_BIAS>>()) == "fc(6).weights HiddenMatrix");
  CHECK(group_of_weights(made<Convolution>()) == "con(4).weights HiddenMatrix");
  CHECK(group_of_weights(made<Transposed>()) == "cont(4).weights HiddenMatrix");
  CHECK(group_of_weights(made<dlib::prelu_>()) == "prelu.weights B x B");

  Output output = made<Output>();
  std::vector<DlibSolver> solvers(2, solver);
  take_step(output, solvers[1], 0.01F, gradient_of(output, random));
  const Plan plan = interop::plan(solvers);
  REQUIRE(plan.rows().size() == 2);
  CHECK(plan.rows()[0].weight_decay == doctest::Approx(0.1));
  CHECK(plan.rows()[1].weight_decay == 0);  // dlib's multiplier for biases
  std::ostringstream line;
  line << solver;
  CHECK(line.str() == "symopt: weight_decay=0.1, momentum=0.95");
  CHECK(solver.get_weight_decay() == 0.1F);
  CHECK(solver.get_momentum() == 0.95F);
}

TEST_CASE("the rate of a role's own options multiplies the trainer's") {
  Output with_own = made<Output>(), without = with_own;
  std::mt19937 random(1);
  const dlib::resizable_tensor gradient = gradient_of(with_own, random);
  const OptimizerOptions own{.learning_rate = 3, .scale = Scale::match_rms};
  DlibSolver of_own, of_all({.ratios = {.lm_head = 3}});
  of_own.assign(Output(), role<LmHead>(own));
  of_all.assign(Output(), role<LmHead>());
  take_step(with_own, of_own, 0.01F, gradient);
  take_step(without, of_all, 0.01F, gradient);
  CHECK(numbers(with_own) == numbers(without));
}

using Net = dlib::loss_multiclass_log<dlib::add_layer<
    Output, dlib::relu<dlib::bn_con<dlib::con<4, 3, 3, 1, 1, dlib::input<dlib::matrix<float>>>>>>>;
using Trainer = dlib::dnn_trainer<Net, DlibSolver>;

/// A batch that a number draws.
void train_on(Trainer& trainer, unsigned number) {
  std::mt19937 random(number);
  std::normal_distribution<float> normal;
  std::vector<dlib::matrix<float>> images(8, dlib::matrix<float>(5, 6));
  std::vector<unsigned long> labels;
  for (auto& image : images) {
    for (float& pixel : image) pixel = normal(random);
    labels.push_back(random() % 5);
  }
  trainer.train_one_step(images, labels);
}

DlibSolver solver_of(const Net& net) {
  DlibSolver solver({.weight_decay = 0.1});
  solver.assign(net.subnet().layer_details(), role<LmHead>());
  return solver;
}

std::string bytes_of(Trainer& trainer) {
  std::ostringstream out;
  dlib::serialize(trainer.get_net(), out);
  dlib::serialize(trainer.get_solvers(), out);
  return out.str();
}

TEST_CASE("a trainer that is loaded goes on to the bit") {
  std::srand(3);
  Net net;
  Trainer trainer(net, solver_of(net));
  for (unsigned i = 0; i < 5; ++i) train_on(trainer, i);
  CHECK(interop::plan(trainer.get_solvers()).rows()[0].group.starts_with("LmHead"));
  std::stringstream file;
  serialize(trainer, file);
  for (unsigned i = 5; i < 9; ++i) train_on(trainer, i);
  const std::string expected = bytes_of(trainer);
  const std::string bytes = file.str();

  Net other_net;
  Trainer other(other_net, solver_of(other_net));
  std::istringstream in(bytes);
  deserialize(other, in);
  for (unsigned i = 5; i < 9; ++i) train_on(other, i);
  CHECK(bytes_of(other) == expected);

  // Loaded into a trainer that is under way: as the trainer itself does when the loss goes up.
  std::istringstream again(bytes);
  deserialize(other, again);
  for (unsigned i = 5; i < 9; ++i) train_on(other, i);
  CHECK(bytes_of(other) == expected);

  // Without the states of the solvers it goes elsewhere.
  std::istringstream once_more(bytes);
  deserialize(other, once_more);
  Net bare = other.get_net();
  Trainer forgetful(bare, solver_of(bare));
  forgetful.set_learning_rate(other.get_learning_rate());
  for (unsigned i = 5; i < 9; ++i) train_on(forgetful, i);
  CHECK(bytes_of(forgetful) != expected);
}

TEST_CASE("a solver that was saved before its first step makes another one begin anew") {
  std::mt19937 random(2);
  Output layer = made<Output>(), copy = layer;
  const dlib::resizable_tensor first = gradient_of(layer, random), second = gradient_of(layer, random);
  DlibSolver solver, fresh;
  std::stringstream file;
  serialize(solver, file);
  solver(0.1F, layer, first);
  deserialize(solver, file);
  take_step(layer, solver, 0.1F, second);
  take_step(copy, fresh, 0.1F, second);
  CHECK(numbers(layer) == numbers(copy));
}

TEST_CASE("a copy has the state, and a life of its own") {
  std::mt19937 random(2);
  Output layer = made<Output>(), twin = layer;
  DlibSolver solver;
  take_step(layer, solver, 0.1F, gradient_of(layer, random));
  twin = layer;
  DlibSolver copy = solver, third;
  third = copy;  // before its first step
  const dlib::resizable_tensor gradient = gradient_of(layer, random), other = gradient_of(layer, random);
  copy(0.1F, twin, other);
  take_step(layer, solver, 0.1F, gradient);
  take_step(twin, third, 0.1F, gradient);
  CHECK(numbers(layer) == numbers(twin));
  DlibSolver moved = std::move(solver);
  take_step(layer, moved, 0.1F, gradient);
  take_step(twin, third, 0.1F, gradient);
  CHECK(numbers(layer) == numbers(twin));
}

TEST_CASE("a copy has a state that is not finite, too") {
  std::mt19937 random(2);
  Output layer = made<Output>();
  DlibSolver solver;
  solver.assign(Output(), role<LmHead>({.learning_rate = 1, .non_finite = NonFinite::unchecked}));
  dlib::resizable_tensor gradient = gradient_of(layer, random);
  gradient.host()[0] = std::numeric_limits<float>::infinity();
  solver(0.1F, layer, gradient);
  DlibSolver copy = solver;
  CHECK_NOTHROW(copy(0.1F, layer, gradient));
  std::stringstream file;
  CHECK_THROWS_AS(solver.serialize(file), std::invalid_argument);  // but no file gets it
}

TEST_CASE("errors leave layer and state as they were") {
  std::mt19937 random(2);
  Output layer = made<Output>();
  const dlib::resizable_tensor gradient = gradient_of(layer, random);
  dlib::resizable_tensor broken = gradient;
  broken.host()[4] = std::numeric_limits<float>::quiet_NaN();
  DlibSolver solver;
  take_step(layer, solver, 0.1F, gradient);
  Output twin = layer;
  DlibSolver copy = solver;
  CHECK_THROWS_WITH_AS(solver(0.1F, layer, broken), doctest::Contains("fc(5).weights"), NonFiniteGradient);
  const auto other_layer = made<dlib::fc_<6, dlib::FC_HAS_BIAS>>();
  CHECK_THROWS_WITH_AS(solver(0.1F, other_layer, gradient_of(other_layer, random)),
                       doctest::Contains("'fc(5)' of 5x126 weights and 5 biases, and was given 'fc(6)'"),
                       Error);
  CHECK_THROWS_WITH_AS(solver.assign(Output(), role<LmHead>()), doctest::Contains("before the first step"),
                       Error);
  take_step(layer, solver, 0.1F, gradient);
  take_step(twin, copy, 0.1F, gradient);
  CHECK(numbers(layer) == numbers(twin));

  DlibSolver skipping({.non_finite = NonFinite::skip});
  take_step(layer, skipping, 0.1F, broken);
  CHECK(numbers(layer) == numbers(twin));
  CHECK_THROWS_AS(DlibSolver({.weight_decay = -1}), Error);
}

TEST_CASE("a state of other options or roles is refused, and may be allowed") {
  std::mt19937 random(2);
  Output layer = made<Output>();
  const dlib::resizable_tensor gradient = gradient_of(layer, random);
  DlibSolver solver({.weight_decay = 0.1});
  solver(0.1F, layer, gradient);
  std::ostringstream file;
  serialize(solver, file);
  const auto loaded = [&](DlibSolver into) {
    std::istringstream in(file.str());
    deserialize(into, in);
    into(0.05F, layer, gradient);  // another rate is no difference
    return into;
  };
  CHECK(loaded(DlibSolver({.weight_decay = 0.1})).plan().rows()[0].rate == doctest::Approx(0.05));
  CHECK_THROWS_WITH_AS(loaded(DlibSolver({.weight_decay = 0.2})),
                       doctest::Contains("weight_decay is 0.1 in the file and 0.2 here"),
                       interop::StateMismatch);
  CHECK_NOTHROW(loaded(DlibSolver({.weight_decay = 0.2}, {.allow_changed_options = true})));
  DlibSolver head({.weight_decay = 0.1});
  head.assign(Output(), role<LmHead>());
  CHECK_THROWS_AS(loaded(head), interop::StateMismatch);

  std::ostringstream of_dlib;
  serialize(dlib::sgd(), of_dlib);
  std::istringstream in(of_dlib.str());
  CHECK_THROWS_WITH_AS(deserialize(solver, in), doctest::Contains("'sgd2', not 'symopt_solver_1'"),
                       dlib::serialization_error);
}

TEST_CASE("a trainer passes on what its thread threw") {
  Net net;
  Trainer trainer(net, solver_of(net));
  std::vector<dlib::matrix<float>> images(2, dlib::matrix<float>(5, 6));
  for (auto& image : images) image = std::numeric_limits<float>::infinity();
  trainer.train_one_step(images, {1UL, 2UL});
  // dlib lets go of who waits for the thread a moment before it has the exception.
  const auto throws = [&] {
    try {
      trainer.get_net();
      return false;
    } catch (const NonFiniteGradient&) {
      return true;
    }
  };
  bool has_thrown = throws();
  for (int i = 0; i < 1000 && !has_thrown; ++i, has_thrown = throws())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(has_thrown);
}

/// A layer of the user's own, with a matrix of 2 x 3 and nothing after it.
struct OwnLayer {
  dlib::resizable_tensor parameters;
  const dlib::tensor& get_layer_params() const { return parameters; }
  dlib::tensor& get_layer_params() { return parameters; }
};
interop::DlibTensor dlib_tensor(const OwnLayer&, Index) {
  return {.name = "own", .sizes = {2, 3}, .strides = {3, 1}, .role = role<LmHead>()};
}

TEST_CASE("a layer of one's own says what lies in its tensor") {
  std::mt19937 random(2);
  OwnLayer layer;
  layer.parameters.set_size(2, 3);
  layer.parameters = 1;
  DlibSolver solver;
  take_step(layer, solver, 0.1F, gradient_of(layer, random));
  const std::vector<float> w = numbers(layer);  // a head: its mean row stays
  for (std::size_t j = 0; j < 3; ++j) CHECK((w[j] + w[3 + j]) / 2 == doctest::Approx(1));
  CHECK(w[0] != 1);
  layer.parameters.set_size(7);
  CHECK_THROWS_WITH_AS(DlibSolver()(0.1F, layer, layer.parameters),
                       doctest::Contains("'own' of 2x3 weights and 0 biases, and its tensor has 7 numbers"),
                       Error);
}

}}  // namespace dlib_test
