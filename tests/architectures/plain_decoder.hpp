// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

// The forward passes of Qwen3, Gemma 3, OLMoE and gpt-oss as loops over doubles, token by token and head by
// head, after the formulas of the models' papers and of Hugging Face's transformers.
namespace plain {

using Size = std::size_t;
using Vector = std::vector<double>;
using Rows = std::vector<Vector>;  // a vector for each token

struct Tensor {
  std::vector<Size> sizes;
  Vector values;

  double at(Size i) const { return values.at(i); }
  double at(Size i, Size j) const { return values.at(i * sizes.at(1) + j); }
  double at(Size i, Size j, Size k) const { return values.at((i * sizes.at(1) + j) * sizes.at(2) + k); }
};
using Weights = std::map<std::string, Tensor>;

enum class HeadNorm { none, each, all };

/// All that tells the four architectures apart.
struct Facts {
  Size layers, heads, key_value_heads, head_size;
  double eps = 1e-6;
  double gain_offset = 0;
  HeadNorm head_norm = HeadNorm::none;
  double embedding_scale = 1;
  bool is_tied = false;
  bool has_post_norms = false;
  bool has_biases = false;
  bool has_sinks = false;
  Size window = 0;  // of every second layer, from the first on; 0 for none
  double local_base = 1e4, global_base = 1e4;
  bool has_gelu = false;
  Size chosen = 0;             // experts; 0 for a dense model
  bool shares_of_all = false;  // experts' shares by a softmax over all of them, or over those chosen
  double limit = std::numeric_limits<double>::infinity(), up_offset = 0, sigmoid_factor = 1;
  bool is_interleaved = false;  // gate and up in turn, stored (in, out)
  double balance_weight = 0.01, z_weight = 0;
};

/// One forward pass for a batch.
class Decoder {
 public:
  Decoder(const Facts& facts, const Weights& weights) : facts_(facts), weights_(weights) {
    routers_.resize(facts.layers);
  }

  /// The logits of one sequence; call it for each of the batch before router_loss().
  Rows logits(const std::vector<Size>& tokens) {
    const Tensor& embedding = get("model.embed_tokens.weight");
    Rows x;
    for (const Size token : tokens) {
      Vector row;
      for (Size i = 0; i < embedding.sizes[1]; ++i)
        row.push_back(facts_.embedding_scale * embedding.at(token, i));
      x.push_back(row);
    }
    for (Size layer = 0; layer < facts_.layers; ++layer) x = after_layer(layer, x);
    for (Vector& row : x)
      row = times(get(facts_.is_tied ? "model.embed_tokens.weight" : "lm_head.weight"),
                  normed(row, "model.norm.weight"));
    return x;
  }

  double router_loss() const {
    double sum = 0;
    for (const Router& router : routers_) {
      const auto choices = std::accumulate(router.load.begin(), router.load.end(), 0.0);
      double balance = 0;
      for (Size e = 0; e < router.load.size(); ++e)
        balance += router.load[e] / choices * router.probability[e] / router.tokens;
      sum += facts_.balance_weight * static_cast<double>(router.load.size()) * balance +
             facts_.z_weight * router.z / router.tokens;
    }
    return sum / static_cast<double>(routers_.size());
  }

  Size clamped = 0;  ///< neurons that reached a limit

 private:
  struct Router {
    Vector load, probability;  // of each expert, added up over tokens
    double z = 0, tokens = 0;
  };

  const Tensor& get(const std::string& name) const { return weights_.at(name); }

  /// W x, and the bias of that name where the model has biases.
  Vector times(const Tensor& w, const Vector& x, const std::string& bias = "") const {
    Vector y(w.sizes[0], 0);
    for (Size i = 0; i < y.size(); ++i) {
      for (Size j = 0; j < x.size(); ++j) y[i] += w.at(i, j) * x[j];
      if (!bias.empty() && facts_.has_biases) y[i] += get(bias).at(i);
    }
    return y;
  }

  /// The entries [begin, begin + count) over their root mean square, with a gain.
  void norm_part(Vector& x, Size begin, Size count, const Tensor& gain) const {
    double squares = 0;
    for (Size i = 0; i < count; ++i) squares += x[begin + i] * x[begin + i];
    const double size = std::sqrt(squares / static_cast<double>(count) + facts_.eps);
    for (Size i = 0; i < count; ++i) x[begin + i] *= (facts_.gain_offset + gain.at(i)) / size;
  }
  Vector normed(Vector x, const std::string& gain) const {
    norm_part(x, 0, x.size(), get(gain));
    return x;
  }
  void norm_heads(Vector& x, const std::string& gain) const {
    if (facts_.head_norm == HeadNorm::all) norm_part(x, 0, x.size(), get(gain));
    if (facts_.head_norm == HeadNorm::each)
      for (Size begin = 0; begin < x.size(); begin += facts_.head_size)
        norm_part(x, begin, facts_.head_size, get(gain));
  }

  void rotate(Vector& x, Size position, double base) const {
    const Size half = facts_.head_size / 2;
    for (Size begin = 0; begin < x.size(); begin += facts_.head_size)
      for (Size i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(position) *
            std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(facts_.head_size));
        double &a = x[begin + i], &b = x[begin + half + i];
        const double first = a * std::cos(angle) - b * std::sin(angle);
        b = a * std::sin(angle) + b * std::cos(angle);
        a = first;
      }
  }

  Rows attention(const std::string& at, bool is_local, const Rows& x) const {
    Rows q, k, v;
    const double base = is_local ? facts_.local_base : facts_.global_base;
    for (Size t = 0; t < x.size(); ++t) {
      q.push_back(times(get(at + "q_proj.weight"), x[t], at + "q_proj.bias"));
      k.push_back(times(get(at + "k_proj.weight"), x[t], at + "k_proj.bias"));
      v.push_back(times(get(at + "v_proj.weight"), x[t], at + "v_proj.bias"));
      norm_heads(q[t], at + "q_norm.weight");
      norm_heads(k[t], at + "k_norm.weight");
      rotate(q[t], t, base);
      rotate(k[t], t, base);
    }
    const Size size = facts_.head_size, sharing = facts_.heads / facts_.key_value_heads;
    Rows result;
    for (Size t = 0; t < x.size(); ++t) {
      Vector mixed(facts_.heads * size, 0);
      const Size first = is_local && facts_.window > 0 && t + 1 > facts_.window ? t + 1 - facts_.window : 0;
      for (Size head = 0; head < facts_.heads; ++head) {
        const Size of_keys = head / sharing * size;
        Vector logits;
        for (Size s = first; s <= t; ++s) {
          double product = 0;
          for (Size i = 0; i < size; ++i) product += q[t][head * size + i] * k[s][of_keys + i];
          logits.push_back(product / std::sqrt(static_cast<double>(size)));
        }
        if (facts_.has_sinks) logits.push_back(get(at + "sinks").at(head));  // which has no value
        const double largest = *std::max_element(logits.begin(), logits.end());
        double total = 0;
        for (const double logit : logits) total += std::exp(logit - largest);
        for (Size s = first; s <= t; ++s) {
          const double weight = std::exp(logits[s - first] - largest);
          for (Size i = 0; i < size; ++i) mixed[head * size + i] += weight * v[s][of_keys + i];
        }
        for (Size i = 0; i < size; ++i) mixed[head * size + i] /= total;
      }
      result.push_back(times(get(at + "o_proj.weight"), mixed, at + "o_proj.bias"));
    }
    return result;
  }

  double activation(double gate) const {
    const double pi = 3.14159265358979323846;
    if (facts_.has_gelu)
      return 0.5 * gate * (1 + std::tanh(std::sqrt(2 / pi) * (gate + 0.044715 * gate * gate * gate)));
    return gate / (1 + std::exp(-facts_.sigmoid_factor * gate));
  }

  Vector dense(const std::string& at, const Vector& x) const {
    Vector neurons = times(get(at + "gate_proj.weight"), x);
    const Vector up = times(get(at + "up_proj.weight"), x);
    for (Size i = 0; i < neurons.size(); ++i) neurons[i] = activation(neurons[i]) * up[i];
    return times(get(at + "down_proj.weight"), neurons);
  }

  Vector expert(const std::string& at, Size e, const Vector& x) {
    const Tensor &inputs = get(at + "gate_up_proj"), &outputs = get(at + "down_proj");
    const Size count = facts_.is_interleaved ? inputs.sizes[2] / 2 : inputs.sizes[1] / 2;
    Vector result(x.size(), 0);
    for (Size n = 0; n < count; ++n) {
      double gate = 0, up = 0;
      for (Size i = 0; i < x.size(); ++i) {
        gate += x[i] * (facts_.is_interleaved ? inputs.at(e, i, 2 * n) : inputs.at(e, n, i));
        up += x[i] * (facts_.is_interleaved ? inputs.at(e, i, 2 * n + 1) : inputs.at(e, count + n, i));
      }
      if (facts_.has_biases) {
        gate += get(at + "gate_up_proj_bias").at(e, 2 * n);
        up += get(at + "gate_up_proj_bias").at(e, 2 * n + 1);
      }
      if (gate > facts_.limit || std::abs(up) > facts_.limit) ++clamped;
      gate = std::min(gate, facts_.limit);
      up = std::clamp(up, -facts_.limit, facts_.limit);
      const double neuron = (up + facts_.up_offset) * activation(gate);
      for (Size i = 0; i < x.size(); ++i)
        result[i] += neuron * (facts_.is_interleaved ? outputs.at(e, n, i) : outputs.at(e, i, n));
    }
    if (facts_.has_biases)
      for (Size i = 0; i < x.size(); ++i) result[i] += get(at + "down_proj_bias").at(e, i);
    return result;
  }

  Vector mixture(const std::string& at, Router& router, const Vector& x) {
    const std::string gate = at + (facts_.has_biases ? "router." : "gate.");
    const Vector logits = times(get(gate + "weight"), x, gate + "bias");
    const Size count = logits.size();
    double all = 0;
    for (const double logit : logits) all += std::exp(logit);
    router.load.resize(count, 0);
    router.probability.resize(count, 0);
    for (Size e = 0; e < count; ++e) router.probability[e] += std::exp(logits[e]) / all;
    router.z += std::log(all) * std::log(all);
    router.tokens += 1;

    std::vector<Size> order(count);
    std::iota(order.begin(), order.end(), Size{0});
    std::sort(order.begin(), order.end(), [&](Size a, Size b) { return logits[a] > logits[b]; });
    order.resize(facts_.chosen);
    double of_chosen = 0;
    for (const Size e : order) of_chosen += std::exp(logits[e]);
    Vector result(x.size(), 0);
    for (const Size e : order) {
      router.load[e] += 1;
      const double share = std::exp(logits[e]) / (facts_.shares_of_all ? all : of_chosen);
      const Vector output = expert(at + "experts.", e, x);
      for (Size i = 0; i < x.size(); ++i) result[i] += share * output[i];
    }
    return result;
  }

  Rows after_layer(Size layer, Rows x) {
    const std::string at = "model.layers." + std::to_string(layer) + ".";
    const auto add = [](Vector& to, const Vector& from) {
      for (Size i = 0; i < to.size(); ++i) to[i] += from[i];
    };
    Rows inputs;
    for (const Vector& row : x) inputs.push_back(normed(row, at + "input_layernorm.weight"));
    const Rows attended = attention(at + "self_attn.", layer % 2 == 0, inputs);
    const std::string after = at + "post_attention_layernorm.weight";
    const std::string before_mlp = facts_.has_post_norms ? at + "pre_feedforward_layernorm.weight" : after;
    for (Size t = 0; t < x.size(); ++t) {
      add(x[t], facts_.has_post_norms ? normed(attended[t], after) : attended[t]);
      const Vector input = normed(x[t], before_mlp);
      const Vector output =
          facts_.chosen == 0 ? dense(at + "mlp.", input) : mixture(at + "mlp.", routers_[layer], input);
      add(x[t], facts_.has_post_norms ? normed(output, at + "post_feedforward_layernorm.weight") : output);
    }
    return x;
  }

  Facts facts_;
  const Weights& weights_;
  std::vector<Router> routers_;
};

}  // namespace plain
