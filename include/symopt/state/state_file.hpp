// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/stack/state_table.hpp>
#include <symopt/state/safetensors.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

// A StateTable as a safetensors file: the arrays as NAME/BLOCK/FIELD, and in __metadata__ what they mean:
//   symopt_state          the version of this list, 1
//   steps, schedule_factor
//   parameter/NAME        a JSON object: sizes, scalar, layout, rows, group, rule, rule_options and the
//   options
namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// The options of saving a state.
struct SaveOptions {
  bool allow_non_finite = false;  ///< save Inf and NaN too, rather than keep the last good file
};

/// The options of loading a state. By default everything must agree, and everything is loaded.
struct LoadOptions {
  bool allow_missing = false;  ///< parameters that the file lacks keep the state that they have
  bool allow_unknown = false;  ///< parameters that only the file has are passed over
  bool allow_changed_options =
      false;                      ///< other momentum, decay, scale or rule options: those of the program hold
  bool keep_rates = false;        ///< learning rates and schedule factor stay those of the program
  bool allow_non_finite = false;  ///< load Inf and NaN too
};

/// The report of a loading: the differences between file and program.
struct LoadReport {
  std::int64_t steps = 0;              ///< steps that the state had seen
  std::vector<std::string> missing{};  ///< parameters that the file lacked
  std::vector<std::string> unknown{};  ///< parameters that were passed over
  std::vector<std::string> changed{};  ///< "parameter 'head': momentum is 0.95 in the file and 0.9 here"
};

/// The file is sound but is not the state of this optimizer.
struct StateMismatch : Error {
  using Error::Error;
};

namespace detail {

inline std::string shape_text(const std::vector<Index>& shape) {
  std::string text;
  for (const Index extent : shape) text += (text.empty() ? "" : "x") + std::to_string(extent);
  return text.empty() ? "one number" : text;
}

/// The shape of an array in a file: that of all rows of its block.
inline std::vector<Index> shape_in_file(const symopt::detail::StateField& field) {
  std::vector<Index> shape = field.shape;
  if (!shape.empty()) shape[0] += field.rows.extent * (field.rows.before + field.rows.after);
  return shape;
}

inline nlohmann::json conventions_of(const OptimizerOptions& options) {
  nlohmann::json json;
  OptimizerOptions(options).options([&](const std::string& name, const auto& value) {
    if (name == "parameter" || name == "non_finite") return;
    if constexpr (requires { to_string(value); }) {
      json[name] = to_string(value);
    } else {
      json[name] = value;
    }
  });
  return json;
}

inline nlohmann::json description_of(const symopt::detail::SavedParameter& parameter) {
  return {{"sizes", parameter.sizes},
          {"scalar", parameter.scalar},
          {"layout", parameter.layout},
          {"rows", parameter.rows},
          {"group", parameter.group},
          {"rule", parameter.rule},
          {"rule_options", parameter.rule_options},
          {"options", conventions_of(parameter.options)}};
}

/// Calls visit(pointer to the first scalar, count, stride in scalars) for the rows of an array, in order.
inline void for_each_row(const symopt::detail::StateField& field,
                         const std::function<void(std::byte*, Index, Index)>& visit) {
  auto* data = static_cast<std::byte*>(field.data);
  if (field.shape.empty()) return visit(data, 1, 1);
  if (field.shape.size() == 1) return visit(data, field.shape[0], field.strides[0]);
  for (Index i = 0; i < field.shape[0]; ++i)
    visit(data + i * field.strides[0] * static_cast<Index>(field.scalar_size), field.shape[1],
          field.strides[1]);
}

inline std::size_t bytes_of(const symopt::detail::StateField& field) {
  std::size_t size = field.scalar_size;
  for (const Index extent : field.shape) size *= static_cast<std::size_t>(extent);
  return size;
}

/// The bytes of a file's array before those of the rows that are here.
inline std::size_t bytes_before(const symopt::detail::StateField& field) {
  std::size_t size = field.scalar_size * static_cast<std::size_t>(field.rows.extent * field.rows.before);
  for (std::size_t d = 1; d < field.shape.size(); ++d) size *= static_cast<std::size_t>(field.shape[d]);
  return size;
}

/// Copies between an array and its bytes in a file, one scalar after the other where it has strides.
inline void copy_row(std::byte* row, std::byte* packed, Index count, Index stride, std::size_t size,
                     bool from_row) {
  if (count == 0) return;
  if (stride == 1) {
    const std::size_t length = static_cast<std::size_t>(count) * size;
    from_row ? std::memcpy(packed, row, length) : std::memcpy(row, packed, length);
    return;
  }
  for (Index j = 0; j < count; ++j, packed += size) {
    std::byte* scalar = row + j * stride * static_cast<Index>(size);
    from_row ? std::memcpy(packed, scalar, size) : std::memcpy(scalar, packed, size);
  }
}

template <class Scalar>
bool all_finite_in(std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(Scalar)) {
    Scalar value;
    std::memcpy(&value, bytes.data() + i, sizeof(Scalar));
    if (!symopt::detail::is_finite(value)) return false;
  }
  return true;
}
inline bool is_finite(std::string_view dtype, std::span<const std::byte> bytes) {
  if (dtype == "F32") return all_finite_in<float>(bytes);
  if (dtype == "F64") return all_finite_in<double>(bytes);
  return true;
}

/// A JSON value out of a note; null when there is none or it is broken.
inline nlohmann::json parsed(const std::string* note) {
  if (note == nullptr) return nullptr;
  const auto watch = [](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    if (depth > 3) throw std::length_error("nested too deep");
    return true;
  };
  try {
    nlohmann::json value = nlohmann::json::parse(*note, watch, false);
    return value.is_discarded() ? nlohmann::json(nullptr) : value;
  } catch (const std::length_error&) {
    return nullptr;
  }
}

/// Tests whether a JSON value can be a learning rate, or a factor on it: finite and not negative.
inline bool is_rate(const nlohmann::json& value) {
  return value.is_number() && value.get<double>() >= 0 && symopt::detail::is_finite(value.get<double>());
}

/// Tests whether the last part of a field's name, "0/moments.step", is that of a counter of steps.
inline bool is_named_step(std::string_view name) {
  return name.substr(name.find_last_of("/.") + 1) == "step";  // npos + 1 is 0
}

using Sink = std::function<void(const void*, std::size_t)>;

/// The arrays of a parameter's state. Errors: Error that names the parameter, for a state that cannot be
/// visited.
inline std::vector<symopt::detail::StateField> fields_of(const symopt::detail::SavedParameter& parameter) {
  std::vector<symopt::detail::StateField> fields;
  try {
    parameter.state->visit({[&](symopt::detail::StateField field) { fields.push_back(std::move(field)); }});
  } catch (const Error& error) {
    throw Error(error.text, parameter.name);
  }
  return fields;
}

/// use(bytes) for the rows of an array, in order, without gaps.
inline void for_each_packed_row(const symopt::detail::StateField& field, const auto& use) {
  std::vector<std::byte> row;
  for_each_row(field, [&](std::byte* data, Index count, Index stride) {
    row.resize(static_cast<std::size_t>(count) * field.scalar_size);
    copy_row(data, row.data(), count, stride, field.scalar_size, true);
    use(std::span<const std::byte>(row));
  });
}

inline void require_finite(const symopt::detail::SavedParameter& parameter,
                           const symopt::detail::StateField& field) {
  for_each_packed_row(field, [&](std::span<const std::byte> row) {
    symopt::detail::require(is_finite(field.dtype, row), {parameter.name}, [&] {
      return "its state " + field.name +
             " has an Inf or NaN; nothing was written. Go back to the last good file, or save it "
             "as it is with SaveOptions::allow_non_finite";
    });
  });
}

/// One array of a state, and the number of its parameter.
struct StateArray {
  std::size_t parameter;
  symopt::detail::StateField field;
};

/// Puts arrays in the order of a file, the widest scalars first, so that all are aligned.
void sort_by_width(auto& arrays, const auto& width) {
  std::ranges::stable_sort(arrays, std::greater<>(), width);
}

/// The arrays of a table in the order of a file. Errors: Error for those that may not be saved.
inline std::vector<StateArray> arrays_of(const symopt::detail::StateTable& table,
                                         const SaveOptions& options) {
  std::vector<StateArray> arrays;
  for (std::size_t p = 0; p < table.parameters.size(); ++p)
    for (symopt::detail::StateField& field : fields_of(table.parameters[p])) {
      if (!options.allow_non_finite) require_finite(table.parameters[p], field);
      arrays.push_back({p, std::move(field)});
    }
  sort_by_width(arrays, [](const StateArray& array) { return array.field.scalar_size; });
  return arrays;
}

/// The beginning of a file with these arrays.
inline std::string header_of(const symopt::detail::StateTable& table,
                             const std::vector<TensorToSave>& tensors) {
  std::map<std::string, std::string> notes{{"format", "symopt"},
                                           {"symopt_state", "1"},
                                           {"steps", std::to_string(table.steps)},
                                           {"schedule_factor", nlohmann::json(table.schedule_factor).dump()}};
  for (const symopt::detail::SavedParameter& parameter : table.parameters)
    notes["parameter/" + parameter.name] = description_of(parameter).dump();
  return safetensors_header(tensors, notes);
}

/// Writes a file. Everything that can be refused is refused before the first byte.
inline void write_state(const symopt::detail::StateTable& table, const SaveOptions& options,
                        const Sink& sink) {
  const std::vector<StateArray> arrays = arrays_of(table, options);
  std::vector<TensorToSave> tensors;
  tensors.reserve(arrays.size());
  for (const auto& [p, field] : arrays)
    tensors.push_back({table.parameters[p].name + "/" + field.name, field.dtype, field.shape});
  const std::string header = header_of(table, tensors);
  sink(header.data(), header.size());
  for (const StateArray& array : arrays)
    for_each_packed_row(array.field, [&](std::span<const std::byte> row) { sink(row.data(), row.size()); });
}

}  // namespace detail

}}}  // namespace symopt::interop
