// SPDX-License-Identifier: Apache-2.0
// Given the same averaged gradients, weights, state and file are those of one process, bit for bit, at any
// number of ranks.
#include "mpi/owners_model.hpp"
#include "mpi/shared_file.hpp"

#include <symopt/interop/mpi.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <random>
#include <sstream>

namespace owners_test { namespace {

using namespace symopt;
using namespace symopt_test;
using mpi::DistributedOptimizer;
using mpi::Gradients;

const StackOptions stack_options{.learning_rate = 0.01, .weight_decay = 0.1};

/// One process that trains on the averages of so many ranks.
struct Single {
  MpiModel model{true};
  LayerwiseOptimizer stack{stack_options};

  Single() { model.add_to(stack); }
  ClipReport step(int ranks, int step, double max_norm) {
    model.draw_averages(ranks, step);
    stack.set_schedule_factor(1.0 / (step + 1));
    const ClipReport report = clip_by_global_norm(stack, max_norm);
    CHECK(stack.step().applied);
    return report;
  }
};

struct Several {
  MpiModel model;
  DistributedOptimizer stack;

  explicit Several(MPI_Comm processes = MPI_COMM_WORLD, mpi::DistributedOptions options = {})
      : stack(processes, stack_options, options) {
    model.add_to(stack);
    stack.distribute();
  }
  ClipReport step(int step, double max_norm) {
    model.draw(stack.processes().rank(), step);
    stack.set_schedule_factor(1.0 / (step + 1));
    const ClipReport report = clip_by_global_norm(stack, max_norm);
    CHECK(stack.step().applied);
    return report;
  }
};

TEST_CASE("weights, state and file of several ranks are those of one process") {
  const SharedFile file("state");
  Single single;
  Several several;
  CHECK((several.model.bits() == single.model.bits()));
  for (int step = 0; step < 4; ++step) {
    const double max_norm = step % 2 == 0 ? 1e-3 : 1e3;  // clips every other step
    const ClipReport expected = single.step(size_of(), step, max_norm), report = several.step(step, max_norm);
    CHECK(report.norm == expected.norm);
    CHECK(report.factor == expected.factor);
    CHECK((report.factor < 1) == (step % 2 == 0));
    CHECK(report.clipped == expected.clipped);
    CHECK(report.scale_free == expected.scale_free);
    CHECK((several.model.bits(false) == single.model.bits(false)));
  }
  CHECK(several.stack.steps() == 4);
  if (several.stack.owner("adaptive") != rank_of())  // who alone has its floats
    CHECK((several.model.bits() != single.model.bits()));
  several.stack.gather_weights();
  CHECK((several.model.bits() == single.model.bits()));

  mpi::save_state(several.stack, file.path);
  CHECK((contents(file.path) == interop::state_bytes(single.stack)));
}

/// The first ranks, as a communicator; none for the others.
struct FirstRanks {
  MPI_Comm processes = MPI_COMM_NULL;
  explicit FirstRanks(int count) {
    MPI_Comm_split(MPI_COMM_WORLD, rank_of() < count ? 0 : MPI_UNDEFINED, rank_of(), &processes);
  }
  ~FirstRanks() {
    if (processes != MPI_COMM_NULL) MPI_Comm_free(&processes);
  }
};

TEST_CASE("a file is loaded by one process and by another number of ranks, which go on alike") {
  const int fewer = std::max(1, size_of() - 1);
  const FirstRanks first(fewer);
  const SharedFile file("resumed");
  MpiModel resumed;
  if (first.processes != MPI_COMM_NULL) {
    Several before(first.processes);
    before.step(0, 1);
    before.stack.gather_weights();
    mpi::save_state(before.stack, file.path);
    resumed = before.model;
  }
  MPI_Barrier(MPI_COMM_WORLD);

  Single single;  // makes the same first step
  single.step(fewer, 0, 1);
  Several after;
  if (first.processes != MPI_COMM_NULL) CHECK((resumed.bits() == single.model.bits()));
  for (auto& [name, tensor] : after.model.tensors) {
    const MpiModel::Tensor& trained = single.model.tensors[name];
    std::ranges::copy(trained.weights, tensor.weights.begin());
    std::ranges::copy(trained.copy, tensor.copy.begin());
    std::ranges::copy(trained.low, tensor.low.begin());
  }
  const interop::LoadReport report = mpi::load_state(after.stack, file.path);
  CHECK(report.steps == 1);
  CHECK(after.stack.steps() == 1);
  CHECK(after.stack.schedule_factor() == 1);
  Single alone;
  CHECK(interop::load_state(alone.stack, file.path).steps == 1);
  CHECK(interop::state_bytes(alone.stack) == contents(file.path));
  for (int step = 1; step < 3; ++step) {
    single.step(size_of(), step, 1);
    after.step(step, 1);
    CHECK((after.model.bits(false) == single.model.bits(false)));
  }
}

TEST_CASE("a load that one rank refuses changes nothing on any") {
  const SharedFile file("broken");
  Several several;
  several.step(0, 1);
  mpi::save_state(several.stack, file.path);
  const std::string good = contents(file.path);
  several.step(1, 1);
  const std::string weights = several.model.bits();
  const SharedFile after("after"), again("again");
  mpi::save_state(several.stack, after.path);

  MPI_Barrier(MPI_COMM_WORLD);
  const bool is_last = rank_of() == size_of() - 1;
  const std::filesystem::path missing = file.path.string() + ".missing";
  CHECK_THROWS_WITH(mpi::load_state(several.stack, is_last ? missing : file.path),
                    doctest::Contains("missing"));
  mpi::save_state(several.stack, again.path);
  CHECK((contents(again.path) == contents(after.path)));
  CHECK((several.model.bits() == weights));
  CHECK(good != contents(after.path));
}

TEST_CASE("a file that rank 0 cannot write is an error on all ranks, and the old one stays") {
  Several several;
  several.step(0, 1);
  CHECK_THROWS_WITH(mpi::save_state(several.stack, "/nowhere/at/all.safetensors"),
                    doctest::Contains("/nowhere"));
}

TEST_CASE("gradients as given and summed") {
  for (const Gradients how : {Gradients::as_given, Gradients::summed}) {
    CAPTURE(to_string(how));
    Several several(MPI_COMM_WORLD, {.gradients = how});
    Single single;
    for (int step = 0; step < 2; ++step) {
      single.model.draw_averages(1, step);
      several.model.draw(0, step);
      if (how == Gradients::summed) {
        for (auto& [name, tensor] : single.model.tensors)
          for (float& entry : tensor.gradient) {
            const float one = entry;
            for (int rank = 1; rank < size_of(); ++rank) entry += one;
          }
      }
      single.stack.step();
      CHECK(several.stack.step().applied);
      CHECK((several.model.bits(false) == single.model.bits(false)));
    }
  }
}

TEST_CASE("every block has an owner, who has its state, and the plan says so") {
  Several several;
  const Single single;
  const auto plan = several.stack.plan();
  REQUIRE(plan.ranks().size() == static_cast<std::size_t>(size_of()));
  std::size_t blocks = 0, bytes = 0;
  double share = 0;
  for (const mpi::RankPlan& rank : plan.ranks()) {
    blocks += rank.blocks;
    bytes += rank.state_bytes;
    share += rank.share;
    CHECK(rank.blocks > 0);
  }
  CHECK(blocks == 1 + 1 + 3 + 2 + 3 + 3 + 1 + 1 + 1 + 1 + 2 + 1 + 1 + 1 + 1);
  CHECK(share == doctest::Approx(1));
  std::size_t all = 0, mine = 0;
  const auto count = [](const auto& stack, std::size_t& sum) {
    for (const auto& parameter : symopt::detail::StateAccess::parameters(stack))
      sum += static_cast<std::size_t>(mpi::detail::state_bytes(parameter->blocks()));
  };
  count(single.stack, all);
  count(mpi::detail::DistributedAccess::stack(several.stack), mine);
  CHECK(bytes == all);
  CHECK(plan.ranks()[static_cast<std::size_t>(rank_of())].state_bytes == mine);
  CHECK(several.stack.owner("lora.a") == several.stack.owner("lora.b"));
  if (size_of() > 1) CHECK(mine < all);

  std::ostringstream text, of_single;
  text << plan;
  of_single << single.stack.plan();
  CHECK(text.str().starts_with(of_single.str()));
  CHECK(text.str().find("rank 0: ") != std::string::npos);
  CHECK(text.str().find(" % of the step\n    parameter") != std::string::npos);
}

TEST_CASE("work is balanced") {
  std::vector<Index> work(100);
  std::mt19937 random(1);
  for (Index& piece : work) piece = static_cast<Index>(random() % 1000) + 1;
  for (const int ranks : {1, 2, 3, 4, 7}) {
    std::vector<Index> load(static_cast<std::size_t>(ranks));
    const std::vector<int> owners = mpi::detail::owners_of(work, ranks);
    for (std::size_t p = 0; p < work.size(); ++p) load[static_cast<std::size_t>(owners[p])] += work[p];
    const Index total = std::accumulate(work.begin(), work.end(), Index{0});
    CHECK(*std::ranges::max_element(load) <= total / ranks + 20);  // far below 4/3 of it
  }
  CHECK(mpi::detail::owners_of({5, 9, 5}, 2) == std::vector<int>{1, 0, 1});
  CHECK(mpi::detail::work_of({1000, 100}, false) == 100000);
  CHECK(mpi::detail::work_of({1000, 100}, true) > 10 * mpi::detail::work_of({1000, 100}, false));
}

}}  // namespace owners_test
