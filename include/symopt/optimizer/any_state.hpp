// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/memory/block_view.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// The state of an optimizer, its type hidden: how it is saved, loaded, compared, kept and put back.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The rows of a block of which this process has some and others the rest, as an array of its state sees
/// them.
struct SharedRows {
  Index extent = 0;  ///< what a row has of the array's first extent; 0: all of the array is here
  Index before = 0;  ///< rows that others have, before those here
  Index after = 0;   ///< and after them
};

/// One array of a state: where it lies, and under which name it is saved.
struct StateField {
  std::string name;              ///< "momentum", "branches.0.order.lines"
  const char* dtype = "";        ///< as safetensors spells it: F32, F64, I64, ..., BOOL
  std::size_t scalar_size = 0;   ///< bytes
  std::vector<Index> shape{};    ///< none for one number
  std::vector<Index> strides{};  ///< in scalars, one for each dimension
  void* data = nullptr;          ///< its first element
  /// Gives the array another shape; empty where its shape is fixed. An array that a rule sizes at its first
  /// step takes the shape of the file.
  std::function<StateField(const std::vector<Index>&)> resized{};
  bool is_checked = false;  ///< the state that it is of may refuse what is loaded into it
  SharedRows rows{};        ///< of the block, where several processes have some
};

/// A visitor of the arrays of a state, one after the other.
struct StateVisitor {
  std::function<void(StateField)> field;  ///< called with each
  bool is_loading = false;                ///< it writes them, and a state then checks itself; else it reads
};

/// The state of an optimizer, or of one parameter.
class AnyState {
 public:
  AnyState() = default;
  AnyState(const AnyState&) = delete;
  AnyState& operator=(const AnyState&) = delete;
  virtual ~AnyState() = default;

  /// Shows all arrays, each named by its block: "0/momentum", "1/momentum". Changes nothing where they are
  /// only read, so that several threads may. Errors: Error for a state that
  /// does not say what it is made of, and for one that refuses what was loaded.
  virtual void visit(const StateVisitor& visitor) = 0;

  /// Keeps the state, in memory that this one kept it in before where there is some; puts back what was kept,
  /// if anything was. A state that cannot be copied is not kept.
  ///@{
  virtual void keep(std::shared_ptr<void>& kept) const = 0;
  virtual void put_back(const std::shared_ptr<void>& kept) noexcept = 0;
  ///@}
};

}  // namespace detail

}}  // namespace symopt
