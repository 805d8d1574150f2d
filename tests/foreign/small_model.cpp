// SPDX-License-Identifier: Apache-2.0
// A small model, trained, saved and loaded, by itself and without a framework of tests: for compilers, flags
// and machines that are not those of the other tests. Prints what is wrong, and returns how much.
//   small_model save FILE      leaves a state, and the weights before and after the next step
//   small_model resume FILE    takes that step from them, perhaps on another machine
#include <symopt/group/named_groups.hpp>
#include <symopt/interop/ensmallen.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/stack/routing.hpp>
#ifndef _WIN32
#include <symopt/state/state.hpp>
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iostream>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

using namespace symopt;

namespace {

int wrong = 0;
void check(bool good, const char* what) {
  if (good) return;
  std::cerr << "wrong: " << what << '\n';
  ++wrong;
}

/// Four parameters, column by column or row by row, and the stack that steps them on gradients from a seed.
template <int order>
struct Model {
  using Block = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, order>;
  struct Parameter {
    std::string name;
    Block weights, gradient;
  };
  std::vector<Parameter> parameters;
  LayerwiseOptimizer stack{StackOptions{.learning_rate = 1e-2, .weight_decay = 0.1}};
  std::mt19937 random{7};

  Model() {
    for (const char* name : {"head", "layers.0.q", "layers.0.down", "gain"})
      parameters.push_back({name, Block::Zero(12, 8), Block::Zero(12, 8)});
    for (Parameter& p : parameters) draw(p.weights);
    Routing routing;
    routing.add("head", role<LmHead>()).add("layers.*.q", role<HiddenMatrix>());
    routing.add("layers.*.down", role<SwigluOutput>()).add("gain", role<AdamW>());
    std::vector<NamedTensor<float>> tensors;
    for (Parameter& p : parameters)
      tensors.push_back({p.name, TensorView<float>(p.weights), TensorView<const float>(p.gradient)});
    stack.route(tensors, routing);
  }
  /// In place: the stack holds a view.
  void draw(Block& block) {
    for (Index i = 0; i < block.rows(); ++i)
      for (Index j = 0; j < block.cols(); ++j)
        block(i, j) = static_cast<float>(random() % 2048) / 1024.0F - 1.0F;
  }
  void step() {
    for (Parameter& p : parameters) draw(p.gradient);
    // Equal columns of a softmax head stay equal.
    parameters[0].gradient.col(3) = parameters[0].gradient.col(1);
    if (stack.steps() == 0) parameters[0].weights.col(3) = parameters[0].weights.col(1);
    check(stack.step().applied, "a step is applied");
  }
};

#ifndef _WIN32
/// The weights of all parameters, one after the other.
std::vector<float> weights_of(const Model<Eigen::RowMajor>& model) {
  std::vector<float> all;
  for (const auto& p : model.parameters)
    all.insert(all.end(), p.weights.data(), p.weights.data() + p.weights.size());
  return all;
}
void set_weights(Model<Eigen::RowMajor>& model, const std::vector<float>& all) {
  const float* next = all.data();
  for (auto& p : model.parameters)
    for (Index i = 0; i < p.weights.size(); ++i) p.weights.data()[i] = *next++;
}

/// After four steps the state goes to PATH, and the weights around the fifth beside it.
void save(const std::string& path) {
  Model<Eigen::RowMajor> model;
  for (int step = 0; step < 4; ++step) model.step();
  interop::save_state(model.stack, path);
  std::ofstream file(path + ".weights", std::ios::binary);
  for (int step = 0; step < 2; ++step) {
    const std::vector<float> all = weights_of(model);
    file.write(reinterpret_cast<const char*>(all.data()),
               static_cast<std::streamsize>(all.size() * sizeof(float)));
    model.step();
  }
}

/// To rounding: another machine fuses other products.
void resume(const std::string& path) {
  Model<Eigen::RowMajor> model;
  for (int step = 0; step < 4; ++step) model.step();  // the gradients go on from here
  (void)interop::load_state(model.stack, path);
  std::vector<float> before = weights_of(model), after = before;
  std::ifstream file(path + ".weights", std::ios::binary);
  for (std::vector<float>* all : {&before, &after})
    file.read(reinterpret_cast<char*>(all->data()),
              static_cast<std::streamsize>(all->size() * sizeof(float)));
  check(file.good(), "the weights of the other machine are there");
  set_weights(model, before);
  model.step();
  const std::vector<float> now = weights_of(model);
  float difference = 0, way = 0;
  for (std::size_t i = 0; i < now.size(); ++i) {
    difference = std::max(difference, std::abs(now[i] - after[i]));
    way = std::max(way, std::abs(before[i] - after[i]));
  }
  std::cout << "a step of " << way << " differs by " << difference << " from that of the other machine\n";
  check(way > 1e-3F && difference <= 1e-4F * way, "a state of another machine goes on as there");
}
#endif

/// An iterate as Armadillo has it.
struct Columns {
  using elem_type = double;
  std::size_t n_rows = 3, n_cols = 2;
  std::vector<double> memory = std::vector<double>(6, 0.0);
  double* memptr() { return memory.data(); }
  const double* memptr() const { return memory.data(); }
};

/// As ensmallen's SGD calls it: 70 samples in batches of 32, each with a gradient of 1 in one entry.
void check_ensmallen() {
  using Policy = interop::EnsmallenUpdate<Sign>;
  Policy policy({.batch_size = 32, .samples = 70, .options = {.momentum = 0}});
  Policy::Policy<Columns, Columns> update(policy, 3, 2);
  Columns iterate, gradient;
  for (const double size : {32.0, 32.0, 6.0, 32.0}) {
    gradient.memory[1] = size;
    const double before = iterate.memory[1];
    update.Update(iterate, 0.1 / size, gradient);
    check(std::abs(before - iterate.memory[1] - 0.1) < 1e-12, "every batch has the step of the rate");
  }
  check(iterate.memory[0] == 0 && iterate.memory[3] == 0, "the entry of the second row moved, and no other");
}

/// An index of 32 bits does not count the bytes of 50000 x 50000 floats.
void check_narrow_index() {
  if constexpr (sizeof(Index) == 4) {
    const auto refuses = [](const auto& call) {
      try {
        call();
      } catch (const Error& error) {
        return std::string(error.what()).find("50000x50000") != std::string::npos;
      }
      return false;
    };
    float element = 0;
    check(refuses([&] {
            TensorView<float>(&element, {50000, 50000});
          }),
          "a tensor of 50000 x 50000 is refused");
    check(refuses([&] { Optimizer<Sign> optimizer(50000, 50000); }), "a block of 50000 x 50000 is refused");
  }
}

}  // namespace

int main(int count, char** arguments) {
#ifndef _WIN32
  if (count == 3) {
    std::string(arguments[1]) == "save" ? save(arguments[2]) : resume(arguments[2]);
    return wrong;
  }
#endif
  (void)count, (void)arguments;
  Model<Eigen::RowMajor> rows;
  Model<Eigen::ColMajor> columns;
  const Matrix<float> start = rows.parameters[1].weights;
  for (int step = 0; step < 4; ++step) {
    rows.step();
    columns.step();
  }
  for (std::size_t p = 0; p < rows.parameters.size(); ++p) {
    const Matrix<float> other = columns.parameters[p].weights;
    check((rows.parameters[p].weights - other).cwiseAbs().maxCoeff() < 1e-5F,
          "both storage orders step alike");
  }
  const auto& head = rows.parameters[0].weights;
  for (Index i = 0; i < head.rows(); ++i) check(head(i, 1) == head(i, 3), "equal columns stay equal");
  const double moved = static_cast<double>((rows.parameters[1].weights - start).norm());
  check(moved > 0.01 && moved < 1, "weights move by about the rate");

#ifndef _WIN32
  const std::string state = interop::state_bytes(rows.stack);
  Model<Eigen::RowMajor> resumed;
  set_weights(resumed, weights_of(rows));
  resumed.random = rows.random;
  (void)interop::load_state_bytes(resumed.stack, std::as_bytes(std::span(state.data(), state.size())));
  rows.step();
  resumed.step();
  check(weights_of(rows) == weights_of(resumed), "a loaded state goes on to the bit");
#endif

  check_ensmallen();
  check_narrow_index();
  return wrong;
}
