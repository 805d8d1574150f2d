// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/all_groups.hpp"

#include <symopt/check/any_rule.hpp>

#include <vector>

// The updates that the groups of group_list.hpp derive, their types hidden, compiled once.
namespace symopt_test {

/// A group with its default update in either scalar alone.
struct DefaultUpdate {
  const NamedGroup& group;
  symopt::check::AnyRule in_float;
  symopt::check::AnyRule in_double;
  double (*root_mean_square)(symopt::Shape);  ///< the nominal one of its entries; null for the identity
};

/// Of all groups for which an update is derived.
const std::vector<DefaultUpdate>& default_updates();

}  // namespace symopt_test
