// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/state_access.hpp>
#include <symopt/state/file_replacement.hpp>
#include <symopt/state/safetensors.hpp>
#include <symopt/state/state_file.hpp>
#include <symopt/state/state_reader.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <new>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

namespace detail {

/// All bytes of a file that begins like a state; of another one nothing but its beginning is read. Errors:
/// FormatError, and std::system_error with the path.
inline std::vector<std::byte> contents_of(const std::filesystem::path& path) {
  const auto fail = [&](int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), "symopt: " + what + " '" + path.string() + "'");
  };
  if (std::filesystem::is_directory(path)) fail(EISDIR, "cannot read");
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? std::streamoff(file.tellg()) : -1;
  if (size < 0) fail(errno == 0 ? EIO : errno, "cannot open");
  std::vector<std::byte> bytes;
  const auto read = [&](std::streamoff count) {
    file.seekg(0);
    if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count)))
      fail(EIO, "cannot read");
  };
  constexpr std::streamoff beginning = 9;
  bytes.resize(static_cast<std::size_t>(std::min(size, beginning)));
  read(std::min(size, beginning));
  (void)Safetensors::header_length(bytes, static_cast<std::uint64_t>(size), path.string());
  if (!std::in_range<std::ptrdiff_t>(size)) fail(EFBIG, "this program's memory ends before the end of");
  try {
    bytes.resize(static_cast<std::size_t>(size));
  } catch (const std::bad_alloc&) {
    fail(ENOMEM, "there is no memory for the " + std::to_string(size) + " bytes of");
  }
  read(size);
  return bytes;
}

}  // namespace detail

/// Saves the state of a LayerwiseOptimizer or of an Optimizer: momenta and states of rules, steps, rates, and
/// what must agree for them to mean the same. The weights are the trainer's own to save. The file is of the
/// format safetensors; every array is row-major, rows x cols of its block, whichever way the weights lie in
/// memory. It replaces an older one in one go: a crash leaves the old file or the new one. Several threads
/// may save one optimizer that none of them changes. Cost: two reads of the state; memory one row of a block.
/// Errors: std::invalid_argument that names the parameter, for a rule's state that cannot be visited and for
/// Inf and NaN; std::system_error with the path. After an error the old file is as it was.
template <class AnyOptimizer>
void save_state(const AnyOptimizer& optimizer, const std::filesystem::path& path, SaveOptions options = {}) {
  const symopt::detail::StateTable table = symopt::detail::StateAccess::table(optimizer);
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
  symopt::detail::StateTable table = symopt::detail::StateAccess::table(optimizer);
  detail::StateReader reader(bytes, source, options);
  LoadReport report = reader.load(table);
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
  const std::vector<std::byte> bytes = detail::contents_of(path);
  return load_state_bytes(optimizer, bytes, options, path.string());
}

}}}  // namespace symopt::interop
