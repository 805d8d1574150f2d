// SPDX-License-Identifier: Apache-2.0
// The order of the shipped groups as a picture. Everything in it is asked of the library at compile time: an
// arrow is is_subgroup_v, with nothing between; the derived update is default_normalization_t; a map stands
// at its largest group.
//   group_lattice                    prints the picture for Graphviz
//   group_lattice FILE.dot FILE.svg  exits with 1 unless both show what the library says now
#include <symopt/symopt.hpp>

#include <array>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

using namespace symopt;

namespace {

constexpr int h = 64;  // any size of heads; the picture writes h

struct Row {
  const char* name;
  const char* symbol;
  bool is_parameter_class = false;
};

/// A group, with the names and the symbols that a reader knows it by.
template <class G>
struct Entry {
  using group = G;
  Row row;
};

// Equal groups share a node: the first one's symbol, everybody's name.
const auto groups = std::make_tuple(
    Entry<Trivial>{{"Trivial", "1"}}, Entry<SharedShift>{{"SharedShift", "W + 1 cᵀ"}},
    Entry<RowPermutation>{{"Row<BR/>Permutation", "S(m)"}},
    Entry<ColumnPermutation>{{"Column<BR/>Permutation", "S(n)"}},
    Entry<ColumnShift>{{"ColumnShift", "W + a 1ᵀ"}},
    Entry<SignedRowPermutation>{{"SignedRow<BR/>Permutation", "B(m)"}},
    Entry<SignedColumnPermutation>{{"SignedColumn<BR/>Permutation", "B(n)"}},
    Entry<HeadRotations<Side::left, h>>{{"HeadRotations<BR/>&lt;left, h&gt;", "O(h) ≀ S"}},
    Entry<HeadRotations<Side::right, h>>{{"HeadRotations<BR/>&lt;right, h&gt;", "O(h) ≀ S"}},
    Entry<LeftOrthogonal>{{"LeftOrthogonal", "O(m)"}}, Entry<RightOrthogonal>{{"RightOrthogonal", "O(n)"}},
    Entry<Product<RowPermutation, ColumnPermutation>>{{"", "S(m) × S(n)"}},
    Entry<Product<SignedRowPermutation, SignedColumnPermutation>>{{"", "B(m) × B(n)"}},
    Entry<Embedding>{{"Embedding", "S(m) × O(n)", true}}, Entry<TiedEmbedding>{{"TiedEmbedding", "", true}},
    Entry<SwigluInput>{{"SwigluInput", "", true}}, Entry<SwigluOutput>{{"SwigluOutput", "O(m) × S(n)", true}},
    Entry<Product<SignedRowPermutation, RightOrthogonal>>{{"", "B(m) × O(n)"}},
    Entry<Product<LeftOrthogonal, SignedColumnPermutation>>{{"", "O(m) × B(n)"}},
    Entry<Product<HeadRotations<Side::left, h>, RightOrthogonal>>{{"", "O(h) ≀ S × O(n)"}},
    Entry<Product<LeftOrthogonal, HeadRotations<Side::right, h>>>{{"", "O(m) × O(h) ≀ S"}},
    Entry<LmHead>{{"LmHead", "S(m) × O(n)<BR/>and W + 1 cᵀ", true}}, Entry<Router>{{"Router", "", true}},
    Entry<HiddenMatrix>{{"HiddenMatrix", "O(m) × O(n)", true}});
constexpr std::size_t count = std::tuple_size_v<decltype(groups)>;

template <std::size_t i>
using group_t = typename std::tuple_element_t<i, std::remove_const_t<decltype(groups)>>::group;

using Relation = std::array<std::array<bool, count>, count>;

template <std::size_t... i>
constexpr Relation order(std::index_sequence<i...>) {
  const auto row = []<class G>(std::type_identity<G>) {
    return std::array<bool, count>{is_subgroup_v<G, group_t<i>>...};
  };
  return {row(std::type_identity<group_t<i>>{})...};
}
constexpr Relation below = order(std::make_index_sequence<count>{});

/// The first of the groups equal to this one.
constexpr std::size_t node_of(std::size_t i) {
  for (std::size_t j = 0; j < i; ++j)
    if (below[i][j] && below[j][i]) return j;
  return i;
}
constexpr bool strictly_below(std::size_t i, std::size_t j) {
  return below[i][j] && !below[j][i];
}

/// j lies above i, and no node between them.
bool is_covered(std::size_t i, std::size_t j) {
  if (node_of(i) != i || node_of(j) != j || !strictly_below(i, j)) return false;
  for (std::size_t k = 0; k < count; ++k)
    if (strictly_below(i, k) && strictly_below(k, j)) return false;
  return true;
}

/// The look of a node of that update.
struct Look {
  const char* update;
  const char* fill;
};
template <class Normalization>
constexpr Look look_of() {
  if constexpr (std::same_as<Normalization, RowNorm>) {
    return {"RowNorm", "#d8efe4"};
  } else if constexpr (std::same_as<Normalization, ColumnNorm>) {
    return {"ColumnNorm", "#fbe7cf"};
  } else if constexpr (std::same_as<Normalization, Sign>) {
    return {"Sign", "#f6dbe0"};
  } else if constexpr (std::same_as<Normalization, Identity>) {
    return {"gradient", "#f1f2f4"};
  } else if constexpr (std::same_as<Normalization, Spectral<>>) {
    return {"Spectral", "#dde3f8"};
  } else if constexpr (std::same_as<Normalization, LeftSpectral<>>) {
    return {"LeftSpectral", "#dde3f8"};
  } else if constexpr (std::same_as<Normalization, RightSpectral<>>) {
    return {"RightSpectral", "#dde3f8"};
  } else {
    static_assert(std::same_as<Normalization, HeadSpectral<Side::left, h>> ||
                  std::same_as<Normalization, HeadSpectral<Side::right, h>>);
    return {"HeadSpectral", "#e7ddf5"};
  }
}

/// The shipped maps whose largest group is G.
template <class G>
std::string maps_at() {
  std::string text;
  const auto add = [&]<class Map>(std::type_identity<Map>, const char* name) {
    if constexpr (detail::claimed_families<Map> == families_of<G>)
      text += (text.empty() ? "" : ",<BR/>") + std::string(name);
  };
  add(std::type_identity<Identity>{}, "Identity");
  add(std::type_identity<FrobeniusNorm>{}, "FrobeniusNorm");
  add(std::type_identity<Spectral<>>{}, "Spectral");
  add(std::type_identity<RowNorm>{}, "RowNorm");
  add(std::type_identity<ColumnNorm>{}, "ColumnNorm");
  add(std::type_identity<Sign>{}, "Sign");
  add(std::type_identity<HeadSpectral<Side::left, h>>{}, "HeadSpectral<BR/>&lt;left, h&gt;");
  add(std::type_identity<HeadSpectral<Side::right, h>>{}, "HeadSpectral<BR/>&lt;right, h&gt;");
  return text;
}

template <std::size_t i>
void print_node(std::ostream& out) {
  if (node_of(i) != i) return;
  using G = group_t<i>;
  std::vector<std::string> names;
  std::apply(
      [&](const auto&... entry) {
        std::size_t j = 0;
        ((node_of(j++) == i && *entry.row.name ? names.push_back(entry.row.name) : void()), ...);
      },
      groups);
  const Row row = std::get<i>(groups).row;
  const Look look = look_of<default_normalization_t<G>>();
  const bool projects = !horizontal_projection_t<G>::is_identity;
  const std::string maps = maps_at<G>();

  out << "  g" << i << " [fillcolor=\"" << look.fill << "\""
      << (row.is_parameter_class ? ", penwidth=1.8, color=\"#3d4754\"" : "")
      << ", label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"1\">";
  const auto line = [&](const std::string& text) { out << "<TR><TD>" << text << "</TD></TR>"; };
  for (const std::string& name : names) line("<B>" + name + "</B>");
  line(row.symbol);
  line("<FONT COLOR=\"#4a5462\" POINT-SIZE=\"11\">" + std::string("derives ") +
       (projects ? (std::string(look.update) == "gradient" ? std::string("P gradient")
                                                           : "P " + std::string(look.update) + " P")
                 : std::string(look.update)) +
       "</FONT>");
  if (!maps.empty())
    line("<FONT COLOR=\"#8a4b08\" POINT-SIZE=\"11\">largest group of<BR/>" + maps + "</FONT>");
  out << "</TABLE>>];\n";
}

struct Edge {
  std::size_t from, to;
};
std::vector<Edge> edges() {
  std::vector<Edge> found;
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = 0; j < count; ++j)
      if (is_covered(i, j)) found.push_back({i, j});
  return found;
}

std::string picture() {
  std::ostringstream out;
  out << "// Written by examples/group_lattice.cpp; rendered by: dot -Tsvg docs/groups.dot -o "
         "docs/groups.svg\n"
         "digraph groups {\n"
         "  graph [rankdir=BT, nodesep=0.12, ranksep=0.42, bgcolor=\"white\", pad=0.2];\n"
         "  node [shape=box, style=\"rounded,filled\", color=\"#6b7686\", "
         "fontname=\"DejaVu Sans,Verdana,sans-serif\", "
         "fontsize=12, margin=\"0.06,0.06\"];\n"
         "  edge [color=\"#8d97a5\", arrowsize=0.6];\n";
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    (print_node<i>(out), ...);
  }
  (std::make_index_sequence<count>{});
  for (const Edge& edge : edges()) out << "  g" << edge.from << " -> g" << edge.to << ";\n";
  out << "}\n";
  return out.str();
}

std::string read(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cout << picture();
    return 0;
  }
  if (read(argv[1]) != picture()) {
    std::cerr << argv[1] << " is not the order that the library has: group_lattice > " << argv[1] << '\n';
    return 1;
  }
  // Graphviz writes an arrow's ends into its title; the rest of its output depends on its version.
  const std::string svg = read(argv[2]);
  std::size_t drawn = 0;
  for (std::size_t at = 0; (at = svg.find("class=\"edge\"", at)) != std::string::npos; ++at) ++drawn;
  bool is_drawn = drawn == edges().size();
  for (const Edge& edge : edges()) {
    const std::string title =
        "<title>g" + std::to_string(edge.from) + "&#45;&gt;g" + std::to_string(edge.to) + "</title>";
    is_drawn = is_drawn && svg.find(title) != std::string::npos;
  }
  if (!is_drawn) std::cerr << argv[2] << " is older than " << argv[1] << ": dot -Tsvg\n";
  return is_drawn ? 0 : 1;
}
