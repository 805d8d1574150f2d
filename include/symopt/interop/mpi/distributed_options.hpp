// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/communicator.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

/// The gradient that a step takes, of those of the ranks:
///   averaged  their mean, of losses that are means over a rank's own batch
///   summed    their sum, of losses that are divided by the size of the joined batch already
///   as_given  nothing: the trainer has reduced them, and they are the same on every rank
enum class Gradients { averaged, summed, as_given };

constexpr const char* to_string(Gradients gradients) {
  switch (gradients) {
    case Gradients::summed:
      return "summed";
    case Gradients::as_given:
      return "as given";
    case Gradients::averaged:
      break;
  }
  return "averaged";
}

/// The options of a stack over several processes, beside those of its parameters.
struct DistributedOptions {
  Gradients gradients = Gradients::averaged;  ///< of the ranks, together
  /// Seconds that a rank waits for a message of the others before it ends all processes with a sentence; 0
  /// waits for ever. Longer than anything that one rank does alone between steps: an evaluation, a save.
  double timeout = 0;
};

/// Throws std::invalid_argument unless the time-out is one.
inline void validate(const DistributedOptions& options) {
  detail::require_timeout(options.timeout);
}

}}}  // namespace symopt::mpi
