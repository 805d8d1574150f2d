// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/finite.hpp>
#include <symopt/state/state_file.hpp>
#include <symopt/type_name.hpp>

#include <memory>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop::detail {

/// Compares a file with the optimizer that is to be given its state, and then copies: first everything is
/// looked at, and only when nothing is wrong does anything change. All that is wrong is said at once. A state
/// that may refuse what is loaded into it goes first, and is put back when one does.
class StateReader {
 public:
  StateReader(std::span<const std::byte> bytes, std::string source, const LoadOptions& options)
      : source_(std::move(source)), options_(options), file_(bytes, source_) {}

  /// Loads the states of the table, in which it puts steps, factor and rates.
  LoadReport load(symopt::detail::StateTable& table) {
    check(table);
    load_those_that_may_refuse();
    return load_the_rest();
  }

  /// The parts of that, in order; where several processes load together, they speak to each other in between.
  ///@{
  /// Looks at everything, puts steps, factor and rates into the table, and changes no state.
  void check(symopt::detail::StateTable& table) {
    read_header(table);
    for (symopt::detail::SavedParameter& parameter : table.parameters) check_parameter(parameter);
    if (wrong_.empty() && !options_.keep_rates) check_rates(table);
    find_unknown(table);
    refuse();
  }
  /// Puts everything back where one of them refuses.
  void load_those_that_may_refuse() {
    try {
      for (const Load& load : loads_) {
        if (!load.may_refuse) continue;
        auto& [state, memory] = kept_.emplace_back(load.parameter->state.get(), nullptr);
        state->keep(memory);
        load_checked(*load.parameter);
      }
      refuse();
    } catch (...) {
      put_back();
      throw;
    }
  }
  void put_back() noexcept {
    for (auto& [state, memory] : kept_) state->put_back(memory);
    kept_.clear();
  }
  LoadReport load_the_rest() {
    for (const Load& load : loads_)
      if (!load.may_refuse) fill(*load.parameter);
    return report_;
  }
  ///@}

 private:
  /// A state to be loaded, once nothing is wrong with any.
  struct Load {
    const symopt::detail::SavedParameter* parameter;
    bool may_refuse = false;
  };

  void wrong(const std::string& what) { wrong_.push_back(what); }
  void wrong(const symopt::detail::SavedParameter& parameter, const std::string& what) {
    wrong("parameter '" + parameter.name + "': " + what);
  }

  void refuse() const {
    if (wrong_.empty()) return;
    std::string text = "the state in '" + source_ + "' was not loaded, and nothing was changed:";
    constexpr std::size_t most = 20;
    for (std::size_t i = 0; i < std::min(most, wrong_.size()); ++i) text += "\n  " + wrong_[i];
    if (wrong_.size() > most) text += "\n  and " + std::to_string(wrong_.size() - most) + " more";
    throw StateMismatch(text);
  }

  const std::string* note(const std::string& key) const {
    const auto found = file_.notes().find(key);
    return found == file_.notes().end() ? nullptr : &found->second;
  }

  void read_header(symopt::detail::StateTable& table) {
    const std::string* version = note("symopt_state");
    if (version == nullptr) {
      wrong("it is no state of an optimizer: __metadata__ has no 'symopt_state'");
      refuse();
    } else if (*version != "1") {
      wrong("it has version '" + *version + "' of the format; this symopt reads version 1");
      refuse();
    }
    const nlohmann::json steps = parsed(note("steps"));
    if (steps.is_number_unsigned() && steps.get<std::uint64_t>() <= (std::uint64_t{1} << 53)) {
      table.steps = steps.get<std::int64_t>();
      report_.steps = table.steps;
    } else {
      wrong("'steps' of __metadata__ is no number of steps");
    }
    const nlohmann::json factor = parsed(note("schedule_factor"));
    if (is_rate(factor)) {
      table.schedule_factor = factor.get<double>();
    } else {
      wrong("'schedule_factor' of __metadata__ is no factor: finite and not negative");
    }
    for (const auto& [key, value] : file_.notes())
      if (!known_note(key)) wrong("'" + key + "' of __metadata__ is unknown");
  }
  static bool known_note(std::string_view key) {
    return key == "format" || key == "symopt_state" || key == "steps" || key == "schedule_factor" ||
           key.starts_with("parameter/");
  }

  /// A rate or a factor may be a number, and still be one that the optimizer itself would refuse.
  void check_rates(const symopt::detail::StateTable& table) {
    for (const symopt::detail::SavedParameter& parameter : table.parameters) try {
        parameter.require_usable(parameter.options, table.schedule_factor);
      } catch (const Error& error) {
        wrong(parameter, error.text);
      }
  }

  void check_parameter(symopt::detail::SavedParameter& parameter) {
    Load load{&parameter};
    std::vector<symopt::detail::StateField> fields;
    try {
      fields = fields_of(parameter);
    } catch (const Error& error) {
      return wrong(parameter, error.text);
    }
    const std::string* text = note("parameter/" + parameter.name);
    if (text == nullptr) {
      if (options_.allow_missing) {
        report_.missing.push_back(parameter.name);
      } else {
        wrong(parameter, "it is not in the file; LoadOptions::allow_missing would leave it as it is");
      }
      return;
    }
    const nlohmann::json found = parsed(text);
    const nlohmann::json expected = description_of(parameter);
    if (!found.is_object()) return wrong(parameter, "its description is no JSON object");
    for (const auto& [key, value] : expected.items()) {
      if (key == "options") continue;
      if (!found.contains(key)) {
        wrong(parameter, "the file does not say its " + key);
      } else if (found[key] != value && !(key == "rule" && names_one_rule(found[key], value))) {
        const std::string difference =
            key + " is " + found[key].dump() + " in the file and " + value.dump() + " here";
        key == "rule_options" ? changed(parameter, difference) : wrong(parameter, difference);
      }
    }
    for (const auto& [key, value] : found.items())
      if (!expected.contains(key)) wrong(parameter, "the file's '" + key + "' is unknown");
    compare_options(parameter, found.contains("options") ? found["options"] : nlohmann::json(nullptr),
                    expected["options"]);
    check_fields(load, fields);
    loads_.push_back(load);
  }

  /// Tests whether the name in a file is that of the rule here. Files of version 0.1 may spell a default.
  static bool names_one_rule(const nlohmann::json& found, const nlohmann::json& here) {
    return found.is_string() && here == symopt::detail::without_default_method(found.get<std::string>());
  }

  void changed(const symopt::detail::SavedParameter& parameter, const std::string& difference) {
    if (options_.allow_changed_options) {
      report_.changed.push_back("parameter '" + parameter.name + "': " + difference);
    } else {
      wrong(parameter, difference + "; LoadOptions::allow_changed_options would go on with the one here");
    }
  }

  void compare_options(symopt::detail::SavedParameter& parameter, const nlohmann::json& found,
                       const nlohmann::json& expected) {
    if (!found.is_object()) return wrong(parameter, "the file does not say its options");
    for (const auto& [key, value] : expected.items()) {
      if (!found.contains(key)) {
        wrong(parameter, "the file does not say its " + key);
      } else if (key == "learning_rate") {
        if (is_rate(found[key])) {
          parameter.options.learning_rate = found[key].get<double>();
        } else {
          wrong(parameter, "learning_rate is " + found[key].dump() + "; it must be finite and not negative");
        }
      } else if (found[key] != value) {
        changed(parameter, key + " is " + found[key].dump() + " in the file and " + value.dump() + " here");
      }
    }
    for (const auto& [key, value] : found.items())
      if (!expected.contains(key)) wrong(parameter, "the file's option '" + key + "' is unknown");
  }

  void check_fields(Load& load, const std::vector<symopt::detail::StateField>& fields) {
    for (const symopt::detail::StateField& field : fields) {
      const std::string name = load.parameter->name + "/" + field.name;
      used_.insert(name);
      load.may_refuse = load.may_refuse || field.is_checked || field.resized;
      const auto found = file_.tensors().find(name);
      if (found == file_.tensors().end()) {
        wrong("'" + name + "' is missing");
        continue;
      }
      const SavedTensor& tensor = found->second;
      const std::vector<Index> here = shape_in_file(field);
      const bool may_grow = field.resized && tensor.shape.size() == here.size();
      if (tensor.dtype != field.dtype) {
        wrong("'" + name + "' is " + tensor.dtype + " in the file and " + field.dtype + " here");
      } else if (tensor.shape != here && !may_grow) {
        wrong("'" + name + "' is " + shape_text(tensor.shape) + " in the file and " + shape_text(here) +
              " here");
      } else {
        check_values(name, field, tensor);
      }
    }
  }

  void check_values(const std::string& name, const symopt::detail::StateField& field,
                    const SavedTensor& tensor) {
    if (!options_.allow_non_finite && !is_finite(tensor.dtype, tensor.bytes))
      wrong("'" + name + "' has an Inf or NaN; LoadOptions::allow_non_finite would load it all the same");
    const bool is_count = tensor.dtype == "I64" && tensor.shape.empty() && is_named_step(field.name);
    std::int64_t count = 0;
    if (is_count) std::memcpy(&count, tensor.bytes.data(), sizeof count);
    if (count < 0 || count > (std::int64_t{1} << 53))
      wrong("'" + name + "' is " + std::to_string(count) + ", which is no number of steps");
    const bool has_booleans = tensor.dtype == "BOOL";
    if (has_booleans && std::ranges::any_of(tensor.bytes, [](std::byte b) { return b > std::byte{1}; }))
      wrong("'" + name + "' has truth values other than 0 and 1");
  }

  void find_unknown(const symopt::detail::StateTable& table) {
    std::unordered_set<std::string> names;
    for (const symopt::detail::SavedParameter& parameter : table.parameters) names.insert(parameter.name);
    std::unordered_set<std::string> passed_over;
    for (const auto& [key, value] : file_.notes()) {
      constexpr std::string_view prefix = "parameter/";
      if (!key.starts_with(prefix)) continue;
      const std::string name = key.substr(prefix.size());
      if (names.contains(name)) continue;
      if (options_.allow_unknown) {
        report_.unknown.push_back(name);
        passed_over.insert(name);
      } else {
        wrong("parameter '" + name +
              "' is not in this optimizer; LoadOptions::allow_unknown would pass over it");
      }
    }
    std::unordered_set<std::string> elsewhere;  // PARAMETER/BLOCK
    for (const symopt::detail::SavedParameter& parameter : table.parameters)
      for (const std::size_t block : parameter.elsewhere)
        elsewhere.insert(parameter.name + "/" + std::to_string(block));
    for (const auto& [name, tensor] : file_.tensors())
      if (!used_.contains(name) && !belongs_to(name, passed_over) && !belongs_to(name, elsewhere))
        wrong("'" + name + "' belongs to no parameter here");
  }

  /// Tests whether a name is PARAMETER/BLOCK/FIELD of one of the parameters, or of one of such blocks;
  /// names of parameters may have slashes too.
  static bool belongs_to(const std::string& name, const std::unordered_set<std::string>& parameters) {
    if (parameters.empty()) return false;
    for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
      if (parameters.contains(name.substr(0, slash))) return true;
    return false;
  }

  void load_checked(const symopt::detail::SavedParameter& parameter) {
    try {
      fill(parameter);
    } catch (const Error& error) {
      wrong(parameter, error.text);
    } catch (const std::invalid_argument& error) {
      wrong(parameter, error.what());
    }
  }

  const SavedTensor& tensor_of(const symopt::detail::SavedParameter& parameter,
                               const symopt::detail::StateField& field) const {
    return file_.tensors().at(parameter.name + "/" + field.name);
  }
  void fill(const symopt::detail::SavedParameter& parameter) const {
    parameter.state->visit({[&](symopt::detail::StateField field) {
                              const SavedTensor& tensor = tensor_of(parameter, field);
                              if (field.resized && tensor.shape != field.shape)
                                field = field.resized(tensor.shape);
                              fill(field, tensor);
                            },
                            true});
  }
  /// Takes all of an array, or the rows that are here.
  static void fill(const symopt::detail::StateField& field, const SavedTensor& tensor) {
    auto* packed = const_cast<std::byte*>(tensor.bytes.data());  // only read
    packed += bytes_before(field);
    for_each_row(field, [&](std::byte* row, Index count, Index stride) {
      copy_row(row, packed, count, stride, field.scalar_size, false);
      packed += static_cast<std::size_t>(count) * field.scalar_size;
    });
  }

  std::string source_;
  LoadOptions options_;
  Safetensors file_;
  LoadReport report_;
  std::vector<std::string> wrong_;
  std::unordered_set<std::string> used_;
  std::vector<Load> loads_;
  std::vector<std::pair<symopt::detail::AnyState*, std::shared_ptr<void>>> kept_;  // of those that may refuse
};

}}}  // namespace symopt::interop::detail
