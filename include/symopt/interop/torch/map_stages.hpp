// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/polar_factor.hpp>
#include <symopt/interop/torch/rule_form.hpp>

#include <ATen/ATen.h>

#include <cstdint>
#include <variant>
#include <vector>

// The stages of rules on batches of blocks, batch x m x n, by libtorch's operations. None writes its input.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// P of each block, means summed in double.
inline at::Tensor projected(at::Tensor blocks, const form::Projection& projection) {
  const auto without_mean = [](const at::Tensor& x, std::int64_t along) {
    return x - x.mean({along}, true, at::kDouble).to(x.scalar_type());
  };
  if (projection.left) blocks = without_mean(blocks, -2);
  if (projection.right) blocks = without_mean(blocks, -1);
  return blocks;
}

/// blocks / divisors, with divisors in double that may lie beyond the range of the blocks' scalar.
inline at::Tensor divided(const at::Tensor& blocks, const at::Tensor& divisors) {
  if (blocks.scalar_type() == at::kDouble) return blocks / divisors;
  const at::Tensor root = divisors.sqrt().to(blocks.scalar_type());
  return (blocks / root).div_(root);
}

/// Norms in double, without a square out of range: those of floats have none.
inline at::Tensor norms_along(const at::Tensor& blocks, at::IntArrayRef along) {
  if (blocks.scalar_type() != at::kDouble) return at::linalg_vector_norm(blocks, 2, along, true, at::kDouble);
  const at::Tensor largest = largest_along(blocks, along);
  return at::linalg_vector_norm(blocks / largest, 2, along, true).mul_(largest);
}

/// Every line over its norm, zeros staying zeros.
inline at::Tensor over_line_norms(const at::Tensor& blocks, const form::LineNorm& norm) {
  const std::int64_t along = norm.lines == Side::left ? -1 : -2;
  const at::Tensor norms = norms_along(blocks, along);
  at::Tensor divisors = norm.divisor == Divisor::norm_plus_eps ? norms + norm.eps : norms.clamp_min(norm.eps);
  return divided(blocks, divisors.masked_fill_(norms == 0, 1));
}

inline at::Tensor through_stages(at::Tensor blocks, const std::vector<form::Stage>& stages);

/// The images of a batch under one stage.
struct StageImage {
  const at::Tensor& blocks;

  at::Tensor operator()(const form::Projection& projection) const { return projected(blocks, projection); }
  at::Tensor operator()(const form::Identity&) const { return blocks; }
  at::Tensor operator()(const form::Sign&) const { return at::where(blocks.isnan(), blocks, blocks.sign()); }
  at::Tensor operator()(const form::FrobeniusNorm&) const { return over_frobenius_norms(blocks); }
  at::Tensor operator()(const form::LineNorm& norm) const { return over_line_norms(blocks, norm); }
  at::Tensor operator()(const form::PolarFactor& polar) const { return polar_factors(blocks, polar); }
  at::Tensor operator()(const form::TorchMap& map) const {
    at::Tensor images = blocks.clone();
    map(images);
    if (images.sizes() != blocks.sizes() || images.scalar_type() != blocks.scalar_type())
      throw Error("torch_apply made another shape or scalar type of a batch of blocks; it must keep both");
    return images;
  }
  at::Tensor operator()(const form::Nested<form::DualNorm>& dual) const {
    const at::Tensor images = through_stages(blocks, dual->stages);
    const at::Tensor norms = (blocks.to(at::kDouble) * images).sum({-2, -1}, true);
    const at::Tensor factors = norms.pow(dual->alpha).masked_fill(norms == 0, 1);
    return images * factors.to(blocks.scalar_type());
  }
  at::Tensor operator()(const form::Nested<form::PerHead>& heads) const {
    const std::int64_t batch = blocks.size(0), rows = blocks.size(1), cols = blocks.size(2);
    const std::int64_t size = heads->size;
    if (heads->side == Side::left)
      return through_stages(blocks.reshape({batch * rows / size, size, cols}), heads->stages)
          .reshape(blocks.sizes());
    const at::Tensor parted =
        blocks.reshape({batch, rows, cols / size, size}).transpose(1, 2).reshape({-1, rows, size});
    return through_stages(parted, heads->stages)
        .reshape({batch, cols / size, rows, size})
        .transpose(1, 2)
        .reshape(blocks.sizes());
  }
};

/// The images of a batch under stages, one after the other.
inline at::Tensor through_stages(at::Tensor blocks, const std::vector<form::Stage>& stages) {
  for (const form::Stage& stage : stages) blocks = std::visit(StageImage{blocks}, stage);
  return blocks;
}

/// Tests whether a stage treats every entry alike, whatever its block.
inline bool is_entrywise(const form::Stage& stage) {
  return std::holds_alternative<form::Identity>(stage) || std::holds_alternative<form::Sign>(stage);
}

}}}}  // namespace symopt::interop::detail
