// SPDX-License-Identifier: Apache-2.0
#include "support/all_updates.hpp"
#include "support/group_list.hpp"

#include <symopt/derive/update.hpp>
#include <symopt/optimizer/rule_traits.hpp>

namespace symopt_test {

namespace {

template <class G, class Scalar>
symopt::Matrix<Scalar> default_direction(const symopt::Matrix<Scalar>&,
                                         const symopt::Matrix<Scalar>& gradient) {
  const symopt::Update<G> update;
  return update(gradient);
}

template <class G>
double (*root_mean_square())(symopt::Shape) {
  if constexpr (symopt::detail::states_root_mean_square<symopt::Update<G>>) {
    return
        [](symopt::Shape shape) { return symopt::detail::root_mean_square_of(symopt::Update<G>{}, shape); };
  } else {
    return nullptr;
  }
}

}  // namespace

const std::vector<DefaultUpdate>& default_updates() {
  static const std::vector<DefaultUpdate> all = [] {
    std::vector<DefaultUpdate> list;
    for_each_type<UpdateGroups>([&]<class G>() {
      const std::string name = "the default update";
      list.push_back({group_of<G>(),
                      {name, {}, default_direction<G, float>},
                      {name, default_direction<G, double>, {}},
                      root_mean_square<G>()});
    });
    return list;
  }();
  return all;
}

}  // namespace symopt_test
