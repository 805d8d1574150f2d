// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/torch.h>

#include <language_model/corpus/corpus.hpp>
#include <language_model/corpus/king_james.hpp>
#include <language_model/corpus/tokenizer.hpp>
#include <language_model/model.hpp>
#include <language_model/optimizers.hpp>
#include <language_model/training.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "adapters.hpp"
#include "optimizers.hpp"
#include "starts.hpp"

namespace lora {

using language_model::Corpus;
using language_model::StepObserver;
using language_model::TrainingPlan;
using language_model::TrainingResult;
using language_model::Transformer;

/// The two parts of the text, numbered by one vocabulary, which is counted on the training blocks of both.
struct Testaments {
  Corpus old_testament;  ///< what the model is trained on
  Corpus new_testament;  ///< what it is fine-tuned on
};

/// Reads both, or the first `most_tokens` of each.
inline Testaments read_testaments(std::int64_t vocabulary_size,
                                  std::size_t most_tokens = std::numeric_limits<std::size_t>::max()) {
  using namespace language_model;
  const auto read = [&](const Passage& passage) {
    std::vector<std::string> tokens = tokenize(read_king_james(passage));
    tokens.resize(std::min(tokens.size(), most_tokens));
    return tokens;
  };
  const std::vector<std::string> first = read(old_testament), second = read(new_testament);
  std::vector<std::string> seen = training_part(first);
  const std::vector<std::string> more = training_part(second);
  seen.insert(seen.end(), more.begin(), more.end());
  const Vocabulary vocabulary(seen, vocabulary_size);
  return {make_corpus(first, vocabulary), make_corpus(second, vocabulary)};
}

/// A copy of a model, in double if so told.
inline Transformer copy_of(Transformer& model, const language_model::ModelShape& shape, torch::Dtype type) {
  const torch::NoGradGuard no_grad;
  Transformer copy{shape, 0};
  const std::vector<torch::Tensor> from = model->parameters();
  std::vector<torch::Tensor> to = copy->parameters();
  for (std::size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
  copy->to(type);
  return copy;
}

/// Trains a model on a text with AdamW, at the numbers of ../language_model.
inline Transformer train_base(const Corpus& corpus, const TrainingPlan& plan, const StepObserver& observe) {
  Transformer model{plan.shape, plan.seed};
  language_model::ScheduledOptimizer optimizer = language_model::scheduled(
      language_model::make_adamw(*model, {}), language_model::warmup_cosine(plan.steps));
  language_model::train(*model, optimizer, corpus, plan, observe);
  return model;
}

/// The base model as it was saved in `directory`; or else trains it, and saves it there.
inline Transformer saved_base(const Corpus& corpus, const TrainingPlan& plan,
                              const std::filesystem::path& directory, const StepObserver& observe) {
  std::ostringstream name;
  name << "base-of-" << plan.steps << "-steps.pt";
  const std::filesystem::path file = directory / name.str(), part = directory / "base.part";
  if (!std::filesystem::exists(file)) {
    Transformer trained = train_base(corpus, plan, observe);
    torch::save(trained, part.string());
    std::filesystem::rename(part, file);
  }
  Transformer model{plan.shape, plan.seed};
  torch::load(model, file.string());
  return model;
}

/// Adapts a copy of the base model to a text. The plan's seed is of the adapters and of the batches.
inline TrainingResult fine_tune(Transformer& base, const Corpus& corpus, const TrainingPlan& plan,
                                const Method& method, double rate, const Start& start,
                                const StepObserver& observe = {}, torch::Dtype type = torch::kFloat) {
  Transformer model = copy_of(base, plan.shape, type);
  Adapters adapters(model, plan.seed);
  start.prepare(adapters);
  language_model::ScheduledOptimizer optimizer =
      language_model::scheduled(method.make(adapters, rate), language_model::warmup_cosine(plan.steps));
  return language_model::train(*model, optimizer, corpus, plan, observe, [&] { adapters.merge(); });
}

}  // namespace lora
