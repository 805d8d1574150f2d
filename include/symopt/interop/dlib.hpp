// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/dlib_layer.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/options.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/stack/plan.hpp>
#include <symopt/stack/role.hpp>
#include <symopt/stack/stack_options.hpp>
#include <symopt/state/state.hpp>

#include <dlib/cuda/tensor.h>
#include <dlib/dnn/core.h>
#include <dlib/serialize.h>
#include <algorithm>
#include <cstddef>
#include <istream>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// A solver of dlib's dnn_trainer, in the place of dlib::sgd or dlib::adam:
///   DlibSolver solver({.weight_decay = 0.1});
///   solver.assign(net.subnet().layer_details(), role<LmHead>());    the layer below the loss
///   dlib::dnn_trainer<Net, DlibSolver> trainer(net, solver);
///   trainer.set_learning_rate(3e-3);
///   trainer.train(images, labels);
///   std::cout << plan(trainer.get_solvers());
/// The trainer has a copy of it for each layer. A copy trains the layer's weights in the role that
/// dlib_tensor names (HiddenMatrix for fc_, con_ and cont_) or that the type of the layer was assigned, and
/// its biases under AdamW. It does not see where in the network the layer stands: a softmax head has to be
/// assigned. Rates: the trainer's, in AdamW's units, times dlib's multipliers of the layer and of its biases.
/// The rate of a role with options of its own multiplies them; that of `options` is not used. Weight decay:
/// that of the options, times dlib's multipliers, decoupled as AdamW's, and not added to the gradient as
/// dlib's is. What it returns is the difference of the weights after a step of symopt and before; the trainer
/// adds it. Cost: that of a LayerwiseOptimizer's step and two sweeps over the layer's parameters. Memory: the
/// state, and one copy of the parameters. In a build of dlib with CUDA all of it is done in the host's
/// memory, to and from which dlib copies parameters, gradient and step. Errors: those of LayerwiseOptimizer,
/// and Error for a layer of another size than the first; the trainer throws them at one of its next calls.
/// Needs dlib and nlohmann-json.
class DlibSolver {
 public:
  /// A solver with these options for all layers; `loading`: how a state that deserialize() reads may differ.
  /// Errors: Error for options out of range.
  explicit DlibSolver(StackOptions options, LoadOptions loading = {}) : options_(options), loading_(loading) {
    validate(options_);
    options_.learning_rate = 1;
    loading_.keep_rates = true;
  }
  DlibSolver() : DlibSolver(StackOptions{}) {}

  /// A copy has a state of its own, equal to this one's.
  ///@{
  DlibSolver(const DlibSolver& other)
      : options_(other.options_),
        loading_(other.loading_),
        roles_(other.roles_),
        waiting_(other.bytes({.allow_non_finite = true})),
        waits_as_copy_(other.stack_ || other.waits_as_copy_) {}
  DlibSolver& operator=(const DlibSolver& other) { return *this = DlibSolver(other); }
  DlibSolver(DlibSolver&&) = default;
  DlibSolver& operator=(DlibSolver&&) = default;
  ~DlibSolver() = default;
  ///@}

  /// Gives the weights of that layer, and of all layers of the same type, a role: that of a matrix outputs x
  /// inputs, whichever way dlib stores it. Errors: Error after the first step.
  template <class Layer>
  DlibSolver& assign(const Layer&, Role role) {
    symopt::detail::require(!stack_, [] {
      return "DlibSolver: assign() comes before the first step; this solver trains a layer already";
    });
    roles_.insert_or_assign(std::type_index(typeid(Layer)), std::move(role));
    return *this;
  }

  /// The options' decay, and the momentum of rules that keep none themselves.
  ///@{
  float get_weight_decay() const { return static_cast<float>(options_.weight_decay); }
  float get_momentum() const { return static_cast<float>(options_.momentum); }
  ///@}
  /// The plan of the one layer, of no parameter before its first step; of several: see plan(solvers).
  Plan plan() const { return stack_ ? stack_->plan() : Plan({}); }

  /// The step of a layer: what the trainer adds to its parameters. `gradient`: of the mean loss over a batch.
  template <class Layer>
  const ::dlib::tensor& operator()(float learning_rate, const Layer& layer, const ::dlib::tensor& gradient) {
    const ::dlib::tensor& parameters = layer.get_layer_params();
    prepare(layer, parameters);
    bind(gradient.host());
    const double rate = double(learning_rate) * ::dlib::get_learning_rate_multiplier(layer);
    const double decay = ::dlib::get_weight_decay_multiplier(layer);
    multiply(weights_, rate, decay);
    if (tensor_.biases > 0)
      multiply(biases_, rate * ::dlib::get_bias_learning_rate_multiplier(layer),
               decay * ::dlib::get_bias_weight_decay_multiplier(layer));
    if (!waiting_.empty()) {
      load(waiting_, waits_as_copy_);
      waiting_.clear();
    }
    std::copy_n(parameters.host(), parameters.size(), step_.host_write_only());
    stack_->step();
    const float* before = parameters.host();
    float* step = step_.host();
    for (std::size_t i = 0; i < parameters.size(); ++i) step[i] -= before[i];
    return step_;
  }

  /// Writes the state, and reads it into a solver with the same roles and options: the next step is then, bit
  /// for bit, the one that the solver would have made that wrote it. A solver that has not stepped yet looks
  /// at the state at its first step. Errors of that: StateMismatch, unless LoadOptions allow it; of bytes
  /// that are no such state: dlib::serialization_error.
  ///@{
  void serialize(std::ostream& out) const {
    ::dlib::serialize(std::string(format), out);
    ::dlib::serialize(bytes({}), out);
  }
  void deserialize(std::istream& in) {
    std::string read;
    ::dlib::deserialize(read, in);
    if (read != format)
      throw ::dlib::serialization_error(
          "Unexpected version found while deserializing symopt's DlibSolver: '" + read + "', not '" + format +
          "'.");
    ::dlib::deserialize(read, in);
    if (stack_ && !read.empty()) return load(read);
    stack_.reset();  // a state that was written before the first step is empty
    waiting_ = std::move(read);
    waits_as_copy_ = false;
  }
  ///@}

 private:
  static constexpr const char* format = "symopt_solver_1";

  /// Makes the stack at the first step: of a layer that dlib has shaped by then.
  template <class Layer>
  void prepare(const Layer& layer, const ::dlib::tensor& parameters) {
    if (stack_ && parameters.size() == step_.size()) return;
    DlibTensor tensor = dlib_tensor(layer, static_cast<Index>(parameters.size()));
    symopt::detail::require(!stack_, [&] {
      return "DlibSolver: this solver trains the layer " + text(tensor_) + ", and was given " + text(tensor) +
             "; a layer has a solver of its own";
    });
    const auto assigned = roles_.find(std::type_index(typeid(Layer)));
    if (assigned != roles_.end()) tensor.role = assigned->second;
    make(std::move(tensor), parameters);
  }

  void make(DlibTensor tensor, const ::dlib::tensor& parameters) {
    const Index weights = size_of(tensor);
    symopt::detail::require(static_cast<std::size_t>(weights + tensor.biases) == parameters.size(), [&] {
      return "DlibSolver: dlib_tensor() says that the layer is " + text(tensor) + ", and its tensor has " +
             std::to_string(parameters.size()) + " numbers";
    });
    LayerwiseOptimizer stack(options_);
    step_.copy_size(parameters);
    float* memory = step_.host_write_only();
    stack.add(tensor.name + ".weights", tensor.role, TensorView<float>(memory, tensor.sizes, tensor.strides),
              std::nullopt);
    if (tensor.biases > 0)
      stack.add(tensor.name + ".biases", symopt::role<AdamW>(),
                TensorView<float>(memory + weights, {tensor.biases}), std::nullopt);
    tensor_ = std::move(tensor);
    weights_ = stack.options(name("weights"));
    if (tensor_.biases > 0) biases_ = stack.options(name("biases"));
    stack_ = std::move(stack);
    step_memory_ = memory;
    gradient_ = nullptr;
  }

  /// Gives the stack the memory of the step and of the gradient where dlib has moved it.
  void bind(const float* gradient) {
    float* step = step_.host_write_only();
    if (step == step_memory_ && gradient == gradient_) return;
    const std::string weights = name("weights"), biases = name("biases");
    const Index offset = size_of(tensor_);
    if (step != step_memory_) {
      stack_->set_weights(weights, TensorView<float>(step, tensor_.sizes, tensor_.strides));
      if (tensor_.biases > 0) stack_->set_weights(biases, TensorView<float>(step + offset, {tensor_.biases}));
    }
    stack_->set_gradient(weights, TensorView<const float>(gradient, tensor_.sizes, tensor_.strides));
    if (tensor_.biases > 0)
      stack_->set_gradient(biases, TensorView<const float>(gradient + offset, {tensor_.biases}));
    step_memory_ = step;
    gradient_ = gradient;
  }

  void multiply(const OptimizerOptions& options, double rate, double decay) {
    stack_->set_learning_rate(options.parameter, options.learning_rate * rate);
    stack_->set_weight_decay(options.parameter, options.weight_decay * decay);
  }

  std::string name(const char* part) const { return tensor_.name + "." + part; }

  static Index size_of(const DlibTensor& tensor) {
    Index size = 1;
    for (const Index extent : tensor.sizes) size *= extent;
    return size;
  }
  static std::string text(const DlibTensor& tensor) {
    std::string sizes;
    for (const Index extent : tensor.sizes) sizes += (sizes.empty() ? "" : "x") + std::to_string(extent);
    return "'" + tensor.name + "' of " + sizes + " weights and " + std::to_string(tensor.biases) + " biases";
  }

  std::string bytes(SaveOptions saving) const { return stack_ ? state_bytes(*stack_, saving) : waiting_; }
  void load(const std::string& saved, bool allows_non_finite = false) {
    LoadOptions loading = loading_;
    loading.allow_non_finite = loading.allow_non_finite || allows_non_finite;
    load_state_bytes(*stack_, std::as_bytes(std::span(saved)), loading, "the solver of " + tensor_.name);
  }

  StackOptions options_;
  LoadOptions loading_;
  std::unordered_map<std::type_index, Role> roles_;  // by the type of a layer
  std::string waiting_;         // a state that the layer is given at its first step; empty for none
  bool waits_as_copy_ = false;  // that is another solver's, whatever its numbers are
  DlibTensor tensor_;
  OptimizerOptions weights_, biases_;  // those that a rate of 1 and multipliers of 1 leave
  ::dlib::resizable_tensor step_;      // the weights that the stack updates, then the step
  std::optional<LayerwiseOptimizer> stack_;
  const float* step_memory_ = nullptr;
  const float* gradient_ = nullptr;
};

/// Saving and loading, as dlib calls it.
///@{
inline void serialize(const DlibSolver& solver, std::ostream& out) {
  solver.serialize(out);
}
inline void deserialize(DlibSolver& solver, std::istream& in) {
  solver.deserialize(in);
}
///@}

/// One line, for the trainer's description of itself.
inline std::ostream& operator<<(std::ostream& out, const DlibSolver& solver) {
  return out << "symopt: weight_decay=" << solver.get_weight_decay()
             << ", momentum=" << solver.get_momentum();
}

/// The plan of all layers of a trainer that have stepped, from the last layer to the first:
///   std::cout << interop::plan(trainer.get_solvers());
inline Plan plan(const std::vector<DlibSolver>& solvers) {
  std::vector<PlanRow> rows;
  for (const DlibSolver& solver : solvers) {
    const Plan one = solver.plan();
    rows.insert(rows.end(), one.rows().begin(), one.rows().end());
  }
  return Plan(std::move(rows));
}

}}}  // namespace symopt::interop
