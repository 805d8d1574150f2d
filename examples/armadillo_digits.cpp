// SPDX-License-Identifier: Apache-2.0
// A network of two layers in Armadillo that reads handwritten digits. As in mlpack, all its parameters lie in
// one column, and the loop has the contract of ensmallen's SGD: an update policy is given the sum of a
// batch's gradients and, of ensmallen 3, the step size divided by the size of that batch. One training goes
// by a table of blocks, the other by AdamW for the whole column. The argument is scikit-learn's
// digits.csv.gz.
#include "digits.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/interop/ensmallen.hpp>
#include <symopt/optimizer/adamw.hpp>

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <exception>
#include <iostream>

constexpr arma::uword pixels = 64, hidden = 48, classes = 10;

struct Samples {
  arma::mat points;
  arma::uvec labels;

  explicit Samples(const std::vector<Digit>& digits) : points(pixels, digits.size()), labels(digits.size()) {
    for (arma::uword i = 0; i < digits.size(); ++i) {
      std::copy(digits[i].pixels.begin(), digits[i].pixels.end(), points.colptr(i));
      labels(i) = static_cast<arma::uword>(digits[i].label);
    }
  }
};

/// Weights and biases where they lie in a column: those of mlpack's Linear, one layer after the other.
struct Layers {
  static constexpr arma::uword at_b1 = hidden * pixels, at_w2 = at_b1 + hidden,
                               at_b2 = at_w2 + classes * hidden, size = at_b2 + classes;
  arma::mat w1, b1, w2, b2;

  explicit Layers(arma::mat& column)
      : w1(column.memptr(), hidden, pixels, false, true),
        b1(column.memptr() + at_b1, hidden, 1, false, true),
        w2(column.memptr() + at_w2, classes, hidden, false, true),
        b2(column.memptr() + at_b2, classes, 1, false, true) {}
};

/// Before and after the nonlinearity, and the logits.
struct Activations {
  arma::mat below, above, logits;
  Activations(const Layers& layers, const arma::mat& points)
      : below(layers.w1 * points + arma::repmat(layers.b1, 1, points.n_cols)),
        above(arma::clamp(below, 0.0, arma::datum::inf)),
        logits(layers.w2 * above + arma::repmat(layers.b2, 1, points.n_cols)) {}
};

/// The gradient of the sum of -log p(label | point) over some samples.
void compute_gradient(const Samples& data, arma::mat& column, arma::uword first, arma::uword count,
                      arma::mat& gradient) {
  const Layers layers(column);
  Layers d(gradient);
  const arma::mat points = data.points.cols(first, first + count - 1);
  const Activations a(layers, points);
  arma::mat p = arma::exp(a.logits.each_row() - arma::max(a.logits));
  p.each_row() /= arma::sum(p);
  for (arma::uword i = 0; i < count; ++i) p(data.labels(first + i), i) -= 1;
  d.w2 = p * a.above.t();
  d.b2 = arma::sum(p, 1);
  const arma::mat back = (layers.w2.t() * p) % arma::conv_to<arma::mat>::from(a.below > 0);
  d.w1 = back * points.t();
  d.b1 = arma::sum(back, 1);
}

/// The share of held-out digits that the network reads right, trained as ensmallen's SGD would.
template <class UpdatePolicy>
double accuracy(const Samples& training, const Samples& held_out, UpdatePolicy parent, double step_size) {
  constexpr arma::uword batch = 32;
  arma::arma_rng::set_seed(1);
  arma::mat column(Layers::size, 1), gradient(Layers::size, 1);
  Layers layers(column);
  layers.w1 = arma::randn(hidden, pixels) * std::sqrt(2.0 / pixels);
  layers.w2 = arma::randn(classes, hidden) / std::sqrt(hidden);
  layers.b1.zeros();
  layers.b2.zeros();
  typename UpdatePolicy::template Policy<arma::mat, arma::mat> policy(parent, column.n_rows, column.n_cols);
  for (int epoch = 0; epoch < 10; ++epoch)
    for (arma::uword first = 0; first < training.labels.n_elem; first += batch) {
      const arma::uword count = std::min(batch, training.labels.n_elem - first);
      compute_gradient(training, column, first, count, gradient);
      policy.Update(column, step_size / static_cast<double>(count), gradient);
    }
  const arma::urowvec read = arma::index_max(Activations(layers, held_out.points).logits, 0);
  return arma::accu(read.t() == held_out.labels) / static_cast<double>(read.n_elem);
}

int main(int count, char** arguments) try {
  if (count != 2) {
    std::cerr << "usage: armadillo_digits digits.csv.gz\n";
    return 2;
  }
  const Digits digits = read_digits(arguments[1]);
  const Samples training(digits.training), held_out(digits.held_out);

  using namespace symopt;
  using Blocks = interop::EnsmallenStack;
  Blocks::Settings table{.batch_size = 32,
                         .samples = training.labels.n_elem,
                         .blocks = {Blocks::block<HiddenMatrix>("hidden", {hidden, pixels}),
                                    Blocks::block<AdamW>("hidden.bias", {hidden}),
                                    Blocks::block<LmHead>("head", {classes, hidden}),
                                    Blocks::block<AdamW>("head.bias", {classes})},
                         .options = {.weight_decay = 0.1}};
  table.step_size_is_divided = true;  // by the loop above; of ensmallen's SGD it is known
  const Blocks blocks(table);
  std::cout << blocks.plan() << '\n';
  const interop::EnsmallenUpdate<AdamW> adamw({.batch_size = 32,
                                               .samples = training.labels.n_elem,
                                               .options = {.weight_decay = 0.1},
                                               .step_size_is_divided = true});

  const double step_size = 3e-3;
  const double by_blocks = accuracy(training, held_out, blocks, step_size);
  const double by_adamw = accuracy(training, held_out, adamw, step_size);
  std::cout << "accuracy on " << held_out.labels.n_elem << " held-out digits: by blocks " << by_blocks
            << ", AdamW " << by_adamw << '\n';
  return by_blocks > 0.93 && by_adamw > 0.92 ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
