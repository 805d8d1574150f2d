// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/distributed_optimizer.hpp>

#include <cstddef>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// The way in for what saves and loads a stack over several processes.
struct DistributedAccess {
  /// The part of it in this process: all parameters, with the states of the blocks that it owns.
  ///@{
  template <class Scalar>
  static BasicLayerwiseOptimizer<Scalar>& stack(BasicDistributedOptimizer<Scalar>& optimizer) {
    return optimizer;
  }
  template <class Scalar>
  static const BasicLayerwiseOptimizer<Scalar>& stack(const BasicDistributedOptimizer<Scalar>& optimizer) {
    return optimizer;
  }
  ///@}
  /// Throws Error before distribute().
  template <class Scalar>
  static void require_distributed(const BasicDistributedOptimizer<Scalar>& optimizer, const char* caller) {
    optimizer.require_distributed(true, caller);
  }
};

}}}  // namespace symopt::mpi::detail
