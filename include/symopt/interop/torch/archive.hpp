// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/interop/torch/bound_groups.hpp>

#include <torch/serialize/archive.h>
#include <torch/types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop { namespace detail {

inline torch::Tensor as_tensor(const std::string& bytes) {
  torch::Tensor tensor = torch::empty({static_cast<std::int64_t>(bytes.size())}, torch::kByte);
  std::copy(bytes.begin(), bytes.end(), static_cast<char*>(tensor.data_ptr()));
  return tensor;
}
inline std::span<const std::byte> bytes_of(const torch::Tensor& tensor) {
  if (tensor.scalar_type() != torch::kByte || !tensor.is_contiguous())
    throw Error("the archive is not of a TorchOptimizer");
  return {static_cast<const std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.numel())};
}

/// The contents of an optimizer's archive: the files of its states, by scalar, and the groups' rates, which
/// a scheduler may have set since the step.
struct ArchivedOptimizer {
  torch::Tensor floats, doubles, rates;

  static torch::Tensor rates_of(const ParameterGroups& groups) {
    std::vector<double> all;
    for (const torch::optim::OptimizerParamGroup& group : groups) all.push_back(group.options().get_lr());
    return torch::tensor(all, torch::kDouble);
  }
  void write(torch::serialize::OutputArchive& archive) const {
    archive.write("symopt.float", floats, true);
    archive.write("symopt.double", doubles, true);
    archive.write("symopt.rates", rates, true);
  }

  /// Writes the archive of a rank that is not the first of several processes: its number.
  static void write_none(torch::serialize::OutputArchive& archive, int rank) {
    archive.write("symopt.rank", torch::tensor(rank), true);
  }

  /// Errors: for the archive of anything else, of other groups, and for rates that are none.
  static ArchivedOptimizer read(torch::serialize::InputArchive& archive, const ParameterGroups& groups) {
    ArchivedOptimizer read;
    torch::Tensor rank;
    if (archive.try_read("symopt.rank", rank, true))
      throw Error("the archive is of another rank than 0, and has no state; load the one that rank 0 saved");
    if (!archive.try_read("symopt.float", read.floats, true) ||
        !archive.try_read("symopt.double", read.doubles, true) ||
        !archive.try_read("symopt.rates", read.rates, true) ||
        read.rates.sizes() != rates_of(groups).sizes() || read.rates.scalar_type() != torch::kDouble)
      throw Error("the archive is not of a TorchOptimizer");
    for (torch::Tensor* tensor : {&read.floats, &read.doubles, &read.rates}) *tensor = tensor->cpu();
    if (!(torch::isfinite(read.rates) & (read.rates >= 0)).all().item<bool>())
      throw Error("a rate of the archive is not finite or is negative");
    return read;
  }
  void set_rates(ParameterGroups& groups) const {
    for (std::size_t g = 0; g < groups.size(); ++g)
      groups[g].options().set_lr(rates[static_cast<std::int64_t>(g)].item<double>());
  }
};

}}}}  // namespace symopt::interop::detail
