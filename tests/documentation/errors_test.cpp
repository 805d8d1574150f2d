// SPDX-License-Identifier: Apache-2.0
// docs/errors.md explains every sentence that tests/compile_fail expects of the compiler, and quotes no other
// one.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace errors_test { namespace {

const std::filesystem::path root = SYMOPT_SOURCE_DIR;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file, "cannot read ", path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The text with literals that stand side by side joined, as the compiler joins them.
std::string joined_literals(const std::string& code) {
  static const std::regex seam("\"\\s*\n\\s*\"");
  return std::regex_replace(code, seam, "");
}

/// The first cells of the tables whose header is "the first line says", without backticks.
std::vector<std::string> quoted_sentences(const std::string& page) {
  std::vector<std::string> found;
  std::istringstream lines(page);
  bool in_table = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("| the first line says")) {
      in_table = true;
      std::getline(lines, line);
    } else if (in_table && line.starts_with("| `")) {
      found.push_back(line.substr(3, line.find('`', 3) - 3));
    } else {
      in_table = false;
    }
  }
  return found;
}

TEST_CASE(
    "every sentence of the compiler that is tested is explained, and the page quotes sentences of the "
    "headers") {
  const std::vector<std::string> quoted = quoted_sentences(read(root / "docs/errors.md"));
  CHECK(quoted.size() >= 30);

  std::string headers;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "include/symopt"))
    if (entry.path().extension() == ".hpp") headers += joined_literals(read(entry.path()));
  for (const std::string& sentence : quoted) {
    CAPTURE(sentence);
    CHECK(headers.find(sentence) != std::string::npos);
  }

  std::size_t cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root / "tests/compile_fail")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string source = read(entry.path()), mark = "// expect: ";
    const std::size_t at = source.find(mark) + mark.size();
    const std::string expected = source.substr(at, source.find('\n', at) - at);
    if (expected == "lerning_rate") continue;  // the compiler's own words
    CAPTURE(expected);
    ++cases;
    bool is_explained = false;
    for (const std::string& sentence : quoted)
      is_explained = is_explained || sentence.starts_with(expected) || expected.starts_with(sentence);
    CHECK(is_explained);
  }
  CHECK(cases >= 30);
}

TEST_CASE("the reader of the tables and of literals sees what is to be seen") {
  CHECK(quoted_sentences("| the first line says | do |\n|---|---|\n| `a b` | c |\n\n| `d` | e |\n") ==
        std::vector<std::string>{"a b"});
  CHECK(joined_literals("x(\"one \"\n    \"two\")") == "x(\"one two\")");
}

}}  // namespace errors_test
