// SPDX-License-Identifier: Apache-2.0
// The reader of the file format believes nothing: every broken file is refused with what is wrong with it.
#include "fuzz/state_target.hpp"

#include <symopt/state/safetensors.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace safetensors_test { namespace {

using namespace symopt_test;
using symopt::interop::FormatError;
using symopt::interop::Safetensors;

/// A file of this header and as many bytes of content.
std::string file_of(const std::string& header, std::size_t content = 0) {
  return with_header(std::string(8, '\0') + std::string(content, '\1'), header);
}

std::string refusal(const std::string& file) {
  try {
    const Safetensors understood(as_bytes(file), "a.safetensors");
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

/// Writes tests/fuzz/corpus from these tables when SYMOPT_WRITE_CORPUS names a folder.
void keep(const std::string& name, const std::string& file) {
  if (const char* folder = std::getenv("SYMOPT_WRITE_CORPUS"))
    std::ofstream(std::filesystem::path(folder) / (name + ".safetensors"), std::ios::binary) << file;
}

struct Hostile {
  const char* name;
  std::string file;
  const char* words;
};

std::string length_of(std::uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

std::vector<Hostile> hostile_files() {
  const std::string good = TrainedStack().bytes();
  const auto one = [](const char* entry, std::size_t content) {
    return file_of(std::string("{\"a\":") + entry + "}", content);
  };
  std::string swapped = good;
  std::reverse(swapped.begin(), swapped.begin() + 8);
  std::string deep(3000, '[');
  return {
      {"empty", "", "0 bytes, fewer than the length of a header"},
      {"seven_bytes", std::string(7, '\1'), "7 bytes"},
      {"no_header", length_of(0), "does not begin with '{'"},
      {"huge_header", length_of(~std::uint64_t{0}) + "{}", "said to have 18446744073709551615 bytes"},
      {"longer_than_file", length_of(3) + "{}", "3 bytes but there are 2; the file is cut short"},
      {"swapped_length", swapped, "the length is big-endian"},
      {"cut_in_header", good.substr(0, 40), "cut short"},
      {"cut_in_content", good.substr(0, good.size() - 1), "cut short"},
      {"longer", good + "x", "belong to nothing at its end"},
      {"not_json", file_of("{\"a\":}"), "no JSON"},
      {"json_and_more", file_of("{} {}"), "no JSON"},
      {"not_utf8", file_of("{\"\xff\":1}"), "no JSON"},
      {"array", file_of("[]"), "does not begin with '{'"},
      {"deep", file_of("{\"a\":" + deep), "nested more than three levels"},
      {"deep_object", file_of("{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}"), "nested more than three levels"},
      {"twice",
       file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
               R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
               1),
       "'a' is there twice"},
      {"twice_inside", one(R"({"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]})", 1),
       "'dtype' is there twice"},
      {"number", one("1", 0), "'a' must have a dtype, a shape and two data_offsets"},
      {"no_dtype", one(R"({"shape":[1],"data_offsets":[0,1]})", 1), "must have a dtype"},
      {"extra", one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0})", 1), "and nothing else"},
      {"three_offsets", one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,1]})", 1), "two data_offsets"},
      {"unknown_dtype", one(R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})", 4), "unknown dtype 'F31'"},
      {"negative", one(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})", 1), "whole numbers from 0"},
      {"fraction", one(R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})", 1), "whole numbers from 0"},
      {"beyond_64_bits", one(R"({"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]})", 1),
       "whole numbers from 0"},
      {"beyond_63_bits", one(R"({"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]})", 1),
       "too large"},
      // 2^32 * 2^32 * 1 is 0 in 64 bits.
      {"overflow", one(R"({"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0),
       "has 0 bytes but its dtype and shape need 18446744073709551615"},
      {"huge_shape", one(R"({"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]})", 4),
       "has 4 bytes but its dtype and shape need 4398046511104"},
      {"offsets_backwards", one(R"({"dtype":"U8","shape":[1],"data_offsets":[1,0]})", 1), "bytes 1 to 0"},
      {"offsets_beyond", one(R"({"dtype":"U8","shape":[9],"data_offsets":[0,9]})", 1), "bytes 0 to 9 of 1"},
      {"overlap",
       file_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
               R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
               3),
       "'b' overlaps"},
      {"same_bytes",
       file_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
               R"("b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
               2),
       "overlaps"},
      {"gap",
       file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
               R"("b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
               3),
       "belong to nothing before 'b'"},
      {"notes_no_object", file_of(R"({"__metadata__":[]})"), "__metadata__ is not an object"},
      {"note_no_string", file_of(R"({"__metadata__":{"steps":1}})"),
       "'steps' of __metadata__ is not a string"},
  };
}

TEST_CASE("every broken file is refused with what is wrong with it") {
  for (const Hostile& hostile : hostile_files()) {
    CAPTURE(hostile.name);
    const std::string text = refusal(hostile.file);
    CAPTURE(text);
    CHECK(text.starts_with("symopt: 'a.safetensors' is no safetensors file: "));
    CHECK(text.find(hostile.words) != std::string::npos);
    CHECK_FALSE(load_hostile_bytes(hostile.file));
    keep(hostile.name, hostile.file);
  }
}

TEST_CASE("a file cut short anywhere, or with any bit of its header turned, does not load by half") {
  const std::string good = TrainedStack().bytes();
  CHECK(load_hostile_bytes(good));
  keep("good", good);
  for (std::size_t size = 0; size < good.size(); size += size < 16 ? 1 : 13)
    CHECK_FALSE(load_hostile_bytes(good.substr(0, size)));
  std::uint64_t length = 0;
  std::memcpy(&length, good.data(), 8);
  for (std::size_t at = 0; at < 8 + length; at += 3) {
    std::string turned = good;
    turned[at] = static_cast<char>(turned[at] ^ (1 << (at % 8)));
    (void)load_hostile_bytes(turned);  // ends the process when it leaves a trace
  }
}

TEST_CASE("sound files are read: no tensors, empty ones, none of one number, any order, padding") {
  CHECK(refusal(file_of("{}")) == "");
  CHECK(refusal(file_of("{}      ")) == "");
  CHECK(refusal(file_of(R"({"a":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]}})")) == "");
  CHECK(refusal(file_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})")) ==
        "");
  const std::string file = file_of(R"({"b":{"dtype":"BF16","shape":[2,1],"data_offsets":[4,8]},)"
                                   R"("__metadata__":{"x":"y"},)"
                                   R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
                                   8);
  const Safetensors read(as_bytes(file), "file");
  CHECK(read.tensors().size() == 2);
  CHECK(read.tensors().at("a").shape.empty());
  CHECK(read.tensors().at("b").shape == std::vector<symopt::Index>{2, 1});
  CHECK(read.tensors().at("b").dtype == "BF16");
  CHECK(read.tensors().at("b").bytes.size() == 4);
  CHECK(read.notes().at("x") == "y");
}

TEST_CASE("what the fuzzer began with and what it found is replayed") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SYMOPT_CORPUS)) {
    CAPTURE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    CHECK(load_hostile_bytes(bytes) == entry.path().filename().string().starts_with("good"));
    ++files;
  }
  CHECK(files >= 30);
}

}}  // namespace safetensors_test
