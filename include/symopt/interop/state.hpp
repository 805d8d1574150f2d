// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/file_replacement.hpp>
#include <symopt/interop/state_file.hpp>
#include <symopt/interop/state_reader.hpp>
#include <symopt/stack/state_access.hpp>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// Saves what an optimizer remembers, of a LayerwiseOptimizer or of an Optimizer: momenta and states of
/// rules, steps, rates, and what must agree for them to mean the same. The weights are the trainer's own to
/// save. The file is of the format safetensors; every array is row-major, rows x cols of its block, whichever
/// way the weights lie in memory. It replaces an older one in one go: a crash leaves the old file or the new
/// one. Cost: two reads of the state; memory one row of a block. Errors: std::invalid_argument that names the
/// parameter, for a rule's state that cannot be visited and for Inf and NaN; std::system_error with the path.
/// After an error the old file is as it was.
template <class AnyOptimizer>
void save_state(const AnyOptimizer& optimizer, const std::filesystem::path& path, SaveOptions options = {}) {
  const StateTable table = symopt::detail::StateAccess::table(optimizer);
  FileReplacement file(path);
  std::vector<char> buffer;
  constexpr std::size_t chunk = std::size_t{1} << 20;
  const auto flush = [&] {
    file.write(buffer.data(), buffer.size());
    buffer.clear();
  };
  detail::write_state(table, options, [&](const void* bytes, std::size_t count) {
    const char* first = static_cast<const char*>(bytes);
    buffer.insert(buffer.end(), first, first + count);
    if (buffer.size() >= chunk) flush();
  });
  flush();
  file.commit();
}

/// The bytes of that file, to be put into another one.
template <class AnyOptimizer>
std::string state_bytes(const AnyOptimizer& optimizer, SaveOptions options = {}) {
  std::string all;
  detail::write_state(
      symopt::detail::StateAccess::table(optimizer), options,
      [&](const void* bytes, std::size_t count) { all.append(static_cast<const char*>(bytes), count); });
  return all;
}

/// Loads such bytes; errors call them `source`.
template <class AnyOptimizer>
LoadReport load_state_bytes(AnyOptimizer& optimizer, std::span<const std::byte> bytes,
                            LoadOptions options = {}, const std::string& source = "state") {
  StateTable table = symopt::detail::StateAccess::table(optimizer);
  detail::StateReader reader(bytes, source, options);
  const LoadReport report = reader.load(table);
  symopt::detail::StateAccess::commit(optimizer, table, !options.keep_rates);
  return report;
}

/// Loads what save_state saved into an optimizer that was made in the same way: the same parameters by name,
/// in any order, each with its shape, scalar, layout, rows, group, rule and options. The next step is then,
/// bit for bit, the one that the saved optimizer would have made.
/// Cost: one read; memory the size of the file. Errors: FormatError for a file that is broken, StateMismatch
/// that lists all that does not agree, std::system_error for one that cannot be read. After an error nothing
/// has changed.
template <class AnyOptimizer>
LoadReport load_state(AnyOptimizer& optimizer, const std::filesystem::path& path, LoadOptions options = {}) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto fail = [&](const char* what) {
    throw std::system_error(errno, std::generic_category(),
                            std::string("symopt: ") + what + " '" + path.string() + "'");
  };
  if (!file) fail("cannot open");
  const std::streamoff size = file.tellg();
  if (size < 0 || std::filesystem::is_directory(path)) fail("cannot read");
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) fail("cannot read");
  return load_state_bytes(optimizer, bytes, options, path.string());
}

}}}  // namespace symopt::interop
