// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace language_model {

/// The kind of rule that updates a parameter class.
enum class Kind {
  map,      ///< the normalization that the group derives: role<LmHead>()
  moments,  ///< Adam with the second moments that the group derives: role<Adaptive<LmHead>>()
  adamw     ///< Adam with a second moment for each entry
};

/// The classes that may have second moments, and whether blocks of which only the product matters step as
/// pairs; all the other matrices have maps.
struct Kinds {
  Kind embedding = Kind::map;
  Kind head = Kind::map;
  Kind router = Kind::map;
  Kind attention = Kind::map;
  bool has_pairs = false;  ///< query and key, value and output, and up and down of the dense model
};

inline constexpr Kinds second_moments{
    .embedding = Kind::moments, .head = Kind::moments, .router = Kind::moments};
/// And full ones for attention: a matrix for each head, or for each of the dense model's.
inline constexpr Kinds moments_of_attention_too{
    .embedding = Kind::moments, .head = Kind::moments, .router = Kind::moments, .attention = Kind::moments};
inline constexpr Kinds gauge_pairs{.has_pairs = true};

}  // namespace language_model
