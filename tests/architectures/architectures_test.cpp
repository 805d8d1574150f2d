// SPDX-License-Identifier: Apache-2.0
// The small Qwen3, Gemma 3, OLMoE and gpt-oss of the language model: what they compute, which symmetries they
// have, and which rule each parameter gets.
#include "plain_decoder.hpp"
#include "support/temporary_file.hpp"

#include <language_model/architecture.hpp>
#include <language_model/architectures/models.hpp>
#include <language_model/architectures/rules.hpp>
#include <language_model/architectures/symmetries.hpp>
#include <language_model/optimizers.hpp>
#include <language_model/search/planned_trainings.hpp>
#include <language_model/search/search_table.hpp>
#include <language_model/training.hpp>
#include <language_model/twins/twin_model.hpp>

#include <symopt/check/model.hpp>

#include <doctest/doctest.h>

#include <symopt/check/doctest.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace architectures_test { namespace {

using namespace language_model;
using symopt::Index;
using symopt::PlanRow;
using symopt::check::check_model;
using symopt::check::ModelOptimizer;
using symopt::check::ModelReport;
using symopt::check::SymmetryReport;
using symopt::check::Verdict;

/// A tiny shape whose sizes all differ, where the family allows it.
ModelShape tiny(Family family) {
  const bool is_dense = shape_of(family).is_dense();
  return {.vocabulary = 13,
          .width = 10,
          .layers = 2,
          .heads = family == Family::olmoe ? 2 : 6,
          .key_value_heads = 2,
          .head_size = 4,
          .experts = is_dense ? 0 : 5,
          .chosen = is_dense ? 0 : 2,
          .neurons = 7,
          .context = 8,
          .window = 3};
}

/// The facts of a family, as the plain forward pass has them.
plain::Facts facts_of(Family family) {
  const ModelShape shape = tiny(family);
  plain::Facts facts{.layers = std::size_t(shape.layers),
                     .heads = std::size_t(shape.heads),
                     .key_value_heads = std::size_t(shape.key_value_heads),
                     .head_size = std::size_t(shape.head_size),
                     .chosen = std::size_t(shape.chosen)};
  switch (family) {
    case Family::qwen3:
      facts.head_norm = plain::HeadNorm::each;
      facts.is_tied = true;
      facts.local_base = facts.global_base = 1e6;
      break;
    case Family::gemma3:
      facts.head_norm = plain::HeadNorm::each;
      facts.gain_offset = 1;
      facts.is_tied = facts.has_post_norms = facts.has_gelu = true;
      facts.embedding_scale = std::sqrt(double(shape.width));
      facts.window = std::size_t(shape.window);
      facts.global_base = 1e6;
      break;
    case Family::olmoe:
      facts.eps = 1e-5;
      facts.head_norm = plain::HeadNorm::all;
      facts.shares_of_all = true;
      facts.z_weight = 1e-3;
      break;
    case Family::gpt_oss:
      facts.eps = 1e-5;
      facts.has_biases = facts.has_sinks = facts.is_interleaved = true;
      facts.window = std::size_t(shape.window);
      facts.local_base = facts.global_base = 150'000;
      facts.limit = 7;
      facts.up_offset = 1;
      facts.sigmoid_factor = 1.702;
      break;
  }
  return facts;
}

/// All parameters drawn anew, gains, biases and sinks too, so that none of them hides.
void draw_all(LanguageModel& model, double deviation, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  at::Generator generator = at::detail::createCPUGenerator(seed);
  for (torch::Tensor& parameter : model.parameters()) parameter.normal_(0, deviation, generator);
}

std::vector<Batch> random_batches(const ModelShape& shape, std::int64_t sequences, std::size_t count) {
  at::Generator generator = at::detail::createCPUGenerator(17);
  std::vector<Batch> batches;
  while (batches.size() < count) {
    const torch::Tensor tokens =
        torch::randint(shape.vocabulary, {sequences, shape.context + 1}, generator, torch::kInt64);
    batches.push_back(
        {.inputs = tokens.slice(1, 0, shape.context), .targets = tokens.slice(1, 1, shape.context + 1)});
  }
  return batches;
}

plain::Weights weights_of(const LanguageModel& model) {
  plain::Weights weights;
  for (const auto& item : model.named_parameters()) {
    const torch::Tensor flat = item.value().detach().contiguous();
    plain::Tensor& tensor = weights[item.key()];
    for (const std::int64_t size : flat.sizes()) tensor.sizes.push_back(std::size_t(size));
    tensor.values.assign(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
  }
  return weights;
}

/// How far a model is from the plain forward pass with these facts.
struct Distance {
  double logits, router_loss;
  std::size_t clamped;
};
Distance distance_of(LanguageModel& model, const plain::Facts& facts, const torch::Tensor& tokens) {
  const torch::NoGradGuard no_grad;
  const plain::Weights weights = weights_of(model);
  plain::Decoder decoder(facts, weights);
  const torch::Tensor logits = model.forward(tokens);
  double distance = 0, size = 0;
  for (std::int64_t row = 0; row < tokens.size(0); ++row) {
    std::vector<std::size_t> sequence;
    for (std::int64_t t = 0; t < tokens.size(1); ++t)
      sequence.push_back(std::size_t(tokens[row][t].item<std::int64_t>()));
    const plain::Rows expected = decoder.logits(sequence);
    for (std::size_t t = 0; t < sequence.size(); ++t) {
      const torch::Tensor actual = logits[row][std::int64_t(t)].contiguous();
      for (std::size_t i = 0; i < expected[t].size(); ++i) {
        REQUIRE(std::isfinite(expected[t][i]));
        const double difference = std::abs(actual.data_ptr<double>()[i] - expected[t][i]);
        if (!(difference <= distance)) distance = difference;  // what is not finite stays
        size = std::max(size, std::abs(expected[t][i]));
      }
    }
  }
  const double of_routers = model.routers().empty() ? 0 : model.router_loss().item<double>();
  const double plain_loss = model.routers().empty() ? 0 : decoder.router_loss();
  return {distance / size, std::abs(of_routers - plain_loss), decoder.clamped};
}

TEST_CASE("each architecture computes what a plain forward pass does, from its names, shapes and formulas") {
  for (const Family family : all_families) {
    CAPTURE(name_of(family));
    const ModelShape shape = tiny(family);
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const std::shared_ptr<LanguageModel> model = make_model(family, shape, seed);
      model->to(torch::kDouble);
      const torch::Tensor tokens = random_batches(shape, 3, 1).front().inputs;
      for (const double deviation : {0.0, 0.7, 2.0}) {  // as it starts, and anywhere
        if (deviation > 0) draw_all(*model, deviation, seed);
        const Distance distance = distance_of(*model, facts_of(family), tokens);
        CHECK(distance.logits < 1e-12);
        CHECK(distance.router_loss < 1e-7);  // the load is counted in float
        if (family == Family::gpt_oss && deviation == 2.0) CHECK(distance.clamped > 0);
      }
    }
  }
}

TEST_CASE("each fact of an architecture changes what it computes") {
  using Change = std::function<void(plain::Facts&)>;
  const std::map<Family, std::vector<Change>> changes{
      {Family::qwen3,
       {[](auto& f) { f.head_norm = plain::HeadNorm::none; }, [](auto& f) { f.local_base = 1e4; },
        [](auto& f) { f.eps = 1e-2; }}},
      {Family::gemma3,
       {[](auto& f) { f.gain_offset = 0; }, [](auto& f) { f.has_post_norms = false; },
        [](auto& f) { f.has_gelu = false; }, [](auto& f) { f.embedding_scale = 1; },
        [](auto& f) { f.window = 0; }, [](auto& f) { f.global_base = 1e4; }}},
      {Family::olmoe,
       {[](auto& f) { f.eps = 1e-2; }, [](auto& f) { f.shares_of_all = false; },
        [](auto& f) { f.chosen = 3; }}},
      {Family::gpt_oss,
       {[](auto& f) { f.has_sinks = false; }, [](auto& f) { f.window = 0; }, [](auto& f) { f.limit = 1e9; },
        [](auto& f) { f.up_offset = 0; }, [](auto& f) { f.sigmoid_factor = 1; },
        [](auto& f) { f.shares_of_all = true; }}}};
  for (const auto& [family, list] : changes) {
    CAPTURE(name_of(family));
    const std::shared_ptr<LanguageModel> model = make_model(family, tiny(family), 1);
    model->to(torch::kDouble);
    draw_all(*model, 2.0, 1);
    const torch::Tensor tokens = random_batches(tiny(family), 2, 1).front().inputs;
    for (const Change& change : list) {
      plain::Facts facts = facts_of(family);
      change(facts);
      CHECK(distance_of(*model, facts, tokens).logits > 1e-4);
    }
  }
}

/// A model as a check sees it, in double or in float. Its weights are drawn, but for gains, which are one.
template <class Scalar = double>
TwinModel<Scalar> twin_model(Family family, Gains gains, std::size_t steps = 0) {
  const ModelShape shape = tiny(family);
  std::shared_ptr<LanguageModel> model = make_model(family, shape, 3);
  const torch::NoGradGuard no_grad;
  at::Generator generator = at::detail::createCPUGenerator(5);
  for (const auto& item : model->named_parameters())
    if (!item.key().ends_with("norm.weight")) torch::Tensor(item.value()).normal_(0, 0.5, generator);
  return {std::move(model), random_batches(shape, 1, steps + 1), shape.vocabulary, gains};
}

TEST_CASE("each architecture has the symmetries that it should have, and lost the others to what is named") {
  for (const Family family : all_families) {
    for (const Gains gains : {Gains::fixed, Gains::trained}) {
      TwinModel<> model = twin_model(family, gains);
      const FamilySymmetries symmetries(family, tiny(family),
                                        [&](const auto& images) { model.rename_tokens(images); });
      std::vector<symopt::check::ModelSymmetry> held;
      for (const FamilySymmetry& symmetry : symmetries.list()) {
        if (symmetry.has_gains != (gains == Gains::trained)) continue;
        if (symmetry.taken_by.empty()) {
          held.push_back(symmetry.symmetry);
          continue;
        }
        CAPTURE(name_of(family));
        CAPTURE(symmetry.symmetry.name());
        const ModelReport report = check_model(model.checked(), {symmetry.symmetry});
        SYMOPT_CHECK_VERDICT(Verdict::violated, report);
      }
      CAPTURE(name_of(family));
      if (!held.empty()) SYMOPT_CHECK(check_model(model.checked(), held));
    }
  }
}

TEST_CASE("the sinks and biases of a gpt-oss move along, or its symmetries are lost") {
  using symopt::check::Lines, symopt::check::symmetry;
  TwinModel<> model = twin_model(Family::gpt_oss, Gains::fixed);
  const ModelShape shape = tiny(Family::gpt_oss);
  const Lines heads{.copies = shape.key_value_heads, .block = shape.head_size};
  const auto without_sinks = symmetry("order of query heads, and no sinks")
                                 .rows(heads, "**.q_proj.{weight,bias}")
                                 .columns(heads, "**.o_proj.weight")
                                 .by<symopt::Permutation>(shape.heads / shape.key_value_heads);
  SYMOPT_CHECK_VERDICT(Verdict::violated, check_model(model.checked(), {without_sinks}));

  const auto without_bias = symmetry("basis of values, and no bias")
                                .rows(Lines{.copies = shape.key_value_heads}, "**.v_proj.weight")
                                .columns(Lines{.copies = shape.heads}, "**.o_proj.weight")
                                .by<symopt::algebra::Full>(shape.head_size, 10);
  const ModelReport biased = check_model(model.checked(), {without_bias});
  SYMOPT_CHECK_VERDICT(Verdict::violated, biased);
  CHECK(biased.symmetries.front().mend.find("v_proj.bias") != std::string::npos);
}

/// The loss of a gpt-oss before and after up and down of all neurons are scaled against each other.
double change_by_scales(const GptOssNeurons& neurons, double deviation) {
  const torch::NoGradGuard no_grad;
  const ModelShape shape = tiny(Family::gpt_oss);
  const std::shared_ptr<LanguageModel> model = make_model(neurons, shape, 1);
  model->to(torch::kDouble);
  draw_all(*model, deviation, 2);
  const torch::Tensor tokens = random_batches(shape, 2, 1).front().inputs;
  const torch::Tensor before = model->forward(tokens);
  for (const auto& item : model->named_parameters()) {
    torch::Tensor weights = item.value();
    if (item.key().find("gate_up_proj") != std::string::npos) {
      weights.slice(-1, 1, {}, 2).mul_(2);
    } else if (item.key().ends_with("experts.down_proj")) {
      weights.mul_(0.5);
    }
  }
  return (model->forward(tokens) - before).abs().max().item<double>() / before.abs().max().item<double>();
}

TEST_CASE("the clamps and the 1 in up + 1 each take away the scales of a gpt-oss's neurons") {
  const double none = 1e9;
  CHECK(change_by_scales({.limit = none, .offset = 0}, 2.0) < 1e-12);
  CHECK(change_by_scales({.limit = none, .offset = 1}, 2.0) > 1e-3);
  CHECK(change_by_scales({.limit = 7, .offset = 0}, 2.0) > 1e-3);
}

/// The group of a parameter in a stack's plan.
std::map<std::string, std::string> groups_of(Family family, Rule rule) {
  const ModelShape shape = tiny(family);
  const std::shared_ptr<LanguageModel> model = make_model(family, shape, 1);
  std::map<std::string, std::string> groups;
  const symopt::Plan plan = plan_of(*make_stack(*model, family, shape, rule, {}));
  for (const PlanRow& row : plan.rows()) groups[row.name] = row.group + ", " + row.layout;
  return groups;
}

TEST_CASE("the library's rule sets route every parameter by its name") {
  const std::string adamw = "B x B, whole";
  const std::string at = "model.layers.1.", attention = at + "self_attn.", mlp = at + "mlp.";
  for (const Family family : all_families) {
    CAPTURE(name_of(family));
    auto groups = groups_of(family, Rule::derived);
    const std::string heads = std::to_string(tiny(family).heads);
    CHECK(groups[attention + "q_proj.weight"] == "HiddenMatrix: O x O, " + heads + " row heads");
    CHECK(groups[attention + "v_proj.weight"] == "HiddenMatrix: O x O, 2 row heads");
    CHECK(groups[attention + "o_proj.weight"] == "HiddenMatrix: O x O, " + heads + " column heads");
    CHECK(groups[at + "input_layernorm.weight"] == adamw);
    const bool is_tied_here = is_tied(family);
    CHECK(groups["model.embed_tokens.weight"] ==
          (is_tied_here ? "TiedEmbedding: S x O, whole" : "Embedding: S x O, whole"));
    CHECK(groups.contains("lm_head.weight") == !is_tied_here);
    if (is_tied_here) {
      CHECK(groups[attention + "k_norm.weight"] == adamw);
      CHECK(groups[mlp + "up_proj.weight"] == "SwigluInput: S x O, whole");
      CHECK(groups[mlp + "down_proj.weight"] == "SwigluOutput: O x S, whole");
    }
  }
  auto olmoe = groups_of(Family::olmoe, Rule::derived);
  CHECK(olmoe["lm_head.weight"] == "LmHead: S x O + shift, whole");
  CHECK(olmoe[mlp + "gate.weight"] == "Product<Permutation<left>, Orthogonal<right>>: S x O, whole");
  CHECK(olmoe[mlp + "experts.gate_up_proj"] == "SwigluInput: S x O, experts, gate/up concatenated, paired");
  CHECK(olmoe[mlp + "experts.down_proj"] == "SwigluOutput: O x S, experts");
  CHECK(groups_of(Family::olmoe, Rule::paper)[mlp + "gate.weight"] == "Router: S x O + shift, whole");
  auto gpt_oss = groups_of(Family::gpt_oss, Rule::derived);
  CHECK(gpt_oss[mlp + "router.weight"] == "Router: S x O + shift, whole");
  CHECK(gpt_oss[mlp + "experts.gate_up_proj"] ==
        "SwigluInput: S x O, experts, transposed, gate/up interleaved, paired");
  CHECK(gpt_oss[mlp + "experts.down_proj"] == "SwigluOutput: O x S, experts, transposed");
  for (const char* bias :
       {"mlp.router.bias", "mlp.experts.down_proj_bias", "self_attn.q_proj.bias", "self_attn.sinks"})
    CHECK(gpt_oss[at + bias] == adamw);
}

TEST_CASE("every rule of an architecture moves all parameters, and no two rules make the same step") {
  for (const Family family : all_families) {
    const ModelShape shape = tiny(family);
    std::vector<std::vector<torch::Tensor>> ends;
    for (const Rule rule : rules_of(family)) {
      CAPTURE(name_of(family));
      CAPTURE(name_of(rule));
      TwinModel<float> model = twin_model<float>(family, Gains::trained);
      const auto stack = make_stack(model.model(), family, shape, rule, {});
      std::vector<torch::Tensor> before, after;
      for (const torch::Tensor& parameter : model.model().parameters())
        before.push_back(parameter.detach().clone());
      model.checked().loss_and_gradient(0);
      stack->step();
      bool all_moved = true;
      for (const torch::Tensor& parameter : model.model().parameters()) {
        after.push_back(parameter.detach().clone());
        all_moved = all_moved && parameter.isfinite().all().item<bool>() &&
                    !after.back().equal(before[after.size() - 1]);
      }
      CHECK(all_moved);
      for (const auto& other : ends) {
        bool is_new = false;
        for (std::size_t i = 0; i < after.size(); ++i) is_new = is_new || !after[i].equal(other[i]);
        CHECK(is_new);
      }
      ends.push_back(after);
    }
  }
}

/// Twins by a rule, from starts that the residual rotation turns into each other.
SymmetryReport rotated_twins(Family family, Rule rule) {
  constexpr int steps = 3;
  TwinModel<float> model = twin_model<float>(family, Gains::fixed, steps);
  const FamilySymmetries symmetries(family, tiny(family), [](const auto&) {});
  const ModelOptimizer<float> optimizer(name_of(rule), [&] {
    return std::shared_ptr<torch::optim::Optimizer>(
        make_stack(model.model(), family, tiny(family), rule, {.learning_rate = 1e-3}));
  });
  return check_model(model.checked(), {symmetries.list().front().symmetry}, {optimizer}, {.steps = steps})
      .symmetries.front();
}

TEST_CASE(
    "derived updates keep rotations, a rule of the wrong side does not, and neither do trained biases") {
  CHECK(rotated_twins(Family::qwen3, Rule::derived).verdict == Verdict::holds);
  CHECK(rotated_twins(Family::olmoe, Rule::paper).verdict == Verdict::holds);

  const SymmetryReport wrong = rotated_twins(Family::qwen3, Rule::wrong_side);
  CHECK(wrong.verdict == Verdict::violated);
  const auto is_among = [](const SymmetryReport& report, const std::string& part) {
    return std::ranges::any_of(report.trainings.front().left_first,
                               [&](const auto& gap) { return gap.name.find(part) != std::string::npos; });
  };
  CHECK(is_among(wrong, "embed_tokens"));
  CHECK(!is_among(wrong, "self_attn"));

  const SymmetryReport biased = rotated_twins(Family::gpt_oss, Rule::derived);
  CHECK(biased.verdict == Verdict::violated);
  for (const auto& gap : biased.trainings.front().left_first)
    CHECK(gap.name.find("bias") != std::string::npos);
}

/// A text of words in turn, which a model can learn.
Corpus counting_text(std::int64_t vocabulary) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < 20 * Corpus::block_length; ++i)
    tokens.push_back("w" + std::to_string(i % std::size_t(vocabulary - 1)));
  return make_corpus(tokens, vocabulary);
}

TrainingResult trained(Family family, Rule rule, double rate) {
  const TrainingPlan plan{.shape = tiny(family), .sequences = 4, .steps = 25, .validations = 0};
  const auto make = [&](const ModelShape& shape, std::uint64_t seed) {
    return make_model(family, shape, seed);
  };
  return train(
      counting_text(plan.shape.vocabulary), plan, make, [&](const LanguageModel& model, std::int64_t) {
        std::unique_ptr<torch::optim::Optimizer> stack =
            make_stack(model, family, plan.shape, rule, {.learning_rate = rate});
        std::vector<Schedule> schedules(stack->param_groups().size(), [](std::int64_t) { return 1.0; });
        return ScheduledOptimizer(std::move(stack), std::move(schedules));
      });
}

TEST_CASE(
    "a short training of each architecture learns, and one at an absurd rate is said to have diverged") {
  for (const Family family : all_families) {
    CAPTURE(name_of(family));
    const TrainingResult result = trained(family, Rule::paper, 5e-3);
    CHECK(result.improved());
    CHECK(result.end.loss < result.start.loss - 0.2);
    CHECK(result.state_bytes > 0);
    CHECK((result.end.routers.load_entropy > 0) == !tiny(family).is_dense());
  }
  const TrainingResult diverged = trained(Family::qwen3, Rule::derived, 1e30);
  CHECK(std::isnan(diverged.end.loss));
  CHECK(!diverged.improved());
}

TEST_CASE("a wider model has the same proportions and is searched for whether its rates are the same") {
  const Architecture small = architecture_of(Family::gemma3), wide = wide_architecture_of(Family::gemma3, 3);
  CHECK(wide.name == "gemma3 x3");
  CHECK(wide.shape.width == 3 * small.shape.width);
  CHECK(wide.shape.heads == 3 * small.shape.heads);
  CHECK(wide.shape.key_value_heads == 3 * small.shape.key_value_heads);
  CHECK(wide.shape.head_size == small.shape.head_size);
  CHECK(wide.shape.neurons == 3 * small.shape.neurons);
  CHECK(wide.shape.layers == small.shape.layers);
  CHECK(wide.settings.tied_embedding == small.settings.tied_embedding);
  CHECK(wide.searched.size() == 3);
  CHECK(wide.searched.front().name == "AdamW");
  CHECK(wide.seeds == 1);
  CHECK(wide.rates.rates().size() == 3);
  const ModelShape shape = widened(small.quick_shape, 3);
  CHECK(wide.make(shape, 1)->forward(torch::zeros({1, shape.context}, torch::kInt64)).sizes() ==
        torch::IntArrayRef({1, shape.context, shape.vocabulary}));
}

/// Trainings that do nothing but count how often they ran; that of `failing` throws.
std::vector<PlannedTraining> counting(std::vector<int>& runs, std::size_t failing) {
  std::vector<PlannedTraining> trainings;
  for (std::size_t i = 0; i < runs.size(); ++i)
    trainings.push_back({.description = "rule,0.00" + std::to_string(i + 1) + ",qwen3,1,1,",
                         .steps = 1,
                         .train = [&runs, i, failing](const StepObserver& observe) {
                           if (i == failing) throw std::runtime_error("stopped");
                           ++runs[i];
                           observe(1, 0);
                           TrainingResult result;
                           result.training_loss = {5, 4};
                           result.start.loss = 6;
                           result.end.loss = i == 2 ? std::nan("") : 3 + double(i);
                           return result;
                         }});
  return trainings;
}

TEST_CASE("a search that was stopped goes on with the trainings that are not in its table") {
  const symopt_test::TemporaryFile file("search");
  const std::string columns = "side,rate,architecture,steps,seed";
  std::vector<int> runs(4, 0);
  CHECK_THROWS_WITH(run_planned(counting(runs, 1), 1, file.path, columns), "stopped");
  CHECK(runs == std::vector<int>{1, 0, 0, 0});
  const std::vector<double> losses = run_planned(counting(runs, 9), 1, file.path, columns);
  CHECK(runs == std::vector<int>{1, 1, 1, 1});
  CHECK(losses[0] == 3);
  CHECK(std::isnan(losses[2]));
  run_planned(counting(runs, 9), 1, file.path, columns);
  CHECK(runs == std::vector<int>{1, 1, 1, 1});

  std::ifstream table(file.path);
  const std::vector<SearchedTraining> trainings = SearchTable(table).trainings();
  REQUIRE(trainings.size() == 4);
  CHECK(trainings[1].rate == 0.002);
  CHECK(trainings[1].validation_loss == 4);
  CHECK(!trainings[1].has_diverged());
  CHECK(trainings[2].has_diverged());
}

}}  // namespace architectures_test
