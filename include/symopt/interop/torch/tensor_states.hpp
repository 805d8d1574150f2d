// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/tensor_stack.hpp>
#include <symopt/optimizer/any_state.hpp>

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// The states of a TensorStack in the CPU's memory, where files know them: as the states of the blocks of the
// same rules.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// The arrays of one block's state in the CPU's memory, by name.
using HostFields = std::map<std::string, symopt::detail::StateField>;

/// An array in the CPU's memory as a tensor.
inline at::Tensor host_tensor(const symopt::detail::StateField& field) {
  const std::string type = field.dtype;
  const at::ScalarType scalar = type == "F32" ? at::kFloat : type == "F64" ? at::kDouble : at::kLong;
  return at::from_blob(field.data, std::vector<std::int64_t>(field.shape.begin(), field.shape.end()),
                       std::vector<std::int64_t>(field.strides.begin(), field.strides.end()),
                       at::TensorOptions().dtype(scalar));
}

/// The direction of a copy.
enum class Copy { to_host, to_device };

inline void copy_numbers(const at::Tensor& host, at::Tensor device, Copy copy) {
  if (copy == Copy::to_host) {
    host.copy_(device);
  } else {
    device.copy_(host);
  }
}

/// One block's state, between its arrays on either side.
class BlockStateCopy {
 public:
  BlockStateCopy(BoundParameter& parameter, std::size_t run, std::int64_t block, Copy copy)
      : parameter_(parameter), run_(run), block_(block), copy_(copy) {}

  void operator()(HostFields& host) const {
    const std::int64_t rows = parameter_.rows_of(run_), cols = parameter_.runs[run_].cols();
    const std::vector<at::Tensor>& own = parameter_.states[run_];
    const auto arrays = std::visit(BatchArrays{rows, cols, own.front().scalar_type()}, parameter_.rule.value);
    for (std::size_t a = 0; a < arrays.size(); ++a) {
      const std::string& name = arrays[a].name;
      const at::Tensor place = is_entrywise(parameter_.rule)
                                   ? own[a].narrow(0, block_ * rows * cols, rows * cols).view({rows, cols})
                                   : own[a].select(0, block_);
      if (name.ends_with("_moments") || name.ends_with("_roots")) {
        copy_squares(host, name, place);
      } else {
        copy_existing(host_tensor(host.at(name)), place);
      }
    }
    if (const auto step = host.find("step"); step != host.end()) {
      auto& number = *static_cast<std::int64_t*>(step->second.data);
      std::int64_t& steps = parameter_.steps[run_];
      copy_ == Copy::to_host ? number = steps : steps = number;
    }
  }

 private:
  /// Of a momentum the rows that exist.
  void copy_existing(const at::Tensor& host, const at::Tensor& device) const {
    if (host.dim() != 2 || host.size(0) == device.size(0)) return copy_numbers(host, device, copy_);
    if (!parameter_.selected_rows.defined())
      return copy_numbers(host.narrow(0, 0, device.size(0)), device, copy_);
    const at::Tensor rows = parameter_.selected_rows.cpu();
    if (copy_ == Copy::to_host) {
      host.index_copy_(0, rows, device.cpu());
    } else {
      device.copy_(host.index_select(0, rows));
    }
  }

  /// Symmetric matrices, packed on the host: 4^exponent times the moments there, and without it here.
  void copy_squares(HostFields& host, const std::string& name, const at::Tensor& device) const {
    const at::Tensor packed = host_tensor(host.at(name));
    const at::Tensor places = at::tril_indices(device.size(-1), device.size(-1)).to(device.device());
    const at::Tensor rows = places[0], cols = places[1];
    using at::indexing::Slice;
    const bool is_moments = name.ends_with("_moments");
    const at::Tensor exponents =
        is_moments ? host_tensor(host.at(name.substr(0, name.size() - 1) + "_exponents")) : at::Tensor();
    if (copy_ == Copy::to_host) {
      packed.copy_(device.index({Slice(), rows, cols}));
      if (is_moments) exponents.zero_();
      return;
    }
    at::Tensor numbers = packed.to(device.device());
    if (is_moments)
      numbers = numbers * (exponents.to(at::kDouble) * 2).exp2().unsqueeze(-1).to(device.device());
    at::Tensor into = device;
    into.index_put_({Slice(), rows, cols}, numbers);
    into.index_put_({Slice(), cols, rows}, numbers);
  }

  BoundParameter& parameter_;
  std::size_t run_;
  std::int64_t block_;
  Copy copy_;
};

/// Copies all states of a stack whose blocks hold memory.
template <class Scalar>
void copy_states(TensorStack<Scalar>& stack, Copy copy) {
  stack.form_batches();
  for (const auto& parameter : stack.parameters()) {
    BoundParameter& bound = stack.bound(parameter->name());
    std::map<std::size_t, HostFields> blocks;
    parameter->blocks().visit({[&](symopt::detail::StateField field) {
                                 const std::size_t slash = field.name.find('/');
                                 const std::size_t block = std::stoul(field.name.substr(0, slash));
                                 blocks[block].emplace(field.name.substr(slash + 1), field);
                               },
                               copy == Copy::to_host});
    for (std::size_t run = 0; run < bound.runs.size(); ++run)
      for (std::int64_t b = 0; b < bound.runs[run].count() && bound.entries_of(run) > 0; ++b)
        BlockStateCopy(bound, run, b, copy)(blocks[bound.first_blocks[run] + static_cast<std::size_t>(b)]);
  }
}

/// The states of a stack in the CPU's memory while this lives.
template <class Scalar>
class StatesOnHost {
 public:
  explicit StatesOnHost(TensorStack<Scalar>& stack) : stack_(stack) {
    for (const auto& parameter : stack_.parameters()) {
      std::vector<std::size_t> all(parameter->block_count());
      std::iota(all.begin(), all.end(), std::size_t{0});
      parameter->hold(std::move(all));
    }
    copy_states(stack_, Copy::to_host);
  }
  ~StatesOnHost() {
    for (const auto& parameter : stack_.parameters()) parameter->hold({});
  }
  StatesOnHost(const StatesOnHost&) = delete;
  StatesOnHost& operator=(const StatesOnHost&) = delete;

  /// Takes what was loaded there.
  void take() { copy_states(stack_, Copy::to_device); }

 private:
  TensorStack<Scalar>& stack_;
};

}}}}  // namespace symopt::interop::detail
