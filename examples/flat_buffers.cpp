// SPDX-License-Identifier: Apache-2.0
// A trainer of your own: all parameters in one flat array, all gradients in another, the backward pass by
// hand. What symopt needs is the table of the blocks: name, place, shape, role.
#include <symopt/symopt.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <random>
#include <vector>

constexpr int vocabulary = 48, width = 16, neurons = 24;

/// Where the blocks begin, in the parameters as in the gradients.
namespace at {
constexpr int embedding = 0;                             // [vocabulary, width]
constexpr int gate_up = embedding + vocabulary * width;  // [2 neurons, width], the gate above the up matrix
constexpr int down = gate_up + 2 * neurons * width;      // [width, neurons]
constexpr int head = down + width * neurons;             // [vocabulary, width]
constexpr int bias = head + vocabulary * width;          // [vocabulary]
constexpr int end = bias + vocabulary;
}  // namespace at

struct Block {
  const char* name;
  int offset;
  std::vector<symopt::Index> shape;
  symopt::Role role;
};

std::vector<Block> block_table() {
  using namespace symopt;
  const Layout neuron_rows = layout::gate_up(GateUp::concatenated, Neurons::paired);
  return {
      {"embedding", at::embedding, {vocabulary, width}, role<Embedding>({.learning_rate = 0.025})},
      {"gate_up",
       at::gate_up,
       {2 * neurons, width},
       role<SwigluInput>({.learning_rate = 0.025}, neuron_rows)},
      {"down", at::down, {width, neurons}, role<SwigluOutput>({.learning_rate = 0.025})},
      {"head", at::head, {vocabulary, width}, role<LmHead>({.learning_rate = 0.025})},
      {"bias", at::bias, {vocabulary}, role<AdamW>({.learning_rate = 0.01})},
  };
}

/// out += matrix in
void multiply(float* out, const float* matrix, const float* in, int rows, int cols) {
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) out[i] += matrix[i * cols + j] * in[j];
}

/// From the gradient d_out of that product: adds to those of the matrix and of `in`.
void multiply_backward(float* d_matrix, float* d_in, const float* d_out, const float* matrix, const float* in,
                       int rows, int cols) {
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) {
      d_matrix[i * cols + j] += d_out[i] * in[j];
      d_in[j] += d_out[i] * matrix[i * cols + j];
    }
}

/// The loss -log p(next | token) of a SwiGLU layer between embedding and head; adds its gradient to d.
float loss_of(int token, int next, const float* p, float* d) {
  // Forward: y = x + down(silu(gate x) * up x), logits = head y + bias.
  const float* x = p + at::embedding + token * width;
  float gate_up[2 * neurons] = {}, sigmoid[neurons], hidden[neurons], y[width], logits[vocabulary];
  const float *gate = gate_up, *up = gate_up + neurons;
  multiply(gate_up, p + at::gate_up, x, 2 * neurons, width);
  for (int i = 0; i < neurons; ++i) sigmoid[i] = 1 / (1 + std::exp(-gate[i]));
  for (int i = 0; i < neurons; ++i) hidden[i] = gate[i] * sigmoid[i] * up[i];
  std::copy_n(x, width, y);
  multiply(y, p + at::down, hidden, width, neurons);
  std::copy_n(p + at::bias, vocabulary, logits);
  multiply(logits, p + at::head, y, vocabulary, width);
  const float largest = *std::ranges::max_element(logits);
  float sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);

  // Backward, from the last to the first: d_z is the gradient with respect to z.
  float d_logits[vocabulary], d_y[width] = {}, d_hidden[neurons] = {}, d_gate_up[2 * neurons];
  for (int i = 0; i < vocabulary; ++i) d_logits[i] = std::exp(logits[i] - largest) / sum;
  d_logits[next] -= 1;
  for (int i = 0; i < vocabulary; ++i) d[at::bias + i] += d_logits[i];
  multiply_backward(d + at::head, d_y, d_logits, p + at::head, y, vocabulary, width);
  multiply_backward(d + at::down, d_hidden, d_y, p + at::down, hidden, width, neurons);
  for (int i = 0; i < neurons; ++i) {
    d_gate_up[i] = d_hidden[i] * up[i] * sigmoid[i] * (1 + gate[i] * (1 - sigmoid[i]));
    d_gate_up[neurons + i] = d_hidden[i] * gate[i] * sigmoid[i];
  }
  float* d_x = d + at::embedding + token * width;
  for (int j = 0; j < width; ++j) d_x[j] += d_y[j];  // the way around the layer
  multiply_backward(d + at::gate_up, d_x, d_gate_up, p + at::gate_up, x, 2 * neurons, width);
  return largest + std::log(sum) - logits[next];
}

int main() {
  std::vector<float> parameters(at::end), gradients(at::end);
  std::mt19937_64 random(7);
  std::normal_distribution<float> entry(0, 0.2F);
  std::ranges::generate(parameters, [&] { return entry(random); });

  symopt::LayerwiseOptimizer optimizer;
  for (const auto& [name, offset, shape, role] : block_table())
    optimizer.add(name, role, symopt::TensorView<float>(parameters.data() + offset, shape),
                  symopt::TensorView<const float>(gradients.data() + offset, shape));
  std::cout << optimizer.plan();
  const symopt::ConstantThenLinear schedule{.total_steps = 81};
  float loss = 0;
  for (int step = 0; step < schedule.total_steps; ++step) {
    loss = 0;
    std::ranges::fill(gradients, 0.0F);
    for (int token = 0; token < vocabulary; ++token)
      loss += loss_of(token, (5 * token + 3) % vocabulary, parameters.data(), gradients.data()) / vocabulary;
    if (step % 20 == 0) std::cout << "step " << step << "  loss " << loss << '\n';
    optimizer.set_schedule_factor(schedule(step));
    optimizer.step();  // in place, in `parameters`
  }
  return loss < 0.1F * std::log(float{vocabulary}) ? 0 : 1;  // a tenth of what guessing costs
}
