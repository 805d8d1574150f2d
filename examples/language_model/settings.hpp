// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/stack_options.hpp>

namespace language_model {

/// The numbers of all trainings, whatever the rules: AdamW's, in AdamW's units, chosen on AdamW.
struct Settings {
  double learning_rate = 1.5e-3;  ///< of the layers and gains: the one number to tune
  double embedding = 45;          ///< the embedding's rate over the layers'
  double head = 9;                ///< the head's rate over the layers'
  double tied_embedding = 27;     ///< the rate of an embedding that is also the head, over the layers'
  double weight_decay = 0.1;      ///< of the matrices; the norm gains have none
  double beta1 = 0.9;             ///< of AdamW and of second moments
  double beta2 = 0.99;            ///< of the same
  double momentum = 0.95;         ///< of the derived updates, which keep no second moments
};

/// The numbers of a stack: one rate in AdamW's units, and a ratio to it for embeddings and head.
inline symopt::StackOptions stack_options(const Settings& settings) {
  return {.learning_rate = settings.learning_rate,
          .weight_decay = settings.weight_decay,
          .momentum = settings.momentum,
          .ratios = {.embedding = settings.embedding,
                     .tied_embedding = settings.tied_embedding,
                     .lm_head = settings.head}};
}

}  // namespace language_model
