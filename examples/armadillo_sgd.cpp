// SPDX-License-Identifier: Apache-2.0
// A softmax classifier in Armadillo, trained by a loop with the contract of ensmallen's SGD: the update
// policy is given the sum of a batch's gradients and, of ensmallen 3, the step size divided by the size of
// that batch.
#include <symopt/group/named_groups.hpp>
#include <symopt/interop/ensmallen.hpp>
#include <symopt/optimizer/adamw.hpp>

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <iostream>

constexpr std::size_t classes = 5, inputs = 8, samples = 330, batch = 32;  // the last batch has ten

/// Points around one centre for each class.
struct Data {
  arma::mat points;
  arma::uvec labels;
  Data() {
    arma::arma_rng::set_seed(7);
    const arma::mat centres = 2 * arma::randn(inputs, classes);
    labels = arma::randi<arma::uvec>(samples, arma::distr_param(0, classes - 1));
    points = arma::randn(inputs, samples);
    for (std::size_t i = 0; i < samples; ++i) points.col(i) += centres.col(labels(i));
  }
};

/// The sum of -log p(label | point) over some samples; `gradient` is its gradient.
double loss(const Data& data, const arma::mat& weights, std::size_t first, std::size_t count,
            arma::mat& gradient) {
  double total = 0;
  gradient.zeros(classes, inputs);
  for (std::size_t i = first; i < first + count; ++i) {
    const arma::vec logits = weights * data.points.col(i);
    arma::vec p = arma::exp(logits - logits.max());
    p /= arma::accu(p);
    total -= std::log(p(data.labels(i)));
    p(data.labels(i)) -= 1;
    gradient += p * data.points.col(i).t();
  }
  return total;
}

/// The loss after ten passes of SGD over the loss of zero weights.
template <class Rule>
double trained(double step_size, bool is_divided) {
  const Data data;
  arma::mat weights(classes, inputs, arma::fill::zeros), gradient;
  const double before = loss(data, weights, 0, samples, gradient);
  using Update = symopt::interop::EnsmallenUpdate<Rule>;
  Update update({.batch_size = batch, .samples = samples, .step_size_is_divided = is_divided});
  typename Update::template Policy<arma::mat, arma::mat> policy(update, classes, inputs);
  for (int epoch = 0; epoch < 10; ++epoch)
    for (std::size_t first = 0; first < samples; first += batch) {
      const std::size_t count = std::min(batch, samples - first);
      loss(data, weights, first, count, gradient);
      policy.Update(weights, is_divided ? step_size / static_cast<double>(count) : step_size, gradient);
    }
  return loss(data, weights, 0, samples, gradient) / before;
}

template <class Rule>
bool learns(const char* name, double step_size) {
  const double version_3 = trained<Rule>(step_size, true), version_2 = trained<Rule>(step_size, false);
  std::cout << name << ": the loss falls to " << 100 * version_3 << " % of that of zero weights\n";
  return version_3 < 0.3 && std::abs(version_2 - version_3) <= 1e-9;
}

int main() {
  const bool head = learns<symopt::Update<symopt::LmHead>>("LmHead", 0.1);
  const bool adamw = learns<symopt::AdamW>("AdamW", 0.05);
  return head && adamw ? 0 : 1;
}
