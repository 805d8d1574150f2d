// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/address_intervals.hpp>
#include <symopt/stack/edit_distance.hpp>
#include <symopt/stack/parameter.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The parameters of a stack by name, each with memory of its own.
template <class Scalar>
class ParameterList {
 public:
  using Pointer = std::unique_ptr<Parameter<Scalar>>;

  const std::vector<Pointer>& all() const { return parameters_; }
  bool contains(const std::string& name) const { return by_name_.contains(name); }

  /// Errors: Error for a name that is not there, with the nearest one.
  Parameter<Scalar>& find(const std::string& name) const {
    const auto found = by_name_.find(name);
    require(found != by_name_.end(),
            [&] { return "there is no parameter '" + name + "' in this stack" + nearest(name); });
    return *found->second;
  }

  /// Adds all of them. Errors: Error for a name or memory that is there already; none is added then.
  void insert(std::vector<Pointer> added) {
    ByName names;
    for (const Pointer& parameter : added)
      require(!contains(parameter->name()) && names.emplace(parameter->name(), parameter.get()).second,
              {parameter->name()},
              "is there already; stack.remove(name) takes the old one away, set_weights and set_gradient "
              "give it other memory");
    require_own_memory(added);
    const std::size_t count = parameters_.size() + added.size();
    if (count > parameters_.capacity()) {  // doubled: a model may come parameter by parameter
      const std::size_t room = std::max(count, 2 * parameters_.capacity());
      by_name_.reserve(room);
      parameters_.reserve(room);
    }
    by_name_.merge(names);
    for (Pointer& parameter : added) parameters_.push_back(std::move(parameter));
    memory_is_noted_ = true;
  }

  /// Takes one away. Errors: as find.
  void remove(const std::string& name) {
    const Parameter<Scalar>* removed = &find(name);
    by_name_.erase(name);
    std::erase_if(parameters_, [&](const Pointer& parameter) { return parameter.get() == removed; });
    forget_memory();
  }

  /// To be called after weights were moved.
  void forget_memory() { memory_is_noted_ = false; }

 private:
  using ByName = std::unordered_map<std::string, Parameter<Scalar>*>;

  /// Throws, or notes where the new ones lie. The notes are made anew where weights were moved since, or
  /// where what was noted was not added in the end.
  void require_own_memory(const std::vector<Pointer>& added) {
    if (!memory_is_noted_) {
      memory_ = {};
      for (std::size_t p = 0; p < parameters_.size(); ++p) note(*parameters_[p], p);
    }
    memory_is_noted_ = false;
    for (std::size_t a = 0; a < added.size(); ++a) {
      const Parameter<Scalar>& parameter = *added[a];
      parameter.tensors().for_each_of_weights([&](const auto& weights) {
        memory_.for_each_meeting(weights.address_range(), [&](std::size_t other) {
          require_apart(other < parameters_.size() ? *parameters_[other] : *added[other - parameters_.size()],
                        parameter, weights);
        });
      });
      note(parameter, parameters_.size() + a);
    }
  }
  void note(const Parameter<Scalar>& parameter, std::size_t number) {
    parameter.tensors().for_each_of_weights(
        [&](const auto& weights) { memory_.add(weights.address_range(), number); });
  }
  static void require_apart(const Parameter<Scalar>& known, const Parameter<Scalar>& added,
                            const auto& weights) {
    known.tensors().for_each_of_weights([&](const auto& other) {
      require(!overlap(weights, other), [&] {
        return "parameters '" + known.name() + "' and '" + added.name() +
               "' share memory and would be updated twice; add one of them. An "
               "embedding that is also the head is one TiedEmbedding (in a rule set: Embeddings::tied)";
      });
    });
  }

  std::string nearest(const std::string& name) const {
    const auto found = std::ranges::min_element(
        parameters_, {}, [&](const Pointer& parameter) { return edit_distance(parameter->name(), name); });
    return found == parameters_.end() ? ", which is empty"
                                      : "; the nearest name is '" + (*found)->name() + "'";
  }

  std::vector<Pointer> parameters_;
  ByName by_name_;
  AddressIntervals<> memory_;  // of all weights, where it is noted
  bool memory_is_noted_ = true;
};

/// A clip's factor is for one step, whatever becomes of it.
template <class Scalar>
struct ClippingEnds {
  const ParameterList<Scalar>& parameters;
  ~ClippingEnds() {
    for (const auto& parameter : parameters.all()) parameter->set_gradient_factor(1);
  }
};

}}}  // namespace symopt::detail
