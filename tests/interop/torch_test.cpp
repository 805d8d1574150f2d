// SPDX-License-Identifier: Apache-2.0
#include "interop/torch/device.hpp"

#include <symopt/interop/torch.hpp>
#include <symopt/interop/torch_diagnostics.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/pair/pair_optimizer.hpp>

#include <doctest/doctest.h>
#include <torch/nn.h>
#include <torch/optim/adamw.h>
#include <torch/optim/schedulers/step_lr.h>
#include <torch/serialize.h>

#include <cmath>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>

namespace torch_test { namespace {

using namespace symopt;
using interop::parameter_group;
using interop::parameter_groups;
using interop::TorchOptimizer;
using Groups = std::vector<torch::optim::OptimizerParamGroup>;

Matrix<float> as_matrix(const torch::Tensor& tensor) {
  const torch::Tensor rows = tensor.detach().contiguous();
  return Eigen::Map<const Matrix<float>>(rows.data_ptr<float>(), rows.size(0), rows.size(1));
}

torch::Tensor random_parameter(std::int64_t rows, std::int64_t cols) {
  return torch::randn({rows, cols}).requires_grad_();
}

TEST_CASE("a torch parameter moves as the same Eigen block does, in place") {
  torch::manual_seed(11);
  torch::Tensor parameter = random_parameter(9, 4);
  const void* memory = parameter.data_ptr();
  Matrix<float> weights = as_matrix(parameter);
  const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.2, .scale = Scale::aspect};
  Groups groups;
  groups.push_back(parameter_group<Update<LmHead>>({parameter}, options));
  TorchOptimizer optimizer(std::move(groups));
  Optimizer<Update<LmHead>> reference(9, 4, options);
  for (int step = 0; step < 5; ++step) {
    optimizer.zero_grad();
    (torch::randn({9, 4}) * parameter).sum().backward();
    reference.step(weights, as_matrix(parameter.grad()));
    optimizer.step();
  }
  CHECK(parameter.data_ptr() == memory);
  CHECK((as_matrix(parameter) - weights).cwiseAbs().maxCoeff() == 0.0F);
}

TEST_CASE("a pair of parameters moves as PairOptimizer moves the two blocks") {
  torch::manual_seed(21);
  torch::Tensor up = random_parameter(9, 4), down = random_parameter(4, 7);
  Matrix<float> w_up = as_matrix(up), w_down = as_matrix(down);
  const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.2, .scale = Scale::match_rms};
  TorchOptimizer optimizer(interop::pair_groups<LoraPair>(up, down, options, {.b = layout::transposed()}));
  PairOptimizer<PairUpdate<LoraPair>> reference(9, 7, 4, options);
  for (int step = 0; step < 3; ++step) {
    optimizer.zero_grad();
    (torch::randn({9, 7}) * up.matmul(down)).sum().backward();
    const Matrix<float> g_up = as_matrix(up.grad()), g_down = as_matrix(down.grad());
    reference.step(w_up, g_up, w_down.transpose(), g_down.transpose());
    optimizer.step();
  }
  CHECK((as_matrix(up) - w_up).cwiseAbs().maxCoeff() == 0.0F);
  CHECK((as_matrix(down) - w_down).cwiseAbs().maxCoeff() == 0.0F);
}

TEST_CASE("a pair of which one block was never added is refused at its first step") {
  const torch::Tensor up = random_parameter(9, 4), down = random_parameter(4, 7);
  Groups groups = interop::pair_groups<LoraPair>(up, down, {}, {.b = layout::transposed()});
  groups.pop_back();
  TorchOptimizer optimizer(std::move(groups));
  up.mutable_grad() = torch::ones({9, 4});
  CHECK_THROWS_WITH_AS(optimizer.step(), doctest::Contains("the other block of its pair was never added"),
                       std::invalid_argument);
}

TEST_CASE("two patterns route the pairs of a module") {
  torch::manual_seed(22);
  torch::OrderedDict<std::string, torch::Tensor> parameters;
  for (const std::string layer : {"q", "v"}) {
    parameters.insert(layer + ".lora_A", random_parameter(2, 5));
    parameters.insert(layer + ".lora_B", random_parameter(6, 2));
  }
  Routing routing;
  routing.add_pair("*.lora_B", "*.lora_A", pair_role<LoraPair>({.b = layout::transposed()}));
  TorchOptimizer optimizer(parameter_groups(parameters, routing, {.learning_rate = 0.1}));
  torch::Tensor loss;
  for (const std::string layer : {"q", "v"})
    parameters[layer + ".lora_B"].matmul(parameters[layer + ".lora_A"]).square().sum().backward();
  const Matrix<float> before = as_matrix(parameters["v.lora_A"]);
  optimizer.step();
  CHECK((as_matrix(parameters["v.lora_A"]) - before).norm() > 0);
  CHECK(optimizer.plan().rows().size() == 4);
}

TEST_CASE("transposed parameters and gradients are updated where they lie") {
  torch::manual_seed(12);
  for (const bool transposed_gradient : {false, true}) {
    torch::Tensor parameter = torch::randn({4, 9}).t().detach().requires_grad_();
    REQUIRE(parameter.stride(0) == 1);
    Matrix<float> weights = as_matrix(parameter);
    torch::Tensor gradient = transposed_gradient ? torch::randn({4, 9}).t() : torch::randn({9, 4});
    Groups groups;
    groups.push_back(parameter_group<Update<HiddenMatrix>>({parameter}));
    TorchOptimizer optimizer(std::move(groups));
    parameter.mutable_grad() = gradient;
    optimizer.step();
    Optimizer<Update<HiddenMatrix>> reference(9, 4, {.scale = Scale::match_rms});  // as a stack's
    reference.step(weights, as_matrix(gradient));
    CHECK((as_matrix(parameter) - weights).cwiseAbs().maxCoeff() < 1e-6F);
  }
}

TEST_CASE("double parameters are updated in double") {
  torch::Tensor parameter = torch::ones({3, 2}, torch::kDouble).requires_grad_();
  parameter.mutable_grad() = torch::tensor({{3.0, 4.0}, {0.0, 2.0}, {0.0, 0.0}}, torch::kDouble);
  Groups groups;
  groups.push_back(parameter_group<Update<Embedding, RowNorm>>(
      {parameter}, {.learning_rate = 1.0, .momentum = 0.0}, {}, {}, RowNorm{.eps = 0}));
  TorchOptimizer optimizer(std::move(groups));
  optimizer.step();
  const auto expected = torch::tensor({{0.4, 0.2}, {1.0, 0.0}, {1.0, 1.0}}, torch::kDouble);
  CHECK(torch::allclose(parameter.detach(), expected, 0, 1e-15));
}

TEST_CASE("each group has its own rate and torch's schedulers drive all of them") {
  torch::Tensor a = torch::zeros({2, 2}).requires_grad_();
  torch::Tensor b = torch::zeros({2, 2}).requires_grad_();
  Groups groups;
  groups.push_back(parameter_group<Sign>({a}, {.learning_rate = 1.0}));
  groups.push_back(parameter_group<Sign>({b}, {.learning_rate = 0.5}));
  TorchOptimizer optimizer(std::move(groups));
  torch::optim::StepLR scheduler(optimizer, 1, 0.1);
  // torch's StepLR keeps the rate at its first call, so the steps are taken at 1, 1 and 0.1 times it.
  for (int step = 0; step < 3; ++step) {
    a.mutable_grad() = torch::ones({2, 2});
    b.mutable_grad() = torch::ones({2, 2});
    optimizer.step();
    scheduler.step();
  }
  CHECK(a[0][0].item<float>() == doctest::Approx(-2.1));
  CHECK(b[0][0].item<float>() == doctest::Approx(-1.05));
  CHECK(optimizer.param_groups()[1].options().get_lr() == doctest::Approx(0.005));
}

TEST_CASE("symopt's AdamW agrees with torch's") {
  torch::manual_seed(13);
  torch::Tensor ours = torch::randn({7}).requires_grad_();
  torch::Tensor theirs = ours.detach().clone().requires_grad_();
  Groups groups;
  groups.push_back(parameter_group<AdamW>({ours}, {.learning_rate = 0.01, .weight_decay = 0.1}));
  TorchOptimizer optimizer(std::move(groups));
  torch::optim::AdamW reference({theirs}, torch::optim::AdamWOptions(0.01).weight_decay(0.1));
  for (int step = 0; step < 10; ++step) {
    ours.mutable_grad() = torch::randn({7});
    theirs.mutable_grad() = ours.grad().clone();
    optimizer.step();
    reference.step();
  }
  CHECK(torch::allclose(ours.detach(), theirs.detach(), 1e-5, 1e-6));
}

TEST_CASE("a torch parameter under second moments moves as the same Eigen block does") {
  torch::manual_seed(14);
  torch::Tensor head = random_parameter(9, 4), gain = torch::randn({7}).requires_grad_();
  torch::Tensor hidden = random_parameter(6, 8);
  Matrix<float> weights = as_matrix(head), of_hidden = as_matrix(hidden);
  Matrix<float> line = as_matrix(gain.reshape({1, 7}));
  const OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.2};
  Groups groups;
  groups.push_back(parameter_group<Adaptive<LmHead>>({head}, options));
  groups.push_back(parameter_group<Adaptive<Trivial>>({gain}, options));
  groups.push_back(parameter_group<Adaptive<HiddenMatrix>>({hidden}, options));
  TorchOptimizer optimizer(std::move(groups));
  Optimizer<Adaptive<LmHead>> reference(9, 4, options);
  Optimizer<Adaptive<Trivial>> of_gain(1, 7, options);
  Optimizer<Adaptive<HiddenMatrix>> full(6, 8, options);
  for (int step = 0; step < 3; ++step) {
    head.mutable_grad() = torch::randn({9, 4});
    gain.mutable_grad() = torch::randn({7});
    hidden.mutable_grad() = torch::randn({6, 8});
    full.step(of_hidden, as_matrix(hidden.grad()));
    reference.step(weights, as_matrix(head.grad()));
    of_gain.step(line, as_matrix(gain.grad().reshape({1, 7})));
    optimizer.step();
  }
  CHECK((as_matrix(head) - weights).cwiseAbs().maxCoeff() == 0.0F);
  CHECK((as_matrix(hidden) - of_hidden).cwiseAbs().maxCoeff() == 0.0F);
  CHECK((as_matrix(gain.reshape({1, 7})) - line).cwiseAbs().maxCoeff() == 0.0F);
}

TEST_CASE(
    "groups without options take the rate that is given for all, and keep their own where they have one") {
  torch::manual_seed(15);
  torch::OrderedDict<std::string, torch::Tensor> parameters;
  parameters.insert("embedding", random_parameter(6, 4));
  parameters.insert("head", random_parameter(6, 4));
  parameters.insert("gain", torch::ones({4}).requires_grad_());
  Routing routing;
  routing.add("embedding", role<Adaptive<Embedding>>());
  routing.add("head", role<LmHead>({.learning_rate = 0.25}));
  TorchOptimizer optimizer(parameter_groups(
      parameters, routing, {.learning_rate = 0.5, .weight_decay = 0.1, .ratios = {.embedding = 3}}));
  const auto rows = optimizer.plan().rows();
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].rate == 1.5);
  CHECK(rows[0].weight_decay == 0.1);
  CHECK(rows[1].rate == 0.25);
  CHECK(rows[1].scale == "none");
  CHECK(rows[1].weight_decay == 0);
  CHECK(rows[2].rate == 0.5);
  CHECK(optimizer.param_groups()[0].options().get_lr() == 1.5);
  CHECK_THROWS_AS(parameter_groups(parameters, routing, {.learning_rate = -1}), std::invalid_argument);
}

TEST_CASE("a parameter without a gradient stays as it is, decay included") {
  torch::Tensor parameter = torch::ones({2, 2}).requires_grad_();
  Groups groups;
  groups.push_back(parameter_group<Update<Embedding>>({parameter}, {.weight_decay = 0.5}));
  TorchOptimizer optimizer(std::move(groups));
  optimizer.step();
  CHECK(torch::equal(parameter.detach(), torch::ones({2, 2})));
}

TEST_CASE("a closure is run with gradients and its loss returned") {
  torch::Tensor parameter = torch::ones({2, 2}).requires_grad_();
  Groups groups;
  groups.push_back(parameter_group<Update<Embedding>>({parameter}));
  TorchOptimizer optimizer(std::move(groups));
  const torch::Tensor loss = optimizer.step([&] {
    optimizer.zero_grad();
    torch::Tensor value = parameter.square().sum();
    value.backward();
    return value;
  });
  CHECK(loss.item<float>() == doctest::Approx(4.0));
  CHECK(parameter[0][0].item<float>() < 1.0F);
}

TEST_CASE("a closure that throws leaves weights and momentum as they were") {
  torch::Tensor parameter = torch::ones({2, 2}).requires_grad_();
  torch::Tensor other = torch::ones({2, 2}).requires_grad_();
  const auto make = [](torch::Tensor& tensor) {
    Groups groups;
    groups.push_back(parameter_group<Update<Embedding>>({tensor}, {.weight_decay = 0.5}));
    return TorchOptimizer(std::move(groups));
  };
  TorchOptimizer optimizer = make(parameter), undisturbed = make(other);
  const auto good_step = [](TorchOptimizer& one, torch::Tensor& tensor) {
    tensor.mutable_grad() = torch::arange(4, torch::kFloat).reshape({2, 2});
    one.step();
  };
  good_step(optimizer, parameter);
  good_step(undisturbed, other);
  const torch::Tensor before = parameter.detach().clone();
  CHECK_THROWS_AS(optimizer.step([]() -> torch::Tensor { throw std::runtime_error("no data"); }),
                  std::runtime_error);
  CHECK(torch::equal(parameter.detach(), before));
  good_step(optimizer, parameter);
  good_step(undisturbed, other);
  CHECK(torch::equal(parameter.detach(), other.detach()));
}

/// The message of the std::exception that `action` throws; empty when it throws none.
std::string message_of(auto action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("errors name the tensor and the remedy") {
  const auto with = [](torch::optim::OptimizerParamGroup group) {
    return message_of([&] {
      Groups groups;
      groups.push_back(group);
      TorchOptimizer optimizer(std::move(groups));
      optimizer.step();
    });
  };
  const auto contains = [](const std::string& text, const char* part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  contains(with(parameter_group<Update<Embedding>>({torch::zeros({3})})), "give it to AdamW");
  contains(with(parameter_group<AdamW>({torch::zeros({3, 3, 3, 3})})), "tensor 0");
  contains(with(parameter_group<AdamW>({torch::zeros({2, 2}, torch::kInt)})), "float and double");
  contains(with(torch::optim::OptimizerParamGroup({torch::zeros({2, 2})})), "parameter_group<Rule>");
  contains(message_of([] { parameter_group<AdamW>({}, {.learning_rate = -1}); }), "learning_rate");

  torch::Tensor parameter = random_parameter(2, 2);
  Groups groups;
  groups.push_back(parameter_group<Update<Embedding>>({parameter}, {.parameter = "wte"}));
  TorchOptimizer optimizer(std::move(groups));
  const torch::Tensor before = parameter.detach().clone();
  parameter.mutable_grad() = torch::full({2, 2}, std::numeric_limits<float>::quiet_NaN());
  contains(message_of([&] { optimizer.step(); }), "wte");
  CHECK(torch::equal(parameter.detach(), before));
}

TEST_CASE("a routing makes one group for each pattern, and layouts reach the blocks") {
  torch::manual_seed(15);
  torch::nn::Sequential model(torch::nn::Linear(torch::nn::LinearOptions(4, 6)),
                              torch::nn::Linear(torch::nn::LinearOptions(6, 4).bias(false)));
  Routing routing;
  routing.add("0.weight", role<HiddenMatrix>({.learning_rate = 0.1}, layout::row_heads(3)));
  routing.add("1.*", role<Update<SwigluOutput>>({.learning_rate = 0.2}));
  TorchOptimizer optimizer(interop::parameter_groups(model->named_parameters(), routing));
  REQUIRE(optimizer.param_groups().size() == 3);
  const auto label = [&](std::size_t i) {
    return static_cast<const interop::GroupOptions&>(optimizer.param_groups()[i].options()).label();
  };
  CHECK(label(0) == "0.weight");
  CHECK(label(1) == "vectors");
  CHECK(label(2) == "1.*");
  REQUIRE(optimizer.plan().rows().size() == 3);
  CHECK(optimizer.plan().rows()[0].name == "0.weight");
  CHECK(optimizer.plan().rows()[0].blocks == "3 of 2x4");

  torch::Tensor parameter = model->named_parameters()["0.weight"];
  Matrix<float> weights = as_matrix(parameter);
  parameter.mutable_grad() = torch::randn({6, 4});
  const Matrix<float> gradient = as_matrix(parameter.grad());
  optimizer.step();
  for (Index head = 0; head < 3; ++head)
    Optimizer<Update<HiddenMatrix>>(2, 4, {.learning_rate = 0.1})
        .step(weights.middleRows(2 * head, 2), gradient.middleRows(2 * head, 2));
  CHECK((as_matrix(parameter) - weights).cwiseAbs().maxCoeff() == 0.0F);
}

TEST_CASE("no parameter moves when any gradient is not finite, of either scalar") {
  torch::Tensor floats = torch::ones({2, 2}).requires_grad_();
  torch::Tensor doubles = torch::ones({2, 2}, torch::kDouble).requires_grad_();
  for (const NonFinite policy : {NonFinite::throw_error, NonFinite::skip}) {
    Groups groups;
    groups.push_back(parameter_group<Embedding>({floats, doubles}, {.non_finite = policy}));
    TorchOptimizer optimizer(std::move(groups));
    floats.mutable_grad() = torch::ones({2, 2});
    doubles.mutable_grad() = torch::full({2, 2}, INFINITY, torch::kDouble);
    const std::string message = message_of([&] { optimizer.step(); });
    CHECK((policy == NonFinite::skip) == message.empty());
    CHECK(torch::equal(floats.detach(), torch::ones({2, 2})));
    CHECK(torch::equal(doubles.detach(), torch::ones({2, 2}, torch::kDouble)));
  }
}

TEST_CASE("a parameter's memory and gradient may be replaced between steps") {
  torch::Tensor parameter = torch::zeros({2, 3}).requires_grad_();
  Groups groups;
  groups.push_back(parameter_group<Sign>({parameter}, {.learning_rate = 1.0, .momentum = 0}));
  TorchOptimizer optimizer(std::move(groups));
  parameter.mutable_grad() = torch::ones({2, 3});
  optimizer.step();
  parameter.set_data(torch::full({2, 3}, 5.0F));
  parameter.mutable_grad() = torch::ones({3, 2}).t();
  optimizer.step();
  CHECK(torch::equal(parameter.detach(), torch::full({2, 3}, 4.0F)));
}

TEST_CASE("the next step of both scalars is diagnosed, at the groups' rates, and nothing has changed") {
  torch::manual_seed(17);
  torch::Tensor head = random_parameter(9, 4);
  torch::Tensor hidden = torch::randn({6, 5}, torch::kDouble).requires_grad_();
  torch::Tensor without_gradient = random_parameter(3, 3);
  Groups groups;
  groups.push_back(parameter_group<LmHead>({head}));
  groups.push_back(parameter_group<HiddenMatrix>({hidden, without_gradient}));
  TorchOptimizer optimizer(std::move(groups));
  ((torch::randn({9, 4}) * head).sum() + (torch::randn({6, 5}) * hidden).sum()).backward();
  optimizer.param_groups()[1].options().set_lr(0.5);
  const torch::Tensor head_before = head.detach().clone(), hidden_before = hidden.detach().clone();
  const Diagnostics diagnostics = diagnose(optimizer);
  CHECK(torch::equal(head, head_before));
  CHECK(torch::equal(hidden, hidden_before));
  REQUIRE(diagnostics.rows().size() == 2);
  CHECK(diagnostics.step() == 0);
  CHECK(diagnostics.rows()[0].name == "group 0, tensor 0");
  CHECK(diagnostics.rows()[1].rms == doctest::Approx(0.2 * 0.5).epsilon(0.01));  // within the band
  optimizer.step();
  const auto moved = [](const torch::Tensor& now, const torch::Tensor& before) {
    return (now.detach() - before).square().mean().sqrt().item<double>();
  };
  CHECK(moved(head, head_before) == doctest::Approx(diagnostics.rows()[0].rms).epsilon(1e-3));
  CHECK(moved(hidden, hidden_before) == doctest::Approx(diagnostics.rows()[1].rms).epsilon(1e-3));
}

TEST_CASE("what no group holds any more is forgotten, and what comes in its place is new") {
  const auto parameter = [] {
    torch::Tensor tensor = torch::zeros({2, 3}).requires_grad_();
    tensor.mutable_grad() = torch::ones({2, 3});
    return tensor;
  };
  torch::Tensor first = parameter(), second = parameter();
  Groups groups;
  groups.push_back(parameter_group<Sign>({first, second}, {.learning_rate = 1.0, .momentum = 0}));
  TorchOptimizer optimizer(std::move(groups));
  optimizer.step();
  auto& tensors = optimizer.param_groups()[0].params();
  tensors.erase(tensors.begin());
  torch::Tensor third = parameter();
  tensors.push_back(third);  // in the place that the second had
  optimizer.step();
  CHECK(torch::equal(first.detach(), torch::full({2, 3}, -1.0F)));
  CHECK(torch::equal(second.detach(), torch::full({2, 3}, -2.0F)));
  CHECK(torch::equal(third.detach(), torch::full({2, 3}, -1.0F)));
  CHECK(optimizer.plan().rows().size() == 2);

  // Tensors come and go, at addresses that are used again.
  for (int i = 0; i < 20; ++i) {
    tensors[1] = parameter();
    optimizer.step();
    CHECK(torch::equal(tensors[1].detach(), torch::full({2, 3}, -1.0F)));
  }
  tensors.clear();
  const torch::Tensor before = second.detach().clone();
  optimizer.step();
  CHECK(torch::equal(second.detach(), before));
  CHECK(optimizer.plan().rows().empty());
}

TEST_CASE("a tensor that was transposed or resized in place, or is there twice, is refused") {
  torch::Tensor parameter = torch::zeros({3, 3}).requires_grad_();
  Groups groups;
  groups.push_back(
      parameter_group<Sign>({parameter}, {.learning_rate = 1.0, .momentum = 0, .parameter = "wte"}));
  TorchOptimizer optimizer(std::move(groups));
  parameter.mutable_grad() = torch::ones({3, 3});
  optimizer.step();
  const auto refuses = [&](const char* part) {
    const torch::Tensor before = parameter.detach().clone();
    const std::string message = message_of([&] { optimizer.step(); });
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
    CHECK(message.find("wte") != std::string::npos);
    CHECK(torch::equal(parameter.detach(), before));
  };
  parameter.set_data(parameter.detach().t());
  refuses("sizes or strides");
  parameter.set_data(torch::zeros({2, 2}));
  parameter.mutable_grad() = torch::ones({2, 2});
  refuses("sizes or strides");
  parameter.set_data(torch::zeros({3, 3}));
  parameter.mutable_grad() = torch::ones({3, 3});
  optimizer.step();
  CHECK(torch::equal(parameter.detach(), torch::full({3, 3}, -1.0F)));
  optimizer.param_groups()[0].params().push_back(parameter);
  refuses("already");
}

TEST_CASE("a tied head is one parameter") {
  torch::Tensor parameter = torch::zeros({4, 3}).requires_grad_();
  Groups groups;
  groups.push_back(parameter_group<Embedding>({parameter}));
  groups.push_back(parameter_group<LmHead>({parameter.detach().requires_grad_()}));
  const std::string message = message_of([&] { TorchOptimizer optimizer(std::move(groups)); });
  INFO(message);
  CHECK(message.find("TiedEmbedding") != std::string::npos);
}

TEST_CASE("an optimizer saved to an archive and loaded goes on bit for bit, with the scheduler's rate") {
  torch::manual_seed(19);
  const torch::Tensor start = torch::randn({6, 4}), gain = torch::randn({4}, torch::kDouble);
  struct Run {
    torch::Tensor head, gain;
    std::unique_ptr<TorchOptimizer> optimizer;
    std::unique_ptr<torch::optim::StepLR> schedule;
  };
  const auto make = [&](double decay = 0.1) {
    Run run{start.clone().requires_grad_(), gain.clone().requires_grad_(), nullptr, nullptr};
    Groups groups;
    groups.push_back(parameter_group<LmHead>({run.head}, {.learning_rate = 0.1, .weight_decay = decay}));
    groups.push_back(parameter_group<AdamW>({run.gain}, {.learning_rate = 0.01}));
    run.optimizer = std::make_unique<TorchOptimizer>(std::move(groups));
    run.schedule = std::make_unique<torch::optim::StepLR>(*run.optimizer, 2, 0.5);
    return run;
  };
  const auto steps = [](Run& run, int count) {
    for (int step = 0; step < count; ++step) {
      run.optimizer->zero_grad();
      ((run.head - 1).pow(2).sum() + (run.gain - 1).pow(2).sum()).backward();
      run.optimizer->step();
      run.schedule->step();
    }
  };
  Run through = make(), before = make();
  steps(through, 10);
  steps(before, 5);
  std::stringstream file;
  torch::save(*before.optimizer, file);
  Run after = make();
  {
    const torch::NoGradGuard no_gradients;
    after.head.copy_(before.head);
    after.gain.copy_(before.gain);
  }
  torch::load(*after.optimizer, file);
  CHECK(after.optimizer->param_groups()[0].options().get_lr() ==
        before.optimizer->param_groups()[0].options().get_lr());
  CHECK(after.optimizer->param_groups()[0].options().get_lr() == 0.025);
  // A scheduler of torch counts its own steps and is not saved: the old one goes on with the new optimizer's
  // rate.
  after.schedule->step();
  after.optimizer->param_groups()[0].options().set_lr(0.025);
  after.optimizer->param_groups()[1].options().set_lr(0.0025);
  steps(after, 5);
  CHECK(torch::equal(after.head.detach(), through.head.detach()));
  CHECK(torch::equal(after.gain.detach(), through.gain.detach()));

  Run other = make(0.2);
  std::stringstream again;
  torch::save(*before.optimizer, again);
  CHECK_THROWS_AS(torch::load(*other.optimizer, again), interop::StateMismatch);
}

TEST_CASE("training goes on by operations where kernels left it, and back, from an archive") {
  torch::manual_seed(29);
  const torch::Tensor start = torch::randn({6, 4}), start_of_gain = torch::randn({4}, torch::kDouble);
  struct Run {
    torch::Tensor head, gain;
    std::unique_ptr<TorchOptimizer> optimizer;
  };
  const auto make = [&](bool by_operations) {
    Run run{start.clone().requires_grad_(), start_of_gain.clone().requires_grad_(), nullptr};
    Groups groups;
    groups.push_back(parameter_group<Adaptive<LmHead>>({run.head}, {.learning_rate = 0.1}));
    groups.push_back(parameter_group<AdamW>({run.gain}, {.learning_rate = 0.01}));
    run.optimizer = std::make_unique<TorchOptimizer>(std::move(groups),
                                                     interop::TorchOptions{.by_operations = by_operations});
    return run;
  };
  const auto steps = [](Run& run, int count) {
    for (int step = 0; step < count; ++step) {
      run.optimizer->zero_grad();
      ((run.head - 1).pow(2).sum() + (run.gain - 1).pow(2).sum()).backward();
      run.optimizer->step();
    }
  };
  for (const bool first_by_operations : {false, true}) {
    Run through = make(!first_by_operations), before = make(first_by_operations),
        after = make(!first_by_operations);
    CHECK((std::ostringstream() << through.optimizer->plan()).str() ==
          (std::ostringstream() << before.optimizer->plan()).str());
    steps(through, 10);
    steps(before, 5);
    std::stringstream file;
    torch::save(*before.optimizer, file);
    {
      const torch::NoGradGuard no_gradients;
      after.head.copy_(before.head);
      after.gain.copy_(before.gain);
    }
    torch::load(*after.optimizer, file);
    steps(after, 5);
    CHECK(torch::allclose(after.head.detach(), through.head.detach(), 1e-5, 1e-6));
    CHECK(torch::allclose(after.gain.detach(), through.gain.detach(), 1e-13, 1e-14));

    // A step by operations does not keep the gradient that it was given.
    if (!first_by_operations) {
      const torch::Tensor gradient = after.head.grad();
      after.head.mutable_grad() = torch::Tensor();
      CHECK(gradient.storage().use_count() == 1);
      after.head.mutable_grad() = gradient;
    }

    // No gradient of either scalar may be not finite; and a report reads what kernels step.
    after.head.mutable_grad()[0][0] = std::numeric_limits<float>::quiet_NaN();
    const torch::Tensor kept = after.gain.detach().clone();
    CHECK_THROWS_AS(after.optimizer->step(), NonFiniteGradient);
    CHECK(torch::equal(after.gain.detach(), kept));
    CHECK(after.head.grad().storage().use_count() == 1);  // nor after a step that was refused
    if (!first_by_operations) CHECK_THROWS_AS(interop::diagnose(*after.optimizer), Error);
  }
}

TEST_CASE("an archive with a rate that cannot be is refused, and nothing of it is loaded") {
  torch::Tensor trained = torch::ones({3, 2}).requires_grad_(), fresh = torch::ones({3, 2}).requires_grad_();
  const auto make = [](torch::Tensor& tensor) {
    Groups groups;
    groups.push_back(parameter_group<Sign>({tensor}, {.learning_rate = 0.1}));
    return TorchOptimizer(std::move(groups));
  };
  TorchOptimizer source = make(trained), target = make(fresh);
  trained.mutable_grad() = torch::ones({3, 2});
  source.step();
  const auto archived = [](const auto& write) {
    std::stringstream file;
    torch::serialize::OutputArchive archive;
    write(archive);
    archive.save_to(file);
    torch::serialize::InputArchive read;
    read.load_from(file);
    return read;
  };
  const auto bytes = [&](TorchOptimizer& optimizer) {
    torch::Tensor floats;
    archived([&](auto& archive) { optimizer.save(archive); }).try_read("symopt.float", floats, true);
    return floats;
  };
  const torch::Tensor before = bytes(target);
  for (const double rate : {-1.0, std::nan(""), HUGE_VAL}) {
    CAPTURE(rate);
    torch::serialize::InputArchive sound = archived([&](auto& archive) { source.save(archive); });
    torch::serialize::InputArchive broken = archived([&](auto& archive) {
      for (const char* key : {"symopt.float", "symopt.double"}) {
        torch::Tensor part;
        sound.try_read(key, part, true);
        archive.write(key, part, true);
      }
      archive.write("symopt.rates", torch::full({1}, rate, torch::kDouble), true);
    });
    CHECK(message_of([&] { target.load(broken); }).find("a rate of the archive") != std::string::npos);
    CHECK(torch::equal(bytes(target), before));
  }
}

TEST_CASE("a small torch model learns, on the device where it lies") {
  torch::manual_seed(14);
  const torch::Device device = symopt_test::device_under_test();
  torch::nn::Linear head(torch::nn::LinearOptions(6, 10).bias(false));
  const torch::Tensor x = torch::randn({200, 6}).to(device);
  const torch::Tensor y = torch::matmul(x, torch::randn({6, 10}).to(device)).argmax(1);
  head->to(device);
  TorchOptimizer optimizer({parameter_group<LmHead>({head->weight}, {.learning_rate = 0.2})});
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    const torch::Tensor loss = torch::nn::functional::cross_entropy(head(x), y);
    loss.backward();
    optimizer.step();
    last = loss.item<double>();
    if (step == 0) first = last;
  }
  CHECK(last < 0.4 * first);
}

}}  // namespace torch_test
