// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/kernel/sweep.hpp>
#include <symopt/stack/state_access.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI {

/// The rows of a projection that make the queries or the keys of an attention: heads below each other, each a
/// run of rows of the tensor [out, in], or of one of a stack of them [layers, out, in].
struct HeadRows {
  std::string weights;  ///< name of the projection in the optimizer's stack
  Index heads = 1;      ///< in the projection
  Index size = 0;       ///< rows of a head; 0: all rows are shared equally by the heads
  Index first = 0;      ///< row where the first head begins: in a tensor with q, k and v
  Index stride = 0;     ///< rows from one head to the next; 0: size. In MLA's kv_b_proj content + value
  Index rotary = 0;     ///< the last rows of a query that meet a key which all heads share (MLA)
  std::string bias{};   ///< name of the projection's bias, [out] or [layers, out]; empty for none
  Index slice = 0;      ///< number of the layer in a stack of them
  bool is_transposed = false;  ///< stored (in, out): the heads are columns of the tensor
};

/// The report of a clip.
struct QkClipReport {
  Index clipped = 0;           ///< query heads whose largest logit exceeded the threshold
  double largest_logit = 0;    ///< of all heads
  double smallest_factor = 1;  ///< on the logits of a head
};

namespace detail {

/// Multiplies rows of a projection's weights, or entries of its bias, in whatever storage the stack has them.
template <class Scalar>
class ProjectionRows {
 public:
  ProjectionRows(const Parameter<Scalar>& parameter, const HeadRows& heads, bool is_bias, std::int64_t step)
      : heads_(heads) {
    const WeightsTensors<Scalar>& tensors = parameter.tensors();
    const std::size_t dimensions = is_bias ? 1 : 2, stored = tensors.sizes().size();
    require(stored == dimensions || stored == dimensions + 1, {parameter.name()}, [&] {
      return std::string("its shape is ") + tensors.shape_text() + "; a projection's " +
             (is_bias ? "bias is [out] or [layers, out]" : "weights are [out, in] or [layers, out, in]");
    });
    const Index layers = stored == dimensions ? 1 : tensors.sizes().front();
    require(heads.slice >= 0 && heads.slice < layers, {parameter.name()}, [&] {
      return "there is no layer " + std::to_string(heads.slice) + " among its " + std::to_string(layers);
    });
    const auto block_of = [&](const auto& tensor) {
      const auto layer = stored == dimensions ? tensor : tensor.slice(heads.slice);
      using Stored = std::remove_pointer_t<decltype(layer.data())>;
      const Axis lines{layer.sizes()[0], layer.strides()[0]};
      if (is_bias) return BlockView<Stored>(layer.data(), lines, {1, 1});
      const BlockView<Stored> block(layer.data(), lines, {layer.sizes()[1], layer.strides()[1]});
      return heads.is_transposed ? block.transposed() : block;
    };
    StoredWeights<Scalar> blocks;
    if (tensors.values) blocks.values.push_back(block_of(*tensors.values));
    if (tensors.bf16) blocks.bf16.push_back(block_of(*tensors.bf16));
    if (tensors.low) blocks.low.push_back(block_of(*tensors.low));
    kernel::Rounder rounder;
    if (tensors.seed) {  // other bits than those of any step
      const std::uint64_t number = static_cast<std::uint64_t>(step) | std::uint64_t{1} << 63;
      rounder = {Rounding::stochastic, kernel::RandomKey::of(*tensors.seed, parameter.name(),
                                                             static_cast<std::size_t>(heads.slice), number)};
    }
    weights_.emplace(blocks.view(0, RowMask{}, rounder));
    require_fit(parameter.name());
  }

  Index rows() const { return weights_->shape().rows; }

  /// Multiplies the rows of a head: `rotary` those that meet the shared key, `content` the others.
  void multiply(Index head, double content, double rotary) const {
    const Index begin = heads_.first + head * heads_.stride, end = begin + heads_.size;
    multiply_rows({begin, end - heads_.rotary}, content);
    multiply_rows({end - heads_.rotary, end}, rotary);
  }

 private:
  void require_fit(const std::string& name) {
    const Index rows = this->rows();
    require(heads_.heads > 0 && heads_.size >= 0 && heads_.first >= 0 && heads_.stride >= 0, {name},
            "heads must be positive, and size, first and stride of its heads not negative");
    if (heads_.size == 0) {
      require((rows - heads_.first) % heads_.heads == 0, {name}, [&] {
        return std::to_string(heads_.heads) + " heads do not share its " +
               std::to_string(rows - heads_.first) + " rows equally; give their size";
      });
      heads_.size = (rows - heads_.first) / heads_.heads;
    }
    if (heads_.stride == 0) heads_.stride = heads_.size;
    require(heads_.rotary >= 0 && heads_.rotary <= heads_.size, {name}, [&] {
      return "a head of " + std::to_string(heads_.size) + " rows has no " + std::to_string(heads_.rotary) +
             " rotary ones";
    });
    require(heads_.stride >= heads_.size, {name}, [&] {
      return "heads of " + std::to_string(heads_.size) + " rows do not begin every " +
             std::to_string(heads_.stride) + " rows";
    });
    const bool is_inside =
        heads_.size <= rows && heads_.first <= rows - heads_.size &&
        heads_.heads - 1 <= (rows - heads_.size - heads_.first) / std::max<Index>(1, heads_.stride);
    require(is_inside, {name}, [&] {
      return std::to_string(heads_.heads) + " heads of " + std::to_string(heads_.size) + " rows every " +
             std::to_string(heads_.stride) + " from row " + std::to_string(heads_.first) +
             " on do not lie in its " + std::to_string(rows) + " rows; is it stored (in, out)?";
    });
  }

  void multiply_rows(kernel::Range rows, double factor) const {
    if (factor == 1 || rows.begin == rows.end) return;
    using L = kernel::Lanes<Scalar>;
    const L lanes(static_cast<Scalar>(factor));
    kernel::sweep(
        rows, {0, weights_->shape().cols}, [=](L& w) SYMOPT_INLINE_LAMBDA { w = w * lanes; },
        kernel::inout(*weights_));
  }

  HeadRows heads_;
  std::optional<kernel::WeightsView<Scalar>> weights_;
};

/// Weights and bias of a projection.
template <class Scalar>
std::vector<ProjectionRows<Scalar>> projection_rows(const BasicLayerwiseOptimizer<Scalar>& stack,
                                                    const HeadRows& heads) {
  std::vector<ProjectionRows<Scalar>> projection;
  const auto add = [&](const std::string& name, bool is_bias) {
    (void)stack.options(name);  // throws with the nearest name
    for (const auto& parameter : StateAccess::parameters(stack))
      if (parameter->name() == name) projection.emplace_back(*parameter, heads, is_bias, stack.steps());
  };
  add(heads.weights, false);
  if (heads.bias.empty()) return projection;
  add(heads.bias, true);
  const Index rows = projection.front().rows(), entries = projection.back().rows();
  require(rows == entries, {heads.bias}, [&] {
    return "its " + std::to_string(entries) + " entries do not go with the " + std::to_string(rows) +
           " rows of '" + heads.weights + "'";
  });
  return projection;
}

/// The factors on the logits of the query heads: min(1, threshold / largest logit).
inline std::vector<double> clip_factors(const std::vector<double>& largest_logits, double threshold,
                                        QkClipReport& report) {
  std::vector<double> factors;
  report.largest_logit = largest_logits.front();
  for (const double logit : largest_logits) {
    require(is_finite(logit), "qk_clip: a largest logit is Inf or NaN; nothing was changed");
    factors.push_back(logit > threshold ? threshold / logit : 1);
    report.clipped += logit > threshold ? 1 : 0;
    report.largest_logit = std::max(report.largest_logit, logit);
    report.smallest_factor = std::min(report.smallest_factor, factors.back());
  }
  return factors;
}

}  // namespace detail

/// QK-clip of MuonClip (Kimi K2, arXiv 2507.20534): after a step, the weights of every head whose largest
/// attention logit exceeded the threshold are multiplied so that this logit would be the threshold. With the
/// factor f = threshold / largest logit of a head, its query rows and its key rows are multiplied by sqrt(f)
/// each. Where some of a query's rows meet a key that all heads share (`rotary`, MLA), those are multiplied
/// by f, and that key not at all. Grouped queries share a key: it is multiplied by the square root of the
/// largest factor among its queries, and each query by the rest of its own. So no head's logits change more
/// than they must; those of a head that needs no clip stay as they are.
///   qk_clip(stack, {"layers.0.q_proj.weight", 16}, {"layers.0.k_proj.weight", 4}, largest_logits);
///   qk_clip(stack, {.weights = "layers.0.q_b_proj.weight", .heads = 16, .rotary = 64},
///           {.weights = "layers.0.kv_b_proj.weight", .heads = 16, .size = 128, .stride = 256},
///           largest_logits);
/// largest_logits: of each query head since the step before, after the scale 1 / sqrt(head size), as they go
/// into the softmax. Biases count: name them. Behind a norm of queries and keys it has no effect. Writes
/// weights, in whatever storage the stack has them, and copies in bfloat16; momenta stay as they are. Cost: a
/// read and a write of the rows of heads that are clipped. Errors: std::invalid_argument for a name that is
/// not there, heads that do not lie in the projection, other numbers of logits than of query heads; nothing
/// has changed then.
template <class Scalar>
QkClipReport qk_clip(BasicLayerwiseOptimizer<Scalar>& stack, const HeadRows& query, const HeadRows& key,
                     const std::vector<double>& largest_logits, double threshold = 100) {
  using detail::require;
  require(threshold > 0 && detail::is_finite(threshold),
          [&] { return "qk_clip: the threshold is " + std::to_string(threshold) + "; it must be positive"; });
  require(query.heads > 0 && key.heads > 0 && query.heads % key.heads == 0, [&] {
    return "qk_clip: " + std::to_string(query.heads) + " query heads cannot share " +
           std::to_string(key.heads) + " key heads: the first is a multiple of the second";
  });
  require(largest_logits.size() == static_cast<std::size_t>(query.heads), [&] {
    return "qk_clip: there are " + std::to_string(query.heads) + " query heads and " +
           std::to_string(largest_logits.size()) + " largest logits; give one for each query head";
  });
  require(key.rotary == 0, "qk_clip: the key's rotary part is shared and not clipped; leave its rotary 0");
  const auto queries = detail::projection_rows(stack, query), keys = detail::projection_rows(stack, key);
  QkClipReport report;
  const std::vector<double> factors = detail::clip_factors(largest_logits, threshold, report);
  const Index group = query.heads / key.heads;
  for (Index k = 0; k < key.heads; ++k) {
    const auto first = factors.begin() + k * group;
    const double of_key = std::sqrt(*std::max_element(first, first + group));
    for (const auto& projection : keys) projection.multiply(k, of_key, 1);
    for (Index q = k * group; q < (k + 1) * group; ++q) {
      const double factor = factors[static_cast<std::size_t>(q)];
      for (const auto& projection : queries) projection.multiply(q, factor / of_key, factor);
    }
  }
  return report;
}

}}  // namespace symopt
