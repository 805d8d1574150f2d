// SPDX-License-Identifier: Apache-2.0
// Stacks that step by libtorch's operations beside those that step by kernels, on the device of
// SYMOPT_TEST_DEVICE.
#include "interop/torch/device.hpp"
#include "support/inputs.hpp"
#include "support/storages.hpp"

#include <symopt/interop/torch/tensor_states.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/polar/exact.hpp>
#include <symopt/polar/gram_newton_schulz.hpp>
#include <symopt/polar/newton_schulz.hpp>
#include <symopt/polar/polar_express.hpp>
#include <symopt/polar/zolotarev.hpp>
#include <symopt/symopt.hpp>

#include <ATen/autocast_mode.h>
#include <ATen/record_function.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tensor_stack_test { namespace {

using namespace symopt;
using namespace symopt_test;
using interop::PolarProducts;
using interop::tensor_view;
using interop::detail::TensorStack;

/// The most that steps of kernels and of operations differ by, in units of the largest weight; a rule may
/// amplify it.
template <class Scalar>
constexpr double rounding = 200 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());

/// A copy elsewhere with the same strides.
at::Tensor moved(const at::Tensor& tensor) {
  return tensor.to(device_under_test(), false, true, at::MemoryFormat::Preserve);
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  const double largest = b.abs().max().item<double>();
  const double error = (a.cpu() - b.cpu()).abs().max().item<double>();
  return std::isfinite(error) ? error / std::max(largest, 1e-300) : std::numeric_limits<double>::infinity();
}

/// One tensor twice: stepped by kernels and by operations.
template <class Scalar>
class Twins {
 public:
  static constexpr at::ScalarType type = at::CppTypeToScalarType<Scalar>::value;

  explicit Twins(PolarProducts products = PolarProducts::as_weights) : tensors(products) {}

  void add(const std::string& name, const BasicRole<Scalar>& role, const at::Tensor& start) {
    pairs_[name] = {start.clone(at::MemoryFormat::Preserve), moved(start), {}, {}};
    kernels.add(name, role, tensor_view<Scalar>(pairs_[name].a), std::nullopt);
    tensors.add(name, role, pairs_[name].b);
  }
  void set_gradient(const std::string& name, const at::Tensor& gradient) {
    Pair& pair = pairs_[name];
    pair.gradient_a = gradient;
    kernels.set_gradient(name, tensor_view<const Scalar>(gradient));
    pair.gradient_b = moved(gradient);
    tensors.set_gradient(name, pair.gradient_b);
  }
  void step() {
    kernels.step();
    tensors.step();
  }
  double worst() const {
    double all = 0;
    for (const auto& [name, pair] : pairs_) all = std::max(all, difference(pair.b, pair.a));
    return all;
  }
  const at::Tensor& stepped(const std::string& name) const { return pairs_.at(name).b; }

  BasicLayerwiseOptimizer<Scalar> kernels;
  TensorStack<Scalar> tensors;

 private:
  struct Pair {
    at::Tensor a, b, gradient_a, gradient_b;
  };
  std::map<std::string, Pair> pairs_;
};

/// The options of a rule in tests: everything on.
template <class Rule, class Scalar>
OptimizerOptions busy_options() {
  OptimizerOptions options{.learning_rate = 0.1, .weight_decay = 0.1, .scale = Scale::aspect};
  if constexpr (!StatefulRule<Rule, Scalar>) options.nesterov = true;
  return options;
}

at::Tensor stored(const Storage& storage, Order order, at::ScalarType type) {
  const std::vector<std::int64_t> sizes(storage.sizes.begin(), storage.sizes.end());
  if (order == Order::dense) return at::randn(sizes, type);
  const std::vector<Index> wanted = strides_of(storage, order);
  const std::vector<std::int64_t> strides(wanted.begin(), wanted.end());
  at::Tensor tensor = at::empty_strided(sizes, strides, type);
  return tensor.copy_(at::randn(sizes, type));
}

template <class Rule, class Scalar>
void check_storages(double amplified = 1) {
  CAPTURE(symopt::detail::type_name<Rule>());
  at::manual_seed(17);
  Twins<Scalar> twins;
  for (const Storage& storage : all_storages())
    for (const Order order : {Order::dense, Order::gaps, Order::column_major}) {
      const std::string name = storage.name + ", " + symopt_test::to_string(order);
      twins.add(name, role<Rule, Scalar>(busy_options<Rule, Scalar>(), storage.layout),
                stored(storage, order, Twins<Scalar>::type));
    }
  for (int step = 0; step < 4; ++step) {
    for (const Storage& storage : all_storages())
      for (const Order order : {Order::dense, Order::gaps, Order::column_major}) {
        const Order of_gradient = step == 2 ? Order::dense : order;
        twins.set_gradient(storage.name + ", " + symopt_test::to_string(order),
                           stored(storage, of_gradient, Twins<Scalar>::type));
      }
    twins.step();
  }
  CHECK(twins.worst() <= amplified * rounding<Scalar>);
}

TEST_CASE("blocks in every storage step by operations as by kernels") {
  check_storages<Update<HiddenMatrix>, float>();
  check_storages<Update<HiddenMatrix>, double>();
  check_storages<Update<LmHead, Then<Spectral<>, RowNorm>>, float>(30);
  check_storages<Adaptive<LmHead>, float>();
  check_storages<Adaptive<HiddenMatrix>, double>();
  check_storages<AdamW, float>();
}

/// Steps of a matrix of each shape under a rule, its gradients from far ranges.
template <class Rule, class Scalar>
void check_rule(double amplified = 1, const Rule& rule = {}) {
  CAPTURE(symopt::detail::type_name<Rule>());
  CAPTURE(sizeof(Scalar));
  at::manual_seed(18);
  for (const double size : {1.0, 1e-6, 1e6}) {
    CAPTURE(size);
    Twins<Scalar> twins;
    const std::vector<std::vector<std::int64_t>> shapes{{6, 4}, {4, 6}, {16, 16}, {3, 40}, {1, 8}, {12, 1}};
    OptimizerOptions options = busy_options<Rule, Scalar>();
    if constexpr (!symopt::detail::projection_of_t<Rule>::is_identity) options.decay = Decay::horizontal;
    for (const auto& shape : shapes)
      twins.add(std::to_string(shape[0]) + "x" + std::to_string(shape[1]),
                role<Rule, Scalar>(options, {}, {}, rule), at::randn(shape, Twins<Scalar>::type));
    for (int step = 0; step < 14; ++step) {
      for (const auto& shape : shapes)
        twins.set_gradient(std::to_string(shape[0]) + "x" + std::to_string(shape[1]),
                           at::randn(shape, Twins<Scalar>::type) * (step == 11 ? 1e3 * size : size));
      twins.step();
    }
    CHECK(twins.worst() <= amplified * rounding<Scalar>);
  }
}

TEST_CASE("rules step by operations as by kernels, over the range of gradients and on far shapes") {
  check_rule<Update<LmHead>, float>();
  check_rule<Update<LmHead, RowNorm>, float>(1, RowNorm{.eps = 0.5, .divisor = Divisor::max_of_norm_and_eps});
  check_rule<Update<Trivial, Sign>, float>();
  check_rule<Update<SwigluOutput, Then<ColumnNorm, FrobeniusNorm>>, double>();
  check_rule<Update<HiddenMatrix, DualNorm<Spectral<>>>, double>(10);
  check_rule<Update<HiddenMatrix, Spectral<polar::Fast>>, float>();
  check_rule<Update<HiddenMatrix, LeftSpectral<polar::Zolotarev>>, float>(10);
  check_rule<Update<HiddenMatrix, Spectral<polar::Exact>>, float>();
  check_rule<Update<HiddenMatrix, Spectral<polar::NewtonSchulz>>, float>(10);
  check_rule<Update<HiddenMatrix, Spectral<polar::PolarExpress>>, float>(10);
  check_rule<Update<HiddenMatrix, Spectral<polar::GramNewtonSchulz>>, double>(10);
  check_rule<Adaptive<Trivial>, float>();
  check_rule<Adaptive<SwigluOutput>, float>();
  check_rule<Adaptive<Embedding, moments::Block>, float>();
  check_rule<Adaptive<HiddenMatrix>, float>(10);
}

TEST_CASE("heads within a map step by operations as by kernels") {
  using Rule = Update<Product<HeadRotations<Side::left, 2>, RightOrthogonal>>;
  using Columns = HeadSpectral<Side::right, 2>;
  at::manual_seed(19);
  Twins<float> twins;
  twins.add("rows", role<Rule>({.learning_rate = 0.1}), at::randn({6, 5}));
  twins.add("columns", role<Columns>({.learning_rate = 0.1}), at::randn({5, 6}));
  for (int step = 0; step < 3; ++step) {
    twins.set_gradient("rows", at::randn({6, 5}));
    twins.set_gradient("columns", at::randn({5, 6}));
    twins.step();
  }
  CHECK(twins.worst() <= rounding<float>);
}

TEST_CASE("rows that do not exist are neither read nor written") {
  at::manual_seed(20);
  const std::vector<bool> some{true, false, true, true, false, true};
  Twins<float> twins;
  for (const auto& [name, mask] : {std::pair("first", RowMask::first(4)), std::pair("some", RowMask(some))}) {
    twins.add(std::string(name) + " head", role<LmHead>({.learning_rate = 0.1}, {}, mask), at::randn({6, 4}));
    twins.add(std::string(name) + " adaptive",
              role<Adaptive<LmHead>>({.learning_rate = 0.1, .decay = Decay::horizontal}, {}, mask),
              at::randn({6, 4}));
    twins.add(std::string(name) + " adamw", role<AdamW>({.learning_rate = 0.1}, {}, mask), at::randn({6, 4}));
  }
  const at::Tensor before = twins.stepped("some adamw").clone();
  for (int step = 0; step < 3; ++step) {
    for (const char* rows : {"first", "some"})
      for (const char* rule : {" head", " adaptive", " adamw"}) {
        at::Tensor gradient = at::randn({6, 4});
        gradient[4] = std::numeric_limits<float>::quiet_NaN();  // of a row that neither mask has
        twins.set_gradient(std::string(rows) + rule, gradient);
      }
    twins.step();
  }
  CHECK(twins.worst() <= rounding<float>);
  CHECK(twins.stepped("some adamw")[1].equal(before[1]));
  CHECK_FALSE(twins.stepped("some adamw")[0].equal(before[0]));
}

TEST_CASE("rules that differ in one option alone are not one batch") {
  at::manual_seed(32);
  Twins<float> twins;
  const OptimizerOptions options{.learning_rate = 0.1};
  std::vector<std::string> names;
  const auto add = [&](const BasicRole<float>& role) {
    names.push_back(std::to_string(names.size()));
    twins.add(names.back(), role, at::randn({5, 7}));
  };
  const auto add_rule = [&]<class Rule>(const Rule& rule) { add(role<Rule>(options, {}, {}, rule)); };
  for (const AdamW& rule : {AdamW{}, AdamW{.beta1 = 0.5}, AdamW{.beta2 = 0.9}, AdamW{.eps = 0.1}})
    add_rule(rule);
  using Moments = Adaptive<LmHead>;
  for (const Moments& rule : {Moments{}, Moments{.beta1 = 0.5}, Moments{.beta2 = 0.9}, Moments{.eps = 0.1}})
    add_rule(rule);
  for (const RowNorm& rule :
       {RowNorm{}, RowNorm{.eps = 1}, RowNorm{.eps = 1, .divisor = Divisor::max_of_norm_and_eps}})
    add_rule(rule);
  add_rule(ColumnNorm{});
  for (const int steps : {2, 5}) add_rule(Spectral<polar::NewtonSchulz>{{.steps = steps}});
  add(role<LmHead>({.learning_rate = 0.1, .momentum = 0.5}));
  add(role<LmHead>({.learning_rate = 0.1, .momentum_convention = MomentumConvention::heavy_ball}));
  add(role<LmHead>({.learning_rate = 0.1, .nesterov = true}));
  for (int step = 0; step < 4; ++step) {
    for (const std::string& name : names) twins.set_gradient(name, at::randn({5, 7}));
    twins.step();
  }
  CHECK(twins.worst() <= 10 * rounding<float>);
}

TEST_CASE("a parameter of which no row exists stays as it is") {
  TensorStack<float> stack;
  const at::Tensor weights = moved(at::randn({4, 3})), before = weights.clone();
  stack.add("w", role<LmHead>({.learning_rate = 0.1}, {}, RowMask::first(0)), weights);
  stack.set_gradient("w", moved(at::randn({4, 3})));
  stack.step();
  CHECK(weights.equal(before));
}

/// Pairs of a group with some heads, A or B zero, one of them without a gradient for a while.
template <class Group, class Scalar>
void check_pairs(PairOptions options, bool b_is_zero, std::pair<int, int> heads = {1, 1},
                 double amplified = 1) {
  CAPTURE(symopt::detail::type_name<Group>());
  CAPTURE(options.damping);
  CAPTURE(b_is_zero);
  constexpr auto type = at::CppTypeToScalarType<Scalar>::value;
  at::manual_seed(21);
  BasicLayerwiseOptimizer<Scalar> kernels;
  TensorStack<Scalar> tensors;
  std::map<std::string, std::pair<at::Tensor, at::Tensor>> all;
  PairLayout layout;
  if (heads.first > 1) layout = {layout::row_heads(heads.first), layout::row_heads(heads.second)};
  for (int pair = 0; pair < 3; ++pair) {
    OptimizerOptions own{
        .learning_rate = pair == 1 ? 0.05 : 0.1, .weight_decay = 0.1, .scale = Scale::match_rms};
    own.nesterov = pair == 2;
    const auto pair_role = symopt::pair_role<Group, Scalar>(own, layout, options);
    const auto host = pair_role.linked(), device = pair_role.linked();
    const auto add = [&](const std::string& name, const auto& on_host, const auto& on_device,
                         at::Tensor start) {
      all[name] = {start, moved(start)};
      kernels.add(name, on_host, tensor_view<Scalar>(all[name].first), std::nullopt);
      tensors.add(name, on_device, all[name].second);
    };
    const at::Tensor b = at::randn({7 * heads.second, 4}, type);
    add("a" + std::to_string(pair), host.a.front(), device.a.front(), at::randn({9 * heads.first, 4}, type));
    add("b" + std::to_string(pair), host.b.front(), device.b.front(), b_is_zero ? at::zeros_like(b) : b);
  }
  for (int step = 0; step < 6; ++step) {
    std::map<std::string, std::pair<at::Tensor, at::Tensor>> gradients;
    for (const auto& [name, weights] : all) {
      if (name == "a2" && step == 3) {
        kernels.set_gradient(name, std::nullopt);
        tensors.set_gradient(name, {});
        continue;
      }
      const at::Tensor gradient = at::randn(weights.first.sizes(), type);
      gradients[name] = {gradient, moved(gradient)};
      kernels.set_gradient(name, tensor_view<const Scalar>(gradients[name].first));
      tensors.set_gradient(name, gradients[name].second);
    }
    kernels.step();
    tensors.step();
  }
  for (const auto& [name, weights] : all)
    CHECK(difference(weights.second, weights.first) <= amplified * rounding<Scalar>);
}

TEST_CASE("pairs step by operations as by kernels") {
  check_pairs<LoraPair, float>({}, false);
  check_pairs<LoraPair, float>({.is_horizontal = true}, true);
  check_pairs<LoraPair, double>({.damping = 0}, false);
  check_pairs<ValueOutput, double>({.is_horizontal = true}, false, {4, 2});
  check_pairs<QueryKey, double>({.is_horizontal = true}, false, {2, 2});
  check_pairs<NeuronPair, float>({.is_horizontal = true}, true);
  struct Halves : Gauge<algebra::Planes<algebra::Pairing::halves>, LeftOrthogonal, LeftOrthogonal> {};
  check_pairs<Halves, double>({.is_horizontal = true}, false, {2, 4});
  struct Multiples : Gauge<algebra::Scalars, LeftOrthogonal, LeftOrthogonal> {};
  check_pairs<Multiples, double>({.is_horizontal = true}, false);
}

TEST_CASE("a state goes from kernels to operations and back, and training goes on as before") {
  at::manual_seed(22);
  Twins<float> twins;
  twins.add("head", role<LmHead>({.learning_rate = 0.1}), at::randn({6, 4}));
  twins.add("masked", role<LmHead>({.learning_rate = 0.1}, {}, RowMask({true, false, true, true})),
            at::randn({4, 6}));
  twins.add("adamw", role<AdamW>({.learning_rate = 0.1}), at::randn({5}));
  twins.add("rows", role<Adaptive<LmHead>>({.learning_rate = 0.1}), at::randn({6, 4}));
  twins.add("experts", role<Adaptive<HiddenMatrix>>({.learning_rate = 0.1}, layout::experts()),
            at::randn({2, 5, 9}));
  const std::vector<std::string> names{"head", "masked", "adamw", "rows", "experts"};
  const auto step = [&] {
    for (const std::string& name : names) twins.set_gradient(name, at::randn(twins.stepped(name).sizes()));
    twins.step();
  };
  for (int k = 0; k < 12; ++k) step();
  // Each takes the other's.
  const auto fields_of = [](const auto& parameter, bool writes, const auto& visit) {
    parameter->blocks().visit({[&](symopt::detail::StateField field) { visit(field); }, writes});
  };
  {
    interop::detail::StatesOnHost<float> states(twins.tensors);
    const auto& native = symopt::detail::StateAccess::parameters(twins.kernels);
    for (std::size_t p = 0; p < native.size(); ++p) {
      std::vector<symopt::detail::StateField> a, b;
      fields_of(native[p], true, [&](const auto& field) { a.push_back(field); });
      fields_of(twins.tensors.parameters()[p], true, [&](const auto& field) { b.push_back(field); });
      REQUIRE(a.size() == b.size());
      for (std::size_t f = 0; f < a.size(); ++f) {
        CAPTURE(a[f].name);
        CHECK(a[f].name == b[f].name);
        CHECK(a[f].shape == b[f].shape);
        if (a[f].shape.empty()) {
          CHECK(*static_cast<std::int64_t*>(a[f].data) == *static_cast<std::int64_t*>(b[f].data));
          continue;
        }
        at::Tensor x = interop::detail::host_tensor(a[f]), y = interop::detail::host_tensor(b[f]);
        const bool has_unit = a[f].name.find("moment") != std::string::npos && native[p]->name() == "experts";
        if (!has_unit || a[f].name.find("momentum") != std::string::npos)
          CHECK(difference(y.to(at::kDouble), x.to(at::kDouble)) <= 1e-4);
        const at::Tensor kept = x.clone();
        x.copy_(y);
        y.copy_(kept);
      }
    }
    states.take();
  }
  for (int k = 0; k < 12; ++k) step();
  CHECK(twins.worst() <= 10 * rounding<float>);
}

TEST_CASE("a gradient that is not finite moves nothing, and is named; unchecked ones are not looked at") {
  at::manual_seed(23);
  for (const NonFinite policy : {NonFinite::throw_error, NonFinite::skip, NonFinite::unchecked}) {
    TensorStack<float> stack;
    const at::Tensor a = moved(at::randn({3, 4})), b = moved(at::randn({4}));
    const at::Tensor before = a.clone();
    stack.add("a", role<LmHead>({.learning_rate = 0.1, .non_finite = policy}), a);
    stack.add("b", role<AdamW>({.learning_rate = 0.1, .non_finite = policy}), b);
    stack.set_gradient("a", moved(at::randn({3, 4})));
    at::Tensor bad = at::randn({4});
    bad[2] = std::numeric_limits<float>::infinity();
    stack.set_gradient("b", moved(bad));
    if (policy == NonFinite::throw_error) {
      CHECK_THROWS_WITH_AS(
          stack.step(),
          doctest::Contains("the gradient of parameter 'b' has an Inf or NaN; nothing was changed"),
          NonFiniteGradient);
    } else if (policy == NonFinite::skip) {
      const StackReport report = stack.step();
      CHECK_FALSE(report.applied);
      CHECK(report.non_finite == std::vector<std::string>{"b"});
    } else {
      CHECK(stack.step().applied);
    }
    CHECK(a.equal(before) == (policy != NonFinite::unchecked));
  }
}

struct Halved {
  using largest_group = BiOrthogonal;
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return block / 2;
  }
};
struct HalvedByTorch : Halved {
  void torch_apply(at::Tensor& blocks) const { blocks = blocks / 2; }
};
struct Doubled : Spectral<> {  // whose own call is not that of its base
  template <class Derived>
  Matrix<typename Derived::Scalar> operator()(const Eigen::MatrixBase<Derived>& block) const {
    return 2 * Spectral<>::operator()(block);
  }
};
struct Failing : Halved {
  static inline int calls = 0;
  void torch_apply(at::Tensor&) const {
    if (++calls == 2) throw std::runtime_error("no");
  }
};
struct Counted : Halved {
  static inline int calls = 0;
  void torch_apply(at::Tensor& blocks) const {
    ++calls;
    blocks = blocks / 2;
  }
};
struct InDouble : polar::NewtonSchulz {
  void torch_apply(at::Tensor& blocks, Side) const { blocks = blocks.to(at::kDouble); }
};
struct Stateful {
  template <class Scalar>
  struct State {};
  void operator()(const auto&, const auto& gradient, auto&, auto& direction) const { direction = gradient; }
};

TEST_CASE("what has no form by operations is refused, and a rule gives its own") {
  TensorStack<float> stack;
  const at::Tensor weights = moved(at::zeros({2, 3}));
  CHECK_THROWS_WITH_AS(
      stack.add("w", role<Halved>({.learning_rate = 1}), weights),
      doctest::Contains("give each of its maps a member `void torch_apply(at::Tensor& blocks) const`"),
      std::invalid_argument);
  CHECK_THROWS_WITH_AS(stack.add("w", role<Stateful>({.learning_rate = 1}), weights),
                       doctest::Contains("a rule with a state of its own steps in CPU memory alone"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(stack.add("w", role<Doubled>({.learning_rate = 1}), weights),
                       doctest::Contains("has no form by libtorch's operations"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      stack.add("w", role<PerHead<Side::right, 2, FrobeniusNorm>>({.learning_rate = 1}), weights),
      doctest::Contains("heads of 2 do not fill a block of 2x3"), std::invalid_argument);
  const at::Tensor experts = moved(at::zeros({2, 3, 5}));
  using Heads = Adaptive<Product<HeadRotations<Side::left, 2>, RightOrthogonal>>;
  CHECK_THROWS_WITH_AS(stack.add("w", role<Heads>({.learning_rate = 1}, layout::experts()), experts),
                       doctest::Contains("heads of 2 do not fill a block of 3x5"), std::invalid_argument);
  CHECK(stack.size() == 0);
  stack.add("w", role<HalvedByTorch>({.learning_rate = 1, .momentum = 0}), weights);
  stack.set_gradient("w", moved(at::ones({2, 3})));
  stack.step();
  CHECK(weights.cpu().equal(at::full({2, 3}, -0.5F)));
}

TEST_CASE("an operation that throws leaves the blocks before it stepped, and counted as such") {
  TensorStack<float> stack;
  const at::Tensor first = moved(at::zeros({3})), second = moved(at::zeros({2, 3}));
  stack.add("first", role<AdamW>({.learning_rate = 1}), first);
  stack.add("second", role<Failing>({.learning_rate = 1}), second);
  stack.set_gradient("first", moved(at::ones({3})));
  stack.set_gradient("second", moved(at::ones({2, 3})));
  stack.step();
  CHECK_THROWS_AS(stack.step(), std::runtime_error);
  CHECK(stack.bound("first").steps == std::vector<std::int64_t>{2});
  CHECK(stack.bound("second").steps == std::vector<std::int64_t>{1});
  CHECK(stack.steps() == 1);
  TensorStack<float> other;
  other.add("w", role<Spectral<InDouble>>({.learning_rate = 1}), second);
  other.set_gradient("w", moved(at::ones({2, 3})));
  CHECK_THROWS_WITH_AS(other.step(), doctest::Contains("it must keep both"), std::invalid_argument);
}

/// Norms of lines whose squares leave the range, and an eps that float does not hold.
template <class Rule, class Scalar>
void check_range(double size, const Rule& rule = {}) {
  CAPTURE(symopt::detail::type_name<Rule>());
  CAPTURE(size);
  at::manual_seed(28);
  Twins<Scalar> twins;
  twins.add("w", role<Rule, Scalar>({.learning_rate = 0.1}, {}, {}, rule),
            at::randn({3, 40}, Twins<Scalar>::type));
  for (int step = 0; step < 3; ++step) {
    at::Tensor gradient = at::randn({3, 40}, Twins<Scalar>::type) * size;
    gradient[1] = 0;
    twins.set_gradient("w", gradient);
    twins.step();
  }
  CHECK(twins.worst() <= rounding<Scalar>);
}

TEST_CASE("norms and mean squares keep the range of the scalar") {
  check_range<RowNorm, double>(1e200);
  check_range<RowNorm, double>(1e-170, {.eps = 0});
  check_range<ColumnNorm, double>(1e200);
  check_range<Adaptive<Embedding>, double>(1e200);
  check_range<Adaptive<Embedding, moments::Block>, double>(1e200);
  check_range<RowNorm, float>(3e37);
  check_range<RowNorm, float>(1e-30, {.eps = 1e-50});
  check_range<RowNorm, float>(1, {.eps = 1e-50});
}

TEST_CASE("autocast leaves a step alone") {
  at::manual_seed(30);
  Twins<float> twins;
  twins.add("w", role<HiddenMatrix>({.learning_rate = 0.1}), at::randn({6, 9}));
  twins.set_gradient("w", at::randn({6, 9}));
  at::autocast::set_cpu_enabled(true);
  twins.step();
  at::autocast::set_cpu_enabled(false);
  CHECK(twins.worst() <= rounding<float>);
}

TEST_CASE("alike parameters in one role under a user's map are one batch, and those of two roles are not") {
  const auto one = symopt::role<Counted>({.learning_rate = 1});
  const auto other = symopt::role<Counted>({.learning_rate = 1});  // whose map may have other members
  const auto calls_with = [](const std::vector<Role>& roles) {
    TensorStack<float> stack;
    std::vector<at::Tensor> memory;
    for (const Role& role : roles) {
      const std::string name = std::to_string(stack.size());
      memory.push_back(moved(at::zeros({2, 3})));
      stack.add(name, role, memory.back());
      memory.push_back(moved(at::ones({2, 3})));
      stack.set_gradient(name, memory.back());
    }
    Counted::calls = 0;
    stack.step();
    return Counted::calls;
  };
  CHECK(calls_with({one, one, one}) == 1);
  CHECK(calls_with({one, other, one}) == 2);
}

TEST_CASE("several A of one B, one of them without a gradient, and an empty A") {
  at::manual_seed(31);
  for (const bool is_empty : {false, true}) {
    BasicLayerwiseOptimizer<float> kernels;
    TensorStack<float> tensors;
    std::map<std::string, std::pair<at::Tensor, at::Tensor>> all;
    std::vector<at::Tensor> gradients;
    const auto role = pair_role<LoraPair>({.learning_rate = 0.1}, {}, {.is_horizontal = true});
    const std::size_t count = is_empty ? 1 : 2;
    const auto host = role.linked(count, 1), device = role.linked(count, 1);
    const auto add = [&](const std::string& name, const Role& on_host, const Role& on_device,
                         std::int64_t rows, bool moves) {
      all[name].first = at::randn({rows, 4});
      all[name].second = moved(all[name].first);
      kernels.add(name, on_host, tensor_view<float>(all[name].first), std::nullopt);
      tensors.add(name, on_device, all[name].second);
      if (!moves) return;
      gradients.push_back(at::randn({rows, 4}));
      kernels.set_gradient(name, tensor_view<const float>(gradients.back()));
      tensors.set_gradient(name, moved(gradients.back()));
    };
    for (std::size_t k = 0; k < count; ++k)
      add("a" + std::to_string(k), host.a[k], device.a[k], is_empty ? 0 : 9, k == 1 || is_empty);
    add("b", host.b.front(), device.b.front(), 7, true);
    for (int step = 0; step < 2; ++step) {
      kernels.step();
      tensors.step();
    }
    for (const auto& [name, weights] : all)
      if (weights.first.numel() > 0) CHECK(difference(weights.second, weights.first) <= rounding<float>);
  }
}

TEST_CASE("hard blocks of floats keep the band of polar factors") {
  at::manual_seed(24);
  Random random(default_seed);
  for (const Shape shape : {Shape{24, 40}, Shape{40, 24}, Shape{32, 32}})
    for (Input& input : all_inputs(shape, random)) {
      CAPTURE(input.name);
      const at::Tensor block =
          at::from_blob(input.value.data(), {1, shape.rows, shape.cols}, at::kDouble).to(at::kFloat);
      const double norm = at::linalg_vector_norm(block.to(at::kDouble), 2).item<double>();
      const at::Tensor factor =
          interop::detail::polar_factors(moved(block), {interop::detail::form::Minimax{3}})
              .cpu()
              .to(at::kDouble)[0];
      REQUIRE(factor.isfinite().all().item<bool>());
      if (norm == 0) continue;
      const auto [u, values, v] = at::linalg_svd(block[0].to(at::kDouble), false);
      const at::Tensor images = (u.t().matmul(factor).matmul(v.t())).diagonal();
      const at::Tensor errors = at::where(values > 1e-3 * norm, (images - 1).abs(), at::zeros_like(images));
      CHECK(errors.max().item<double>() <= 0.06);
      CHECK(images.max().item<double>() <= 1.06);
    }
}

TEST_CASE("products in bfloat16 keep the band that is stated") {
  at::manual_seed(25);
  for (const auto& [rows, cols] : {std::pair(24, 96), std::pair(64, 64), std::pair(96, 24)})
    for (int draw = 0; draw < 5; ++draw) {
      const auto [u, old, v] = at::linalg_svd(at::randn({rows, cols}, at::kDouble), false);
      const at::Tensor values = at::linspace(0, -2, old.size(0), at::kDouble).mul(std::log(10.0)).exp();
      const at::Tensor block = u.matmul(at::diag(values / values.norm())).matmul(v);
      at::Tensor weights = moved(at::zeros({rows, cols}));
      TensorStack<float> stack(PolarProducts::bfloat16);
      stack.add("w", role<HiddenMatrix>({.learning_rate = 1, .momentum = 0}), weights);
      stack.set_gradient("w", moved(block.to(at::kFloat)));
      stack.step();
      const at::Tensor factor = -weights.cpu().to(at::kDouble);
      const at::Tensor images = u.t().matmul(factor).matmul(v.t()).diagonal();
      const at::Tensor is_large = values / values.norm() >= 1e-2;
      CHECK(is_large.sum().item<std::int64_t>() > 3);
      const at::Tensor errors = at::where(is_large, (images - 1).abs(), at::zeros_like(images));
      CHECK(errors.max().item<double>() <= 0.2);
      CHECK(errors.max().item<double>() >= 0.02);  // it is not the default map
    }
}

/// The operations that a call asks libtorch for, views and looks at sizes left out.
class Operations {
 public:
  Operations() {
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(begin, end).scopes({at::RecordScope::FUNCTION}));
    depth() = 0;
    counts().clear();
  }
  ~Operations() { at::removeCallback(handle_); }
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  static std::map<std::string, int>& counts() {
    static std::map<std::string, int> all;
    return all;
  }
  static int launched() {
    int sum = 0;
    for (const auto& [name, count] : counts()) sum += count;
    return sum;
  }

 private:
  struct Context : at::ObserverContext {};
  static int& depth() {
    static int number = 0;
    return number;
  }
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    static const std::vector<std::string> views{
        "aten::as_strided", "aten::narrow",    "aten::select",    "aten::slice",   "aten::split_with_sizes",
        "aten::reshape",    "aten::transpose", "aten::unsqueeze", "aten::squeeze", "aten::diagonal",
        "aten::flatten",    "aten::expand",    "aten::view",      "aten::detach",  "aten::permute"};
    if (depth()++ == 0 && std::ranges::find(views, function.name()) == views.end())
      ++counts()[function.name()];
    return std::make_unique<Context>();
  }
  static void end(const at::RecordFunction&, at::ObserverContext*) { --depth(); }

  at::CallbackHandle handle_;
};

/// A model with the parameters of Qwen3-0.6B by name, each 64 times narrower.
void add_qwen3(TensorStack<float>& stack, int layers, const BasicRouting<float>& routing,
               const StackOptions& options, std::vector<at::Tensor>& memory) {
  std::vector<NamedTensor<float>> named;
  const auto add = [&](const std::string& name, at::IntArrayRef sizes) {
    memory.push_back(moved(at::randn(sizes)));
    named.push_back({name, tensor_view<float>(memory.back())});
  };
  add("model.embed_tokens.weight", {128, 16});
  for (int i = 0; i < layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"})
      add(layer + name + ".weight", std::string(name) == "self_attn.q_proj"   ? at::IntArrayRef{32, 16}
                                    : std::string(name) == "self_attn.o_proj" ? at::IntArrayRef{16, 32}
                                                                              : at::IntArrayRef{16, 16});
    for (const char* name : {"self_attn.q_norm", "self_attn.k_norm"}) add(layer + name + ".weight", {2});
    for (const char* name : {"input_layernorm", "post_attention_layernorm"})
      add(layer + name + ".weight", {16});
    for (const char* name : {"mlp.gate_proj", "mlp.up_proj"}) add(layer + name + ".weight", {48, 16});
    add(layer + "mlp.down_proj.weight", {16, 48});
  }
  add("model.norm.weight", {16});
  const auto routed = routing.roles_of(named);
  for (std::size_t i = 0; i < named.size(); ++i) {
    stack.add(named[i].name, routed[i].role.with(routed[i].role.options(options)), memory[i]);
    memory.push_back(moved(at::randn(memory[i].sizes())));
    stack.set_gradient(named[i].name, memory.back());
  }
}

TEST_CASE("a step takes as many operations for 28 layers as for 2, and looks at one number") {
  const auto count_of = [](int layers, bool is_adaptive, NonFinite policy) {
    at::manual_seed(26);
    TensorStack<float> stack;
    std::vector<at::Tensor> memory;
    memory.reserve(1000);
    const auto routing = is_adaptive
                             ? qwen3({.query = 16, .key_value = 8}, Embeddings::tied, adaptive_roles<>())
                             : qwen3({.query = 16, .key_value = 8}, Embeddings::tied);
    add_qwen3(stack, layers, routing, {.learning_rate = 1e-3, .weight_decay = 0.1, .non_finite = policy},
              memory);
    stack.step();
    const Operations operations;
    stack.step();
    return std::pair(Operations::launched(),
                     Operations::counts()["aten::item"] + Operations::counts()["aten::is_nonzero"]);
  };
  for (const bool is_adaptive : {false, true}) {
    const auto [few, looks] = count_of(2, is_adaptive, NonFinite::throw_error);
    const auto [many, looks_of_many] = count_of(28, is_adaptive, NonFinite::throw_error);
    const auto [unchecked, none] = count_of(28, is_adaptive, NonFinite::unchecked);
    MESSAGE("operations: ", few, " for 2 layers, ", many, " for 28, ", unchecked, " unchecked");
    CHECK(many == few);
    CHECK(many <= 200);
    CHECK(looks == 1);
    CHECK(looks_of_many == 1);
    CHECK(unchecked < many);
    CHECK(none == 0);
  }
}

TEST_CASE("parameters that leave, come back and step at their own times keep their states apart") {
  at::manual_seed(27);
  Twins<float> twins;
  for (const char* name : {"a", "b", "c"})
    twins.add(name, role<AdamW>({.learning_rate = 0.1}), at::randn({4, 3}));
  const auto step = [&](const std::vector<std::string>& moving) {
    for (const std::string name : {"a", "b", "c"}) {
      if (!twins.tensors.contains(name)) continue;
      if (std::ranges::find(moving, name) != moving.end()) {
        twins.set_gradient(name, at::randn({4, 3}));
      } else {
        twins.kernels.set_gradient(name, std::nullopt);
        twins.tensors.set_gradient(name, {});
      }
    }
    twins.step();
  };
  step({"a", "b", "c"});
  step({"a", "c"});
  step({"b"});
  step({"a", "b", "c"});
  twins.kernels.remove("b");
  twins.tensors.remove("b");
  step({"a", "c"});
  twins.add("d", role<AdamW>({.learning_rate = 0.1}), at::randn({7}));
  twins.set_gradient("d", at::randn({7}));
  step({"a"});
  CHECK(twins.worst() <= rounding<float>);
}

}}  // namespace tensor_stack_test
