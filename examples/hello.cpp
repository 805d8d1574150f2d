// SPDX-License-Identifier: Apache-2.0
// A softmax head fitted to labels: the three lines that are symopt's are marked.
#include <symopt/symopt.hpp>

#include <iostream>
#include <random>

using Block = symopt::Matrix<float>;

/// Mean cross-entropy of softmax(features * head^T) against the labels, and its gradient.
float cross_entropy(const Block& head, const Block& features, const std::vector<int>& labels,
                    Block& gradient) {
  Block logits = features * head.transpose();
  logits.colwise() -= logits.rowwise().maxCoeff().eval();
  Block errors = logits.array().exp().matrix();
  errors.array().colwise() /= errors.rowwise().sum().array().eval();
  float loss = 0;
  for (Eigen::Index i = 0; i < errors.rows(); ++i) {
    float& probability = errors(i, labels[static_cast<std::size_t>(i)]);
    loss -= std::log(probability) / static_cast<float>(labels.size());
    probability -= 1;
  }
  gradient = errors.transpose() * features / static_cast<float>(labels.size());
  return loss;
}

int main() {
  constexpr int samples = 400, width = 16, classes = 10;
  std::mt19937_64 random(7);
  const Block truth = symopt::gaussian<float>({classes, width}, random);
  const Block features = symopt::gaussian<float>({samples, width}, random);
  std::vector<int> labels(samples);
  const Block scores = features * truth.transpose();
  for (int i = 0; i < samples; ++i) scores.row(i).maxCoeff(&labels[static_cast<std::size_t>(i)]);

  Block head = Block::Zero(classes, width), gradient(classes, width);
  symopt::Optimizer<symopt::Update<symopt::LmHead>> optimizer(classes, width, {.learning_rate = 0.1});  // 1
  const symopt::ConstantThenLinear schedule{.total_steps = 200};                                        // 2

  float first = 0, last = 0;
  for (int step = 0; step < 200; ++step) {
    last = cross_entropy(head, features, labels, gradient);
    if (step == 0) first = last;
    if (step % 40 == 0) std::cout << "step " << step << "  loss " << last << '\n';
    optimizer.set_schedule_factor(schedule(step));
    optimizer.step(head, gradient);  // 3: in place, in your memory
  }
  const float drift = head.colwise().mean().norm();
  std::cout.precision(2);  // digits that no compiler changes
  std::cout << "loss " << first << " -> " << last << ", and the head's mean row has "
            << (drift < 1e-5F ? "not moved" : "moved") << '\n';
  return last < 0.3F * first && drift < 1e-5F ? 0 : 1;
}
