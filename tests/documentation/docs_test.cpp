// SPDX-License-Identifier: Apache-2.0
// Documentation quotes compiled files. A block of code after `<!-- quoted from FILE -->` must stand in FILE,
// line for line.
#include <doctest/doctest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace docs_test { namespace {

const std::filesystem::path root = SYMOPT_SOURCE_DIR;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file, "cannot read ", path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Quotation {
  std::string source;
  std::string code;
};

/// The marked blocks of a page. Throws when a mark has no block.
std::vector<Quotation> quotations(const std::string& page) {
  std::vector<Quotation> found;
  const std::string mark = "<!-- quoted from ";
  for (std::size_t at = page.find(mark); at != std::string::npos; at = page.find(mark, at)) {
    const std::size_t name = at + mark.size();
    const std::size_t name_end = page.find(" -->", name);
    const std::size_t fence = page.find("```c", name_end);
    const std::size_t code = page.find('\n', fence) + 1;
    const std::size_t code_end = page.find("```", code);
    if (name_end == std::string::npos || fence != name_end + 5 || code_end == std::string::npos)
      throw std::runtime_error("a mark without a block of code");
    found.push_back({page.substr(name, name_end - name), page.substr(code, code_end - code)});
    at = code_end;
  }
  return found;
}

/// Unmarked blocks of C++ could rot unseen.
std::size_t count(const std::string& text, const std::string& part) {
  std::size_t number = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++number;
  return number;
}

TEST_CASE("every block of C++ in the documentation stands in a compiled file") {
  std::vector<std::filesystem::path> pages{root / "README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  std::size_t total = 0;
  for (const auto& path : pages) {
    CAPTURE(path.string());
    const std::string page = read(path);
    const auto quoted = quotations(page);
    CHECK(count(page, "```cpp\n") + count(page, "```c\n") == quoted.size());
    total += quoted.size();
    for (const Quotation& quotation : quoted) {
      CAPTURE(quotation.source);
      CAPTURE(quotation.code);
      CHECK(read(root / quotation.source).find(quotation.code) != std::string::npos);
    }
  }
  CHECK(total >= 6);
}

/// "<!-- figures of FILE: 0.981 3.9 -->": what a page says of another file's numbers.
std::vector<std::pair<std::string, std::vector<std::string>>> figures(const std::string& page) {
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  static const std::regex mark("<!-- figures of ([^ :]+): ([^>]*) -->");
  for (std::sregex_iterator match(page.begin(), page.end(), mark), end; match != end; ++match) {
    std::istringstream words((*match)[2]);
    found.push_back({(*match)[1], {}});
    for (std::string number; words >> number;) found.back().second.push_back(number);
  }
  return found;
}

/// Tests whether a number stands there, and not as a part of a longer one.
bool has_figure(const std::string& text, const std::string& number) {
  const auto goes_on = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  for (std::size_t at = text.find(number); at != std::string::npos; at = text.find(number, at + 1)) {
    const std::size_t end = at + number.size();
    const bool is_decimal = end + 1 < text.size() && goes_on(text[end]) && goes_on(text[end + 1]);
    const bool is_longer = end < text.size() && text[end] >= '0' && text[end] <= '9';
    if ((at == 0 || !goes_on(text[at - 1])) && !is_decimal && !is_longer) return true;
  }
  return false;
}

TEST_CASE("figures of another page or of a program's output stand there too") {
  std::size_t total = 0;
  std::vector<std::filesystem::path> pages{root / "README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  for (const auto& path : pages) {
    const std::string page = read(path);
    for (const auto& marked : figures(page)) {
      const std::string& file = marked.first;
      const std::string source = read(root / file);
      const std::string text = page.substr(0, page.find("<!-- figures of"));
      for (const std::string& number : marked.second) {
        CAPTURE(path.string());
        CAPTURE(file);
        CAPTURE(number);
        CHECK(has_figure(text, number));
        CHECK(has_figure(source, number));
        ++total;
      }
    }
  }
  CHECK(total >= 9);
  CHECK(has_figure("a 3.9 % b", "3.9"));
  CHECK(has_figure("is 3.9.", "3.9"));
  CHECK_FALSE(has_figure("13.9 and 3.95 and 3.9.1", "3.9"));
}

/// The page without its blocks of code, where a lambda looks like a link.
std::string without_code(std::string page) {
  const std::string fence = "```";
  for (std::size_t at = page.find(fence); at != std::string::npos; at = page.find(fence)) {
    const std::size_t end = page.find(fence, at + fence.size());
    page.erase(at, end == std::string::npos ? end : end + fence.size() - at);
  }
  return page;
}

/// README.md, CONTRIBUTING.md, the page of packaging and those of docs/.
std::vector<std::filesystem::path> linked_pages() {
  std::vector<std::filesystem::path> pages{root / "README.md", root / "CONTRIBUTING.md",
                                           root / "packaging/README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  return pages;
}

/// The anchors of a page's headings as GitHub makes them: lower case, hyphens for spaces, no punctuation.
std::set<std::string> anchors(const std::string& page) {
  std::set<std::string> found;
  std::istringstream lines(without_code(page));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) continue;
    std::string anchor;
    for (const char c : line.substr(line.find_first_not_of("# "))) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == ' ')
        anchor += '-';
      else if (byte >= 0x80 || std::isalnum(byte) || c == '-' || c == '_')
        anchor += static_cast<char>(std::tolower(byte));
    }
    found.insert(anchor);
  }
  return found;
}

TEST_CASE("every link from the documentation to a file of the project leads somewhere, with its anchor") {
  for (const auto& path : linked_pages()) {
    const std::string page = without_code(read(path));
    for (std::size_t at = page.find("]("); at != std::string::npos; at = page.find("](", at + 1)) {
      const std::string link = page.substr(at + 2, page.find(')', at) - at - 2);
      if (link.starts_with("http")) continue;
      const std::string target = link.substr(0, link.find('#'));
      CAPTURE(path.string());
      CAPTURE(link);
      CHECK_FALSE(target.empty());  // the reference wants the page's name before an anchor
      CHECK(std::filesystem::exists(path.parent_path() / target));
      if (target.size() < link.size())
        CHECK(anchors(read(path.parent_path() / target)).count(link.substr(target.size() + 1)) == 1);
    }
  }
  CHECK(anchors("# A rule, of `your` own\n## x_y") == std::set<std::string>{"a-rule-of-your-own", "x_y"});
}

TEST_CASE("every header that a page names exists, and the first page leads to every other") {
  static const std::regex header("`(?:include/)?(symopt/[a-z0-9_/]+\\.h(?:pp)?)`");
  std::size_t total = 0;
  const std::string first_page = read(root / "README.md");
  for (const auto& path : linked_pages()) {
    CAPTURE(path.string());
    const std::string page = read(path);
    for (std::sregex_iterator match(page.begin(), page.end(), header), end; match != end; ++match, ++total) {
      CAPTURE((*match)[1].str());
      CHECK(std::filesystem::exists(root / "include" / (*match)[1].str()));
    }
    if (path.parent_path().filename() == "docs")
      CHECK(first_page.find("](docs/" + path.filename().string()) != std::string::npos);
  }
  CHECK(total >= 10);
}

/// "`NAME` in [file](path)": the names that a page places in files, with the paths.
std::vector<std::pair<std::string, std::string>> placed_names(const std::string& page) {
  std::vector<std::pair<std::string, std::string>> found;
  static const std::regex placed("`([A-Za-z_]+)`\\s+in\\s+\\[[^\\]]*\\]\\(([^)#]*)\\)");
  for (std::sregex_iterator match(page.begin(), page.end(), placed), end; match != end; ++match)
    found.emplace_back((*match)[1], (*match)[2]);
  return found;
}

TEST_CASE("every name on the map stands in the file that the map says") {
  const auto placed = placed_names(read(root / "docs/map.md"));
  CHECK(placed.size() >= 20);
  for (const auto& place : placed) {
    const std::string &name = place.first, &path = place.second;
    CAPTURE(name);
    CAPTURE(path);
    CHECK(std::regex_search(read(root / "docs" / path), std::regex("\\b" + name + "\\b")));
  }
  CHECK(placed_names("`a` in\n[b](c.hpp) and `d`").size() == 1);
}

TEST_CASE("a block that is not in its file is noticed") {
  const auto quoted = quotations("<!-- quoted from a.cpp -->\n```cpp\nint x;\n```\n");
  REQUIRE(quoted.size() == 1);
  CHECK(quoted.front().source == "a.cpp");
  CHECK(quoted.front().code == "int x;\n");
  CHECK_THROWS(quotations("<!-- quoted from a.cpp -->\ntext\n```cpp\nint x;\n```\n"));
}

}}  // namespace docs_test
