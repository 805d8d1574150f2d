// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/model.hpp>
#include <symopt/group/random.hpp>
#include <symopt/matrix.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

// Language models by hand, with one gated layer on a residual stream: small enough to know all of their
// symmetries, and what breaks each of them.
namespace symopt_test {

using symopt::Index;
using symopt::Matrix;

/// The parts of a small model that may be there or not.
struct Parts {
  bool has_gain = false;       ///< of the norm before the layer, trained
  bool is_tied = false;        ///< the embedding is the head, too
  double cap = 0;              ///< of the logits: cap tanh(z / cap); 0 for none
  double clamp = 0;            ///< of what up gives; 0 for none
  bool has_zero_down = false;  ///< the layer starts as the identity
};

/// Next tokens from tokens, through embedding, norm, gated layer and head.
template <class Scalar>
class GatedModel {
 public:
  static constexpr Index vocabulary = 7, width = 4, neurons = 6, pairs = 12;

  explicit GatedModel(Parts parts = {}, std::uint64_t seed = 1) : parts_(parts) {
    std::mt19937_64 engine(seed);
    const auto add = [&](std::string name, Index rows, Index cols, double size) {
      weights_.push_back(symopt::gaussian<Scalar>({rows, cols}, engine) * static_cast<Scalar>(size));
      gradients_.push_back(Matrix<Scalar>::Zero(rows, cols));
      names_.push_back(std::move(name));
    };
    add("embedding", vocabulary, width, 1);
    add("layers.0.gate", neurons, width, 0.5);
    add("layers.0.up", neurons, width, 0.5);
    add("layers.0.down", width, neurons, parts.has_zero_down ? 0 : 0.4);
    add("head", vocabulary, width, 0.5);
    add("layers.0.gain", 1, width, 0);
    weights_.back().setOnes();
    for (auto& batch : tokens_)
      for (Index k = 0; k < pairs; ++k)
        batch.push_back({static_cast<Index>(symopt::uniform_index(vocabulary, engine)),
                         static_cast<Index>(symopt::uniform_index(vocabulary, engine))});
    for (Index i = 0; i < vocabulary; ++i) numbers_.push_back(i);
  }

  std::vector<symopt::NamedTensor<Scalar>> parameters() {
    std::vector<symopt::NamedTensor<Scalar>> list;
    for (std::size_t p = 0; p < names_.size(); ++p) {
      if (names_[p] == "head" && parts_.is_tied) continue;
      if (names_[p] == "layers.0.gain" && !parts_.has_gain) continue;
      const bool is_vector = names_[p] == "layers.0.gain";
      const std::vector<Index> sizes =
          is_vector ? std::vector<Index>{width} : std::vector<Index>{weights_[p].rows(), weights_[p].cols()};
      list.push_back({names_[p], symopt::TensorView<Scalar>(weights_[p].data(), sizes),
                      symopt::TensorView<const Scalar>(gradients_[p].data(), sizes)});
    }
    return list;
  }

  symopt::check::Model<Scalar> checked() {
    return {parameters(), [this](int step) { return loss_and_gradient(step); }};
  }

  /// Renames the tokens: number i is the number images[i] from now on.
  void rename(const std::vector<Index>& images) { numbers_ = images; }

  Matrix<Scalar>& weights(const std::string& name) { return weights_[place(name)]; }

  double loss_and_gradient(int step) {
    for (Matrix<Scalar>& gradient : gradients_) gradient.setZero();
    Scalar loss = 0;
    for (const auto& [token, next] : tokens_[static_cast<std::size_t>(step) % tokens_.size()])
      loss += add_pair(number(token), number(next));
    return static_cast<double>(loss);
  }

 private:
  using Vector = std::vector<Scalar>;
  static constexpr std::size_t embedding = 0, gate = 1, up = 2, down = 3, gain = 5;
  std::size_t head() const { return parts_.is_tied ? embedding : 4; }
  std::size_t place(const std::string& name) const {
    return static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
  }
  Index number(Index token) const { return numbers_[static_cast<std::size_t>(token)]; }

  /// W x
  static Vector product(const Matrix<Scalar>& w, const Vector& x) {
    Vector y(static_cast<std::size_t>(w.rows()), 0);
    for (Index i = 0; i < w.rows(); ++i)
      for (Index j = 0; j < w.cols(); ++j)
        y[static_cast<std::size_t>(i)] += w.data()[i * w.cols() + j] * x[static_cast<std::size_t>(j)];
    return y;
  }
  /// The gradients of y = W x: adds to that of W, and to that of x.
  void add_product(std::size_t w, const Vector& x, const Vector& dy, Vector& dx) {
    const Index cols = weights_[w].cols();
    for (std::size_t i = 0; i < dy.size(); ++i)
      for (std::size_t j = 0; j < x.size(); ++j) {
        const std::size_t k = i * static_cast<std::size_t>(cols) + j;
        gradients_[w].data()[k] += dy[i] * x[j];
        dx[j] += weights_[w].data()[k] * dy[i];
      }
  }

  /// One token and the next: adds to all gradients, and returns the loss.
  Scalar add_pair(Index token, Index next) {
    const Scalar* g = weights_[gain].data();
    Vector x(width);
    for (std::size_t j = 0; j < x.size(); ++j)
      x[j] = weights_[embedding].data()[token * width + static_cast<Index>(j)];
    Scalar squares = 0;
    for (const Scalar v : x) squares += v * v;
    const Scalar size = std::sqrt(squares / Scalar(width) + Scalar(1e-6));
    Vector unit(x), normed(x);
    for (std::size_t j = 0; j < x.size(); ++j) {
      unit[j] = x[j] / size;
      normed[j] = unit[j] * g[j];
    }

    const Vector a = product(weights_[gate], normed);
    Vector b = product(weights_[up], normed), h(a.size()), open(a.size(), 1);
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (parts_.clamp > 0 && std::abs(b[i]) > Scalar(parts_.clamp)) {
        b[i] = std::copysign(Scalar(parts_.clamp), b[i]);
        open[i] = 0;
      }
      h[i] = a[i] * sigmoid(a[i]) * b[i];
    }
    Vector out = product(weights_[down], h);
    for (std::size_t j = 0; j < x.size(); ++j) out[j] += x[j];

    Vector z = product(weights_[head()], out), slope(z.size(), 1);
    Scalar total = 0, largest = z[0];
    for (std::size_t k = 0; k < z.size(); ++k) {
      if (parts_.cap > 0) {
        const Scalar t = std::tanh(z[k] / Scalar(parts_.cap));
        z[k] = Scalar(parts_.cap) * t;
        slope[k] = 1 - t * t;
      }
      largest = std::max(largest, z[k]);
    }
    for (const Scalar v : z) total += std::exp(v - largest);
    const auto target = static_cast<std::size_t>(next);
    const Scalar loss = std::log(total) - (z[target] - largest);

    Vector dz(z.size()), dout(x.size(), 0), dh(h.size(), 0), dnormed(x.size(), 0);
    for (std::size_t k = 0; k < z.size(); ++k)
      dz[k] = (std::exp(z[k] - largest) / total - (k == target ? 1 : 0)) * slope[k];
    add_product(head(), out, dz, dout);
    add_product(down, h, dout, dh);
    Vector da(h.size()), db(h.size());
    for (std::size_t i = 0; i < h.size(); ++i) {
      const Scalar s = sigmoid(a[i]);
      db[i] = dh[i] * a[i] * s * open[i];
      da[i] = dh[i] * b[i] * s * (1 + a[i] * (1 - s));
    }
    add_product(gate, normed, da, dnormed);
    add_product(up, normed, db, dnormed);
    Scalar along = 0;
    for (std::size_t j = 0; j < x.size(); ++j) {
      gradients_[gain].data()[j] += dnormed[j] * unit[j];
      along += dnormed[j] * g[j] * unit[j] / Scalar(width);
    }
    for (std::size_t j = 0; j < x.size(); ++j)
      gradients_[embedding].data()[token * width + static_cast<Index>(j)] +=
          dout[j] + (dnormed[j] * g[j] - unit[j] * along) / size;
    return loss;
  }
  static Scalar sigmoid(Scalar x) { return 1 / (1 + std::exp(-x)); }

  Parts parts_;
  std::vector<std::string> names_;
  std::vector<Matrix<Scalar>> weights_, gradients_;
  std::array<std::vector<std::pair<Index, Index>>, 3> tokens_;  // of batches that take turns
  std::vector<Index> numbers_;
};

}  // namespace symopt_test
