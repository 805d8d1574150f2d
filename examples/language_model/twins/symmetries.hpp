// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/model/symmetry.hpp>
#include <symopt/group/algebra.hpp>
#include <symopt/group/orthogonal.hpp>
#include <symopt/group/permutation.hpp>
#include <symopt/group/shift.hpp>

#include <functional>
#include <string>
#include <vector>

#include "../model_shape.hpp"

namespace language_model {

/// The rules that keep a symmetry.
enum class KeptBy {
  classes,  ///< the groups of the parameter classes have it: all derived updates
  pairs,    ///< the groups of pairs of blocks have it: the stack with pairs
  nothing   ///< none of the demo's
};

/// A symmetry of the transformer, and what keeps it.
struct TransformerSymmetry {
  symopt::check::ModelSymmetry symmetry;
  KeptBy kept_by;
  std::string mend;  ///< the rules, or the options, that keep it, in words
};

/// The symmetries of a transformer whose norm gains are all one. RenameTokens: called with the new number of
/// each token.
inline std::vector<TransformerSymmetry> symmetries_of(
    const ModelShape& shape, const std::function<void(const std::vector<symopt::Index>&)>& rename_tokens) {
  using namespace symopt;
  using check::Lines, check::symmetry;
  const Index head_size = shape.width / shape.heads;
  const Lines heads{.block = head_size}, in_each_head{.copies = shape.heads};
  const Lines gate_and_up{.copies = 2}, up_alone{.before = shape.neurons};
  const bool is_dense = shape.is_dense();
  const std::string up = is_dense ? "layers.*.swiglu.up.weight" : "layers.*.mixture.gate_up";
  const std::string inputs = is_dense ? "layers.*.swiglu.{gate,up}.weight" : "layers.*.mixture.gate_up";
  const std::string down = is_dense ? "layers.*.swiglu.down.weight" : "layers.*.mixture.down";
  const std::string query = "layers.*.attention.query.weight", key = "layers.*.attention.key.weight";
  const std::string value = "layers.*.attention.value.weight", output = "layers.*.attention.output.weight";
  const std::string router = "layers.*.mixture.router.weight";
  const std::string by_pairs = "a rule of the pair of blocks, and by no rule of one block";
  const std::string by_split =
      "a rule of the pair of blocks, where up is a tensor of its own; here it is one with gate";

  auto rotation = symmetry("residual rotation")
                      .columns("embedding.weight", "head.weight", query, key, value, inputs)
                      .rows(output, down)
                      .by<Orthogonal>(shape.width);
  if (!is_dense) rotation.columns(router);

  std::vector<TransformerSymmetry> list{
      {rotation, KeptBy::classes, "rules that rotations move: all parameter classes have such"},
      {symmetry("order of heads")
           .rows(heads, query, key, value)
           .columns(heads, output)
           .by<Permutation>(shape.heads),
       KeptBy::classes, "every rule that sees no order of lines, AdamW too"},
      {symmetry("turns of rotary planes")
           .rows(in_each_head, query)
           .dual_rows(in_each_head, key)
           .by<algebra::Planes<algebra::Pairing::halves>>(head_size, 1),
       KeptBy::classes, "HiddenMatrix for query and key"},
      {symmetry("rotation of values")
           .rows(in_each_head, value)
           .columns(in_each_head, output)
           .by<Orthogonal>(head_size),
       KeptBy::classes, "HiddenMatrix for value and output"},
      {symmetry("any basis of values")
           .rows(in_each_head, value)
           .columns(in_each_head, output)
           .by<algebra::Full>(head_size, 10),
       KeptBy::pairs, by_pairs},
      {symmetry("order of neurons")
           .rows(is_dense ? Lines{} : gate_and_up, inputs)
           .columns(down)
           .by<Permutation>(shape.neurons),
       KeptBy::classes, "every rule that sees no order of lines, AdamW too"},
      {symmetry("scales of neurons")
           .rows(is_dense ? Lines{} : up_alone, up)
           .columns(down)
           .by<algebra::Diagonal>(shape.neurons, 10),
       is_dense ? KeptBy::pairs : KeptBy::nothing, is_dense ? by_pairs : by_split},
      {symmetry("names of tokens")
           .rows("embedding.weight", "head.weight")
           .data([rename_tokens](const check::ModelElement& g) { rename_tokens(g.images()); })
           .by<Permutation>(shape.vocabulary),
       KeptBy::classes, "every rule that sees no order of lines, AdamW too"},
      {symmetry("shift of head").rows("head.weight").by<Shift>(shape.vocabulary), KeptBy::classes,
       "Decay::horizontal, since plain decay shrinks the mean row"}};
  if (!is_dense) {
    list.push_back(
        {symmetry("order of experts").slices(inputs, down).rows(router).by<Permutation>(shape.experts),
         KeptBy::classes, "a rule for each expert apart"});
    list.push_back({symmetry("shift of routers").rows(router).by<Shift>(shape.experts), KeptBy::classes,
                    "Decay::horizontal, since plain decay shrinks the mean row"});
  }
  return list;
}

}  // namespace language_model
