// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

/// The target of a benchmark: time of the peer over time of symopt, at least `goal`; 0 for a ratio that is
/// only shown.
struct Target {
  std::string benchmark;
  std::string peer;
  double goal = 0;
};

inline std::vector<Target> targets() {
  std::vector<Target> all;
  const auto add = [&](const std::string& benchmark, const std::string& peer, double goal) {
    all.push_back({benchmark, peer, goal});
  };
  // Row rules against the memory's limit (limit over step) and libtorch.
  const std::string large = "/50304x768", down = "/768x3072", pair = "/6144x768";
  add("symopt/row_norm" + large, "limit/5_streams" + large, 0.70);
  add("symopt/row_norm_unchecked" + large, "limit/5_streams" + large, 0.90);
  add("symopt/row_norm" + large, "libtorch/row_norm" + large, 4);
  add("symopt/centred_row_norm" + large, "limit/5_streams" + large, 0.55);
  add("symopt/centred_row_norm" + large, "limit/three_sweeps" + large, 0);
  add("symopt/column_norm" + down, "limit/5_streams" + down, 0.6);
  add("symopt/column_norm" + down, "limit/three_sweeps" + down, 0);
  add("symopt/column_norm_unchecked" + down, "limit/5_streams" + down, 0.8);
  add("symopt/pair_rows" + pair, "limit/5_streams" + pair, 0.6);
  add("symopt/pair_rows_unchecked" + pair, "limit/5_streams" + pair, 0.8);
  add("symopt/pair_rows_interleaved" + pair, "limit/5_streams" + pair, 0.6);
  add("symopt/pair_rows_unchecked_interleaved" + pair, "limit/5_streams" + pair, 0.8);
  add("symopt/row_norm_bfloat16_gradient" + large, "symopt/row_norm" + large, 0);
  add("symopt/row_norm_bfloat16_copy" + large, "symopt/row_norm" + large, 0);
  add("symopt/adamw" + large, "limit/7_streams" + large, 0);
  add("symopt/adamw" + large, "libtorch/adamw" + large, 0);
  // Second moments against the limit, our AdamW and libtorch's.
  add("symopt/adaptive_rows" + large, "limit/5_streams" + large, 0.70);
  add("symopt/adaptive_rows_unchecked" + large, "limit/5_streams" + large, 0.90);
  add("symopt/adaptive_rows" + large, "symopt/adamw" + large, 0);
  add("symopt/adaptive_rows_unchecked" + large, "symopt/adamw_unchecked" + large, 1.25);
  add("symopt/adaptive_rows" + large, "libtorch/adamw" + large, 0);
  add("symopt/adaptive_head" + large, "limit/three_sweeps" + large, 0);
  add("symopt/adaptive_columns" + down, "limit/5_streams" + down, 0);
  add("symopt/adaptive_entries" + large, "symopt/adamw" + large, 0);
  // The default spectral step against five Newton-Schulz steps.
  const std::vector<std::pair<std::string, double>> spectral{
      {"768x768", 4}, {"768x3072", 5}, {"1024x1024", 4}, {"2048x2048", 4.2}, {"50304x768", 6}};
  for (const auto& [shape, goal] : spectral) {
    const std::string at = "/spectral/" + shape;
    add("symopt" + at, "newton_schulz_blas" + at, goal);
    add("symopt" + at, "newton_schulz_eigen" + at, 2.5);
    add("symopt" + at, "newton_schulz_torch" + at, 0);
    add("symopt" + at, "gram_newton_schulz" + at, 0);
    add("symopt" + at, "symopt_1_thread" + at, 1.85);
  }
  add("symopt/small/router", "torch_bmm/small/router", 5);
  add("symopt/small/heads", "torch_bmm/small/heads", 5);
  add("symopt/small/experts", "torch_bmm/small/experts", 0);
  // A pair against AdamW on its two blocks: at most twice its time at rank 16.
  for (const std::string r : {"8", "16", "32", "64", "128"})
    for (const std::string rule : {"lora_pair", "neuron_pair", "query_key"})
      add("symopt/" + rule + "/" + r, "symopt/adamw_of_pair/" + r,
          r == "16" && rule == "lora_pair" ? 0.5 : 0);
  // Whole stacks.
  for (const std::string part : {"stack", "stack_embedding", "stack_attention", "stack_mlp"}) {
    const std::string at = "/" + part + "/qwen3_4_layers";
    add("symopt" + at, "libtorch" + at, part == "stack" ? 5 : 0);
    add("symopt" + at, "symopt_adamw" + at, 0);
  }
  return all;
}
