// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/address_intervals.hpp>
#include <symopt/memory/overlap.hpp>
#include <symopt/stack/parameter.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// All memory that the steps of a stack write, weights and copies, and whether it lies apart from itself and,
/// where its parameter has a gradient and steps, from all gradients. Weights and copies that are added are
/// compared at once. What is bound anew is compared at the next step: the memory of others may be about to
/// move too. Cost: of a step after which nothing was bound anew, nothing; else the intervals of the gradients
/// are looked up, and all of it is noted anew where weights or copies were bound. Allocates then.
template <class Scalar>
class WrittenMemory {
 public:
  using Parameters = std::vector<std::unique_ptr<Parameter<Scalar>>>;

  /// Throws Error, or notes where the new ones lie; to be confirmed when they were added in the end.
  void add(const Parameters& known, const Parameters& added) {
    if (!is_noted_) note_all(known, false);
    is_noted_ = false;
    for (const auto& parameter : added) note(*parameter, true);
  }
  void confirm() {
    is_noted_ = true;
    is_apart_ = false;
  }

  /// To be called after weights or copies were bound, or a parameter left.
  void invalidate() { is_noted_ = is_compared_ = is_apart_ = false; }
  /// To be called after a gradient was bound.
  void invalidate_gradients() { is_apart_ = false; }

  /// Throws Error unless what a step writes lies apart from all else that it reads and writes.
  void require_apart(const Parameters& all) {
    if (is_apart_) return;
    if (!is_compared_ || !is_noted_) note_all(all, true);  // not noted: after an add() that was refused
    is_compared_ = true;
    for (const auto& parameter : all)
      if (const auto& gradient = parameter->gradient().addresses)
        require_apart_from_noted(*parameter, "gradient", gradient->get(), true);
    is_apart_ = true;
  }

 private:
  struct Piece {
    const Parameter<Scalar>* parameter;
    const char* what;
    TensorAddresses addresses;
  };

  void note_all(const Parameters& all, bool compares) {
    invalidate();
    memory_ = {};
    pieces_.clear();
    for (const auto& parameter : all) note(*parameter, compares);
    is_noted_ = true;
  }
  void note(const Parameter<Scalar>& parameter, bool compares) {
    parameter.tensors().for_each([&](const char* what, const auto& tensor) {
      TensorAddresses addresses(tensor);
      if (compares) require_apart_from_noted(parameter, what, addresses.get());
      memory_.add(interval(addresses.get()), pieces_.size());
      pieces_.push_back({&parameter, what, std::move(addresses)});
    });
  }

  static std::pair<std::uintptr_t, std::uintptr_t> interval(const Addresses& addresses) {
    return {addresses.first, addresses.end()};
  }

  void require_apart_from_noted(const Parameter<Scalar>& parameter, const std::string& what,
                                const Addresses& addresses, bool of_those_that_step = false) const {
    memory_.for_each_meeting(interval(addresses), [&](std::size_t number) {
      const Piece& piece = pieces_[number];
      if (of_those_that_step && !piece.parameter->has_gradient()) return;
      if (overlap(piece.addresses.get(), addresses)) fail_of(piece, parameter, what);
    });
  }
  [[noreturn, gnu::cold]] static void fail_of(const Piece& written, const Parameter<Scalar>& parameter,
                                              const std::string& what) {
    const std::string &first = written.parameter->name(), &second = parameter.name();
    if (written.parameter == &parameter)
      fail({second}, joined({written.what, " and ", what, " overlap in memory; keep them apart"}));
    if (what == "weights" && what == written.what)
      throw Error("parameters '" + first + "' and '" + second +
                  "' share memory and would be updated twice; add one of them. An "
                  "embedding that is also the head is one TiedEmbedding (in a rule set: Embeddings::tied)");
    throw Error(joined({"the ", written.what, " of parameter '", first, "' and the ", what, " of parameter '",
                        second, "' overlap in memory, and a step writes the one while the other is in use; ",
                        "keep them apart"}));
  }

  AddressIntervals<std::uintptr_t> memory_;  // of the pieces, by number
  std::vector<Piece> pieces_;
  bool is_noted_ = true;     // all that is written
  bool is_compared_ = true;  // all of that with each other
  bool is_apart_ = true;     // all gradients from it too
};

}}}  // namespace symopt::detail
