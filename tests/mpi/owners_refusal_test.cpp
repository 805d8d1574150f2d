// SPDX-License-Identifier: Apache-2.0
// What one rank refuses all refuse, with nothing changed anywhere, and the error says why and on which rank.
#include "mpi/owners_model.hpp"

#include <symopt/interop/mpi.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <stdexcept>

namespace owners_refusal_test { namespace {

using namespace symopt;
using namespace symopt_test;
using mpi::DistributedOptimizer;

int last_rank() {
  return size_of() - 1;
}
bool is_last() {
  return rank_of() == last_rank();
}

/// The message of what is thrown; "" where nothing is.
std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// Tests on every rank whether the message has all these words, and is the same on all.
void check_message(const std::string& message, const std::vector<std::string>& words, bool is_one = true) {
  for (const std::string& word : words) {
    CAPTURE(message);
    CAPTURE(word);
    CHECK(message.find(word) != std::string::npos);
  }
  if (!is_one) return;
  const mpi::Communicator processes(MPI_COMM_WORLD);
  for (const std::string& other : processes.gathered(message)) CHECK(other == message);
}

/// The states of this rank's blocks, bit for bit.
std::string state_bits(const DistributedOptimizer& optimizer) {
  std::string bits = std::to_string(optimizer.steps());
  for (const auto& parameter :
       symopt::detail::StateAccess::parameters(mpi::detail::DistributedAccess::stack(optimizer)))
    parameter->blocks().visit({[&](const symopt::detail::StateField& field) {
      Index count = 1;
      for (const Index extent : field.shape) count *= extent;
      bits.append(static_cast<const char*>(field.data), static_cast<std::size_t>(count) * field.scalar_size);
    }});
  return bits;
}

struct Trained {
  MpiModel model;
  DistributedOptimizer optimizer;

  explicit Trained(StackOptions options = {.learning_rate = 0.01}) : optimizer(MPI_COMM_WORLD, options) {
    model.add_to(optimizer);
    optimizer.distribute();
    model.draw(rank_of(), 0);
    CHECK(optimizer.step().applied);
  }
  std::string bits() const { return model.bits() + state_bits(optimizer); }
};

constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("a gradient that is not finite on one rank is refused by all") {
  const std::string last = std::to_string(last_rank());
  struct Bad {
    const char* name;
    float value;
  };
  for (const Bad& bad : {Bad{"query", nan}, Bad{"padded", inf}, Bad{"lora.b", nan}}) {
    const char* const name = bad.name;
    CAPTURE(name);
    Trained trained, unharmed;
    trained.model.draw(rank_of(), 1);
    const std::string before = trained.bits();
    float& entry = trained.model.tensors[name].gradient[7];
    const float good = entry;
    if (is_last()) entry = bad.value;
    check_message(
        message_of([&] { trained.optimizer.step(); }),
        {"rank " + last, std::string("'") + name + "'", "Inf or NaN", "nothing was changed on any rank"});
    CHECK((trained.bits() == before));
    CHECK_THROWS_AS(trained.optimizer.step(), NonFiniteGradient);

    entry = good;  // and training goes on as if nothing had been
    unharmed.model.draw(rank_of(), 1);
    CHECK(trained.optimizer.step().applied);
    CHECK(unharmed.optimizer.step().applied);
    CHECK((trained.bits() == unharmed.bits()));
  }
}

TEST_CASE("padding that a mask leaves out may hold anything") {
  Trained trained;
  trained.model.draw(rank_of(), 1);
  trained.model.tensors["head"].gradient[21 * 10] = nan;
  trained.model.tensors["head"].weights[21 * 10 + 3] = static_cast<float>(rank_of());
  CHECK(trained.optimizer.step().applied);
  CHECK(trained.model.tensors["head"].weights[21 * 10 + 3] == static_cast<float>(rank_of()));
}

TEST_CASE("or skipped by all, and reported") {
  Trained trained({.learning_rate = 0.01, .non_finite = NonFinite::skip});
  trained.model.draw(rank_of(), 1);
  const std::string before = trained.bits();
  if (is_last()) trained.model.tensors["query"].gradient[7] = nan;
  const StackReport report = trained.optimizer.step();
  CHECK_FALSE(report.applied);
  CHECK(report.non_finite == std::vector<std::string>{"query"});
  CHECK(report.step == 1);
  CHECK((trained.bits() == before));
}

TEST_CASE("gradients that are finite each, but not together") {
  if (size_of() == 1) return;
  Trained trained;
  trained.model.draw(rank_of(), 1);
  for (float& entry : trained.model.tensors["hidden"].gradient) entry = 3e38F;
  const std::string before = trained.bits();
  check_message(message_of([&] { trained.optimizer.step(); }),
                {"'hidden'", "finite on each rank, but not their sum"});
  CHECK((trained.bits() == before));
}

TEST_CASE("what is set on one rank alone") {
  if (size_of() == 1) return;
  Trained trained;
  trained.model.draw(rank_of(), 1);
  const std::string before = trained.bits();
  const std::string last = "on rank " + std::to_string(last_rank());
  if (is_last()) trained.optimizer.set_schedule_factor(0.5);
  check_message(message_of([&] { trained.optimizer.step(); }),
                {"the schedule factor is 1 on rank 0 and 0.5 " + last});
  trained.optimizer.set_schedule_factor(1);
  if (is_last()) trained.optimizer.set_weight_decay("query", 0.25);
  check_message(message_of([&] { trained.optimizer.step(); }),
                {"parameter 'query': weight_decay is 0 on rank 0 and 0.25 " + last, "nothing was changed"});
  CHECK((trained.bits() == before));
  trained.optimizer.set_weight_decay("query", 0.25);
  CHECK(trained.optimizer.step().applied);
}

struct Boom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A rule that throws, or leaves the range, when it is told to.
struct Fuse {
  static inline bool burns = false, is_huge = false;
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    if (burns) throw Boom("the fuse has burnt");
    return block * (is_huge ? 1e38F : 1.0F);
  }
};

struct Fused {
  std::vector<Matrix<float>> weights = std::vector<Matrix<float>>(5, Matrix<float>::Ones(4, 3));
  std::vector<Matrix<float>> gradients = std::vector<Matrix<float>>(5, Matrix<float>::Constant(4, 3, 100));
  DistributedOptimizer optimizer{MPI_COMM_WORLD};

  explicit Fused(NonFinite policy = NonFinite::throw_error) {
    for (std::size_t p = 0; p < weights.size(); ++p)
      optimizer.add<Fuse>("p" + std::to_string(p), weights[p], gradients[p],
                          {.learning_rate = 0.5, .non_finite = policy});
    optimizer.distribute();
  }
  std::string bits() const {
    std::string all = state_bits(optimizer);
    for (const auto& w : weights) all.append(reinterpret_cast<const char*>(w.data()), 12 * sizeof(float));
    return all;
  }
};

TEST_CASE("a rule that throws on one rank: all that stepped is put back on all") {
  Fused fused;
  CHECK(fused.optimizer.step().applied);
  const std::string before = fused.bits();
  Fuse::burns = is_last();
  const std::string message = message_of([&] { fused.optimizer.step(); });
  if (is_last()) {
    CHECK(message == "the fuse has burnt");
  } else {
    check_message(message, {"rank " + std::to_string(last_rank()) + " has failed: the fuse has burnt"},
                  false);
  }
  CHECK((fused.bits() == before));
  CHECK_THROWS(fused.optimizer.step());
  Fuse::burns = false;
  CHECK(fused.optimizer.step().applied);
  CHECK((fused.bits() != before));
}

TEST_CASE("a step that would leave the range on one rank") {
  for (const NonFinite policy : {NonFinite::throw_error, NonFinite::skip}) {
    Fused fused(policy);
    CHECK(fused.optimizer.step().applied);
    const std::string before = fused.bits();
    Fuse::is_huge = is_last();
    if (policy == NonFinite::skip) {
      const StackReport report = fused.optimizer.step();
      CHECK_FALSE(report.applied);
      CHECK(report.non_finite.size() == 1);
    } else {
      check_message(message_of([&] { fused.optimizer.step(); }),
                    {"'p", "Inf or NaN of finite numbers", "on any rank"});
    }
    Fuse::is_huge = false;
    CHECK((fused.bits() == before));
    CHECK(fused.optimizer.step().applied);
  }
}

/// The message of distribute() where the last rank makes something different.
std::string mismatch(const std::function<void(MpiModel&, DistributedOptimizer&, bool)>& add) {
  MpiModel model;
  DistributedOptimizer optimizer(MPI_COMM_WORLD);
  add(model, optimizer, is_last() && size_of() > 1);
  return message_of([&] { optimizer.distribute(); });
}

TEST_CASE("a model that is made differently on one rank is refused when it is distributed") {
  if (size_of() == 1) return;
  const std::string last = " on rank " + std::to_string(last_rank());
  const auto add = [](MpiModel& m, DistributedOptimizer& o, const std::string& name, const Role& role,
                      std::vector<Index> sizes) {
    o.add(name, role, m.weights(name, sizes), m.gradient(name, sizes));
  };
  using Model = MpiModel;
  using Stack = DistributedOptimizer;

  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  add(m, o, "query", role<HiddenMatrix>(), {12, 8});
                  if (!other) add(m, o, "hidden", role<HiddenMatrix>(), {12, 10});
                }),
                {"parameter 'hidden': is not there" + last, "was not distributed"});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  if (other) add(m, o, "hidden", role<HiddenMatrix>(), {12, 10});
                  add(m, o, "query", role<HiddenMatrix>(), {12, 8});
                }),
                {"parameter 'hidden': is not there on rank 0",
                 "'query': its place in the stack is 0 on rank 0 and 1" + last});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  add(m, o, "query", role<HiddenMatrix>(),
                      other ? std::vector<Index>{8, 12} : std::vector<Index>{12, 8});
                }),
                {"parameter 'query': shape is 12x8 on rank 0 and 8x12" + last});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  add(m, o, "query", role<HiddenMatrix>(other ? Layout{} : layout::row_heads(3)), {12, 8});
                }),
                {"layout is 3 row heads on rank 0 and whole" + last});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  add(m, o, "head", role<LmHead>(Layout{}, other ? RowMask::first(20) : RowMask()), {24, 10});
                }),
                {"row mask is none on rank 0 and first 20" + last});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  add(m, o, "head", other ? role<Embedding>() : role<LmHead>(), {24, 10});
                }),
                {"group is LmHead", "rule is P > RowNorm > P on rank 0 and RowNorm" + last});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  add(m, o, "head", role<LmHead>({.learning_rate = other ? 0.5 : 0.25}), {24, 10});
                }),
                {"learning_rate is 0.25 on rank 0 and 0.5" + last});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  add(m, o, "norm", role<AdamW>(Layout{}, {}, {.beta1 = other ? 0.5 : 0.25}), {10});
                }),
                {"the rule's options is", "0.25", "0.5"});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  o.add("query", role<HiddenMatrix>(), m.weights("query", {12, 8}),
                        other ? std::optional<TensorView<const float>>() : m.gradient("query", {12, 8}));
                }),
                {"the memory of the gradient is", "none" + last});
  check_message(
      mismatch([&](Model& m, Stack& o, bool other) {
        o.add("query", role<HiddenMatrix>(), m.weights("query", {12, 8}),
              m.gradient("query", {12, 8}, other ? std::vector<Index>{1, 12} : std::vector<Index>{8, 1}));
      }),
      {"the memory of the gradient is the stack's scalar, strides 8 1 on rank 0"});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  if (other) m.tensors["query"].weights[3] += 1;
                  add(m, o, "query", role<HiddenMatrix>(), {12, 8});
                }),
                {"parameter 'query': the checksum of the weights is"});
  check_message(mismatch([&](Model& m, Stack& o, bool other) {
                  add(m, o, "query", role<HiddenMatrix>(), {12, 8});
                  if (other) o.set_schedule_factor(0.5);
                }),
                {"the schedule factor is 1 on rank 0 and 0.5" + last});
  check_message(mismatch([&](Model& m, Stack& o, bool) {
                  add(m, o, "query", role<HiddenMatrix>(), {12, 8});
                }),
                {});
}

TEST_CASE("a stack that could not be distributed may be made alike and tried again") {
  if (size_of() == 1) return;
  MpiModel model;
  DistributedOptimizer optimizer(MPI_COMM_WORLD);
  model.add_to(optimizer);
  if (is_last()) optimizer.set_weight_decay(0.5);
  CHECK_THROWS_AS(optimizer.distribute(), Error);
  CHECK_FALSE(optimizer.is_distributed());
  optimizer.set_weight_decay(0.5);
  optimizer.distribute();
  CHECK(optimizer.step().applied);
}

TEST_CASE("what comes in the wrong order or out of range says so") {
  MpiModel model;
  DistributedOptimizer optimizer(MPI_COMM_WORLD);
  model.add_to(optimizer);
  CHECK_THROWS_WITH(optimizer.step(), doctest::Contains("call distribute() on all ranks first"));
  CHECK_THROWS_WITH(optimizer.owner("query"), doctest::Contains("distribute()"));
  CHECK_THROWS_WITH(clip_by_global_norm(optimizer, 1), doctest::Contains("distribute()"));
  optimizer.distribute();
  CHECK_THROWS_WITH(optimizer.distribute(), doctest::Contains("has been called"));
  CHECK_THROWS_WITH(optimizer.remove("query"), doctest::Contains("before distribute()"));
  CHECK_THROWS_WITH(
      optimizer.add<Sign>("more", model.weights("query", {12, 8}), model.gradient("query", {12, 8})),
      doctest::Contains("before distribute()"));
  CHECK_THROWS_WITH(optimizer.set_row_mask("head", RowMask()), doctest::Contains("before distribute()"));
  CHECK_THROWS_WITH(optimizer.set_copy("query", std::nullopt), doctest::Contains("before distribute()"));
  CHECK_THROWS_WITH(optimizer.owner("query", 3), doctest::Contains("there is no block 3; it has 3"));
  CHECK_THROWS_WITH(clip_by_global_norm(optimizer, 0), doctest::Contains("must be positive"));
  CHECK_THROWS_WITH(optimizer.set_gradient("query", std::nullopt), doctest::Contains("is none"));
  CHECK_THROWS_WITH(optimizer.set_gradient("query", model.gradient("query", {12, 8}, {1, 12})),
                    doctest::Contains("strides 1 12"));
  CHECK_THROWS_WITH(DistributedOptimizer(MPI_COMM_WORLD, {}, {.timeout = -1}), doctest::Contains("-1"));
  CHECK(optimizer.step().applied);
}

TEST_CASE("memory may move after the blocks have their owners") {
  Trained moved, stays;
  std::vector<float> weights = moved.model.tensors["query"].weights, gradient(12 * 8);
  moved.optimizer.set_weights("query", TensorView<float>(weights.data(), {12, 8}));
  moved.optimizer.set_gradient("query", TensorView<const float>(gradient.data(), {12, 8}));
  stays.model.draw(rank_of(), 1);
  moved.model.draw(rank_of(), 1);
  gradient = moved.model.tensors["query"].gradient;
  moved.optimizer.step();
  stays.optimizer.step();
  CHECK(weights == stays.model.tensors["query"].weights);
}

}}  // namespace owners_refusal_test
