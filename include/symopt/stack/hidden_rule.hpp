// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/form_writer.hpp>
#include <symopt/stack/any_blocks.hpp>
#include <symopt/stack/pair_side.hpp>
#include <symopt/stack/stack_options.hpp>

#include <functional>
#include <memory>
#include <optional>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The facts and functions of a rule that its role uses, the type hidden.
template <class Scalar>
struct HiddenRule {
  bool acts_entrywise;         ///< takes tensors of one dimension
  bool keeps_state;            ///< of its own, not a momentum
  bool states_size;            ///< has a nominal root mean square
  double ClassRatios::*ratio;  ///< what multiplies the stack's rate
  /// Throws unless the options suit the rule.
  void (*validate)(const OptimizerOptions&);
  /// The blocks of a parameter with these options. Errors: of options that do not suit the rule.
  std::function<std::unique_ptr<AnyBlocks<Scalar>>(const OptimizerOptions&, const BlocksPlan&)> make_blocks;
  /// The factor of a scale on the rule's direction for a block of that shape.
  std::function<double(Scale, Shape)> scale_factor;
  /// The nominal root mean square of the direction's entries there, where the rule states it.
  std::function<std::optional<double>(Shape)> root_mean_square;
  /// The rule for write_form, one object for all copies of the role.
  std::shared_ptr<const void> rule;
  /// Writes the rule as data, for steps by other means than blocks; false where its form is not known.
  bool (*write_form)(const void* rule, FormWriter& writer);
  /// Of one block of a pair.
  std::optional<PairSide> side{};
};

}}}  // namespace symopt::detail
