// SPDX-License-Identifier: Apache-2.0
#include "support/all_groups.hpp"
#include "support/group_list.hpp"

#include <stdexcept>

namespace symopt_test {

namespace {

template <class Tuple>
void add_all(std::vector<NamedGroup>& all, GroupList list) {
  using symopt::check::ErasedGroup;
  using Pointer = std::unique_ptr<const symopt::check::AnyGroup>;
  for_each_type<Tuple>([&]<class G>() {
    all.push_back({symopt::detail::type_name<G>(), list, Pointer(new ErasedGroup<G, float>),
                   Pointer(new ErasedGroup<G, double>), Pointer(new ErasedGroup<G>)});
  });
}

}  // namespace

const std::vector<NamedGroup>& groups() {
  static const std::vector<NamedGroup> all = [] {
    std::vector<NamedGroup> list;
    add_all<SimpleGroups>(list, GroupList::simple);
    add_all<ParameterClasses>(list, GroupList::named);
    add_all<ProductGroups>(list, GroupList::product);
    add_all<UserGroups>(list, GroupList::user);
    add_all<ScalingGroups>(list, GroupList::scaling);
    return list;
  }();
  return all;
}

const NamedGroup& group_named(const std::string& name) {
  for (const NamedGroup& group : groups())
    if (group.name == name) return group;
  throw std::invalid_argument("no group of the lists is called " + name);
}

}  // namespace symopt_test
