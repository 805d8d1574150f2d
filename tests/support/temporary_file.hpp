// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace symopt_test {

/// A file of this process alone, removed at the end.
struct TemporaryFile {
  std::filesystem::path path;
  explicit TemporaryFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() /
             ("symopt_" + std::to_string(::getpid()) + "_" + name + ".safetensors")) {}
  ~TemporaryFile() { std::filesystem::remove(path); }
};

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace symopt_test
