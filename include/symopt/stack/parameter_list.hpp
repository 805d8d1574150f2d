// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/address_intervals.hpp>
#include <symopt/stack/edit_distance.hpp>
#include <symopt/stack/parameter.hpp>
#include <symopt/stack/written_memory.hpp>

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

  /// From now on insert() and remove() throw Error with that text.
  void close(const char* reason) { closed_ = reason; }

  /// Adds all of them. Errors: Error for a name or memory that is there already; none is added then.
  void insert(std::vector<Pointer> added) {
    require_open();
    ByName names;
    for (const Pointer& parameter : added)
      require(!contains(parameter->name()) && names.emplace(parameter->name(), parameter.get()).second,
              {parameter->name()},
              "is there already; stack.remove(name) takes the old one away, set_weights and set_gradient "
              "give it other memory");
    memory_.add(parameters_, added);
    const std::size_t count = parameters_.size() + added.size();
    if (count > parameters_.capacity()) {  // doubled: a model may come parameter by parameter
      const std::size_t room = std::max(count, 2 * parameters_.capacity());
      by_name_.reserve(room);
      parameters_.reserve(room);
    }
    by_name_.merge(names);
    for (Pointer& parameter : added) parameters_.push_back(std::move(parameter));
    memory_.confirm();
  }

  /// Takes one away. Errors: as find.
  void remove(const std::string& name) {
    require_open();
    const Parameter<Scalar>* removed = &find(name);
    by_name_.erase(name);
    std::erase_if(parameters_, [&](const Pointer& parameter) { return parameter.get() == removed; });
    memory_.invalidate();
  }

  /// The memory that steps write. Whoever binds some of it anew says so there.
  WrittenMemory<Scalar>& memory() { return memory_; }
  /// Throws Error unless that lies apart from all else that a step reads and writes.
  void require_apart() { memory_.require_apart(parameters_); }

 private:
  using ByName = std::unordered_map<std::string, Parameter<Scalar>*>;

  void require_open() const {
    if (closed_ != nullptr) throw Error(closed_);
  }

  std::string nearest(const std::string& name) const {
    const auto found = std::ranges::min_element(
        parameters_, {}, [&](const Pointer& parameter) { return edit_distance(parameter->name(), name); });
    return found == parameters_.end() ? ", which is empty"
                                      : "; the nearest name is '" + (*found)->name() + "'";
  }

  std::vector<Pointer> parameters_;
  ByName by_name_;
  WrittenMemory<Scalar> memory_;
  const char* closed_ = nullptr;
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
