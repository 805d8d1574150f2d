// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "qwen3_stack.hpp"

#include <symopt/interop/mpi/distributed_access.hpp>
#include <symopt/interop/mpi/row_optimizer.hpp>

#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// The model with the rows of each matrix split over all ranks: one RowOptimizer each, with the options that
/// the stack gives it. The heads of o_proj, which lie in columns and are refused, are as many in the rows of
/// a matrix with as many numbers, as q_proj has them. Collective.
class RowsOfModel {
 public:
  explicit RowsOfModel(const Qwen3Model& model) {
    using namespace symopt;
    using namespace qwen3_shape;
    mpi::DistributedOptimizer roles(MPI_COMM_WORLD);  // for the options alone: it has no states yet
    roles.route(model.tensors(), qwen3_roles());
    using Heads = Product<HeadRotations<Side::left, static_cast<int>(head_size)>, RightOrthogonal>;
    for (const auto& parameter :
         symopt::detail::StateAccess::parameters(mpi::detail::DistributedAccess::stack(roles))) {
      const NamedTensor<float>& tensor = named(model, parameter->name());
      const OptimizerOptions& options = parameter->options();
      const auto is_of = [&](const char* part) { return tensor.name.find(part) != std::string::npos; };
      const Index size = tensor.weights.sizes().size() == 1 ? tensor.weights.sizes()[0] : 0;
      if (is_of("embed_tokens")) {
        add<Update<TiedEmbedding>>(tensor, {vocabulary, width}, options);
      } else if (is_of("q_proj") || is_of("o_proj")) {
        add<Update<Heads>>(tensor, {query_heads * head_size, width}, options, head_size);
      } else if (is_of("k_proj") || is_of("v_proj")) {
        add<Update<Heads>>(tensor, {key_value_heads * head_size, width}, options, head_size);
      } else if (is_of("gate_proj") || is_of("up_proj")) {
        add<Update<SwigluInput>>(tensor, {neurons, width}, options);
      } else if (is_of("down_proj")) {
        add<Update<SwigluOutput>>(tensor, {width, neurons}, options);
      } else {
        add<AdamW>(tensor, {1, size}, options);
      }
    }
  }

  void step() {
    for (const Part& part : parts_) part.step();
  }
  /// Of all of them, as Communicator counts it.
  double communication_seconds() const {
    double seconds = 0;
    for (const Part& part : parts_) seconds += part.seconds();
    return seconds;
  }
  std::size_t size() const { return parts_.size(); }

 private:
  struct Part {
    std::function<void()> step;
    std::function<double()> seconds;
  };

  static const symopt::NamedTensor<float>& named(const Qwen3Model& model, const std::string& name) {
    return *std::ranges::find(model.tensors(), name, &symopt::NamedTensor<float>::name);
  }

  /// A block of that shape in the memory of a tensor; so many rows stay together.
  template <class Rule>
  void add(const symopt::NamedTensor<float>& tensor, symopt::Shape shape,
           const symopt::OptimizerOptions& options, symopt::Index together = 1) {
    int rank = 0, ranks = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const auto [begin, end] =
        symopt::mpi::row_partition(shape, ranks, together)[static_cast<std::size_t>(rank)];
    const auto optimizer =
        std::make_shared<symopt::mpi::RowOptimizer<Rule>>(MPI_COMM_WORLD, end - begin, shape.cols, options);
    using Rows = Eigen::Map<symopt::Matrix<float>>;
    using ConstRows = Eigen::Map<const symopt::Matrix<float>>;
    const Rows weights(tensor.weights.data() + begin * shape.cols, end - begin, shape.cols);
    const ConstRows gradient(tensor.gradient->data() + begin * shape.cols, end - begin, shape.cols);
    parts_.push_back({[=] {
                        Rows rows = weights;
                        optimizer->step(rows, gradient);
                      },
                      [=] { return optimizer->processes().communication_seconds(); }});
  }

  std::vector<Part> parts_;
};
