// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

#include "corpus/corpus.hpp"
#include "options.hpp"
#include "training.hpp"

namespace language_model {

/// Trains with second moments by the processes of an MPI job, prints what each had to do, and writes the
/// losses to ranks-N.csv. To be called on all of them, which is what `./run demo --ranks N` does.
/// @returns whether the loss fell.
#ifdef LANGUAGE_MODEL_ON_RANKS
bool show_ranks(const Corpus& corpus, const TrainingPlan& plan, const Options& options);
#else
inline bool show_ranks(const Corpus&, const TrainingPlan&, const Options&) {
  throw std::invalid_argument("--ranks: this program was built without MPI; ./run demo --ranks builds it");
}
#endif

}  // namespace language_model
