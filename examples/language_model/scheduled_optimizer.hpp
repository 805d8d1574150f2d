// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace language_model {

/// The factor on a peak learning rate at a step, counted from zero.
using Schedule = std::function<double(std::int64_t step)>;

/// Any torch optimizer, with one schedule for each of its parameter groups.
///
/// The learning rates that the groups come with are the peaks that the schedules multiply.
class ScheduledOptimizer {
 public:
  ScheduledOptimizer(std::unique_ptr<torch::optim::Optimizer> optimizer, std::vector<Schedule> schedules)
      : optimizer_(std::move(optimizer)), schedules_(std::move(schedules)) {
    TORCH_CHECK(schedules_.size() == optimizer_->param_groups().size(),
                "every parameter group needs one schedule");
    for (const auto& group : optimizer_->param_groups()) peaks_.push_back(group.options().get_lr());
  }

  void zero_grad() { optimizer_->zero_grad(); }

  void step() {
    for (std::size_t group = 0; group < peaks_.size(); ++group) {
      optimizer_->param_groups()[group].options().set_lr(peaks_[group] * schedules_[group](steps_done_));
    }
    optimizer_->step();
    ++steps_done_;
  }

  /// The size of a file of its state: torch's own format for every optimizer, so that one measure serves all.
  std::size_t saved_bytes() const {
    torch::serialize::OutputArchive archive;
    optimizer_->save(archive);
    std::size_t bytes = 0;
    archive.save_to([&](const void*, std::size_t count) {
      bytes += count;
      return count;
    });
    return bytes;
  }

 private:
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  std::vector<Schedule> schedules_;
  std::vector<double> peaks_;
  std::int64_t steps_done_ = 0;
};

}  // namespace language_model
