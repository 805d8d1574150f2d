// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/rule_form.hpp>
#include <symopt/polar/minimax_map.hpp>
#include <symopt/polar/zolotarev_coefficients.hpp>
#include <symopt/side.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

// Polar factors of batches of blocks, batch x m x n, by libtorch's operations: the maps of polar/, on any
// device, without a look at a number by the host.
namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

/// The unit of roundoff of a scalar, as epsilon() has it.
inline double roundoff_of(at::ScalarType type) {
  return type == at::kDouble ? std::numeric_limits<double>::epsilon()
                             : static_cast<double>(std::numeric_limits<float>::epsilon());
}

/// A batch of numbers as factors of blocks.
inline at::Tensor as_factors(const at::Tensor& numbers, const at::Tensor& like) {
  return numbers.to(like.scalar_type()).reshape({-1, 1, 1});
}

/// The largest magnitude along dimensions, which are kept; 1 where all is zero.
inline at::Tensor largest_along(const at::Tensor& blocks, at::IntArrayRef along) {
  const at::Tensor largest =
      at::linalg_vector_norm(blocks, std::numeric_limits<double>::infinity(), along, true);
  return largest.masked_fill(largest == 0, 1);
}
/// The largest magnitude of each block, batch x 1 x 1; 1 of a block of zeros.
inline at::Tensor largest_entries(const at::Tensor& blocks) {
  return largest_along(blocks, {-2, -1});
}

/// The Frobenius norm of each block, batch x 1 x 1, in double.
inline at::Tensor frobenius_norms(const at::Tensor& blocks) {
  return at::linalg_vector_norm(blocks, 2, {{-2, -1}}, true, at::kDouble);
}

/// X / |X|_F of each block; zeros stay zeros.
inline at::Tensor over_frobenius_norms(const at::Tensor& blocks) {
  const at::Tensor scaled = blocks / largest_entries(blocks);
  const at::Tensor norms = frobenius_norms(scaled);
  return scaled / norms.masked_fill(norms == 0, 1).to(blocks.scalar_type());
}

/// X X^T (left) or X^T X of each block.
inline at::Tensor gram_matrices(const at::Tensor& blocks, Side side) {
  const at::Tensor transposed = blocks.transpose(-2, -1);
  return side == Side::left ? blocks.matmul(transposed) : transposed.matmul(blocks);
}

/// F X (left) or X F.
inline at::Tensor multiplied(const at::Tensor& squares, const at::Tensor& blocks, Side side) {
  return side == Side::left ? squares.matmul(blocks) : blocks.matmul(squares);
}

/// Rational maps of Gram matrices, one for each of a batch: constant I + linear A / u + sum_j weight_j u
/// (A + shift_j u I)^-1, over sqrt(u), as ScaledMap has it with u its unit squared. Numbers in double.
struct RationalMaps {
  at::Tensor constant, linear;  ///< batch
  at::Tensor shifts, weights;   ///< batch x terms
  at::Tensor units;             ///< u, batch

  /// F(A) of the Gram matrices, whose traces are given. A shift that their precision does not carry is raised
  /// to four units of roundoff of the trace. Where a factorization fails nevertheless, F is 1 / |X|_F.
  at::Tensor of(const at::Tensor& grams, const at::Tensor& traces) const {
    const double roundoff = roundoff_of(grams.scalar_type());
    const at::Tensor lowest = (4 * roundoff * traces).unsqueeze(1);
    const at::Tensor raised = at::maximum(shifts * units.unsqueeze(1), lowest).to(grams.scalar_type());
    at::Tensor shifted = grams.unsqueeze(1).repeat({1, shifts.size(1), 1, 1});
    shifted.diagonal(0, -2, -1).add_(raised.unsqueeze(-1));
    const auto [factors, failures] = at::linalg_cholesky_ex(shifted);
    const at::Tensor by = (weights * units.unsqueeze(1)).to(grams.scalar_type());
    at::Tensor sums = at::cholesky_inverse(factors).mul_(by.reshape({by.size(0), by.size(1), 1, 1})).sum(1);
    sums.add_(grams * as_factors(linear / units, grams));
    sums.diagonal(0, -2, -1).add_(constant.to(grams.scalar_type()).unsqueeze(-1));
    sums.mul_(as_factors(units.rsqrt(), grams));

    const at::Tensor has_failed = (failures != 0).any(1).reshape({-1, 1, 1});
    const at::Tensor plain = at::eye(grams.size(-1), grams.options()) * as_factors(traces.rsqrt(), grams);
    return at::where(has_failed, plain, sums);
  }
};

/// The table of minimax maps as a tensor, entries x (constant, linear, log shifts, log weights), in double.
template <class Scalar, int terms>
at::Tensor minimax_table_of(const at::Device& device) {
  std::vector<double> numbers;
  for (const polar::RationalMap& map : polar::minimax_table<Scalar, terms>) {
    numbers.push_back(map.constant);
    numbers.push_back(map.linear);
    for (std::size_t j = 0; j < terms; ++j) numbers.push_back(std::log(map.shift[j]));
    for (std::size_t j = 0; j < terms; ++j) numbers.push_back(std::log(map.weight[j]));
  }
  return at::tensor(numbers, at::kDouble).reshape({polar::minimax_entries, 2 + 2 * terms}).to(device);
}
inline const at::Tensor& minimax_table_on(const at::Device& device, at::ScalarType type, int terms) {
  struct Table {
    at::Device device;
    at::ScalarType type;
    int terms;
    at::Tensor numbers;
  };
  static thread_local std::vector<Table> tables;  // a handful: once copied, no step waits for them
  for (const Table& table : tables)
    if (table.device == device && table.type == type && table.terms == terms) return table.numbers;
  const bool is_double = type == at::kDouble;
  tables.push_back({device, type, terms,
                    terms == 2
                        ? is_double ? minimax_table_of<double, 2>(device) : minimax_table_of<float, 2>(device)
                    : is_double ? minimax_table_of<double, 3>(device)
                                : minimax_table_of<float, 3>(device)});
  return tables.back().numbers;
}

/// The maps of polar::MinimaxMethod for blocks with these Gram matrices: minimax_map_for.
inline RationalMaps minimax_maps(const at::Tensor& grams, const at::Tensor& traces, int terms) {
  at::Tensor units = frobenius_norms(grams).reshape(-1) * (1 + 1e-4);
  units.masked_fill_(units == 0, 1);
  const at::Tensor place = (0.5 * (traces / units).log2()).mul_(4).clamp_(0, polar::minimax_entries - 1.0);
  const at::Tensor entry = place.floor().clamp_max_(polar::minimax_entries - 2.0);
  const at::Tensor& table = minimax_table_on(grams.device(), grams.scalar_type(), terms);
  const at::Tensor index = entry.nan_to_num(0).to(at::kLong);
  const at::Tensor numbers =
      at::lerp(table.index_select(0, index), table.index_select(0, index + 1), (place - entry).unsqueeze(1));
  return {numbers.select(1, 0), numbers.select(1, 1), numbers.narrow(1, 2, terms).exp(),
          numbers.narrow(1, 2 + terms, terms).exp(), units};
}

/// The maps of polar::Zolotarev, alike for all blocks but for the unit.
inline RationalMaps zolotarev_maps(const form::Zolotarev& method, const at::Tensor& grams,
                                   const at::Tensor& traces) {
  const double margin = grams.scalar_type() == at::kFloat ? 0.9 : 1.0;  // as Zolotarev::margin
  const polar::ZolotarevCoefficients map =
      polar::zolotarev_coefficients(method.terms, margin * method.lower_bound / method.upper_bound);
  const std::int64_t batch = grams.size(0);
  const auto row = [&](const auto& numbers) {
    return at::stack(
        [&] {
          std::vector<at::Tensor> all;
          for (int j = 0; j < method.terms; ++j)
            all.push_back(at::full_like(traces, numbers[static_cast<std::size_t>(j)]));
          return all;
        }(),
        1);
  };
  at::Tensor units = traces * (method.upper_bound * method.upper_bound);
  return {at::full({batch}, map.constant, traces.options()), at::full({batch}, map.linear, traces.options()),
          row(map.shift), row(map.weight), units.masked_fill(units == 0, 1)};
}

/// The traces of a batch of squares, in double.
inline at::Tensor traces_of(const at::Tensor& squares) {
  return squares.diagonal(0, -2, -1).sum(-1, false, at::kDouble);
}

/// A^(-1/2) of symmetric positive semidefinite matrices, batch x k x k, by the map of polar::inverse_root,
/// with its band. Numbers become 1 / sqrt(x).
inline at::Tensor inverse_roots(const at::Tensor& squares) {
  if (squares.size(-1) == 1) return squares.rsqrt().masked_fill(squares == 0, 0);
  const at::Tensor traces = traces_of(squares);
  return minimax_maps(squares, traces, 3).of(squares, traces);
}

/// Odd polynomials of the blocks, as polar::iterate.
inline at::Tensor iterated(at::Tensor blocks, Side side, const form::Iteration& method) {
  for (int step = 0; step < method.steps; ++step) {
    const polar::Quintic& q = method.coefficients[step];
    const at::Tensor gram = gram_matrices(blocks, side);
    at::Tensor polynomial = at::baddbmm(gram, gram, gram, q.b, q.c);
    polynomial.diagonal(0, -2, -1).add_(q.a);
    blocks = multiplied(polynomial, blocks, side);
  }
  return blocks;
}
/// Odd polynomials of the blocks by way of their Gram matrices, as polar::GramNewtonSchulz.
inline at::Tensor iterated_in_gram_space(at::Tensor blocks, Side side, const form::Iteration& method) {
  const int wanted = *method.restart_after >= 0            ? *method.restart_after
                     : blocks.scalar_type() == at::kDouble ? 0
                                                           : 2;
  const int first = wanted > 0 && wanted < method.steps ? wanted : method.steps;
  for (const auto& [begin, end] : {std::pair(0, first), std::pair(first, method.steps)}) {
    if (begin == end) break;
    at::Tensor gram = gram_matrices(blocks, side), factor;
    for (int step = begin; step < end; ++step) {
      const polar::Quintic& q = method.coefficients[step];
      at::Tensor z = at::baddbmm(gram, gram, gram, q.b, q.c);
      z.diagonal(0, -2, -1).add_(q.a);
      factor = step == begin ? z : factor.matmul(z);
      if (step + 1 < end) gram = gram.matmul(z).matmul(z);
    }
    blocks = multiplied(factor, blocks, side);
  }
  return blocks;
}

/// polar::Exact: eigenvectors of the Gram matrices in double.
inline at::Tensor exact_polar_factors(const at::Tensor& blocks, Side side, double cutoff) {
  const at::Tensor scaled = (blocks / largest_entries(blocks)).to(at::kDouble);
  const at::Tensor x = side == Side::left ? scaled : scaled.transpose(-2, -1);
  const double lines = static_cast<double>(x.size(-2)), longer = static_cast<double>(x.size(-1));
  const double roundoff = roundoff_of(blocks.scalar_type());
  const double relative = cutoff > 0 ? cutoff
                                     : std::max(std::max(lines, longer) * roundoff,
                                                std::sqrt(lines * std::numeric_limits<double>::epsilon()));
  const at::Tensor vectors = std::get<1>(at::linalg_eigh(gram_matrices(x, Side::left)));
  const at::Tensor rotated = vectors.transpose(-2, -1).matmul(x);
  const at::Tensor norms = at::linalg_vector_norm(rotated, 2, {{-1}}, true);
  const at::Tensor is_kept = norms > norms.amax({-2}, true) * relative;
  const at::Tensor factor = vectors.matmul(at::where(is_kept, rotated / norms, at::zeros_like(rotated)));
  return (side == Side::left ? factor : factor.transpose(-2, -1)).to(blocks.scalar_type());
}

/// The polar factors of a batch of blocks.
inline at::Tensor polar_factors(const at::Tensor& blocks, const form::PolarFactor& polar) {
  const bool is_left = blocks.size(-2) <= blocks.size(-1);
  const Side side = polar.gram_side.value_or(is_left ? Side::left : Side::right);
  const bool is_line = blocks.size(-2) <= 1 || blocks.size(-1) <= 1;
  if (const auto* exact = std::get_if<form::Exact>(&polar.method))
    return exact_polar_factors(blocks, side, exact->cutoff);
  if (const auto* own = std::get_if<form::TorchPolar>(&polar.method)) {
    at::Tensor factors = blocks.clone();
    (*own)(factors, side);
    if (factors.sizes() != blocks.sizes() || factors.scalar_type() != blocks.scalar_type())
      throw Error("torch_apply made another shape or scalar type of a batch of blocks; it must keep both");
    return factors;
  }
  const at::Tensor largest = largest_entries(blocks), scaled = blocks / largest;
  if (const auto* iteration = std::get_if<form::Iteration>(&polar.method)) {
    const at::Tensor norms =
        frobenius_norms(scaled) * iteration->safety + iteration->eps / largest.to(at::kDouble);
    at::Tensor x = scaled / norms.masked_fill(norms == 0, 1).to(blocks.scalar_type());
    if (iteration->in_bfloat16) x = x.to(at::kBFloat16);
    x = iteration->restart_after ? iterated_in_gram_space(x, side, *iteration)
                                 : iterated(x, side, *iteration);
    return x.to(blocks.scalar_type());
  }
  const auto* minimax = std::get_if<form::Minimax>(&polar.method);
  if (minimax != nullptr && is_line) return over_frobenius_norms(blocks);
  const at::Tensor grams = gram_matrices(scaled, side), traces = traces_of(grams);
  const RationalMaps maps = minimax != nullptr
                                ? minimax_maps(grams, traces, minimax->terms)
                                : zolotarev_maps(std::get<form::Zolotarev>(polar.method), grams, traces);
  return multiplied(maps.of(grams, traces), scaled, side);
}

}}}}  // namespace symopt::interop::detail
