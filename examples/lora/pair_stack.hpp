// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/gauge.hpp>
#include <symopt/interop/torch_tensor.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/state/state.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adapters.hpp"

namespace lora {

/// The rate of a PairStack, where torch's schedulers look for it.
class PairRate : public torch::optim::OptimizerCloneableOptions<PairRate> {
 public:
  explicit PairRate(double rate) : rate_(rate) {}
  double get_lr() const override { return rate_; }
  void set_lr(const double rate) override { rate_ = rate; }

 private:
  double rate_;
};

/// symopt's stack on LoRA's pairs, as an optimizer of libtorch: every adapter is a LoraPair, A = up and
/// B = down^T, in the tensors' own memory. The rate is that of the product, in AdamW's units.
template <class Scalar>
class PairStack : public torch::optim::Optimizer {
 public:
  PairStack(const Adapters& adapters, double rate)
      : torch::optim::Optimizer({torch::optim::OptimizerParamGroup(adapters.parameters())},
                                std::make_unique<PairRate>(rate)),
        adapters_(adapters.all()),
        peak_(rate),
        stack_({.learning_rate = rate}) {
    using namespace symopt;
    TORCH_CHECK(rate > 0, "the rate must be positive");
    for (const Adapter& adapter : adapters_)
      stack_.template add_pair<LoraPair>(adapter.name, view(adapter.up), std::nullopt,
                                         view(adapter.down.detach().t()), std::nullopt);
  }

  torch::Tensor step(LossClosure closure = nullptr) override {
    TORCH_CHECK(closure == nullptr, "call backward before the step");
    for (const Adapter& adapter : adapters_) {
      stack_.set_gradient(adapter.name + ".a", gradient(adapter.up.grad()));
      stack_.set_gradient(adapter.name + ".b", gradient(adapter.down.grad().t()));
    }
    stack_.set_schedule_factor(param_groups().front().options().get_lr() / peak_);
    stack_.step();
    return {};
  }

  /// The momenta and the rates, as symopt saves them.
  void save(torch::serialize::OutputArchive& archive) const override {
    const std::string bytes = symopt::interop::state_bytes(stack_);
    const torch::Tensor tensor = torch::empty({static_cast<std::int64_t>(bytes.size())}, torch::kByte);
    std::ranges::copy(bytes, static_cast<char*>(tensor.data_ptr()));
    archive.write("symopt", tensor, true);
  }
  void load(torch::serialize::InputArchive&) override {
    TORCH_CHECK(false, "no training of this example goes on from a file");
  }

 private:
  static symopt::TensorView<Scalar> view(const torch::Tensor& tensor) {
    return symopt::interop::tensor_view<Scalar>(tensor);
  }
  static symopt::TensorView<const Scalar> gradient(const torch::Tensor& tensor) {
    return symopt::interop::tensor_view<const Scalar>(tensor);
  }

  std::vector<Adapter> adapters_;
  double peak_;
  symopt::BasicLayerwiseOptimizer<Scalar> stack_;
};

}  // namespace lora
