// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/matrix.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The safetensors format (github.com/huggingface/safetensors): eight bytes for the length of a JSON header,
// the header, then the arrays one after the other, row-major, little-endian.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

/// The error of a file that is no sound safetensors file.
class FormatError : public std::runtime_error {
 public:
  /// The sentence names the source.
  FormatError(const std::string& source, const std::string& what)
      : std::runtime_error("symopt: '" + source + "' is no safetensors file: " + what) {}
};

/// One array of a file; its bytes are in the file's memory.
struct SavedTensor {
  std::string dtype;                 ///< F32, I64, BF16, ...
  std::vector<Index> shape;          ///< none for one number
  std::span<const std::byte> bytes;  ///< row-major, little-endian
};

/// Bits of a scalar; 0 for a type that the format does not have.
inline std::size_t dtype_bits(std::string_view dtype) {
  static constexpr std::pair<std::string_view, std::size_t> known[] = {
      {"BOOL", 8}, {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8},
      {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},   {"I32", 32},
      {"U32", 32}, {"F32", 32}, {"I64", 64}, {"U64", 64},    {"F64", 64}};
  const auto* found = std::ranges::find(known, dtype, &std::pair<std::string_view, std::size_t>::first);
  return found == std::end(known) ? 0 : found->second;
}

/// A file that has been understood: its tensors by name, and its notes. Views the bytes it was made from.
/// Nothing is believed: the header's length, depth and types, every shape and every range are checked, ranges
/// neither overlap nor leave gaps, no name is there twice. Memory and time are bounded by a multiple of the
/// size of the header. Errors: FormatError that says what is wrong and where.
class Safetensors {
 public:
  static constexpr std::uint64_t longest_header = 100'000'000;  ///< bytes, as the format's reference reader

  /// The length of the header, from the first nine bytes of a file of that size or all that it has. Errors:
  /// FormatError for what cannot be such a file.
  static std::uint64_t header_length(std::span<const std::byte> first, std::uint64_t size,
                                     const std::string& source) {
    const auto fail = [&](const std::string& what) { throw FormatError(source, what); };
    if (size < 8) fail("it has " + std::to_string(size) + " bytes, fewer than the length of a header takes");
    std::uint64_t length = 0;
    std::memcpy(&length, first.data(), 8);
    const std::uint64_t room = std::min<std::uint64_t>(size - 8, longest_header);
    if (length > room) {
      const bool is_swapped = __builtin_bswap64(length) <= room;
      fail("the header is said to have " + std::to_string(length) + " bytes but there are " +
           std::to_string(size - 8) +
           (is_swapped                ? "; the length is big-endian, and the format is little-endian"
            : length > longest_header ? " and no header has more than 100 MB"
                                      : "; the file is cut short"));
    }
    if (length == 0 || first[8] != std::byte{'{'}) fail("the header does not begin with '{'");
    return length;
  }

  /// Understands the whole of a file; `source` is its name in messages.
  Safetensors(std::span<const std::byte> bytes, const std::string& source) : source_(source) {
    const std::string_view header = header_of(bytes);
    const auto content = bytes.subspan(8 + header.size());
    const nlohmann::json table = parse(header);
    if (!table.is_object()) fail("the header is not an object");
    for (const auto& [name, entry] : table.items()) {
      if (name == "__metadata__") {
        read_notes(entry);
      } else {
        tensors_.emplace(name, tensor(name, entry, content));
      }
    }
    require_partition(content);
  }

  /// All tensors by name.
  const std::map<std::string, SavedTensor>& tensors() const { return tensors_; }
  /// The strings of __metadata__.
  const std::map<std::string, std::string>& notes() const { return notes_; }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FormatError(source_, what); }

  std::string_view header_of(std::span<const std::byte> bytes) const {
    const std::uint64_t length = header_length(bytes, bytes.size(), source_);
    const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8,
                                  static_cast<std::size_t>(length));
    if (header.find('\0') != std::string_view::npos)
      fail("there is a byte 0 in its header, which is padded with spaces");
    return header;
  }

  nlohmann::json parse(std::string_view header) const {
    using Json = nlohmann::json;
    std::vector<std::set<std::string>> keys;  // of the objects that are open
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth > 3) fail("the header is nested more than three levels deep");
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
        fail("'" + parsed.get<std::string>() + "' is there twice");
      return true;
    };
    try {
      return Json::parse(header, watch);
    } catch (const Json::exception& error) {
      fail(std::string("the header is no JSON: ") + error.what());
    }
  }

  void read_notes(const nlohmann::json& entry) {
    if (!entry.is_object()) fail("__metadata__ is not an object");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail("'" + key + "' of __metadata__ is not a string");
      notes_[key] = value.get<std::string>();
    }
  }

  std::uint64_t number(const std::string& name, const nlohmann::json& value) const {
    if (!value.is_number_unsigned()) fail("'" + name + "': sizes and offsets are whole numbers from 0");
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
      fail("'" + name + "': the number " + std::to_string(number) + " is too large");
    return number;
  }

  SavedTensor tensor(const std::string& name, const nlohmann::json& entry,
                     std::span<const std::byte> content) const {
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets") || !entry["dtype"].is_string() || !entry["shape"].is_array() ||
        !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2)
      fail("'" + name + "' must have a dtype, a shape and two data_offsets, and nothing else");
    SavedTensor tensor{.dtype = entry["dtype"].get<std::string>(), .shape = {}, .bytes = {}};
    const std::uint64_t bits = dtype_bits(tensor.dtype);
    if (bits == 0) fail("'" + name + "' has the unknown dtype '" + tensor.dtype + "'");
    const std::uint64_t begin = number(name, entry["data_offsets"][0]);
    const std::uint64_t end = number(name, entry["data_offsets"][1]);
    if (begin > end || end > content.size())
      fail("'" + name + "' lies at bytes " + std::to_string(begin) + " to " + std::to_string(end) + " of " +
           std::to_string(content.size()) + (begin > end ? "" : "; the file is cut short"));
    std::uint64_t size = bits / 8;
    bool is_empty = false;
    for (const auto& extent : entry["shape"]) {
      const std::uint64_t factor = number(name, extent);
      if (!std::in_range<Index>(factor))
        fail("'" + name + "' has an extent of " + std::to_string(factor) +
             ", which Eigen::Index does not count");
      tensor.shape.push_back(static_cast<Index>(factor));
      is_empty = is_empty || factor == 0;
      if (!is_empty && __builtin_mul_overflow(size, factor, &size))
        size = std::numeric_limits<std::uint64_t>::max();
    }
    if (is_empty) size = 0;
    if (size != end - begin)
      fail("'" + name + "' has " + std::to_string(end - begin) + " bytes but its dtype and shape need " +
           std::to_string(size));
    tensor.bytes = content.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    return tensor;
  }

  /// The tensors fill the content, each byte belongs to one.
  void require_partition(std::span<const std::byte> content) const {
    std::vector<std::pair<const std::byte*, const std::string*>> order;
    for (const auto& [name, tensor] : tensors_)
      if (!tensor.bytes.empty()) order.emplace_back(tensor.bytes.data(), &name);
    std::ranges::sort(order, {}, &std::pair<const std::byte*, const std::string*>::first);
    const std::byte* next = content.data();
    for (const auto& [begin, name] : order) {
      if (begin < next) fail("'" + *name + "' overlaps the tensor before it");
      if (begin > next) fail("there are bytes that belong to nothing before '" + *name + "'");
      next = begin + tensors_.at(*name).bytes.size();
    }
    if (next != content.data() + content.size()) fail("there are bytes that belong to nothing at its end");
  }

  std::string source_;
  std::map<std::string, SavedTensor> tensors_;
  std::map<std::string, std::string> notes_;
};

/// One array to be written to a file.
struct TensorToSave {
  std::string name;          ///< unique in the file
  std::string dtype;         ///< F32, I64, ...
  std::vector<Index> shape;  ///< none for one number
};

/// The length and the header of a file with these tensors in this order, padded to whole words of 8 bytes.
inline std::string safetensors_header(const std::vector<TensorToSave>& tensors,
                                      const std::map<std::string, std::string>& notes) {
  nlohmann::json table;
  table["__metadata__"] = notes;
  std::uint64_t offset = 0;
  for (const TensorToSave& tensor : tensors) {
    std::uint64_t size = dtype_bits(tensor.dtype) / 8;
    for (const Index extent : tensor.shape) size *= static_cast<std::uint64_t>(extent);
    if (table.contains(tensor.name))
      throw Error("two arrays would be saved as '" + tensor.name + "'; give one of them another name");
    table[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  std::string header;
  try {
    header = table.dump();
  } catch (const nlohmann::json::exception& error) {  // a name that is no UTF-8
    throw Error(std::string("a name cannot be saved: ") + error.what());
  }
  header.append((8 - header.size() % 8) % 8, ' ');
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header;
}

}}}  // namespace symopt::interop
