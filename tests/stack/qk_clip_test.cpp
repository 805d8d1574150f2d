// SPDX-License-Identifier: Apache-2.0
// QK-clip judged by what it is for: the logits of an attention before and after.
#include "support/inputs.hpp"

#include <symopt/memory/split_weights.hpp>
#include <symopt/stack/layerwise_optimizer.hpp>
#include <symopt/stack/qk_clip.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qk_clip_test { namespace {

using namespace symopt;
using namespace symopt_test;

constexpr Index width = 12, size = 6, tokens = 9;
constexpr double threshold = 0.5;

/// The logits of a head, [tokens, tokens].
Matrix<double> logits_of(const Matrix<double>& query, const Matrix<double>& key) {
  return query * key.transpose() / std::sqrt(double(size));
}

double largest(const Matrix<double>& logits) {
  return logits.maxCoeff();
}

Matrix<double> random_inputs() {
  Random random(default_seed);
  return gaussian_block({tokens, width}, random);
}

Matrix<float> random_projection(Index rows, std::uint64_t seed, double scale = 0.3) {
  Random random(seed);
  return (scale * gaussian_block({rows, width}, random)).cast<float>();
}

/// A projection and its bias with heads of `size` rows.
struct Projection {
  Matrix<float> weights;
  Eigen::VectorXf bias;

  Projection(Index heads, std::uint64_t seed)
      : weights(random_projection(heads * size, seed)),
        bias(random_projection(heads * size, seed + 1).col(0)) {}

  /// The queries or keys of head h, of all tokens.
  Matrix<double> head(Index h, const Matrix<double>& inputs) const {
    const Matrix<double> all = inputs * weights.cast<double>().transpose();
    return all.middleCols(h * size, size).rowwise() + bias.segment(h * size, size).cast<double>().transpose();
  }
};

void check_heads(Index query_heads, Index key_heads) {
  CAPTURE(query_heads);
  CAPTURE(key_heads);
  const Matrix<double> inputs = random_inputs();
  Projection query(query_heads, 5), key(key_heads, 7);
  query.weights.topRows(size) *= 0.01F;  // one head needs no clip
  query.bias.head(size) *= 0.01F;
  LayerwiseOptimizer stack;
  stack.add<HiddenMatrix>("q", query.weights, std::nullopt, layout::row_heads(query_heads));
  stack.add<HiddenMatrix>("k", key.weights, std::nullopt);  // the layout of the rule does not matter
  stack.add<AdamW>("q.bias", query.bias, std::nullopt);
  stack.add<AdamW>("k.bias", key.bias, std::nullopt);
  const auto all_logits = [&] {
    std::vector<Matrix<double>> logits;
    for (Index h = 0; h < query_heads; ++h)
      logits.push_back(logits_of(query.head(h, inputs), key.head(h / (query_heads / key_heads), inputs)));
    return logits;
  };
  const auto before = all_logits();
  std::vector<double> largest_logits;
  for (const auto& logits : before) largest_logits.push_back(largest(logits));
  REQUIRE(largest_logits.front() < threshold);
  REQUIRE(*std::max_element(largest_logits.begin(), largest_logits.end()) > 2 * threshold);
  const QkClipReport report =
      qk_clip(stack, {.weights = "q", .heads = query_heads, .bias = "q.bias"},
              {.weights = "k", .heads = key_heads, .bias = "k.bias"}, largest_logits, threshold);
  const auto after = all_logits();
  Index clipped = 0;
  for (std::size_t h = 0; h < before.size(); ++h) {
    const double factor = std::min(1.0, threshold / largest_logits[h]);
    clipped += factor < 1 ? 1 : 0;
    CHECK(relative_error(after[h], factor * before[h]) <= 1e-6);
    CHECK(largest(after[h]) <= threshold * (1 + 1e-6));
  }
  CHECK(after.front() == before.front() * 1.0);
  CHECK(report.clipped == clipped);
  CHECK(report.largest_logit == *std::max_element(largest_logits.begin(), largest_logits.end()));
  CHECK(report.smallest_factor == doctest::Approx(threshold / report.largest_logit));
}

TEST_CASE("every head's largest logit becomes the threshold, and a head below it stays as it is") {
  check_heads(4, 4);
  check_heads(4, 2);
  check_heads(6, 1);
}

TEST_CASE("query and key of a head take the same factor, and a shared key the largest of its group") {
  Matrix<float> query = Matrix<float>::Ones(4, 3), key = Matrix<float>::Ones(2, 3);
  LayerwiseOptimizer stack;
  stack.add<HiddenMatrix>("q", query, std::nullopt);
  stack.add<HiddenMatrix>("k", key, std::nullopt);
  qk_clip(stack, {"q", 2}, {"k", 2}, {400, 100});
  CHECK(query(0, 0) == doctest::Approx(0.5));
  CHECK(query(1, 2) == doctest::Approx(0.5));
  CHECK(key(0, 1) == doctest::Approx(0.5));
  CHECK(query.bottomRows(2) == Matrix<float>::Ones(2, 3));
  CHECK(key.bottomRows(1) == Matrix<float>::Ones(1, 3));
  query.setOnes();
  key.setOnes();
  qk_clip(stack, {"q", 4}, {"k", 2}, {400, 1600, 50, 200});
  CHECK(key(0, 0) == doctest::Approx(0.5));               // of factors 1/4 and 1/16
  CHECK(query(0, 0) == doctest::Approx(0.5));             // 1/4 in all
  CHECK(query(1, 0) == doctest::Approx(0.125));           // 1/16 in all
  CHECK(key.row(1) == Matrix<float>::Ones(1, 3).row(0));  // of factors 1 and 1/2
  CHECK(query(2, 0) == 1);
  CHECK(query(3, 0) == doctest::Approx(0.5));
}

TEST_CASE("latent attention: content by the root on both sides, rotary queries by all, the shared key not") {
  constexpr Index heads = 3, content = 4, rotary = 2, value = 5;
  const Matrix<double> inputs = random_inputs();
  Matrix<float> query = random_projection(heads * (content + rotary), 11);
  Matrix<float> key_value = random_projection(heads * (content + value), 12);
  Matrix<float> shared = random_projection(rotary, 13);
  const Matrix<float> key_value_before = key_value, shared_before = shared;
  LayerwiseOptimizer stack;
  stack.add<HiddenMatrix>("q_b", query, std::nullopt, layout::row_heads(heads));
  stack.add<HiddenMatrix>("kv_b", key_value, std::nullopt, layout::latent_key_value(heads, content, value));
  stack.add<HiddenMatrix>("kv_a", shared, std::nullopt);
  const auto all_logits = [&] {
    std::vector<Matrix<double>> logits;
    const auto of = [&](const Matrix<float>& weights, Index first, Index count) {
      return Matrix<double>(inputs * weights.middleRows(first, count).cast<double>().transpose());
    };
    for (Index h = 0; h < heads; ++h)
      logits.push_back(of(query, h * (content + rotary), content) *
                           of(key_value, h * (content + value), content).transpose() +
                       of(query, h * (content + rotary) + content, rotary) *
                           of(shared, 0, rotary).transpose());
    return logits;
  };
  const auto before = all_logits();
  std::vector<double> largest_logits;
  for (const auto& logits : before) largest_logits.push_back(largest(logits));
  qk_clip(stack, {.weights = "q_b", .heads = heads, .rotary = rotary},
          {.weights = "kv_b", .heads = heads, .size = content, .stride = content + value}, largest_logits,
          threshold);
  const auto after = all_logits();
  for (std::size_t h = 0; h < heads; ++h) {
    const double factor = threshold / largest_logits[h];
    REQUIRE(factor < 1);
    CHECK(relative_error(after[h], factor * before[h]) <= 1e-6);
    const Index first = Index(h) * (content + value);
    const Matrix<float> root = float(std::sqrt(factor)) * key_value_before.middleRows(first, content);
    CHECK(relative_error(as_double(key_value.middleRows(first, content)), as_double(root)) <= 1e-6);
    CHECK(key_value.middleRows(first + content, value) ==
          key_value_before.middleRows(first + content, value));
  }
  CHECK(shared == shared_before);
}

TEST_CASE("heads in a tensor with q, k and v, of one layer of several, and stored (in, out)") {
  constexpr Index layers = 3, rows = 3 * 2 * size;  // two heads
  std::vector<float> weights, biases;
  for (Index l = 0; l < layers; ++l) {
    const Matrix<float> layer = random_projection(rows, 20 + std::uint64_t(l));
    weights.insert(weights.end(), layer.data(), layer.data() + layer.size());
    biases.insert(biases.end(), layer.data(), layer.data() + rows);
  }
  const std::vector<float> weights_before = weights, biases_before = biases;
  LayerwiseOptimizer stack;
  stack.add<HiddenMatrix>("qkv", TensorView<float>(weights.data(), {layers, rows, width}), std::nullopt,
                          layout::experts(layout::row_heads(6)));
  stack.add<AdamW>("bias", TensorView<float>(biases.data(), {layers, rows}), std::nullopt);
  const HeadRows query{.weights = "qkv", .heads = 2, .size = size, .bias = "bias", .slice = 1};
  HeadRows key = query;
  key.first = 2 * size;
  qk_clip(stack, query, key, {400, 50});
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Index row = Index(i) / width, of_layer = row % rows;
    const bool is_clipped =
        row / rows == 1 && (of_layer < size || (of_layer >= 2 * size && of_layer < 3 * size));
    CHECK(weights[i] == (is_clipped ? 0.5F : 1.0F) * weights_before[i]);
    if (Index(i) % width == 0)
      CHECK(biases[std::size_t(row)] == (is_clipped ? 0.5F : 1.0F) * biases_before[std::size_t(row)]);
  }

  Matrix<float> q = random_projection(2 * size, 30).transpose(),
                k = random_projection(2 * size, 31).transpose();
  const Matrix<float> q_before = q, k_before = k;
  LayerwiseOptimizer turned;
  turned.add<HiddenMatrix>("q", q, std::nullopt, layout::transposed(layout::row_heads(2)));
  turned.add<HiddenMatrix>("k", k, std::nullopt, layout::transposed(layout::row_heads(2)));
  qk_clip(turned, {.weights = "q", .heads = 2, .is_transposed = true},
          {.weights = "k", .heads = 2, .is_transposed = true}, {50, 400});
  CHECK(q.leftCols(size) == q_before.leftCols(size));
  CHECK(q.rightCols(size) == 0.5F * q_before.rightCols(size));
  CHECK(k.rightCols(size) == 0.5F * k_before.rightCols(size));
}

TEST_CASE("weights are clipped in the storage that the stack has them in, copies too") {
  const Matrix<float> q = random_projection(2 * size, 40), k = random_projection(2 * size, 41);
  Matrix<float> key = k, values = q;
  Matrix<bfloat16> copy(2 * size, width), high(2 * size, width);
  Matrix<std::uint16_t> low(2 * size, width);
  const auto clip = [&](auto&& weights, double logit = 1600) {
    key = k;
    LayerwiseOptimizer stack;
    stack.add<HiddenMatrix>("q", std::forward<decltype(weights)>(weights), std::nullopt);
    stack.add<HiddenMatrix>("k", key, std::nullopt);
    qk_clip(stack, {"q", 2}, {"k", 2}, {logit, logit});
  };
  const Matrix<float> expected = 0.25F * q;
  clip(values);
  CHECK(values == expected);
  values = q;
  clip(with_copy(values, copy));
  CHECK(values == expected);
  for (Index i = 0; i < copy.rows(); ++i)
    for (Index j = 0; j < copy.cols(); ++j)
      CHECK(to_float(copy(i, j)) == to_float(to_bfloat16(expected(i, j))));
  split(q, split_weights(high, low));
  const Matrix<bfloat16> start = high;
  clip(split_weights(high, low));
  CHECK(joined(split_weights(high, low)) == expected);
  for (const bool is_stochastic : {false, true}) {
    Matrix<bfloat16> rounded = start;
    if (is_stochastic) {
      clip(stochastic(rounded, 3), 1000);
    } else {
      clip(rounded, 1000);
    }
    for (Index i = 0; i < rounded.rows(); ++i)
      for (Index j = 0; j < rounded.cols(); ++j) {
        const float exact = std::sqrt(0.1F) * to_float(start(i, j));
        const float unit = is_stochastic ? 0x1p-7F : 0x1p-8F;
        CHECK(std::abs(to_float(rounded(i, j)) - exact) <= unit * std::abs(exact));
      }
  }
}

TEST_CASE("a clip that does not fit is refused, and nothing has changed") {
  Matrix<float> query = random_projection(4 * size, 50), key = random_projection(2 * size, 51);
  const Matrix<float> query_before = query, key_before = key;
  std::vector<float> gain(4 * size, 1.0F);
  LayerwiseOptimizer stack;
  stack.add<HiddenMatrix>("q_proj", query, std::nullopt);
  stack.add<HiddenMatrix>("k_proj", key, std::nullopt);
  stack.add<AdamW>("gain", TensorView<float>(gain.data(), {4 * size}), std::nullopt);
  const HeadRows q{"q_proj", 4}, k{"k_proj", 2};
  const std::vector<double> logits(4, 400.0);
  const auto refuses = [&](const HeadRows& of_query, const HeadRows& of_key,
                           std::vector<double> largest_logits, const std::string& words, double at = 100) {
    CAPTURE(words);
    std::string message;
    try {
      qk_clip(stack, of_query, of_key, largest_logits, at);
    } catch (const Error& error) {
      message = error.what();
    }
    CAPTURE(message);
    CHECK(message.find(words) != std::string::npos);
  };
  refuses(q, k, {1, 2, 3}, "4 query heads and 3 largest logits");
  refuses(q, {"k_proj", 3}, logits, "4 query heads cannot share 3 key heads");
  refuses(q, k, {400, 400, 400, std::nan("")}, "a largest logit is Inf or NaN");
  refuses(q, k, {400, 400, 400, std::numeric_limits<double>::infinity()}, "Inf or NaN");
  refuses(q, k, logits, "the threshold is 0", 0);
  refuses({"q_poj", 4}, k, logits, "the nearest name is 'q_proj'");
  refuses({"gain", 4}, k, logits, "'gain': its shape is 24; a projection's weights are [out, in]");
  refuses({.weights = "q_proj", .heads = 4, .bias = "k_proj"}, k, logits,
          "'k_proj': its 12 entries do not go with the 24 rows of 'q_proj'");
  refuses({.weights = "q_proj", .heads = 4, .size = 7}, k, logits, "do not lie in its 24 rows");
  refuses({.weights = "q_proj", .heads = 4, .first = 1}, k, logits, "do not share its 23 rows");
  refuses({.weights = "q_proj", .heads = 4, .stride = 5}, k, logits, "do not begin every 5 rows");
  refuses({.weights = "q_proj", .heads = 4, .rotary = 7}, k, logits, "has no 7 rotary ones");
  refuses(q, {.weights = "k_proj", .heads = 2, .rotary = 2}, logits, "leave its rotary 0");
  refuses({.weights = "q_proj", .heads = 4, .slice = 1}, k, logits, "there is no layer 1 among its 1");
  CHECK(query == query_before);
  CHECK(key == key_before);
}

}}  // namespace qk_clip_test
