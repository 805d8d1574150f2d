// SPDX-License-Identifier: Apache-2.0
// `using namespace symopt` brings what a user reads about and no more: public_names.txt lists it, with what
// each name is for. What helps the library alone belongs to detail or to the namespace of its room.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace public_names_test { namespace {

const std::filesystem::path root = SYMOPT_SOURCE_DIR;

/// The name that a line at the left margin declares: "" for none, for operators, members and specialisations.
std::string declared_name(std::string line) {
  static const std::regex no_declaration(R"((template|requires|static_assert|extern|friend|[^A-Za-z\[]).*)");
  static const std::regex attribute(R"(\[\[[^\]]*\]\] ?)");
  static const std::regex type(R"((struct|class|enum class|concept|using|namespace) (\w+)([ ;:{].*|$))");
  static const std::regex variable(R"([^(=]*constexpr [^(=]*?(\w+) = ?.*)");
  static const std::regex function(R"([^(=]*[ &*>](\w+)\(.*|(\w+)\(.*)");
  line = std::regex_replace(line, attribute, "");
  std::smatch match;
  if (std::regex_match(line, no_declaration) || line.find("operator") != std::string::npos) return "";
  if (std::regex_match(line, match, type)) return match[2];
  if (std::regex_match(line, match, variable)) return match[1];
  if (std::regex_match(line, match, function)) return match[1].matched ? match[1] : match[2];
  return "";
}

/// All names that a header declares in the namespace symopt itself. Namespaces open and close at the left
/// margin, and nothing else does so with the word.
void collect(std::istream& header, std::set<std::string>& names) {
  static const std::regex opening(R"((inline )?namespace [^=]*\{)");
  std::size_t depth = 0;
  for (std::string line; std::getline(header, line);) {
    const auto count = [&](char c) { return std::size_t(std::count(line.begin(), line.end(), c)); };
    if (std::regex_match(line, opening)) {
      depth += count('{');
    } else if (line.starts_with("}") && line.find("  // namespace") != std::string::npos) {
      depth -= count('}');
    } else if (depth == 2) {  // symopt and the inline namespace of the build
      if (const std::string name = declared_name(line); !name.empty()) names.insert(name);
    }
  }
  CHECK(depth == 0);
}

std::set<std::string> declared() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "include/symopt")) {
    if (entry.path().extension() != ".hpp") continue;
    CAPTURE(entry.path().string());
    std::ifstream header(entry.path());
    collect(header, names);
  }
  return names;
}

/// "what they are for: names".
std::set<std::string> listed() {
  std::set<std::string> names;
  std::ifstream list(root / "tests/documentation/public_names.txt");
  for (std::string line; std::getline(list, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    for (std::string name; words >> name;) CHECK_MESSAGE(names.insert(name).second, name, " is listed twice");
  }
  return names;
}

TEST_CASE("the namespace symopt declares the listed names and no others") {
  const std::set<std::string> in_headers = declared(), in_list = listed();
  for (const std::string& name : in_headers)
    CHECK_MESSAGE(
        in_list.contains(name), name,
        " is declared in the namespace symopt: a user's name goes into public_names.txt, another one into "
        "detail or its room's namespace");
  for (const std::string& name : in_list)
    CHECK_MESSAGE(in_headers.contains(name), name, " is listed, and no header declares it");
}

TEST_CASE("the reader of declarations sees what is to be seen") {
  std::set<std::string> names;
  std::istringstream header(R"(namespace symopt { inline namespace SYMOPT_ABI {
namespace alias = boost::hana;
template <class A>
struct Struct : Base<A> {
  int member(int);
};
template <>
struct Special<int> {};
[[nodiscard]] constexpr std::pair<int, int> function(int x = 1) {
inline constexpr Families variable = 1;
inline constexpr bool variable_v =
using Alias = int;
bool operator==(Struct, Struct);
double Struct::member(int) {
long_return_type<A>
name_alone(int);
namespace detail {
struct Hidden {};
}  // namespace detail
}}  // namespace symopt
)");
  collect(header, names);
  CHECK(names == std::set<std::string>{"Alias", "Struct", "alias", "function", "name_alone", "variable",
                                       "variable_v"});
}

}}  // namespace public_names_test
