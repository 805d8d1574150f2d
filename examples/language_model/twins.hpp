// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>

#include "corpus.hpp"
#include "training.hpp"

namespace language_model {

/// Trains twins for every symmetry of the model, by AdamW, by the derived updates and with second moments,
/// and prints how far the twins' losses are from each other, and which rules part them.
/// @returns whether all that has to stay together does: each symmetry is one of the model, and the derived
/// updates and the second moments keep those that the groups of the parameter classes have.
bool show_twins(std::ostream& out, const Corpus& corpus, const TrainingPlan& plan);

}  // namespace language_model
