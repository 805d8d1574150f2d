// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

// The peers in libtorch, apart from Eigen's headers.
namespace symopt_benchmark {

/// A step in ATen.
class TorchStep {
 public:
  virtual ~TorchStep() = default;
  virtual void step() = 0;
};

/// The step of the published algorithm: momentum, five Newton-Schulz steps in float, apply. For `blocks`
/// matrices of rows x cols: all in one batched product (bmm), or a loop over the blocks.
std::unique_ptr<TorchStep> torch_newton_schulz(long blocks, long rows, long cols, bool batched, int threads);

/// One-sided Shampoo with averages: momentum, products of the gradient, their inverse root by an
/// eigendecomposition in float in one of `every` steps, apply.
std::unique_ptr<TorchStep> torch_shampoo(long rows, long cols, int every, int threads);

}  // namespace symopt_benchmark
