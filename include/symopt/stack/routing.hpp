// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/glob.hpp>
#include <symopt/stack/role.hpp>

#include <algorithm>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace symopt {

/// A parameter of the trainer: its name and its memory. Without a gradient it is left alone until it gets one.
template <class Scalar>
struct NamedTensor {
  std::string name;
  TensorView<Scalar> weights;
  std::optional<TensorView<const Scalar>> gradient{};
};

/// Which role a parameter has, by its name: a list of patterns.
///   routing.add("lm_head.weight", role<LmHead>());                               must match a parameter
///   routing.add("layers.*.mlp.{gate,up}_proj.weight", role<SwigluInput>());      see Glob
///   routing.add_optional("layers.*.mlp.router.weight", role<Router>());          may match none
/// An exact name goes before patterns with wildcards. Two patterns of a kind for one parameter, a parameter without
/// any, and a pattern of add() without a parameter are errors. Tensors of one dimension (gains, biases) need no
/// pattern: they go to AdamW, as they do where a pattern names a rule for matrices.
template <class Scalar>
class BasicRouting {
 public:
  BasicRouting() = default;

  BasicRouting& add(Glob pattern, BasicRole<Scalar> role) {
    routes_.push_back({std::move(pattern), std::move(role), true});
    return *this;
  }
  BasicRouting& add_optional(Glob pattern, BasicRole<Scalar> role) {
    routes_.push_back({std::move(pattern), std::move(role), false});
    return *this;
  }

  /// The role of tensors of one dimension. Errors: std::invalid_argument for a rule that needs a matrix.
  BasicRouting& set_vectors(BasicRole<Scalar> role) {
    if (!role.acts_entrywise())
      throw std::invalid_argument("symopt: tensors of one dimension need a rule like AdamW, not one for matrices");
    vectors_ = std::move(role);
    return *this;
  }

  /// The role of every tensor, in their order.
  /// Errors: std::invalid_argument that lists all names and patterns that do not fit, with the nearest ones.
  std::vector<BasicRole<Scalar>> roles_of(const std::vector<NamedTensor<Scalar>>& tensors) const {
    std::vector<BasicRole<Scalar>> roles;
    std::vector<bool> used(routes_.size(), false);
    std::string problems;
    for (const NamedTensor<Scalar>& tensor : tensors) {
      const std::vector<std::size_t> matching = matches(tensor.name);
      for (const std::size_t route : matching) used[route] = true;
      const bool is_vector = tensor.weights.dimensions() <= 1;
      if (matching.size() > 1) {
        problems += "\n  parameter '" + tensor.name + "' is matched by '" +
                    routes_[matching[0]].pattern.text() + "' and by '" + routes_[matching[1]].pattern.text() +
                    "'; narrow or remove one of them";
      } else if (matching.empty() && !is_vector) {
        problems += "\n  parameter '" + tensor.name + "' (" + tensor.weights.to_string() +
                    ") is matched by no pattern" + nearest_pattern(tensor.name);
      } else if (matching.empty() || (is_vector && !routes_[matching[0]].role.acts_entrywise())) {
        roles.push_back(vectors_);
      } else {
        roles.push_back(routes_[matching[0]].role);
      }
    }
    for (std::size_t route = 0; route < routes_.size(); ++route)
      if (!used[route] && routes_[route].is_required)
        problems += "\n  pattern '" + routes_[route].pattern.text() + "' matches no parameter" +
                    nearest_name(routes_[route].pattern.text(), tensors);
    if (!problems.empty()) throw std::invalid_argument("symopt: the routing does not fit:" + problems);
    return roles;
  }

 private:
  struct Route {
    Glob pattern;
    BasicRole<Scalar> role;
    bool is_required;
  };

  /// The exact names that match, or else the patterns that do.
  std::vector<std::size_t> matches(const std::string& name) const {
    std::vector<std::size_t> exact, globs;
    for (std::size_t i = 0; i < routes_.size(); ++i)
      if (routes_[i].pattern.matches(name)) (routes_[i].pattern.is_exact() ? exact : globs).push_back(i);
    // A name that overrides a pattern leaves the pattern its other parameters.
    return exact.empty() ? globs : exact;
  }

  /// How many characters must change to make `a` of `b` (Levenshtein's distance).
  static std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j <= b.size(); ++j) {
        const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
      }
    }
    return row.back();
  }

  std::string nearest_pattern(const std::string& name) const {
    const auto nearest = std::ranges::min_element(
        routes_, {}, [&](const Route& route) { return distance(name, route.pattern.text()); });
    return nearest == routes_.end() ? "; the routing is empty"
                                    : "; the nearest is '" + nearest->pattern.text() + "'";
  }
  static std::string nearest_name(const std::string& pattern, const std::vector<NamedTensor<Scalar>>& tensors) {
    const auto nearest = std::ranges::min_element(
        tensors, {}, [&](const NamedTensor<Scalar>& tensor) { return distance(pattern, tensor.name); });
    return nearest == tensors.end() ? "" : "; the nearest name is '" + nearest->name + "'";
  }

  std::vector<Route> routes_;
  BasicRole<Scalar> vectors_ = role<AdamW, Scalar>();
};

using Routing = BasicRouting<float>;

}  // namespace symopt
