// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/torch/rule_form.hpp>
#include <symopt/polar/quintic.hpp>

#include <utility>
#include <variant>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// The scalar of the matrix products by which libtorch's operations compute polar factors.
///   as_weights   that of the weights, with the maps and the bands of polar/
///   bfloat16     bfloat16, in the polynomials of NewtonSchulz, PolarExpress and GramNewtonSchulz, and in
///                place of the default and Fast by the five steps of polar::lists::muon: singular values of
///                at least 1e-2 of the Frobenius norm come out within 20 % of 1. Exact, Zolotarev and
///                methods of your own stay as they are
enum class PolarProducts { as_weights, bfloat16 };

namespace detail {

inline std::vector<form::Stage> in_bfloat16(std::vector<form::Stage> stages) {
  for (form::Stage& stage : stages) {
    if (auto* polar = std::get_if<form::PolarFactor>(&stage)) {
      if (std::holds_alternative<form::Minimax>(polar->method))
        polar->method = form::Iteration{5, polar::lists::muon, 1.02, 0};
      if (auto* iteration = std::get_if<form::Iteration>(&polar->method)) iteration->in_bfloat16 = true;
    } else if (auto* dual = std::get_if<form::Nested<form::DualNorm>>(&stage)) {
      stage = form::Nested(form::DualNorm{(*dual)->alpha, in_bfloat16((*dual)->stages)});
    } else if (auto* heads = std::get_if<form::Nested<form::PerHead>>(&stage)) {
      stage = form::Nested(form::PerHead{(*heads)->side, (*heads)->size, in_bfloat16((*heads)->stages)});
    }
  }
  return stages;
}

/// A rule with the products of its polar factors in bfloat16.
inline form::Rule with_products_in_bfloat16(form::Rule rule) {
  if (auto* map = std::get_if<form::Map>(&rule.value)) map->stages = in_bfloat16(std::move(map->stages));
  if (auto* pair = std::get_if<form::Pair>(&rule.value)) pair->stages = in_bfloat16(std::move(pair->stages));
  return rule;
}

}  // namespace detail

}}}  // namespace symopt::interop
