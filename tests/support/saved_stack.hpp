// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/named_model.hpp"
#include "support/temporary_file.hpp"

#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/state/state_file.hpp>

#include <nlohmann/json.hpp>

#include <cstring>
#include <functional>
#include <string>

// A small trained stack (compiled once, in saved_stack.cpp), and its saved state to be changed by hand.
namespace symopt_test {

/// How the stack of a test is made; each member can be made different from the saved one.
struct StackPlan {
  symopt::OptimizerOptions head{.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.01};
  symopt::AdamW adamw{};
  std::vector<Index> head_sizes{6, 4};
  symopt::RowMask rows{};
  symopt::Layout heads = symopt::layout::row_heads(2);
  bool has_norm = true;
  bool has_bias = false;
  bool head_is_embedding = false;
};

/// A model of a head, a query matrix and a gain.
struct TrainedStack {
  NamedModel model;
  symopt::LayerwiseOptimizer stack;

  explicit TrainedStack(const StackPlan& plan = {}, int steps = 2);

  bool step() {
    model.draw_gradients();
    return stack.step().applied;
  }
  std::string bytes() const;
  /// Loads the bytes as interop::load_state_bytes does.
  symopt::interop::LoadReport load(const std::string& file, const symopt::interop::LoadOptions& options = {},
                                   const std::string& source = "state");
};

/// A file with the header given and everything after its own header.
inline std::string with_header(const std::string& file, const std::string& header) {
  std::uint64_t old_length = 0;
  std::memcpy(&old_length, file.data(), 8);
  const std::uint64_t length = header.size();
  std::string changed(8, '\0');
  std::memcpy(changed.data(), &length, 8);
  return changed + header + file.substr(8 + old_length);
}

/// The file with its header changed.
inline std::string edited(const std::string& file, const std::function<void(nlohmann::json&)>& change) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  nlohmann::json header = nlohmann::json::parse(file.substr(8, length));
  change(header);
  return with_header(file, header.dump());
}

/// The file with a description of a parameter changed.
inline std::string described(const std::string& file, const std::string& parameter,
                             const std::function<void(nlohmann::json&)>& change) {
  return edited(file, [&](nlohmann::json& header) {
    auto& note = header["__metadata__"]["parameter/" + parameter];
    nlohmann::json description = nlohmann::json::parse(note.get<std::string>());
    change(description);
    note = description.dump();
  });
}

/// The file with the first bytes of a tensor replaced.
template <class Value>
std::string with_value(std::string file, const std::string& tensor, Value value) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  const nlohmann::json header = nlohmann::json::parse(file.substr(8, length));
  std::memcpy(file.data() + 8 + length + header[tensor]["data_offsets"][0].get<std::size_t>(), &value,
              sizeof value);
  return file;
}

}  // namespace symopt_test
