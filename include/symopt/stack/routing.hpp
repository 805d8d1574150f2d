// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/memory/named_tensor.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/stack/edit_distance.hpp>
#include <symopt/stack/glob.hpp>
#include <symopt/stack/name_hints.hpp>
#include <symopt/stack/numbered_names.hpp>
#include <symopt/stack/pair_patterns.hpp>
#include <symopt/stack/pair_role.hpp>
#include <symopt/stack/role.hpp>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The roles of parameters by their names: a list of patterns.
///   routing.add("lm_head.weight", role<LmHead>());                               must match a parameter
///   routing.add("layers.*.mlp.{gate,up}_proj.weight", role<SwigluInput>());      see Glob
///   routing.add_optional("layers.*.mlp.router.weight", role<Router>());          may match none
///   routing.add_pair("**.lora_B", "**.lora_A", pair_role<LoraPair>({.b = layout::transposed()}));
/// An exact name goes before patterns with wildcards. Two patterns of a kind for one parameter, a parameter
/// without any, and a pattern of add() without a parameter are errors. Tensors of one dimension (gains,
/// biases) need no pattern: they go to AdamW, as they do where a pattern names a rule for matrices.
template <class Scalar>
class BasicRouting {
 public:
  BasicRouting() = default;

  /// Errors: std::invalid_argument for a pattern that is there already.
  BasicRouting& add(Glob pattern, BasicRole<Scalar> role) {
    return insert({std::move(pattern), std::move(role), true});
  }
  /// Adds a pattern that may match no parameter. Errors: std::invalid_argument for one that is there already.
  BasicRouting& add_optional(Glob pattern, BasicRole<Scalar> role) {
    return insert({std::move(pattern), std::move(role), false});
  }

  /// Adds the patterns of the two tensors of pairs, A and B, which differ in one place: names that differ
  /// there alone are a pair. Errors: Error for patterns that are there already or do not differ so.
  BasicRouting& add_pair(Glob a, Glob b, BasicPairRole<Scalar> role) {
    detail::PairPatterns patterns(a.text(), b.text());
    const detail::LinkedRoles<Scalar> shown =
        role.linked();  // what each side is, not yet linked to a partner
    require_new(a);
    require_new(b);
    routes_.push_back({std::move(a), shown.a.front(), true, pairs_.size()});
    routes_.push_back({std::move(b), shown.b.front(), true, pairs_.size()});
    pairs_.push_back({std::move(patterns), std::move(role), routes_.size() - 2});
    return *this;
  }

  /// Adds a hint that errors give about a parameter without a pattern, or a pattern without a parameter, that
  /// `names` matches.
  BasicRouting& add_hint(Glob names, std::string hint) {
    hints_.push_back({std::move(names), std::move(hint)});
    return *this;
  }

  /// The role of tensors of one dimension. Errors: std::invalid_argument for a rule that needs a matrix.
  BasicRouting& set_vectors(BasicRole<Scalar> role) {
    if (!role.acts_entrywise())
      throw Error("tensors of one dimension need a rule like AdamW, not one for matrices");
    vectors_ = std::move(role);
    return *this;
  }

  /// The routing of one tensor: the pattern that matched its name ("vectors" for none) and its role.
  struct Routed {
    std::string pattern;      ///< the text of the pattern
    BasicRole<Scalar> role;   ///< its role
    bool is_of_pair = false;  ///< the role is of this tensor alone, and of its partner's
  };

  /// The role of every tensor, in their order.
  /// Errors: std::invalid_argument that lists all names and patterns that do not fit, with the nearest ones.
  std::vector<Routed> roles_of(const std::vector<NamedTensor<Scalar>>& tensors) const {
    std::vector<Routed> roles;
    std::vector<bool> used(routes_.size(), false);
    std::vector<Member> members;
    Problems problems;
    for (const NamedTensor<Scalar>& tensor : tensors) {
      const std::vector<std::size_t> matching = matches(tensor.name, used);
      const bool is_vector = tensor.weights.dimensions() <= 1;
      if (matching.size() > 1) {
        problems.add("'" + text(matching[0]) + "' and '" + text(matching[1]) + "' both match ", tensor.name,
                     "; narrow one of them, or give the exact name, which goes first");
      } else if (matching.empty() && !is_vector) {
        problems.add("no pattern matches ", tensor.name,
                     " [" + tensor.weights.to_string() + "]" + hint_for_name(tensor.name));
      } else if (matching.empty() || (is_vector && !routes_[matching[0]].role.acts_entrywise())) {
        roles.push_back({"vectors", vectors_});
      } else {
        const Route& route = routes_[matching[0]];
        if (route.pair) members.push_back({tensor.name, matching[0], roles.size()});
        roles.push_back({text(matching[0]), route.role, route.pair.has_value()});
      }
    }
    if (problems.lines().empty()) link(members, roles, problems);
    std::vector<std::string> unused;
    for (std::size_t route = 0; route < routes_.size(); ++route)
      if (!used[route] && routes_[route].is_required)
        unused.push_back("pattern '" + text(route) + "' matches no parameter" +
                         hint_for_pattern(routes_[route].pattern, tensors));
    const std::string message =
        detail::first_lines(problems.lines(), "\n  ") + detail::first_lines(unused, "\n  ");
    if (!message.empty()) throw Error("the routing does not fit:" + message);
    return roles;
  }

 private:
  struct Route {
    Glob pattern;
    BasicRole<Scalar> role;
    bool is_required;
    std::optional<std::size_t> pair{};  // in pairs_
  };
  struct Pair {
    detail::PairPatterns patterns;
    BasicPairRole<Scalar> role;
    std::size_t route_of_a;
  };
  /// A tensor of a pair, its route, and where its role is.
  struct Member {
    std::string name;
    std::size_t route, place;
  };
  struct Hint {
    Glob names;
    std::string text;
  };

  /// The errors of a routing; one line for all parameters whose names differ only in numbers.
  class Problems {
   public:
    void add(const std::string& before, const std::string& name, const std::string& after) {
      const detail::NumberedNames names(name);
      const auto [place, is_new] =
          places_.emplace(before + "\n" + names.key() + "\n" + after, problems_.size());
      if (is_new) {
        problems_.push_back({before, names, after});
      } else {
        problems_[place->second].names.merge(names);
      }
    }
    std::vector<std::string> lines() const {
      std::vector<std::string> lines;
      for (const Problem& problem : problems_) {
        const std::size_t count = problem.names.count();
        lines.push_back(problem.before +
                        (count == 1 ? "parameter" : "the " + std::to_string(count) + " parameters") + " '" +
                        problem.names.text() + "'" + problem.after);
      }
      return lines;
    }

   private:
    struct Problem {
      std::string before;
      detail::NumberedNames names;
      std::string after;
    };
    std::vector<Problem> problems_;
    std::unordered_map<std::string, std::size_t> places_;  // in problems_
  };

  /// Gives both tensors of each pair roles that know each other.
  void link(const std::vector<Member>& members, std::vector<Routed>& roles, auto& problems) const {
    std::unordered_map<std::string, const Member*> others;
    const auto is_first = [this](const Member& member) {
      return pairs_[*routes_[member.route].pair].route_of_a == member.route;
    };
    for (const Member& member : members)
      if (!is_first(member)) others.emplace(member.name, &member);
    for (const Member& a : members) {
      if (!is_first(a)) continue;
      const Pair& pair = pairs_[*routes_[a.route].pair];
      const Member* partner = nullptr;
      for (const std::string& name : pair.patterns.partners_of(a.name)) {
        const auto found = others.find(name);
        if (found == others.end() || found->second->route != pair.route_of_a + 1) continue;
        partner = found->second;
        others.erase(found);
        break;
      }
      if (partner == nullptr) {
        problems.add("no partner by the pattern '" + text(pair.route_of_a + 1) + "' for ", a.name, "");
        continue;
      }
      const detail::LinkedRoles<Scalar> linked = pair.role.linked();
      roles[a.place].role = linked.a.front();
      roles[partner->place].role = linked.b.front();
    }
    for (const Member& member : members)
      if (others.contains(member.name))
        problems.add("no partner by the pattern '" + text(member.route - 1) + "' for ", member.name, "");
  }

  void require_new(const Glob& pattern) const {
    for (const Route& known : routes_)
      if (known.pattern.text() == pattern.text())
        throw Error(
            "the routing has the pattern '" + pattern.text() +
            "' already; keep one of them. The roles of a rule set are replaced in its TransformerRoles");
  }

  BasicRouting& insert(Route route) {
    require_new(route.pattern);
    routes_.push_back(std::move(route));
    return *this;
  }

  const std::string& text(std::size_t route) const { return routes_[route].pattern.text(); }

  /// The exact names that match, or else the patterns that do. All of them are noted in `used`: a pattern
  /// that an exact name overrides is not one that was misspelt.
  std::vector<std::size_t> matches(const std::string& name, std::vector<bool>& used) const {
    std::vector<std::size_t> exact, globs;
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      if (!routes_[i].pattern.matches(name)) continue;
      used[i] = true;
      (routes_[i].pattern.is_exact() ? exact : globs).push_back(i);
    }
    return exact.empty() ? globs : exact;
  }

  static std::size_t distance(const Glob& pattern, const std::string& name) {
    std::size_t least = std::numeric_limits<std::size_t>::max();
    for (const std::string& choice : pattern.choices())
      least = std::min(least, detail::edit_distance(choice, name));
    return least;
  }

  /// False for texts that have less than half of their characters in common.
  static bool is_near(std::size_t difference, const std::string& text) {
    return 2 * difference <= text.size();
  }

  /// A remedy with which the pattern would match the name; empty where none is known.
  static std::string hint_for_both(const Glob& pattern, const std::string& name) {
    const std::string bare = detail::without_wrappers(name);
    if (bare != name && pattern.matches(bare))
      return " without what a wrapper put before the name; give the names of the module inside, as '" + bare +
             "'";
    const std::string longer = detail::with_long_stars(pattern.text());
    if (longer != pattern.text() && Glob(longer).matches(name))
      return " if its stars went on over dots; * stops at a dot, ** does not: '" + longer + "'";
    return {};
  }

  std::string hint_for_name(const std::string& name) const {
    for (const Hint& hint : hints_)
      if (hint.names.matches(name)) return "; " + hint.text;
    for (const Route& route : routes_)
      if (const std::string hint = hint_for_both(route.pattern, name); !hint.empty())
        return "; '" + route.pattern.text() + "' would" + hint;
    const auto away = [&](const Route& route) { return distance(route.pattern, name); };
    const auto nearest = std::ranges::min_element(routes_, {}, away);
    if (nearest == routes_.end() || !is_near(away(*nearest), name)) return "; add one for it";
    return "; the nearest is '" + nearest->pattern.text() + "'";
  }
  std::string hint_for_pattern(const Glob& pattern, const std::vector<NamedTensor<Scalar>>& tensors) const {
    for (const Hint& hint : hints_)
      if (hint.names.matches(pattern.text())) return "; " + hint.text;
    for (const NamedTensor<Scalar>& tensor : tensors)
      if (const std::string hint = hint_for_both(pattern, tensor.name); !hint.empty())
        return "; it would match '" + tensor.name + "'" + hint;
    const auto away = [&](const NamedTensor<Scalar>& tensor) { return distance(pattern, tensor.name); };
    const auto nearest = std::ranges::min_element(tensors, {}, away);
    if (nearest == tensors.end() || !is_near(away(*nearest), nearest->name))
      return "; where a model need not have it, use add_optional()";
    return "; the nearest is '" + nearest->name + "'";
  }

  std::vector<Route> routes_;
  std::vector<Pair> pairs_;
  std::vector<Hint> hints_;
  BasicRole<Scalar> vectors_ = role<AdamW, Scalar>();
};

/// The routing of float models.
using Routing = BasicRouting<float>;

}}  // namespace symopt
