// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

// The peers in libtorch, apart from Eigen's headers.
namespace symopt_benchmark {

/// The step of the published algorithm in ATen: momentum, five Newton-Schulz steps in float, apply.
class TorchNewtonSchulz {
 public:
  virtual ~TorchNewtonSchulz() = default;
  virtual void step() = 0;
};

/// For `blocks` matrices of rows x cols: all in one batched product (bmm), or a loop over the blocks.
std::unique_ptr<TorchNewtonSchulz> torch_newton_schulz(long blocks, long rows, long cols, bool batched,
                                                       int threads);

}  // namespace symopt_benchmark
