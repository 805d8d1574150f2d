// SPDX-License-Identifier: Apache-2.0
// Each parameter of four published architectures, by its name, is routed as arXiv 2605.18106 does.
#include "support/named_model.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <iostream>
#include <sstream>

namespace stack_routing_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// The rule and rate of a parameter class.
struct Treatment {
  std::string group;
  std::string rule;
};

const Treatment attention{"HiddenMatrix: O x O", "Spectral"};
const Treatment embedding{"Embedding: S x O", "RowNorm"};
const Treatment tied_embedding{"TiedEmbedding: S x O", "RowNorm"};
const Treatment head{"LmHead: S x O + shift", "P > RowNorm > P"};
const Treatment swiglu_input{"SwigluInput: S x O", "RowNorm"};
const Treatment swiglu_output{"SwigluOutput: O x S", "ColumnNorm"};
const Treatment router{"Router: S x O + shift", "P > RowNorm > P"};
const Treatment adamw{"B x B", "AdamW"};

/// One line of a model's list of parameters; L stands for every layer, E for every expert.
struct Line {
  std::string name;
  std::vector<Index> sizes;
  std::string layout;
  std::string blocks;
  Treatment treatment;
};

/// A matrix that is one block.
Line matrix(std::string name, Index rows, Index cols, Treatment treatment) {
  return {
      std::move(name), {rows, cols}, "whole", "1 of " + to_string(Shape{rows, cols}), std::move(treatment)};
}
/// A gain or a bias.
Line vector(std::string name, Index size) {
  return {std::move(name), {size}, "whole", "1 of " + to_string(Shape{1, size}), adamw};
}

constexpr Index layers = 3;
constexpr Index experts = 4;
constexpr Index vocabulary = 40;
constexpr Index width = 16;
constexpr Index neurons = 12;
constexpr AttentionHeads heads{.query = 4, .key_value = 2};
constexpr Index head_size = 6;  // not width / heads.query
constexpr Index query_rows = heads.query * head_size;
constexpr Index key_value_rows = heads.key_value * head_size;

std::vector<Line> operator+(std::vector<Line> a, const std::vector<Line>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::string layer = "model.layers.L.";

std::vector<Line> attention_lines() {
  return {
      {layer + "self_attn.q_proj.weight", {query_rows, width}, "4 row heads", "4 of 6x16", attention},
      {layer + "self_attn.k_proj.weight", {key_value_rows, width}, "2 row heads", "2 of 6x16", attention},
      {layer + "self_attn.v_proj.weight", {key_value_rows, width}, "2 row heads", "2 of 6x16", attention},
      {layer + "self_attn.o_proj.weight", {width, query_rows}, "4 column heads", "4 of 16x6", attention},
  };
}
std::vector<Line> dense_mlp_lines() {
  return {matrix(layer + "mlp.gate_proj.weight", neurons, width, swiglu_input),
          matrix(layer + "mlp.up_proj.weight", neurons, width, swiglu_input),
          matrix(layer + "mlp.down_proj.weight", width, neurons, swiglu_output)};
}

std::vector<Line> norm_lines(const std::vector<std::string>& names, Index size = width) {
  std::vector<Line> lines;
  for (const std::string& name : names) lines.push_back(vector(layer + name + ".weight", size));
  return lines;
}

std::vector<Line> embedding_lines(const Treatment& treatment) {
  return {matrix("model.embed_tokens.weight", vocabulary, width, treatment)};
}
std::vector<Line> final_norm_lines() {
  return {vector("model.norm.weight", width)};
}
std::vector<Line> head_lines() {
  return {matrix("lm_head.weight", vocabulary, width, head)};
}

// The names are those of named_parameters() in Hugging Face's transformers.

std::vector<Line> qwen3_lines(Embeddings embeddings) {
  const bool is_tied = embeddings == Embeddings::tied;
  return embedding_lines(is_tied ? tied_embedding : embedding) + attention_lines() +
         norm_lines({"self_attn.q_norm", "self_attn.k_norm"}, head_size) + dense_mlp_lines() +
         norm_lines({"input_layernorm", "post_attention_layernorm"}) + final_norm_lines() +
         (is_tied ? std::vector<Line>{} : head_lines());
}

std::vector<Line> gemma3_lines() {
  return embedding_lines(tied_embedding) + attention_lines() +
         norm_lines({"self_attn.q_norm", "self_attn.k_norm"}, head_size) + dense_mlp_lines() +
         norm_lines({"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                     "post_feedforward_layernorm"}) +
         final_norm_lines();
}

std::vector<Line> olmoe_lines(const std::vector<Line>& expert_lines) {
  return embedding_lines(embedding) + attention_lines() + norm_lines({"self_attn.q_norm"}, query_rows) +
         norm_lines({"self_attn.k_norm"}, key_value_rows) +
         std::vector{matrix(layer + "mlp.gate.weight", experts, width, router)} + expert_lines +
         norm_lines({"input_layernorm", "post_attention_layernorm"}) + final_norm_lines() + head_lines();
}
std::vector<Line> olmoe_single_experts() {
  const std::string expert = layer + "mlp.experts.E.";
  return {matrix(expert + "gate_proj.weight", neurons, width, swiglu_input),
          matrix(expert + "up_proj.weight", neurons, width, swiglu_input),
          matrix(expert + "down_proj.weight", width, neurons, swiglu_output)};
}
std::vector<Line> olmoe_fused_experts() {
  return {
      {layer + "mlp.experts.gate_up_proj",
       {experts, 2 * neurons, width},
       "experts, gate/up concatenated, paired",
       "4 of 12x32",
       swiglu_input},
      {layer + "mlp.experts.down_proj", {experts, width, neurons}, "experts", "4 of 16x12", swiglu_output}};
}

std::vector<Line> gpt_oss_lines() {
  return embedding_lines(embedding) + std::vector{vector(layer + "self_attn.sinks", heads.query)} +
         attention_lines() +
         std::vector{vector(layer + "self_attn.q_proj.bias", query_rows),
                     vector(layer + "self_attn.k_proj.bias", key_value_rows),
                     vector(layer + "self_attn.v_proj.bias", key_value_rows),
                     vector(layer + "self_attn.o_proj.bias", width),
                     matrix(layer + "mlp.router.weight", experts, width, router),
                     vector(layer + "mlp.router.bias", experts),
                     {layer + "mlp.experts.gate_up_proj",
                      {experts, width, 2 * neurons},
                      "experts, transposed, gate/up interleaved, paired",
                      "4 of 12x32",
                      swiglu_input},
                     matrix(layer + "mlp.experts.gate_up_proj_bias", experts, 2 * neurons, adamw),
                     {layer + "mlp.experts.down_proj",
                      {experts, neurons, width},
                      "experts, transposed",
                      "4 of 16x12",
                      swiglu_output},
                     matrix(layer + "mlp.experts.down_proj_bias", experts, width, adamw)} +
         norm_lines({"input_layernorm", "post_attention_layernorm"}) + final_norm_lines() + head_lines();
}

std::string with_number(std::string name, char place, Index number) {
  const std::size_t at = name.find(std::string(".") + place + ".");
  return at == std::string::npos ? name : name.replace(at + 1, 1, std::to_string(number));
}
bool is_of_every(const Line& line, char place) {
  return with_number(line.name, place, 0) != line.name;
}

/// One line for each parameter, layer by layer and expert by expert.
std::vector<Line> every_parameter(const std::vector<Line>& lines) {
  std::vector<Line> all;
  const auto add = [&](Line line, char place, Index number) {
    line.name = with_number(line.name, place, number);
    all.push_back(std::move(line));
  };
  const auto is_layers = [](const Line& line) { return is_of_every(line, 'L'); };
  const auto begin = std::ranges::find_if(lines, is_layers);
  const auto end = std::find_if_not(begin, lines.end(), is_layers);
  all.assign(lines.begin(), begin);
  for (Index l = 0; l < layers; ++l)
    for (auto line = begin; line != end; ++line)
      for (Index e = 0; e < (is_of_every(*line, 'E') ? experts : 1); ++e) {
        add(*line, 'L', l);
        all.back().name = with_number(all.back().name, 'E', e);
      }
  all.insert(all.end(), end, lines.end());
  return all;
}

NamedModel model_of(const std::vector<Line>& lines) {
  NamedModel model;
  for (const Line& line : every_parameter(lines)) model.add(line.name, line.sizes);
  return model;
}

std::string printed(const LayerwiseOptimizer& stack) {
  std::ostringstream text;
  text << stack.plan();
  return text.str();
}

std::size_t longest_line(const std::string& text) {
  std::size_t longest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

void check_row(const PlanRow& row, const Line& line) {
  CAPTURE(line.name);
  CHECK(row.name == line.name);
  CHECK(row.layout == line.layout);
  CHECK(row.blocks == line.blocks);
  CHECK(row.group == line.treatment.group);
  CHECK(row.rule == line.treatment.rule);
  std::string shape;
  for (const Index size : line.sizes) shape += (shape.empty() ? "" : "x") + std::to_string(size);
  CHECK(row.shape == shape);
}

/// The first line of what is printed for these parameters.
std::string printed_name(const Line& line) {
  std::string name = line.name;
  Index count = 1;
  const auto gather = [&](char place, Index size) {
    if (!is_of_every(line, place)) return;
    name = with_number(name, place, 0);
    name.replace(name.find(".0."), 3, ".[0-" + std::to_string(size - 1) + "].");
    count *= size;
  };
  gather('L', layers);
  gather('E', experts);
  return "\n" + name + "  " + (count > 1 ? std::to_string(count) + " of [" : "[");
}

/// Routes the model, and checks each parameter's row, the printed plan, and that a step moves what has a
/// gradient.
void check_routed(const char* title, const std::vector<Line>& lines, const Routing& routing) {
  CAPTURE(title);
  CAPTURE(default_seed);
  NamedModel model = model_of(lines);
  const std::vector<Line> all = every_parameter(lines);
  for (std::size_t i = 0; i < all.size(); i += 7) model.parameters[i].has_gradient = false;
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), routing);

  const std::vector<PlanRow> rows = stack.plan().rows();
  REQUIRE(rows.size() == all.size());
  for (std::size_t i = 0; i < rows.size(); ++i) check_row(rows[i], all[i]);

  const std::string text = printed(stack);
  std::cout << title << '\n' << text << '\n';
  for (const Line& line : lines) {
    CAPTURE(printed_name(line));
    CHECK(text.find(printed_name(line)) != std::string::npos);
  }
  CHECK(longest_line(text) <= 80);

  const auto before = model.weights();
  const StackReport report = stack.step();
  CHECK(report.applied);
  CHECK(report.step == 1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CAPTURE(all[i].name);
    CHECK((model.parameters[i].weights != before[i]) == model.parameters[i].has_gradient);
  }
}

TEST_CASE("Qwen3, tied as the small ones and untied as the large") {
  check_routed("Qwen3, tied", qwen3_lines(Embeddings::tied), qwen3(heads, Embeddings::tied));
  check_routed("Qwen3, untied", qwen3_lines(Embeddings::untied), qwen3(heads, Embeddings::untied));
}
TEST_CASE("Gemma 3") {
  check_routed("Gemma 3", gemma3_lines(), gemma3(heads));
}
TEST_CASE("OLMoE, with a tensor for each expert and with one for all") {
  check_routed("OLMoE", olmoe_lines(olmoe_single_experts()), olmoe(heads));
  check_routed("OLMoE, fused experts", olmoe_lines(olmoe_fused_experts()), olmoe(heads));
}
TEST_CASE("gpt-oss") {
  check_routed("gpt-oss", gpt_oss_lines(), gpt_oss(heads));
}

TEST_CASE("every parameter that moves does so by the rule of its class") {
  // What sets the classes apart, on the weights themselves: the length of rows or columns, the sum over the
  // rows.
  NamedModel model = model_of(gpt_oss_lines());
  const auto before = model;
  TransformerRoles<> roles;
  roles.embedding = role<Embedding>({.learning_rate = 1});
  roles.head = role<LmHead>({.learning_rate = 1});
  roles.router = role<Router>({.learning_rate = 1});
  roles.swiglu_input = role<SwigluInput>({.learning_rate = 1});
  roles.swiglu_output = role<SwigluOutput>({.learning_rate = 1});
  roles.attention = role<HiddenMatrix>({.learning_rate = 1});
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), gpt_oss(heads, Embeddings::untied, roles));
  stack.step();
  const auto change = [&](const std::string& name, Index rows, Index cols, Index offset = 0) {
    const auto as_matrix = [&](const NamedModel& of) {
      const auto found = std::ranges::find(of.parameters, name, &ModelParameter::name);
      return Matrix<float>(Eigen::Map<const Matrix<float>>(found->weights.data() + offset, rows, cols));
    };
    return as_double(as_matrix(before) - as_matrix(model));
  };
  const auto is_one = [](const auto& norms) { return (norms.array() - 1).abs().maxCoeff() < 1e-4; };

  const Matrix<double> embedded = change("model.embed_tokens.weight", vocabulary, width);
  CHECK(is_one(embedded.rowwise().norm()));
  CHECK(embedded.colwise().sum().norm() > 1e-1);
  CHECK(change("lm_head.weight", vocabulary, width).colwise().sum().norm() < 1e-4);
  CHECK(change("model.layers.1.mlp.router.weight", experts, width).colwise().sum().norm() < 1e-4);

  const std::string attention_of = "model.layers.1.self_attn.";
  const Matrix<double> query = change(attention_of + "q_proj.weight", query_rows, width);
  const Matrix<double> output = change(attention_of + "o_proj.weight", width, query_rows);
  for (Index h = 0; h < heads.query; ++h) {
    const Matrix<double> q = query.middleRows(h * head_size, head_size);
    const Matrix<double> o = output.middleCols(h * head_size, head_size);
    // Orthonormal rows (columns) to within the polar iteration's band.
    CHECK((q * q.transpose() - Matrix<double>::Identity(head_size, head_size)).norm() < 0.2);
    CHECK((o.transpose() * o - Matrix<double>::Identity(head_size, head_size)).norm() < 0.2);
  }

  for (Index e = 0; e < experts; ++e) {
    const Matrix<double> gate_up =
        change("model.layers.1.mlp.experts.gate_up_proj", width, 2 * neurons, e * width * 2 * neurons);
    for (Index neuron = 0; neuron < neurons; ++neuron)  // its gate and its up vector lie beside each other
      CHECK(gate_up.middleCols(2 * neuron, 2).norm() == doctest::Approx(1).epsilon(1e-4));
    const Matrix<double> down =
        change("model.layers.1.mlp.experts.down_proj", neurons, width, e * neurons * width);
    CHECK(is_one(down.rowwise().norm()));  // stored (in, out): the columns of the block
  }
}

TEST_CASE("a glob matches names word by word") {
  struct Example {
    const char* pattern;
    std::vector<const char*> matching;
    std::vector<const char*> others;
  };
  const Example examples[] = {
      {"lm_head.weight",
       {"lm_head.weight"},
       {"lm_head", "lm_head.weights", "xlm_head.weight", "lm_head_weight"}},
      {"", {""}, {"a", "."}},
      {"*", {"", "a", "abc"}, {".", "a.b"}},
      {"**", {"", "a", "a.b.c", "."}, {}},
      {"a.*.c", {"a.b.c", "a.12.c", "a..c"}, {"a.c", "a.b.b.c", "a.b.c.d"}},
      {"a.**.c", {"a.b.c", "a.b.b.c", "a..c"}, {"a.c", "a.b.c.d"}},
      {"**.bias", {"a.bias", "a.b.bias", ".bias"}, {"bias", "a.bias.b", "a.xbias"}},
      {"*_proj", {"q_proj", "_proj", "q_proj_proj"}, {"a.q_proj", "q_proj."}},
      {"*a*b*", {"ab", "xaxbx", "aab"}, {"ba", "a.b"}},
      {"a?c", {"abc", "a-c"}, {"ac", "a.c", "abbc"}},
      {"??", {"ab"}, {"a", "abc", "a."}},
      {"{q,k,v}_proj", {"q_proj", "k_proj", "v_proj"}, {"o_proj", "qk_proj", "_proj", "{q,k,v}_proj"}},
      {"{q,{k,v}}_proj", {"q_proj", "k_proj", "v_proj"}, {"o_proj", "{k_proj", "q}_proj"}},
      {"{a,b}.{1,2}", {"a.1", "a.2", "b.1", "b.2"}, {"a.b", "1.2", "a.12"}},
      {"x{,_norm}.w", {"x.w", "x_norm.w"}, {"x,.w", "x_.w"}},
      {"{}a", {"a"}, {"{}a"}},
      {"{a.*,b.**}.w", {"a.1.w", "b.1.w", "b.1.2.w"}, {"a.1.2.w", "c.1.w"}},
      {"a,b", {"a,b"}, {"a", "b"}},
      {"a[0-9]", {"a[0-9]"}, {"a1"}},
  };
  for (const Example& example : examples) {
    const Glob glob(example.pattern);
    CAPTURE(example.pattern);
    for (const char* name : example.matching) {
      CAPTURE(name);
      CHECK(glob.matches(name));
    }
    for (const char* name : example.others) {
      CAPTURE(name);
      CHECK_FALSE(glob.matches(name));
    }
  }
}

TEST_CASE("a glob takes the product of the lengths, not a power of it") {
  // With one try for each way to share the letters among the stars this would take years.
  const std::string letters(2000, 'a');
  CHECK_FALSE(Glob("*a*a*a*a*a*a*a*a*a*a*a*a*b").matches(letters));
  CHECK(Glob("*a*a*a*a*a*a*a*a*a*a*a*a*b").matches(letters + "b"));
  CHECK_FALSE(Glob("**a**a**a**a**a**a**a**b").matches(letters));
  CHECK_FALSE(Glob(std::string(2000, '*') + "b").matches(letters));
}

TEST_CASE("braces with too many choices are refused, and a question mark is a character") {
  std::string pattern;
  for (int i = 0; i < 12; ++i) pattern += "{a,b}";
  CHECK(Glob(pattern).choices().size() == 4096);
  CHECK(Glob(pattern).matches("abababababab"));
  for (int i = 0; i < 10; ++i) pattern += "{a,b}";
  CHECK_THROWS_WITH_AS(Glob{pattern},
                       ("symopt: the braces of the pattern '" + pattern +
                        "' make more than 4096 patterns; write stars, or several patterns")
                           .c_str(),
                       std::invalid_argument);
  CHECK(Glob("gr\u00fc?e").matches("gr\u00fc\u00dfe"));
  CHECK(Glob("?").matches("\u00fc"));
  CHECK(Glob("?").matches("\U0001F600"));
  CHECK_FALSE(Glob("??").matches("\u00fc"));
  CHECK(Glob("*\u00fc").matches("a\u00fc"));
  CHECK(Glob("?\xff").matches("\xff\xff"));  // bytes that are no UTF-8
}

TEST_CASE("a glob is exact when it has no wildcard") {
  CHECK(Glob("lm_head.weight").is_exact());
  CHECK(Glob("").is_exact());
  for (const char* pattern : {"*", "a.**", "a?", "{a,b}"}) CHECK_FALSE(Glob(pattern).is_exact());
}

TEST_CASE("an exact name goes before a pattern, in either order") {
  NamedModel model;
  model.add("layers.0.up", {4, 3}).add("layers.1.up", {4, 3});
  const auto check = [&](const Routing& routing) {
    LayerwiseOptimizer stack;
    stack.route(model.tensors(), routing);
    CHECK(stack.plan().rows()[0].rule == "ColumnNorm");
    CHECK(stack.plan().rows()[1].rule == "RowNorm");
  };
  const Role rows = role<SwigluInput>();
  const Role columns = role<SwigluOutput>();
  check(Routing().add("layers.*.up", rows).add("layers.0.up", columns));
  check(Routing().add("layers.0.up", columns).add("layers.*.up", rows));
}

TEST_CASE("a pattern whose parameters all have exact names is not one without parameters") {
  NamedModel model;
  model.add("a.0", {2, 2});
  const auto routed =
      Routing().add("a.0", role<Sign>()).add("a.*", role<RowNorm>()).roles_of(model.tensors());
  REQUIRE(routed.size() == 1);
  CHECK(routed[0].pattern == "a.0");
}

TEST_CASE("an optional pattern may match none, and one that matches is followed") {
  NamedModel model;
  model.add("a", {2, 2});
  Routing routing;
  routing.add_optional("b.*", role<RowNorm>()).add_optional("a", role<Sign>());
  const auto routed = routing.roles_of(model.tensors());
  REQUIRE(routed.size() == 1);
  CHECK(routed[0].pattern == "a");
  CHECK(routing.roles_of({}).empty());
}

TEST_CASE("tensors of one dimension need no pattern, and leave one for matrices") {
  NamedModel model;
  model.add("norm.gain", {5}).add("up.weight", {5, 3}).add("up.bias", {5});
  Routing routing;
  routing.add("up.*", role<SwigluInput>());
  const auto rules = [&] {
    LayerwiseOptimizer stack;
    stack.route(model.tensors(), routing);
    std::vector<std::string> names;
    for (const PlanRow& row : stack.plan().rows()) names.push_back(row.rule);
    return names;
  };
  CHECK(rules() == std::vector<std::string>{"AdamW", "RowNorm", "AdamW"});
  CHECK(routing.roles_of(model.tensors())[0].pattern == "vectors");
  routing.set_vectors(role<Sign>({.learning_rate = 0.25}));
  CHECK(rules() == std::vector<std::string>{"Sign", "RowNorm", "Sign"});
  CHECK(routing.roles_of(model.tensors())[2].role.options().learning_rate == 0.25);
  routing.add("norm.gain", role<AdamW>({.learning_rate = 0.5}));
  CHECK(rules() == std::vector<std::string>{"AdamW", "RowNorm", "Sign"});
  CHECK(routing.roles_of(model.tensors())[0].role.options().learning_rate == 0.5);
}

TEST_CASE("roles are replaced by other rules, and gate and up taken apart") {
  NamedModel model = model_of(olmoe_lines(olmoe_fused_experts()));
  TransformerRoles<> roles;
  roles.swiglu_input = role<Update<SwigluInput, Then<RowNorm, Spectral<>>>>({.learning_rate = 0.5});
  roles.router = role<Embedding>({.learning_rate = 0.125});
  roles.other = role<Sign>({.learning_rate = 0.25});
  roles.gate_up = Neurons::apart;
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), olmoe(heads, Embeddings::untied, roles));
  for (const PlanRow& row : stack.plan().rows()) {
    CAPTURE(row.name);
    if (row.name.ends_with("experts.gate_up_proj")) {
      CHECK(row.layout == "experts, gate/up concatenated, apart");
      CHECK(row.blocks == "8 of 12x16");
      CHECK(row.group == "SwigluInput: S x O");
      CHECK(row.rule == "RowNorm > Spectral");
      CHECK(row.rate == 0.5);
    } else if (row.name.ends_with("mlp.gate.weight")) {
      CHECK(row.group == "Embedding: S x O");
      CHECK(row.rule == "RowNorm");
      CHECK(row.rate == 0.125);
    } else if (row.name.find("norm") != std::string::npos) {
      CHECK(row.rule == "Sign");
      CHECK(row.rate == 0.25);
    }
  }
  CHECK(stack.step().applied);
  CHECK(longest_line(printed(stack)) <= 80);
}

TEST_CASE("rates are each parameter's own times one schedule factor") {
  NamedModel model;
  model.add("a", {3, 2}).add("b", {3, 2}).add("c", {4});
  LayerwiseOptimizer stack;
  Routing routing;
  routing.add("a", role<Sign>({.learning_rate = 0.5, .momentum = 0}));
  routing.add("b", role<Sign>({.learning_rate = 0.25, .momentum = 0}));
  routing.set_vectors(role<Sign>({.learning_rate = 0.125, .momentum = 0}));
  stack.route(model.tensors(), routing);
  const auto check_moves = [&](double a, double b, double c) {
    const auto before = model.weights();
    stack.step();
    const double by[] = {a, b, c};
    for (std::size_t i = 0; i < before.size(); ++i)
      for (std::size_t j = 0; j < before[i].size(); ++j)
        CHECK(std::abs(model.parameters[i].weights[j] - before[i][j]) ==
              doctest::Approx(by[i]).epsilon(1e-5));
  };
  check_moves(0.5, 0.25, 0.125);
  stack.set_schedule_factor(0.5);
  CHECK(stack.schedule_factor() == 0.5);
  check_moves(0.25, 0.125, 0.0625);
  stack.set_learning_rate("b", 2);
  CHECK(stack.options("b").learning_rate == 2);
  CHECK(stack.plan().rows()[1].rate == 2);
  check_moves(0.25, 1, 0.0625);
  stack.set_schedule_factor(0);
  check_moves(0, 0, 0);
  CHECK(stack.steps() == 4);
}

/// The first line that is printed for a stack of parameters of these names, all treated alike.
std::string gathered(const std::vector<std::string>& names) {
  std::vector<PlanRow> rows;
  for (const std::string& name : names) rows.push_back({name, "2", "whole", "1 of 1x2", "", "", "", "", 0});
  std::ostringstream text;
  text << Plan(rows);
  std::istringstream lines(text.str());
  std::string line;
  std::getline(lines, line);
  std::getline(lines, line);
  return line;
}

template <class T>
struct Enclosing {
  struct OfUser : RowNorm {};
};
template <class Rule>
struct Wrapped : RowNorm {};

TEST_CASE("the plan names a rule of a user, wherever it was written") {
  Matrix<float> weights = Matrix<float>::Zero(2, 2);
  const auto rule_of = [&]<class Rule>(Rule) {
    LayerwiseOptimizer stack;
    stack.add<Rule>("w", weights, std::nullopt, OptimizerOptions{});
    return stack.plan().rows()[0].rule;
  };
  const auto doubled = [](const auto& momentum) { return (2 * momentum).eval(); };
  struct Local : RowNorm {};
  CHECK(rule_of(doubled) == "lambda");
  CHECK(rule_of(Wrapped<decltype(doubled)>{}) == "Wrapped<lambda>");
  CHECK(rule_of(Local{}) == "Local");
  CHECK(rule_of(Enclosing<Spectral<>>::OfUser{}) == "OfUser");
  CHECK(rule_of(Wrapped<Enclosing<int>::OfUser>{}) == "Wrapped<OfUser>");
}

TEST_CASE("the plan says which numbers it gathered") {
  CHECK(gathered({"a.3.b"}) == "a.3.b  [2]");
  CHECK(gathered({"a.0.b", "a.1.b"}) == "a.[0-1].b  2 of [2]");
  CHECK(gathered({"a.0", "a.2"}) == "a.[0,2]  2 of [2]");
  CHECK(gathered({"a.11", "a.0", "a.2", "a.10", "a.1"}) == "a.[0-2,10-11]  5 of [2]");
  CHECK(gathered({"a.1", "a.3", "a.5", "a.7", "a.9"}) == "a.[1,3,..,9]  5 of [2]");
  CHECK(gathered({"0.b.0", "0.b.1", "1.b.1"}) == "[0-1].b.[0-1]  3 of [2]");
  CHECK(gathered({"7", "8"}) == "[7-8]  2 of [2]");
  for (const char* name : {"fc1", "a.01", "a..b.", ".", "", "a.12345678901234567890"})
    CHECK(gathered({name}) == std::string(name) + "  [2]");
  CHECK(gathered({"a.fc1", "a.fc2"}) == "a.fc1  [2]");
  CHECK(gathered({"a.1", "b.1"}) == "a.1  [2]");
}

TEST_CASE("the plan gathers only what is treated alike, and prints the order of adding") {
  NamedModel model;
  for (int l = 0; l < 4; ++l) model.add("layers." + std::to_string(l) + ".up", {4, 3});
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), Routing().add("layers.*.up", role<SwigluInput>({.learning_rate = 0.5})));
  stack.set_learning_rate("layers.2.up", 0.25);
  const std::string text = printed(stack);
  CAPTURE(text);
  const std::size_t alike = text.find("layers.[0-1,3].up  3 of [4x3]");
  const std::size_t other = text.find("layers.2.up  [4x3]");
  CHECK(alike != std::string::npos);
  CHECK(other != std::string::npos);
  CHECK(alike < other);
  CHECK(text.find("rate 0.25") > other);
}

TEST_CASE("rows of a plan outlive it") {
  NamedModel model;
  model.add("a", {3, 2}).add("b", {3, 2});
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), Routing().add("*", role<Sign>()));
  std::string names;
  for (const PlanRow& row : stack.plan().rows()) names += row.name;
  CHECK(names == "ab");
}

}}  // namespace stack_routing_test
