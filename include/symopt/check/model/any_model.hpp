// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/evaluation.hpp>
#include <symopt/check/model/model.hpp>
#include <symopt/check/wide.hpp>
#include <symopt/error.hpp>
#include <symopt/finite.hpp>

#include <algorithm>
#include <concepts>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check::detail {

/// The entries of all parameters, each in the order of a row-major tensor: exact for float and double.
using Tensors = std::vector<std::vector<double>>;

/// A loss and all gradients of it.
struct LossAndGradients {
  double loss = 0;
  Tensors gradients;
};

/// A model with its scalar hidden.
class AnyModel {
 public:
  virtual ~AnyModel() = default;
  virtual Precision precision() const = 0;
  virtual std::size_t size() const = 0;  ///< the number of parameters
  virtual const std::string& name(std::size_t parameter) const = 0;
  virtual const std::vector<Index>& sizes(std::size_t parameter) const = 0;

  virtual Tensors weights() const = 0;
  virtual void set_weights(const Tensors& weights) const = 0;
  virtual double loss(int step) const = 0;
  virtual Tensors gradients() const = 0;  ///< as the last call of loss left them

  LossAndGradients at(const Tensors& weights) const {
    set_weights(weights);
    LossAndGradients result{.loss = loss(0), .gradients = {}};
    result.gradients = gradients();
    return result;
  }
};

/// An optimizer of a model with its scalar hidden.
struct AnyModelOptimizer {
  std::string name;
  std::function<std::function<void()>()> make;  ///< for the model that is checked
};

/// Calls visit(element) for all elements of a tensor in the order of a row-major one.
template <class Scalar>
void for_each_element(const TensorView<Scalar>& tensor, const auto& visit) {
  if (tensor.is_empty()) return;
  std::vector<Index> place(tensor.sizes().size(), 0);
  Scalar* element = tensor.data();
  for (;;) {
    visit(*element);
    std::size_t d = place.size();
    while (d-- > 0) {
      element += tensor.strides()[d];
      if (++place[d] < tensor.sizes()[d]) break;
      element -= place[d] * tensor.strides()[d];
      place[d] = 0;
    }
    if (d == static_cast<std::size_t>(-1)) return;
  }
}

/// The number of elements.
Index element_count(const std::vector<Index>& sizes);
/// Errors: Error for a name that is given twice, and none at all.
void require_names(const AnyModel& model);

/// The numbers of a precision nearest to all entries.
Tensors rounded_to(Precision precision, Tensors tensors);
/// Every number one rounding away, up or down by chance.
Tensors rounded_once(Precision precision, const Tensors& tensors, std::mt19937_64& engine);

bool is_finite(const std::vector<double>& entries);
double norm(const std::vector<double>& entries);
double distance(const std::vector<double>& a, const std::vector<double>& b);

/// A model of a scalar, as AnyModel. Errors: Error for a parameter without a gradient, or with one of another
/// shape.
template <class Scalar>
class ErasedModel final : public AnyModel {
 public:
  explicit ErasedModel(const Model<Scalar>& model) : model_(model) {
    for (const NamedTensor<Scalar>& parameter : model.parameters()) {
      symopt::detail::require(parameter.gradient.has_value(), {parameter.name},
                              "a model that is checked needs the memory of all gradients; leave out what is "
                              "not trained");
      symopt::detail::require(
          parameter.gradient->sizes() == parameter.weights.sizes(), {parameter.name}, [&] {
            return "the gradient is " + parameter.gradient->to_string() + " and the weights are " +
                   parameter.weights.to_string() + "; give both the same shape";
          });
    }
    require_names(*this);
  }

  Precision precision() const override {
    return std::same_as<Scalar, float> ? Precision::in_float : Precision::in_double;
  }
  std::size_t size() const override { return model_.parameters().size(); }
  const std::string& name(std::size_t parameter) const override {
    return model_.parameters()[parameter].name;
  }
  const std::vector<Index>& sizes(std::size_t parameter) const override {
    return model_.parameters()[parameter].weights.sizes();
  }

  Tensors weights() const override {
    Tensors all;
    for (const NamedTensor<Scalar>& parameter : model_.parameters())
      all.push_back(entries(TensorView<const Scalar>(parameter.weights)));
    return all;
  }
  void set_weights(const Tensors& weights) const override {
    for (std::size_t p = 0; p < weights.size(); ++p) {
      const double* next = weights[p].data();
      for_each_element(model_.parameters()[p].weights,
                       [&](Scalar& element) { element = static_cast<Scalar>(*next++); });
    }
  }
  double loss(int step) const override { return model_.loss_and_gradient(step); }
  Tensors gradients() const override {
    Tensors all;
    for (const NamedTensor<Scalar>& parameter : model_.parameters())
      all.push_back(entries(*parameter.gradient));
    return all;
  }

 private:
  static std::vector<double> entries(const TensorView<const Scalar>& tensor) {
    std::vector<double> result;
    result.reserve(static_cast<std::size_t>(element_count(tensor.sizes())));
    for_each_element(tensor, [&](const Scalar& element) { result.push_back(static_cast<double>(element)); });
    return result;
  }

  const Model<Scalar>& model_;
};

#ifdef SYMOPT_CHECK_DEFINITIONS
SYMOPT_CHECK_INLINE Index element_count(const std::vector<Index>& sizes) {
  Index count = 1;
  for (const Index size : sizes) count *= size;
  return count;
}

SYMOPT_CHECK_INLINE void require_names(const AnyModel& model) {
  symopt::detail::require(model.size() > 0, "a model that is checked needs parameters");
  for (std::size_t p = 0; p < model.size(); ++p)
    for (std::size_t q = 0; q < p; ++q)
      symopt::detail::require(model.name(p) != model.name(q), {model.name(p)},
                              "is given twice; give every parameter a name of its own");
}

SYMOPT_CHECK_INLINE Tensors rounded_to(Precision precision, Tensors tensors) {
  if (precision == Precision::in_float)
    for (std::vector<double>& tensor : tensors)
      for (double& entry : tensor) entry = static_cast<double>(static_cast<float>(entry));
  return tensors;
}

SYMOPT_CHECK_INLINE Tensors rounded_once(Precision precision, const Tensors& tensors,
                                         std::mt19937_64& engine) {
  const double unit = roundoff(precision);
  Tensors result = tensors;
  for (std::vector<double>& tensor : result) {
    std::uint64_t bits = 0;
    for (std::size_t k = 0; k < tensor.size(); ++k, bits >>= 1) {
      if (k % 32 == 0) bits = engine();
      tensor[k] *= (bits & 1) != 0 ? 1 + unit : 1 - unit;
    }
  }
  return rounded_to(precision, std::move(result));
}

SYMOPT_CHECK_INLINE bool is_finite(const std::vector<double>& entries) {
  return std::all_of(entries.begin(), entries.end(),
                     [](double entry) { return symopt::detail::is_finite(entry); });
}

SYMOPT_CHECK_INLINE double norm(const std::vector<double>& entries) {
  Wide squares = 0;
  for (const double entry : entries) squares += static_cast<Wide>(entry) * static_cast<Wide>(entry);
  return static_cast<double>(std::sqrt(squares));
}

SYMOPT_CHECK_INLINE double distance(const std::vector<double>& a, const std::vector<double>& b) {
  Wide squares = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const Wide difference = static_cast<Wide>(a[k]) - static_cast<Wide>(b[k]);
    squares += difference * difference;
  }
  return static_cast<double>(std::sqrt(squares));
}
#endif

}}}  // namespace symopt::check::detail
