// SPDX-License-Identifier: Apache-2.0
// Replays published trajectories by libtorch's operations, in both storage orders.
#include "golden/trajectories.hpp"
#include "interop/torch/device.hpp"
#include "interop/torch/form_role.hpp"

#include <symopt/interop/torch/tensor_stack.hpp>

namespace golden_test { namespace {

/// The inverse roots of the published code in operations: see CoupledWorkspace.
template <class Method>
struct CoupledByTorch : Method {
  void torch_apply(at::Tensor& blocks, Side side) const {
    constexpr bool is_express = std::is_same_v<Method, polar::CoupledPolarExpress>;
    using interop::detail::gram_matrices;
    at::Tensor y = gram_matrices(blocks, side);
    const at::Tensor identity = at::eye(y.size(-1), y.options());
    y = y + identity * this->eps;
    const double factor = is_express ? 1.02 : 1.0, added = is_express ? this->eps : 0.0;
    const at::Tensor scale = at::linalg_vector_norm(y, 2, {{-2, -1}}, true) * factor + added;
    y = y / scale;
    at::Tensor z = identity.expand_as(y);
    for (int step = 0; step < this->steps; ++step) {
      at::Tensor t = identity * 1.5 - z.matmul(y) * 0.5;
      if constexpr (is_express) {
        const polar::Quintic& q = this->coefficients[step];
        const at::Tensor product = z.matmul(y);
        const at::Tensor rest = identity - (product + product.transpose(-2, -1)) * 0.5;
        t = identity * (q.a + q.b + q.c) - rest * (q.b + 2 * q.c) + rest.matmul(rest) * q.c;
      }
      y = y.matmul(t);
      z = t.matmul(z);
    }
    blocks = interop::detail::multiplied(z, blocks, side) / scale.sqrt();
  }
};

struct ByOperations {
  template <class Method>
  static auto with_method(const Method& method) {
    return CoupledByTorch<Method>{method};
  }

  template <class Rule>
  static Verdict whole(const Trajectory& run, const OptimizerOptions& options, const Rule& rule,
                       bool also_in_float = true) {
    Verdict verdict = laid_out(run, options, {}, rule);
    if (!also_in_float) verdict.in_float = 0;
    return verdict;
  }

  template <class Rule>
  static Verdict laid_out(const Trajectory& run, const OptimizerOptions& options, const Layout& layout,
                          const Rule& rule) {
    Verdict verdict;
    for (const bool first_runs_fastest : {false, true}) {
      const auto role_in_double = symopt_test::form_role<double>(rule, options, layout);
      const auto role_in_float = symopt_test::form_role<float>(rule, options, layout);
      verdict.in_double = std::max(verdict.in_double, replay(run, role_in_double, first_runs_fastest));
      verdict.in_float = std::max(verdict.in_float, replay(run, role_in_float, first_runs_fastest));
    }
    return verdict;
  }

 private:
  template <class Scalar>
  static double replay(const Trajectory& run, const BasicRole<Scalar>& role, bool first_runs_fastest) {
    const std::vector<std::int64_t> sizes(run.sizes.begin(), run.sizes.end());
    const auto stored = [&](const std::vector<double>& values) {
      at::Tensor tensor =
          at::tensor(values, at::kDouble).reshape(sizes).to(at::CppTypeToScalarType<Scalar>::value);
      if (first_runs_fastest) {
        std::vector<std::int64_t> backwards(sizes.size());
        std::iota(backwards.rbegin(), backwards.rend(), std::int64_t{0});
        tensor = tensor.permute(backwards).contiguous().permute(backwards);
      }
      return tensor.to(symopt_test::device_under_test(), /*non_blocking=*/false, /*copy=*/true,
                       at::MemoryFormat::Preserve);
    };
    const at::Tensor weights = stored(run.weights.front());
    interop::detail::TensorStack<Scalar> stack;
    stack.add("block", role, weights);
    double worst = 0;
    for (std::size_t t = 0; t < run.gradients.size(); ++t) {
      stack.set_gradient("block", stored(run.gradients[t]));
      stack.step();
      const at::Tensor expected = at::tensor(run.weights[t + 1], at::kDouble).reshape(sizes);
      const at::Tensor difference = (weights.cpu().to(at::kDouble) - expected).abs().max();
      const double error = (difference / expected.abs().max()).template item<double>();
      if (!(error <= 1)) return std::numeric_limits<double>::infinity();
      worst = std::max(worst, error);
    }
    return worst;
  }
};

TEST_CASE("published trajectories replay by operations, to 1e-9 in double and 2e-5 in float") {
  replay_all<ByOperations>();
}

}}  // namespace golden_test
