// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "run_file.hpp"

#include <string>
#include <utility>
#include <vector>

/// A ratio of two times of one run: the peer's over the benchmark's.
struct Ratio {
  std::string benchmark;
  std::string peer;

  /// The ratio of the medians; 0 where one of them was not measured.
  double of(const Medians& medians) const {
    const auto own = medians.find(benchmark), other = medians.find(peer);
    return own == medians.end() || other == medians.end() ? 0 : other->second / own->second;
  }
};

/// A measurement that shows what holds a goal: words with {} where its figure stands.
struct Holder {
  std::string words;
  Ratio ratio;
};

/// The target of a benchmark: time of the peer over time of symopt, at least `goal`; 0 for a ratio that is
/// only shown.
struct Target {
  std::string table;  ///< of the page: rows, moments, spectral, fast, small, stack
  std::string step, against;
  Ratio ratio;
  double goal = 0;
  std::vector<Holder> holders;  ///< at least one where there is a goal
};

inline std::vector<Target> targets() {
  std::vector<Target> all;
  std::string table;
  const auto add = [&](const std::string& step, const std::string& against, const std::string& benchmark,
                       const std::string& peer, double goal, std::vector<Holder> holders = {}) {
    all.push_back({table, step, against, {benchmark, peer}, goal, std::move(holders)});
  };
  const std::string large = "/50304x768", down = "/768x3072", pair = "/6144x768";
  const std::string five = "limit/5_streams", seven = "limit/7_streams", three = "limit/three_sweeps";
  const auto sweeps = [&](const std::string& at) {
    return std::vector<Holder>{{"three sweeps without arithmetic reach {}", {three + at, five + at}}};
  };
  const auto check = [&](const std::string& step, const std::string& at) {
    return std::vector<Holder>{
        {"unchecked, without the sixth stream, {}", {step + "_unchecked" + at, five + at}}};
  };

  // Row rules against the memory's limit (limit over step) and libtorch.
  table = "rows";
  add("row norm, 50304 × 768", "five streams", "symopt/row_norm" + large, five + large, 0.70,
      check("symopt/row_norm", large));
  add("row norm, `unchecked`", "five streams", "symopt/row_norm_unchecked" + large, five + large, 0.90,
      {{"AdamW reaches {} of its seven streams", {"symopt/adamw_unchecked" + large, seven + large}}});
  add("row norm", "libtorch's", "symopt/row_norm" + large, "libtorch/row_norm" + large, 4,
      {{"five streams without arithmetic reach {}", {five + large, "libtorch/row_norm" + large}}});
  add("centred row norm, 50304 × 768", "five streams", "symopt/centred_row_norm" + large, five + large, 0.55,
      sweeps(large));
  add("centred row norm", "three sweeps", "symopt/centred_row_norm" + large, three + large, 1 / 1.15,
      {{"the check alone takes {} of the time of three sweeps",
        {three + large, "symopt/gradient_check" + large}}});
  add("column norm, 768 × 3072", "five streams", "symopt/column_norm" + down, five + down, 0.6, sweeps(down));
  add("column norm", "three sweeps", "symopt/column_norm" + down, three + down, 1 / 1.15,
      {{"`unchecked` {}", {"symopt/column_norm_unchecked" + down, three + down}}});
  add("column norm, `unchecked`", "five streams", "symopt/column_norm_unchecked" + down, five + down, 0.8,
      sweeps(down));
  add("pairs of rows, 6144 × 768", "five streams", "symopt/pair_rows" + pair, five + pair, 0.6,
      check("symopt/pair_rows", pair));
  add("pairs of rows, `unchecked`", "five streams", "symopt/pair_rows_unchecked" + pair, five + pair, 0.8,
      {{"interleaved, where both rows lie side by side, {}",
        {"symopt/pair_rows_unchecked_interleaved" + pair, five + pair}}});
  add("interleaved pairs", "five streams", "symopt/pair_rows_interleaved" + pair, five + pair, 0.6,
      {{"unchecked, without the sixth stream, {}",
        {"symopt/pair_rows_unchecked_interleaved" + pair, five + pair}}});
  add("interleaved pairs, `unchecked`", "five streams", "symopt/pair_rows_unchecked_interleaved" + pair,
      five + pair, 0.8,
      {{"of 50304 × 768 a row norm, `unchecked`, {}", {"symopt/row_norm_unchecked" + large, five + large}}});
  add("row norm, gradient in bfloat16", "in float", "symopt/row_norm_bfloat16_gradient" + large,
      "symopt/row_norm" + large, 0);
  add("row norm, copy in bfloat16", "without", "symopt/row_norm_bfloat16_copy" + large,
      "symopt/row_norm" + large, 0);
  add("AdamW, 50304 × 768", "seven streams", "symopt/adamw" + large, seven + large, 0);
  add("AdamW", "libtorch's", "symopt/adamw" + large, "libtorch/adamw" + large, 0);

  // Second moments against the limit, our AdamW and libtorch's.
  table = "moments";
  add("moments of rows, 50304 × 768", "five streams", "symopt/adaptive_rows" + large, five + large, 0.70,
      check("symopt/adaptive_rows", large));
  add("moments of rows, `unchecked`", "five streams", "symopt/adaptive_rows_unchecked" + large, five + large,
      0.90, {{"a row norm {}", {"symopt/row_norm_unchecked" + large, five + large}}});
  add("moments of rows", "AdamW", "symopt/adaptive_rows" + large, "symopt/adamw" + large, 0);
  add("moments of rows, `unchecked`", "AdamW, `unchecked`", "symopt/adaptive_rows_unchecked" + large,
      "symopt/adamw_unchecked" + large, 1.25,
      {{"seven streams over five take {}", {five + large, seven + large}}});
  add("moments of rows", "libtorch's AdamW", "symopt/adaptive_rows" + large, "libtorch/adamw" + large, 0);
  add("moments of a head", "three sweeps", "symopt/adaptive_head" + large, three + large, 0);
  add("moments of columns, 768 × 3072", "five streams", "symopt/adaptive_columns" + down, five + down, 0);
  add("moments of entries", "AdamW", "symopt/adaptive_entries" + large, "symopt/adamw" + large, 0);

  // The default spectral step against five Newton-Schulz steps.
  const std::vector<std::pair<std::string, double>> spectral{
      {"768x768", 4.5}, {"768x3072", 5.2}, {"1024x1024", 4.7}, {"2048x2048", 4.5}, {"50304x768", 6.4}};
  const auto with_sign = [](std::string shape) { return shape.replace(shape.find('x'), 1, " × "); };
  for (const auto& [shape, goal] : spectral) {
    const std::string at = "/spectral/" + shape;
    table = "spectral";
    const Ratio one_thread{"symopt_1_thread" + at, "newton_schulz_blas_1_thread" + at};
    const Ratio threads{"symopt" + at, "symopt_1_thread" + at};
    const Ratio blas_threads{"newton_schulz_blas" + at, "newton_schulz_blas_1_thread" + at};
    const std::vector<Holder> held{{"on one thread {}", one_thread},
                                   {"both threads are {} times as fast as one", threads},
                                   {"the peer's {}", blas_threads}};
    add(with_sign(shape), "Newton–Schulz by the BLAS", "symopt" + at, "newton_schulz_blas" + at, goal, held);
    add(with_sign(shape), "Newton–Schulz by Eigen", "symopt" + at, "newton_schulz_eigen" + at, 2.5,
        {{"both threads are {} times as fast as one", threads}});
    add(with_sign(shape), "Newton–Schulz in libtorch", "symopt" + at, "newton_schulz_torch" + at, 0);
    add(with_sign(shape), "Gram Newton–Schulz", "symopt" + at, "gram_newton_schulz" + at, 0);
    table = "fast";
    const bool is_square = shape.substr(0, shape.find('x')) == shape.substr(shape.find('x') + 1);
    add("`polar::Fast`, " + with_sign(shape), "the default", "fast" + at, "symopt" + at, is_square ? 1.12 : 0,
        {{"on one thread {}", {"fast_1_thread" + at, "symopt_1_thread" + at}}});
    table = "threads";
    add(with_sign(shape), "one thread", "symopt" + at, "symopt_1_thread" + at, 1.85,
        {{"the BLAS's Newton–Schulz {}", blas_threads}});
  }
  add("five streams without arithmetic", "one thread", "limit/5_streams" + large,
      "limit/5_streams_1_thread" + large, 0);
  table = "small";
  add("router, 16 × 2048", "libtorch, batched", "symopt/small/router", "torch_bmm/small/router", 5,
      {{"against a loop of libtorch {}", {"symopt/small/router", "torch_loop/small/router"}}});
  add("64 heads of 64 × 1024", "libtorch, batched", "symopt/small/heads", "torch_bmm/small/heads", 5,
      {{"against a loop of libtorch {}", {"symopt/small/heads", "torch_loop/small/heads"}}});
  add("32 experts of 1024 × 2048", "libtorch, batched", "symopt/small/experts", "torch_bmm/small/experts", 0);
  // A pair against AdamW on its two blocks: at most twice its time at rank 16.
  table = "pairs";
  for (const std::string r : {"8", "16", "32", "64", "128"})
    for (const auto& [rule, words] : {std::pair<std::string, std::string>{"lora_pair", "`LoraPair`"},
                                      {"neuron_pair", "`NeuronPair`"},
                                      {"query_key", "`QueryKey`"}})
      add(words + ", rank " + r, "AdamW on both blocks", "symopt/" + rule + "/" + r,
          "symopt/adamw_of_pair/" + r, r == "16" && rule == "lora_pair" ? 0.5 : 0,
          {{"the arithmetic grows with the rank: {} at rank 8",
            {"symopt/" + rule + "/8", "symopt/adamw_of_pair/8"}}});
  // Whole stacks.
  table = "stack";
  for (const auto& [part, words] : {std::pair<std::string, std::string>{"stack", "whole stack"},
                                    {"stack_embedding", "embedding, row norm"},
                                    {"stack_attention", "attention, polar factors of heads"},
                                    {"stack_mlp", "SwiGLU, norms of rows and columns"}}) {
    const std::string at = "/" + part + "/qwen3_4_layers";
    const bool is_whole = part == "stack";
    const Holder attention{"attention, which is arithmetic, takes {} of the step",
                           {"symopt/stack/qwen3_4_layers", "symopt/stack_attention/qwen3_4_layers"}};
    add(words, "libtorch", "symopt" + at, "libtorch" + at, is_whole ? 6 : 0, {attention});
    add(words, "fused AdamW", "symopt" + at, "symopt_adamw" + at, is_whole ? 0.5 : 0, {attention});
  }
  return all;
}
