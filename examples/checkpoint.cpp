// SPDX-License-Identifier: Apache-2.0
// A run that is interrupted, saved and resumed ends with the same bits as one that is not; and what a step is
// about to do and where a router sends its tokens, on request.
#include <symopt/diagnostics/diagnostics.hpp>
#include <symopt/diagnostics/router_diagnostics.hpp>
#include <symopt/state/state.hpp>
#include <symopt/symopt.hpp>

#include <cstdio>
#include <iostream>

using namespace symopt;

/// A rule of your own with a state: what is saved of it is what visit() names.
struct SignedAverage {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : average(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> average;
    std::int64_t steps = 0;

    void visit(auto&& field) {
      field("average", average);
      field("steps", steps);
    }
  };

  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    ++state.steps;
    state.average += (gradient - state.average) / static_cast<Scalar>(state.steps);
    direction = state.average.cwiseSign();
  }
};

/// Two weights that are to reach two targets: the loss is half the squared distance.
struct Model {
  Matrix<float> head = Matrix<float>::Zero(6, 4), gate = Matrix<float>::Zero(3, 4);
  Matrix<float> head_gradient = head, gate_gradient = gate;
  LayerwiseOptimizer optimizer;

  Model() {
    optimizer.add<Embedding>("head", head, head_gradient, {.learning_rate = 0.05, .weight_decay = 0.01});
    optimizer.add<SignedAverage>("gate", gate, gate_gradient, {.learning_rate = 0.05});
  }
  void train(int steps) {
    for (int step = 0; step < steps; ++step) {
      head_gradient = head - Matrix<float>::Identity(6, 4);
      gate_gradient = gate - Matrix<float>::Constant(3, 4, 0.5F);
      optimizer.step();
    }
  }
  float distance() const {
    return (head - Matrix<float>::Identity(6, 4)).norm() +
           (gate - Matrix<float>::Constant(3, 4, 0.5F)).norm();
  }
};

int main() {
  const char* const path = "checkpoint.safetensors";
  Model through, before, after;
  const float first = through.distance();
  through.train(20);

  before.train(10);
  interop::save_state(before.optimizer, path);
  after.head = before.head;  // the weights are the trainer's to save
  after.gate = before.gate;
  interop::load_state(after.optimizer, path);
  after.train(10);

  std::cout << diagnose(after.optimizer);
  const Matrix<float> tokens = Matrix<float>::Identity(4, 4);
  RouterDiagnostics routers(after.optimizer.steps());
  routers.add("gate", router_statistics(tokens * after.gate.transpose(), 1));
  std::cout << routers;
  std::remove(path);
  const bool is_same = after.head == through.head && after.gate == through.gate;
  std::cout << "distance " << first << " to " << after.distance() << (is_same ? ", " : ", not ")
            << "the same bits as without the interruption\n";
  return is_same && after.distance() < 0.5F * first ? 0 : 1;
}
