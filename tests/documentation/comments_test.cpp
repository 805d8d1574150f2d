// SPDX-License-Identifier: Apache-2.0
// A doc comment is read alone, in an editor or on a page of the reference: it names its thing, and does not
// lean on the line above.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <istream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace comments_test { namespace {

/// The first lines of doc comments that begin with a word that leans on what stands around them.
std::vector<std::string> leaning_comments(std::istream& source) {
  const std::regex comment("^ *//.*"), leaning("^ */// (What|True when|The same|Whether)\\b.*");
  std::vector<std::string> found;
  bool was_comment = false;
  for (std::string line; std::getline(source, line); was_comment = std::regex_match(line, comment))
    if (!was_comment && std::regex_match(line, leaning)) found.push_back(line);
  return found;
}

TEST_CASE("every doc comment stands alone") {
  std::size_t files = 0;
  for (const char* folder : {"include", "examples", "benchmarks", "c", "tests"})
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::filesystem::path(SYMOPT_SOURCE_DIR) / folder)) {
      if (entry.path().extension() != ".hpp" && entry.path().extension() != ".cpp") continue;
      ++files;
      std::ifstream file(entry.path());
      for (const std::string& line : leaning_comments(file)) FAIL_CHECK(entry.path().string(), ": ", line);
    }
  CHECK(files > 300);
}

TEST_CASE("the reader of comments sees what is to be seen") {
  std::istringstream source(
      "/// What a thing is.\nint a;\n  /// The same, larger.\n/// A thing and\n/// What follows from it.\n"
      "/// Whatever it takes.\n// What follows.\n");
  CHECK(leaning_comments(source) ==
        std::vector<std::string>{"/// What a thing is.", "  /// The same, larger."});
}

}}  // namespace comments_test
