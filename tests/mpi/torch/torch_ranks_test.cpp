// SPDX-License-Identifier: Apache-2.0
// libtorch's optimizer over several processes is the one of a single process, and so is a training with it.
#include <symopt/derive/update.hpp>
#include <symopt/group/gauge.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/interop/mpi/torch_optimizer.hpp>
#include <symopt/interop/torch.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>

#include <doctest/doctest.h>
#include <mpi.h>
#include <torch/optim/schedulers/step_lr.h>
#include <torch/serialize.h>
#include <language_model/rank_training.hpp>

#include <cmath>
#include <limits>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace torch_ranks_test { namespace {

using namespace symopt;
using interop::pair_groups;
using interop::parameter_group;
using Groups = std::vector<torch::optim::OptimizerParamGroup>;

int rank_of() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}
int rank_count() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

/// Tensors of every kind, alike on all ranks.
struct Model {
  explicit Model(torch::ScalarType type = torch::kFloat) {
    torch::manual_seed(31);
    const std::vector<std::vector<std::int64_t>> shapes{{40, 6}, {9, 12}, {30, 8}, {7}, {9, 4}, {4, 7}};
    for (const auto& shape : shapes) tensors.push_back(torch::randn(shape, type).requires_grad_());
    tensors[1] = torch::randn({12, 9}, type).t().detach().requires_grad_();
  }
  std::vector<torch::Tensor> tensors;

  Groups groups() const {
    Groups all =
        pair_groups<LoraPair>(tensors[4], tensors[5], {.learning_rate = 0.01}, {.b = layout::transposed()});
    all.push_back(parameter_group<LmHead>({tensors[0]}, {.learning_rate = 0.05, .weight_decay = 0.1}));
    all.push_back(parameter_group<HiddenMatrix>({tensors[1]}, {.learning_rate = 0.01}));
    all.push_back(parameter_group<Adaptive<LmHead>>({tensors[2]}, {.learning_rate = 0.01}));
    all.push_back(parameter_group<AdamW>({tensors[3]}, {.learning_rate = 0.01}));
    return all;
  }
  torch::Tensor gradient(std::size_t tensor, int rank, int step) const {
    torch::manual_seed(static_cast<std::uint64_t>(1000 * rank + 10 * step) + tensor);
    return torch::randn_like(tensors[tensor]);
  }
  void set_gradients(int rank, int step) {
    for (std::size_t t = 0; t < tensors.size(); ++t) tensors[t].mutable_grad() = gradient(t, rank, step);
  }
  /// ((g_0 + g_1) + ...) / N
  void set_averages(int step) {
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      torch::Tensor sum = gradient(t, 0, step);
      for (int rank = 1; rank < rank_count(); ++rank) sum = sum + gradient(t, rank, step);
      tensors[t].mutable_grad() = sum / rank_count();
    }
  }
  bool operator==(const Model& other) const {
    for (std::size_t t = 0; t < tensors.size(); ++t)
      if (!torch::equal(tensors[t], other.tensors[t])) return false;
    return true;
  }
};

std::string saved(const torch::optim::Optimizer& optimizer) {
  std::ostringstream file;
  torch::save(optimizer, file);
  return file.str();
}
void load(torch::optim::Optimizer& optimizer, const std::string& bytes) {
  std::istringstream file(bytes);
  torch::load(optimizer, file);
}
/// The bytes that rank 0 has, on all ranks.
std::string of_first(std::string bytes) {
  auto size = static_cast<long long>(bytes.size());
  MPI_Bcast(&size, 1, MPI_LONG_LONG, 0, MPI_COMM_WORLD);
  bytes.resize(static_cast<std::size_t>(size));
  MPI_Bcast(bytes.data(), static_cast<int>(size), MPI_CHAR, 0, MPI_COMM_WORLD);
  return bytes;
}
std::string state_in(const std::string& bytes, const char* name) {
  std::istringstream file(bytes);
  torch::serialize::InputArchive archive;
  archive.load_from(file);
  torch::Tensor state;
  archive.read(name, state, true);
  return {static_cast<const char*>(state.data_ptr()), static_cast<std::size_t>(state.numel())};
}
std::string message_of(const auto& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("weights and archives are those of one process with the averaged gradients, bit for bit") {
  for (const auto type : {torch::kFloat, torch::kDouble}) {
    Model ours(type), theirs(type);
    mpi::TorchOptimizer optimizer(MPI_COMM_WORLD, ours.groups());
    interop::TorchOptimizer reference(theirs.groups());
    torch::optim::StepLR schedule(optimizer, 2, 0.5), reference_schedule(reference, 2, 0.5);
    const auto take_steps = [&](int first, int last) {
      for (int step = first; step < last; ++step) {
        ours.set_gradients(rank_of(), step);
        theirs.set_averages(step);
        optimizer.step();
        reference.step();
        schedule.step();
        reference_schedule.step();
      }
    };
    take_steps(0, 4);
    CHECK(ours == theirs);
    const std::string archive = of_first(saved(optimizer));
    const std::string expected = saved(reference);
    for (const char* state : {"symopt.float", "symopt.double", "symopt.rates"})
      CHECK(state_in(archive, state) == state_in(expected, state));

    // On, from the archive: the ranks from that of one process, one process from that of the ranks.
    mpi::TorchOptimizer resumed(MPI_COMM_WORLD, ours.groups());
    interop::TorchOptimizer resumed_alone(theirs.groups());
    load(resumed, expected);
    load(resumed_alone, archive);
    CHECK(resumed.param_groups()[2].options().get_lr() == doctest::Approx(0.025));
    ours.set_gradients(rank_of(), 5);
    theirs.set_averages(5);
    resumed.step();
    resumed_alone.step();
    CHECK(ours == theirs);
    take_steps(6, 7);  // whose states are a step behind, on both sides
    CHECK(ours == theirs);
  }
}

TEST_CASE("each rank has a part of the state, and only rank 0 an archive of it") {
  Model model;
  mpi::TorchOptimizer optimizer(MPI_COMM_WORLD, model.groups());
  model.set_gradients(rank_of(), 0);
  optimizer.step();
  CHECK(optimizer.plan().ranks().size() == static_cast<std::size_t>(rank_count()));
  std::size_t total = 0, most = 0;
  for (const mpi::RankPlan& rank : optimizer.plan().ranks()) {
    total += rank.state_bytes;
    most = std::max(most, rank.state_bytes);
  }
  CHECK(total > 4 * (40 * 6 + 9 * 12 + 30 * 8 + 2 * 7 + 9 * 4 + 4 * 7));
  if (rank_count() > 1) CHECK(most < total);
  if (rank_count() > 1) CHECK(optimizer.processes().communication_seconds() > 0);
  const std::string own = saved(optimizer);
  Model before = model;
  for (torch::Tensor& tensor : before.tensors) tensor = tensor.detach().clone();
  if (rank_count() > 1) {
    const std::string text = message_of([&] { load(optimizer, own); });
    CHECK(has(text, "load the one that rank 0 saved"));
  } else {
    load(optimizer, own);
  }
  CHECK(model == before);
}

TEST_CASE("what one rank refuses all refuse, and nothing has changed") {
  Model model;
  mpi::TorchOptimizer optimizer(MPI_COMM_WORLD, model.groups());
  Model before = model;
  for (torch::Tensor& tensor : before.tensors) tensor = tensor.detach().clone();
  const bool is_last = rank_of() == rank_count() - 1;

  model.set_gradients(rank_of(), 0);
  if (is_last) model.tensors[0].mutable_grad()[3][2] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(optimizer.step(), NonFiniteGradient);
  CHECK(model == before);

  model.set_gradients(rank_of(), 0);
  const std::string text = message_of([&] {
    optimizer.step([&]() -> torch::Tensor {
      if (is_last) throw std::runtime_error("the loader has no batch");
      return torch::zeros({});
    });
  });
  CHECK(has(text, "the loader has no batch"));
  CHECK(model == before);

  for (torch::Tensor& tensor : model.tensors) tensor.mutable_grad() = torch::Tensor();
  const std::string missing = message_of([&] { optimizer.step(); });
  CHECK(has(missing, "no rank has a gradient of"));
  CHECK(has(missing, "requires_grad_(false)"));

  model.set_gradients(rank_of(), 0);
  optimizer.param_groups().pop_back();
  CHECK(has(message_of([&] { optimizer.step(); }), "joined or left"));
  CHECK(model == before);
}

TEST_CASE("a tensor without a gradient on one rank has zeros there, and gradients may lie in any way") {
  Model ours, theirs;
  mpi::TorchOptimizer optimizer(MPI_COMM_WORLD, ours.groups());
  interop::TorchOptimizer reference(theirs.groups());
  for (int step = 0; step < 3; ++step) {
    ours.set_gradients(rank_of(), step);
    theirs.set_averages(step);
    if (step == 1 && rank_count() > 1) {
      if (rank_of() == 0) ours.tensors[1].mutable_grad() = torch::Tensor();
      torch::Tensor sum = torch::zeros_like(theirs.tensors[1]);
      for (int rank = 1; rank < rank_count(); ++rank) sum = sum + theirs.gradient(1, rank, step);
      theirs.tensors[1].mutable_grad() = sum / rank_count();
    }
    torch::Tensor& turned = ours.tensors[0].mutable_grad();
    if (step != 1) turned = turned.t().contiguous().t();
    optimizer.step();
    reference.step();
    CHECK(ours == theirs);
  }
}

TEST_CASE("a frozen tensor is left alone, and may not begin to have a gradient") {
  torch::Tensor trained = torch::ones({4, 3}).requires_grad_(), frozen = torch::ones({4, 3});
  Groups groups;
  groups.push_back(parameter_group<LmHead>({trained, frozen}, {.learning_rate = 0.1, .weight_decay = 0.5}));
  mpi::TorchOptimizer optimizer(MPI_COMM_WORLD, std::move(groups));
  trained.mutable_grad() = torch::randn({4, 3});
  optimizer.step();
  CHECK(torch::equal(frozen, torch::ones({4, 3})));
  CHECK_FALSE(torch::equal(trained.detach(), torch::ones({4, 3})));
  frozen.mutable_grad() = torch::ones({4, 3});
  CHECK(has(message_of([&] { optimizer.step(); }), "required none when the optimizer was made"));
}

TEST_CASE("tensors that cannot be shared are refused on all ranks") {
  const auto made = [](std::vector<torch::Tensor> tensors) {
    Groups groups;
    groups.push_back(parameter_group<LmHead>(std::move(tensors)));
    mpi::TorchOptimizer optimizer(MPI_COMM_WORLD, std::move(groups));
  };
  const torch::Tensor plain = torch::ones({4, 3});
  const bool is_last = rank_of() == rank_count() - 1;
  CHECK(has(message_of([&] { made({plain, torch::ones({4, 3}, torch::kDouble)}); }), "make one for each"));
  const torch::Tensor elsewhere = torch::empty({4, 3}, torch::TensorOptions().device(torch::kMeta));
  CHECK(has(message_of([&] { made({is_last ? elsewhere : plain}); }), "it lies on meta"));
  if (rank_count() > 1)
    CHECK(has(message_of([&] { made({is_last ? torch::ones({3, 4}) : plain}); }), "shape is 4x3 on rank 0"));
}

TEST_CASE("the norm that clips is that of the averages") {
  Model model;
  mpi::TorchOptimizer optimizer(MPI_COMM_WORLD, model.groups());
  model.set_gradients(rank_of(), 2);
  const ClipReport all = mpi::clip_by_global_norm(optimizer, 1e-3);
  model.set_averages(2);
  double squares = 0;
  for (const std::string& name : all.clipped)
    for (std::size_t t = 0; t < model.tensors.size(); ++t)
      if (has(name, "group " + std::to_string(t < 4 ? t + 2 : t - 4)))  // the pair's are the first two
        squares += model.tensors[t].grad().square().sum().item<double>();
  REQUIRE(!all.clipped.empty());
  CHECK(all.norm == doctest::Approx(std::sqrt(squares)).epsilon(1e-5));
  CHECK(all.factor == doctest::Approx(1e-3 / all.norm).epsilon(1e-5));
  model.set_gradients(rank_of(), 2);
  optimizer.step();
}

/// Words that follow each other by a rule, with some noise.
language_model::Corpus small_corpus() {
  std::mt19937_64 random(5);
  std::vector<std::string> words;
  std::uint64_t word = 0;
  for (int i = 0; i < 12 * 2000; ++i) {
    word = random() % 4 == 0 ? random() % 60 : (3 * word + 7) % 60;
    words.push_back("w" + std::to_string(word));
  }
  return language_model::make_corpus(words, 56);
}

TEST_CASE("a training on shares of each batch has the curve of one on the joined batch") {
  at::set_num_threads(1);
  const language_model::Corpus corpus = small_corpus();
  language_model::TrainingPlan plan;
  plan.shape = {
      .vocabulary = 56, .width = 32, .layers = 1, .heads = 2, .experts = 0, .neurons = 96, .context = 32};
  plan.sequences = 12;  // in equal parts for 1, 2, 3 and 4 ranks
  plan.steps = 20;
  const auto train = [&](MPI_Comm processes, mpi::DistributedOptions options = {}) {
    return language_model::train_on_ranks(processes, corpus, plan, language_model::second_moments, options);
  };
  const auto alone = train(MPI_COMM_SELF), shared = train(MPI_COMM_WORLD);
  REQUIRE(alone.loss.size() == 20);
  REQUIRE(shared.loss.size() == 20);
  REQUIRE(shared.ranks.size() == static_cast<std::size_t>(rank_count()));
  const auto difference = [&](const language_model::RankTraining& other) {
    double most = 0;
    for (std::size_t i = 0; i < alone.loss.size(); ++i)
      most = std::max(most, std::abs(other.loss[i] / alone.loss[i] - 1));
    return most;
  };
  MESSAGE("relative difference of the losses: " << difference(shared));
  CHECK(difference(shared) < 1e-5);
  CHECK(shared.loss.back() < 0.95 * shared.loss.front());
  if (rank_count() > 1) {  // each rank's own gradient in place of the average
    const auto apart = train(MPI_COMM_WORLD, {.gradients = mpi::Gradients::as_given});
    MESSAGE("without averages: " << difference(apart));
    CHECK(difference(apart) > 1e-3);
  }
}

}}  // namespace torch_ranks_test
