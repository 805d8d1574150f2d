// SPDX-License-Identifier: Apache-2.0
// A small convolutional network of dlib that reads handwritten digits, trained by dlib's Adam and by symopt,
// from the same weights on the same batches. Its argument is scikit-learn's digits.csv.gz.
#include "digits.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/interop/dlib.hpp>

#include <dlib/dnn.h>
#include <cstdlib>
#include <exception>
#include <iostream>

using Image = dlib::matrix<float>;
template <class Input>
using Features = dlib::max_pool<2, 2, 2, 2, dlib::relu<dlib::con<8, 3, 3, 1, 1, Input>>>;
using Net = dlib::loss_multiclass_log<dlib::fc<10, dlib::relu<dlib::fc<32, Features<dlib::input<Image>>>>>>;

struct Samples {
  std::vector<Image> images;
  std::vector<unsigned long> labels;

  explicit Samples(const std::vector<Digit>& digits) {
    for (const Digit& digit : digits) {
      images.emplace_back(dlib::mat(digit.pixels.data(), 8, 8));
      labels.push_back(static_cast<unsigned long>(digit.label));
    }
  }
};

/// The share of held-out digits that a network reads right, trained with that solver.
template <class Solver>
double accuracy(Net& net, const Solver& solver, const Samples& training, const Samples& held_out) {
  std::srand(1);  // dlib draws the first weights with it
  dlib::dnn_trainer<Net, Solver> trainer(net, solver);
  trainer.set_learning_rate(3e-3);
  trainer.set_mini_batch_size(32);
  trainer.set_max_num_epochs(12);
  trainer.train(training.images, training.labels);
  if constexpr (requires { plan(trainer.get_solvers()); }) std::cout << plan(trainer.get_solvers()) << '\n';
  const std::vector<unsigned long> read = net(held_out.images);
  double right = 0;
  for (std::size_t i = 0; i < read.size(); ++i) right += read[i] == held_out.labels[i] ? 1 : 0;
  return right / static_cast<double>(read.size());
}

int main(int count, char** arguments) try {
  if (count != 2) {
    std::cerr << "usage: dlib_digits digits.csv.gz\n";
    return 2;
  }
  const Digits digits = read_digits(arguments[1]);
  const Samples training(digits.training), held_out(digits.held_out);

  Net net, net_of_adam;
  symopt::interop::DlibSolver solver({.weight_decay = 0.1});
  solver.assign(net.subnet().layer_details(), symopt::role<symopt::LmHead>());  // the layer below the loss

  const double by_symopt = accuracy(net, solver, training, held_out);
  const double by_adam = accuracy(net_of_adam, dlib::adam(), training, held_out);
  std::cout << "accuracy on " << held_out.labels.size() << " held-out digits: symopt " << by_symopt
            << ", dlib::adam " << by_adam << '\n';
  return by_symopt > 0.95 ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
