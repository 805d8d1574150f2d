// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/symmetry.hpp>
#include <symopt/group/algebra.hpp>
#include <symopt/group/orthogonal.hpp>
#include <symopt/group/permutation.hpp>
#include <symopt/group/shift.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../model_shape.hpp"
#include "models.hpp"

namespace language_model {

/// A symmetry that an architecture has, or one that something in it takes away.
struct FamilySymmetry {
  symopt::check::ModelSymmetry symmetry;
  bool has_gains = false;     ///< it moves norm gains, or asks what gains that are trained do to it
  std::string taken_by = {};  ///< what takes it away; empty where the architecture has it
};

/// The symmetries of a family, by the names of its parameters.
class FamilySymmetries {
 public:
  /// RenameTokens: called with the new number of each token.
  using RenameTokens = std::function<void(const std::vector<symopt::Index>&)>;

  FamilySymmetries(Family family, const ModelShape& shape, RenameTokens rename_tokens)
      : family_(family), shape_(shape), rename_tokens_(std::move(rename_tokens)) {}

  std::vector<FamilySymmetry> list() const {
    std::vector<FamilySymmetry> list{
        {rotation("residual rotation")},
        {rotation("residual rotation beside trained gains"), true,
         "a gain picks out the axes of the residual stream"},
        {gain_scales(), true, family_ == Family::gemma3 ? "the 1 in 1 + gain" : ""},
        {key_value_heads()},
        {rotary_planes("turns of rotary planes", 1)},
        {rotary_planes("scales of rotary planes", 10), false,
         has_biases() ? "" : "the norms of queries and keys"},
        {values("any basis of values")},
        {neurons()},
        {tokens()},
        {shift_of_head(), false, is_tied(family_) ? "the tied embedding" : ""}};
    if (shape_.heads > shape_.key_value_heads) list.push_back({query_heads()});
    if (family_ != Family::gpt_oss) list.push_back({neuron_scales()});
    if (!shape_.is_dense()) {
      list.push_back({experts()});
      list.push_back({shift("shift of routers", router()), false, is_olmoe() ? "the z-loss" : ""});
      if (has_biases()) list.push_back({shift("shift of router biases", mlp("router.bias"))});
    }
    return list;
  }

 private:
  using Symmetry = symopt::check::ModelSymmetry;
  using Lines = symopt::check::Lines;
  using Index = symopt::Index;

  static std::string attention(const char* part) { return "model.layers.*.self_attn." + std::string(part); }
  static std::string mlp(const char* part) { return "model.layers.*.mlp." + std::string(part); }

  bool has_biases() const { return family_ == Family::gpt_oss; }
  bool is_olmoe() const { return family_ == Family::olmoe; }
  Index group() const { return shape_.heads / shape_.key_value_heads; }
  std::string router() const { return mlp(is_olmoe() ? "gate.weight" : "router.weight"); }

  /// Everything that reads from the residual stream and writes to it. The experts of a gpt-oss are stored
  /// (in, out).
  Symmetry rotation(const char* name) const {
    Symmetry result(name);
    result.columns("model.embed_tokens.weight", attention("{q,k,v}_proj.weight"))
        .rows(attention("o_proj.weight"));
    if (!is_tied(family_)) result.columns("lm_head.weight");
    if (!shape_.is_dense()) result.columns(router());
    if (shape_.is_dense()) {
      result.columns(mlp("{gate,up}_proj.weight")).rows(mlp("down_proj.weight"));
    } else if (is_olmoe()) {
      result.columns(mlp("experts.gate_up_proj")).rows(mlp("experts.down_proj"));
    } else {
      result.rows(mlp("experts.gate_up_proj"), attention("o_proj.bias"))
          .columns(mlp("experts.{down_proj,down_proj_bias}"));
    }
    return result.by<symopt::Orthogonal>(shape_.width);
  }

  Symmetry gain_scales() const {
    return Symmetry("scales of gains")
        .rows("model.layers.*.input_layernorm.weight")
        .columns(attention("{q,k,v}_proj.weight"))
        .by<symopt::algebra::Diagonal>(shape_.width, 10);
  }

  /// Each with the heads of its queries.
  Symmetry key_value_heads() const {
    const Lines own{.block = shape_.head_size}, of_queries{.block = group() * shape_.head_size};
    Symmetry result("order of key-value heads");
    result.rows(own, attention("{k,v}_proj.weight"))
        .rows(of_queries, attention("q_proj.weight"))
        .columns(of_queries, attention("o_proj.weight"));
    if (has_biases())
      result.rows(own, attention("{k,v}_proj.bias"))
          .rows(of_queries, attention("q_proj.bias"))
          .rows(Lines{.block = group()}, attention("sinks"));
    return result.by<symopt::Permutation>(shape_.key_value_heads);
  }

  Symmetry query_heads() const {
    const Lines heads{.copies = shape_.key_value_heads, .block = shape_.head_size};
    Symmetry result("order of query heads that share keys");
    result.rows(heads, attention("q_proj.weight")).columns(heads, attention("o_proj.weight"));
    if (has_biases())
      result.rows(heads, attention("q_proj.bias"))
          .rows(Lines{.copies = shape_.key_value_heads}, attention("sinks"));
    return result.by<symopt::Permutation>(group());
  }

  Symmetry rotary_planes(const char* name, double condition) const {
    using symopt::algebra::Pairing;
    const Lines of_queries{.copies = shape_.heads}, of_keys{.copies = shape_.key_value_heads};
    Symmetry result(name);
    result.rows(of_queries, attention("q_proj.weight")).dual_rows(of_keys, attention("k_proj.weight"));
    if (has_biases())
      result.rows(of_queries, attention("q_proj.bias")).dual_rows(of_keys, attention("k_proj.bias"));
    return result.by<symopt::algebra::Planes<Pairing::halves>>(shape_.head_size, condition);
  }

  Symmetry values(const char* name) const {
    const Lines of_values{.copies = shape_.key_value_heads};
    Symmetry result(name);
    result.rows(of_values, attention("v_proj.weight"))
        .columns(Lines{.copies = shape_.heads}, attention("o_proj.weight"));
    if (has_biases()) result.rows(of_values, attention("v_proj.bias"));
    return result.by<symopt::algebra::Full>(shape_.head_size, 10);
  }

  Symmetry neurons() const {
    const Lines gate_then_up{.copies = 2}, gate_and_up{.block = 2};
    Symmetry result("order of neurons");
    if (shape_.is_dense()) {
      result.rows(mlp("{gate,up}_proj.weight")).columns(mlp("down_proj.weight"));
    } else if (is_olmoe()) {
      result.rows(gate_then_up, mlp("experts.gate_up_proj")).columns(mlp("experts.down_proj"));
    } else {
      result.columns(gate_and_up, mlp("experts.{gate_up_proj,gate_up_proj_bias}"))
          .rows(mlp("experts.down_proj"));
    }
    return result.by<symopt::Permutation>(shape_.neurons);
  }

  /// Of up and down. A gpt-oss has none: its clamps and the 1 in up + 1 take them away.
  Symmetry neuron_scales() const {
    Symmetry result("scales of neurons");
    if (is_olmoe()) {
      result.rows(Lines{.before = shape_.neurons}, mlp("experts.gate_up_proj"))
          .columns(mlp("experts.down_proj"));
    } else {
      result.rows(mlp("up_proj.weight")).columns(mlp("down_proj.weight"));
    }
    return result.by<symopt::algebra::Diagonal>(shape_.neurons, 10);
  }

  Symmetry tokens() const {
    Symmetry result("names of tokens");
    result.rows("model.embed_tokens.weight");
    if (!is_tied(family_)) result.rows("lm_head.weight");
    return result
        .data([rename = rename_tokens_](const symopt::check::ModelElement& g) { rename(g.images()); })
        .by<symopt::Permutation>(shape_.vocabulary);
  }

  Symmetry shift_of_head() const {
    return Symmetry("shift of head")
        .rows(is_tied(family_) ? "model.embed_tokens.weight" : "lm_head.weight")
        .by<symopt::Shift>(shape_.vocabulary);
  }

  Symmetry experts() const {
    Symmetry result("order of experts");
    result.slices(mlp("experts.gate_up_proj"), mlp("experts.down_proj")).rows(router());
    if (has_biases()) result.rows(mlp("router.bias"), mlp("experts.{gate_up,down}_proj_bias"));
    return result.by<symopt::Permutation>(shape_.experts);
  }

  Symmetry shift(const char* name, const std::string& rows) const {
    return Symmetry(name).rows(rows).by<symopt::Shift>(shape_.experts);
  }

  Family family_;
  ModelShape shape_;
  RenameTokens rename_tokens_;
};

}  // namespace language_model
