// SPDX-License-Identifier: Apache-2.0
// The rule sets of Llama, GPT-2, Mixtral and DeepSeek on the lists of names of published models: as many
// layers and experts as these have, in small sizes. The names are those of named_parameters() in Hugging
// Face's transformers.
#include "support/named_model.hpp"

#include <symopt/symopt.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

namespace rule_sets_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Index width = 8, neurons = 6, vocabulary = 10;
constexpr AttentionHeads heads{.query = 4, .key_value = 2};
constexpr Index head_size = 3;
constexpr LatentHeads latent{.count = 4, .content = 3, .rotary = 2, .value = 5, .rank = 7};

const std::string attention = "HiddenMatrix: O x O", input = "SwigluInput: S x O",
                  output = "SwigluOutput: O x S", router = "Router: S x O + shift", adamw = "B x B";

/// One parameter and what is to become of it.
struct Expected {
  std::string name;
  std::vector<Index> sizes;
  std::string group;
  std::string layout = "whole";
};
using List = std::vector<Expected>;

void append(List& list, const List& more) {
  list.insert(list.end(), more.begin(), more.end());
}

std::string layer(Index l) {
  return "model.layers." + std::to_string(l) + ".";
}

List around(const List& layers) {
  List list{{"model.embed_tokens.weight", {vocabulary, width}, "Embedding: S x O"}};
  append(list, layers);
  append(list, {{"model.norm.weight", {width}, adamw},
                {"lm_head.weight", {vocabulary, width}, "LmHead: S x O + shift"}});
  return list;
}

List norms(const std::string& at) {
  return {{at + "input_layernorm.weight", {width}, adamw},
          {at + "post_attention_layernorm.weight", {width}, adamw}};
}

List grouped_attention(const std::string& at) {
  const Index q = heads.query * head_size, kv = heads.key_value * head_size;
  return {{at + "self_attn.q_proj.weight", {q, width}, attention, "4 row heads"},
          {at + "self_attn.k_proj.weight", {kv, width}, attention, "2 row heads"},
          {at + "self_attn.v_proj.weight", {kv, width}, attention, "2 row heads"},
          {at + "self_attn.o_proj.weight", {width, q}, attention, "4 column heads"}};
}

/// A SwiGLU by the names of its three matrices.
List swiglu(const std::string& at, const char* gate, const char* up, const char* down) {
  return {{at + gate + ".weight", {neurons, width}, input},
          {at + up + ".weight", {neurons, width}, input},
          {at + down + ".weight", {width, neurons}, output}};
}

List llama_list(Index layers) {
  List list;
  for (Index l = 0; l < layers; ++l) {
    append(list, grouped_attention(layer(l)));
    append(list, swiglu(layer(l) + "mlp.", "gate_proj", "up_proj", "down_proj"));
    append(list, norms(layer(l)));
  }
  return around(list);
}

List mixtral_list(Index layers, Index experts) {
  List list;
  for (Index l = 0; l < layers; ++l) {
    append(list, grouped_attention(layer(l)));
    const std::string mixture = layer(l) + "block_sparse_moe.";
    append(list, {{mixture + "gate.weight", {experts, width}, router}});
    for (Index e = 0; e < experts; ++e)
      append(list, swiglu(mixture + "experts." + std::to_string(e) + ".", "w1", "w3", "w2"));
    append(list, norms(layer(l)));
  }
  return around(list);
}

List gpt2_list(Index layers, const std::string& model) {
  const std::string at_embeddings = model;
  List list{{model + "wte.weight", {vocabulary, width}, "TiedEmbedding: S x O"},
            {model + "wpe.weight", {16, width}, "Orthogonal<right>: 1 x O"}};
  for (Index l = 0; l < layers; ++l) {
    const std::string at = model + "h." + std::to_string(l) + ".";
    append(list, {{at + "ln_1.weight", {width}, adamw},
                  {at + "ln_1.bias", {width}, adamw},
                  {at + "attn.c_attn.weight", {width, 3 * width}, attention, "transposed, 12 row heads"},
                  {at + "attn.c_attn.bias", {3 * width}, adamw},
                  {at + "attn.c_proj.weight", {width, width}, attention, "transposed, 4 column heads"},
                  {at + "attn.c_proj.bias", {width}, adamw},
                  {at + "ln_2.weight", {width}, adamw},
                  {at + "ln_2.bias", {width}, adamw},
                  {at + "mlp.c_fc.weight", {width, neurons}, input, "transposed"},
                  {at + "mlp.c_fc.bias", {neurons}, adamw},
                  {at + "mlp.c_proj.weight", {neurons, width}, output, "transposed"},
                  {at + "mlp.c_proj.bias", {width}, adamw}});
  }
  append(list, {{model + "ln_f.weight", {width}, adamw}, {model + "ln_f.bias", {width}, adamw}});
  return list;
}

struct DeepSeek {
  Index layers, dense, experts;
  std::optional<Index> query_rank;  // V3's; the Lite model of V2 has none
  std::string router;
};

List latent_attention(const std::string& of_layer, const DeepSeek& model) {
  const std::string at = of_layer + "self_attn.";
  const Index query = latent.count * (latent.content + latent.rotary);
  List list;
  if (model.query_rank) {
    list = {{at + "q_a_proj.weight", {*model.query_rank, width}, attention},
            {at + "q_a_layernorm.weight", {*model.query_rank}, adamw},
            {at + "q_b_proj.weight", {query, *model.query_rank}, attention, "4 row heads"}};
  } else {
    list = {{at + "q_proj.weight", {query, width}, attention, "4 row heads"}};
  }
  append(list, {{at + "kv_a_proj_with_mqa.weight", {7 + 2, width}, attention, "sections 7 2"},
                {at + "kv_a_layernorm.weight", {7}, adamw},
                {at + "kv_b_proj.weight", {4 * (3 + 5), 7}, attention, "4 row heads, sections 3 5"},
                {at + "o_proj.weight", {width, 4 * 5}, attention, "4 column heads"}});
  return list;
}

List deepseek_list(const DeepSeek& model) {
  List list;
  for (Index l = 0; l < model.layers; ++l) {
    append(list, latent_attention(layer(l), model));
    const std::string mlp = layer(l) + "mlp.";
    const auto add = [&](const std::string& at) {
      append(list, swiglu(at, "gate_proj", "up_proj", "down_proj"));
    };
    if (l < model.dense) {
      add(mlp);
    } else {
      for (Index e = 0; e < model.experts; ++e) add(mlp + "experts." + std::to_string(e) + ".");
      append(list, {{mlp + "gate.weight", {model.experts, width}, model.router}});
      if (model.query_rank) append(list, {{mlp + "gate.e_score_correction_bias", {model.experts}, adamw}});
      add(mlp + "shared_experts.");
    }
    append(list, norms(layer(l)));
  }
  return around(list);
}

/// Routes the list, compares what becomes of every parameter, and takes a step that moves all of them.
void check_routed(const List& list, std::size_t count, const Routing& routing) {
  CHECK(list.size() == count);
  NamedModel model;
  for (const Expected& parameter : list) model.add(parameter.name, parameter.sizes);
  LayerwiseOptimizer stack;
  stack.route(model.tensors(), routing);
  const std::vector<PlanRow> rows = stack.plan().rows();
  REQUIRE(rows.size() == list.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(list[i].name);
    CHECK(rows[i].name == list[i].name);
    CHECK(rows[i].group == list[i].group);
    CHECK(rows[i].layout == list[i].layout);
  }
  const auto before = model.weights();
  CHECK(stack.step().applied);
  for (std::size_t i = 0; i < list.size(); ++i) {
    CAPTURE(list[i].name);
    CHECK(model.parameters[i].weights != before[i]);
  }
}

TEST_CASE("Llama 3 of 8 billion parameters") {
  check_routed(llama_list(32), 291, llama(heads));
}

TEST_CASE("a Llama whose embedding is the head, and biases as Qwen2 has them") {
  List list = llama_list(2);
  list.front().group = "TiedEmbedding: S x O";
  list.pop_back();
  for (const char* name : {"q", "k", "v"})
    append(list, {{layer(0) + "self_attn." + name + "_proj.bias", {6}, adamw}});
  check_routed(list, 2 * 9 + 2 + 3, llama(heads, Embeddings::tied));
}

TEST_CASE("Mixtral 8x7B") {
  check_routed(mixtral_list(32, 8), 995, mixtral(heads));
}

TEST_CASE("a Mixtral with all experts in one tensor") {
  List list;
  const std::string mlp = layer(0) + "mlp.";
  append(list, grouped_attention(layer(0)));
  append(list, {{mlp + "gate.weight", {4, width}, router},
                {mlp + "experts.gate_up_proj",
                 {4, 2 * neurons, width},
                 input,
                 "experts, gate/up concatenated, paired"},
                {mlp + "experts.down_proj", {4, width, neurons}, output, "experts"}});
  append(list, norms(layer(0)));
  check_routed(around(list), 12, mixtral(heads));
}

TEST_CASE("GPT-2 of 124 million parameters, with its head and without") {
  check_routed(gpt2_list(12, "transformer."), 148, gpt2(4));
  check_routed(gpt2_list(12, ""), 148, gpt2(4));
}

TEST_CASE("DeepSeek-V2-Lite") {
  const DeepSeek lite{.layers = 27, .dense = 1, .experts = 64, .query_rank = {}, .router = router};
  check_routed(deepseek_list(lite), 5291, deepseek(latent, RouterScores::softmax));
}

TEST_CASE("DeepSeek-V3's names, and a router without a shift under its sigmoid") {
  const DeepSeek v3{.layers = 5,
                    .dense = 3,
                    .experts = 4,
                    .query_rank = 6,
                    .router = "Product<Permutation<left>, Orthogonal<right>>: S x O"};
  check_routed(deepseek_list(v3), 3 + 5 * 9 + 3 * 3 + 2 * (4 * 3 + 5),
               deepseek(latent, RouterScores::sigmoid));
}

TEST_CASE("a layout of latent attention has a key and a value for each head") {
  CHECK(layout::latent_key_value(4, 3, 5) == layout::row_heads(4, layout::row_sections({3, 5})));
  std::vector<float> weights(4 * 8 * 7);
  LayerwiseOptimizer stack;
  stack.add<HiddenMatrix>("kv_b", TensorView<float>(weights.data(), {4 * 8, 7}), std::nullopt,
                          layout::latent_key_value(4, 3, 5));
  CHECK(stack.plan().rows().front().blocks == "4 of 3x7, 4 of 5x7");
}

TEST_CASE("a rule set refuses the names of another model, and says which") {
  NamedModel model;
  for (const Expected& parameter : llama_list(1)) model.add(parameter.name, parameter.sizes);
  for (const auto& routing : {gpt2(4), mixtral(heads), deepseek(latent, RouterScores::softmax)})
    CHECK_THROWS_AS(routing.roles_of(model.tensors()), Error);
  CHECK_THROWS_AS(llama({.query = 4, .key_value = 3}), Error);
}

}}  // namespace rule_sets_test
