// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/any_group.hpp>
#include <symopt/type_name.hpp>

#include <memory>
#include <string>
#include <vector>

// The groups of group_list.hpp with their types hidden, compiled once: suites loop over them.
namespace symopt_test {

/// The list that a group comes from.
enum class GroupList { simple, named, product, user, scaling };

/// A group by the scalars that its elements are computed in.
struct NamedGroup {
  std::string name;
  GroupList list;
  std::unique_ptr<const symopt::check::AnyGroup> in_float;
  std::unique_ptr<const symopt::check::AnyGroup> in_double;
  std::unique_ptr<const symopt::check::AnyGroup> in_wide;  ///< as checks of rules use it
};

/// All groups, in the order of the lists.
const std::vector<NamedGroup>& groups();
/// The one of that name, as reports print it.
const NamedGroup& group_named(const std::string& name);
/// The one of that type.
template <class Group>
const NamedGroup& group_of() {
  return group_named(symopt::detail::type_name<Group>());
}

}  // namespace symopt_test
