// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/checker.hpp>

#include <concepts>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// Are these symmetries of this model, and do trainings keep them? For each symmetry: whether the loss stays
/// as it is when an element moves all that follow, whether each gradient is then the moved one, and, for each
/// optimizer, whether twin trainings from W and gW have the same losses, and weights that are each other's.
///   const ModelReport report = check_model(model, {turn, neurons}, make_stack, {.steps = 20});
/// Loss and gradients are looked at for the given weights and for others in general position beside them, on
/// the batch of step 0. What rounding excuses is measured on the model: on weights one rounding away, and on
/// trainings that start there. The model's weights are put back in the end; its gradients are not.
/// Optimizers: none, one (see ModelOptimizer for what makes it), or several with names.
/// Cost: calls of the loss, 14 for the model and ten for each element of a symmetry; for each optimizer three
/// trainings and one for each symmetry, and up to 16 that end at the step where twins part. Memory: some 40
/// copies of the weights in double, and 20 more for every further optimizer.
/// Errors: Error for a symmetry that names what is not there, or that does not fit; those of the closures.
///@{
template <class Scalar>
ModelReport check_model(const Model<Scalar>& model, const std::vector<ModelSymmetry>& symmetries,
                        const std::type_identity_t<std::vector<ModelOptimizer<Scalar>>>& optimizers,
                        ModelOptions options = {}) {
  std::vector<detail::AnyModelOptimizer> any;
  for (const ModelOptimizer<Scalar>& optimizer : optimizers)
    any.push_back({optimizer.name(), [&] { return optimizer.make(model.parameters()); }});
  return detail::check_model(detail::ErasedModel<Scalar>(model), symmetries, any, options);
}
template <class Scalar, class Factory>
requires std::constructible_from<ModelOptimizer<Scalar>, std::string, Factory> ModelReport
check_model(const Model<Scalar>& model, const std::vector<ModelSymmetry>& symmetries, Factory factory,
            ModelOptions options = {}) {
  const std::vector<ModelOptimizer<Scalar>> one{{"the optimizer", std::move(factory)}};
  return check_model(model, symmetries, one, options);
}
template <class Scalar>
ModelReport check_model(const Model<Scalar>& model, const std::vector<ModelSymmetry>& symmetries) {
  return check_model(model, symmetries, std::vector<ModelOptimizer<Scalar>>{});
}
///@}

}}}  // namespace symopt::check
