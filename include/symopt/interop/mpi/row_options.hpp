// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/communicator.hpp>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

/// The options of a block whose rows several processes share, beside those of its optimizer.
struct RowOptions {
  /// Seconds that a rank waits for a message of the others before it ends all processes with a sentence; 0
  /// waits for ever. Longer than anything that one rank does alone between steps: an evaluation, a save.
  double timeout = 0;
};

/// Throws std::invalid_argument unless the time-out is one.
inline void validate(const RowOptions& options) {
  detail::require_timeout(options.timeout);
}

}}}  // namespace symopt::mpi
