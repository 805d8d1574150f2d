// SPDX-License-Identifier: Apache-2.0
// A release has one version and one date, wherever they stand: see docs/releasing.md.
#include <symopt/version.hpp>

#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace release_notes_test { namespace {

const std::filesystem::path root = SYMOPT_SOURCE_DIR;

std::string read(const char* path) {
  std::ifstream file(root / path);
  REQUIRE_MESSAGE(file, "cannot read ", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The first match of the pattern's one group; "" for none.
std::string found(const std::string& text, const char* pattern) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(pattern)) ? match[1].str() : "";
}

struct Release {
  std::array<int, 3> version;
  std::string date;  ///< "" for none
};

/// The headings "## X.Y.Z (YEAR-MONTH-DAY)", from above.
std::vector<Release> releases(const std::string& changelog) {
  static const std::regex heading(R"((?:^|\n)## (\d+)\.(\d+)\.(\d+)(?: \((\d{4}-\d\d-\d\d)\))?)");
  std::vector<Release> all;
  for (std::sregex_iterator match(changelog.begin(), changelog.end(), heading), end; match != end; ++match)
    all.push_back({{std::stoi((*match)[1]), std::stoi((*match)[2]), std::stoi((*match)[3])}, (*match)[4]});
  return all;
}

TEST_CASE("change log, citation and header agree on the newest release") {
  const std::string changelog = read("CHANGELOG.md"), citation = read("CITATION.cff");
  const std::vector<Release> all = releases(changelog);
  REQUIRE(all.size() >= 2);
  const Release newest = all.front();
  const std::string version = std::to_string(newest.version[0]) + "." + std::to_string(newest.version[1]) +
                              "." + std::to_string(newest.version[2]);
  CHECK_FALSE(newest.date.empty());
  CHECK(found(citation, R"(\nversion: (\S+)\n)") == version);
  CHECK(found(citation, R"(\ndate-released: (\S+)\n)") == newest.date);
  CHECK(found(read("README.md"), R"(version = \{([^}]*)\})") == version);
  CHECK(found(read("README.md"), R"(year    = \{([^}]*)\})") == newest.date.substr(0, 4));
  CHECK(found(read("packaging/vcpkg/symopt/vcpkg.json"), "\"version-semver\": \"([^\"]*)\"") == version);
  // Between releases the header may be ahead.
  CHECK(std::array{SYMOPT_VERSION_MAJOR, SYMOPT_VERSION_MINOR, SYMOPT_VERSION_PATCH} >= newest.version);
  for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i].version < all[i - 1].version);
  const std::size_t unreleased = changelog.find("\n## Unreleased\n");
  CHECK(unreleased < changelog.find("\n## " + version));
}

TEST_CASE("the reader of headings sees versions and dates") {
  const auto all = releases("# Log\n\n## Unreleased\n\n## 1.2.3 (2026-01-02)\n\n## 0.1.0\n");
  REQUIRE(all.size() == 2);
  CHECK(all[0].version == std::array{1, 2, 3});
  CHECK(all[0].date == "2026-01-02");
  CHECK(all[1].date.empty());
}

}}  // namespace release_notes_test
