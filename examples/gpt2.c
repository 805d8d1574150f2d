/* SPDX-License-Identifier: Apache-2.0 */
/* A GPT-2 in C, its parameters in one flat array as llm.c lays them out and its gradients in another. The model,
 * forward and backward, is written out for one sequence at a time; the optimizer takes the table of its tensors. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <symopt/symopt.h>

enum { T = 16, V = 27, PADDED = 32, L = 2, H = 2, C = 32, SIZE = C / H, N = 4 * C, BATCH = 8, STEPS = 150 };
enum { WTE, WPE, LN1W, LN1B, QKVW, QKVB, ATTPROJW, ATTPROJB, LN2W, LN2B, FCW, FCB, FCPROJW, FCPROJB, LNFW, LNFB };

static const char text[] =
    "in the beginning god created the heaven and the earth and the earth was without form and void and darkness was "
    "upon the face of the deep and the spirit of god moved upon the face of the waters and god said let there be light "
    "and there was light and god saw the light that it was good and god divided the light from the darkness";

static symopt_block blocks[SYMOPT_GPT2_BLOCKS];
static float *parameters, *gradients;
static float largest_logits[L][H];
static struct { /* what the backward pass needs of the forward pass */
  float x[L + 1][T][C], a[L][T][C], qkv[L][T][3 * C], attention[L][H][T][T], y[L][T][C], mid[L][T][C], b[L][T][C];
  float f[L][T][N], g[L][T][N], z[T][C], probability[T][V];
} s;

static int letter(char c) { return c == ' ' ? 26 : c - 'a'; }

/* A tensor of a layer; of those for all layers the matrices have a batch, the vectors are rows. */
static float *at(float *base, int tensor, int layer) {
  const symopt_block *block = &blocks[tensor];
  return base + block->offset + layer * (block->batch > 1 ? block->rows * block->cols : block->cols);
}
static float *p(int tensor, int layer) { return at(parameters, tensor, layer); }
static float *d(int tensor, int layer) { return at(gradients, tensor, layer); }

static void linear(float *out, const float *in, int weights, int bias, int l, int ins, int outs) {
  for (int o = 0; o < outs; ++o) {
    const float *row = p(weights, l) + (size_t)o * ins;
    out[o] = p(bias, l)[o];
    for (int i = 0; i < ins; ++i) out[o] += row[i] * in[i];
  }
}
static void linear_back(float *d_in, const float *d_out, const float *in, int weights, int bias, int l, int ins,
                        int outs) {
  memset(d_in, 0, sizeof(float) * (size_t)ins);
  for (int o = 0; o < outs; ++o) {
    const float *row = p(weights, l) + (size_t)o * ins;
    float *d_row = d(weights, l) + (size_t)o * ins;
    d(bias, l)[o] += d_out[o];
    for (int i = 0; i < ins; ++i) d_row[i] += d_out[o] * in[i], d_in[i] += d_out[o] * row[i];
  }
}

static void moments(const float *x, float *mean, float *scale) {
  float sum = 0, squares = 0;
  for (int i = 0; i < C; ++i) sum += x[i] / C;
  for (int i = 0; i < C; ++i) squares += (x[i] - sum) * (x[i] - sum) / C;
  *mean = sum, *scale = 1 / sqrtf(squares + 1e-5f);
}
static void norm(float *out, const float *x, int gain, int bias, int l) {
  float mean, scale;
  moments(x, &mean, &scale);
  for (int i = 0; i < C; ++i) out[i] = (x[i] - mean) * scale * p(gain, l)[i] + p(bias, l)[i];
}
static void norm_back(float *d_x, const float *d_out, const float *x, int gain, int bias, int l) { /* adds to d_x */
  float mean, scale, sum = 0, along = 0;
  moments(x, &mean, &scale);
  for (int i = 0; i < C; ++i) {
    const float normed = (x[i] - mean) * scale, inner = d_out[i] * p(gain, l)[i];
    d(gain, l)[i] += d_out[i] * normed, d(bias, l)[i] += d_out[i];
    sum += inner / C, along += inner * normed / C;
  }
  for (int i = 0; i < C; ++i) d_x[i] += scale * (d_out[i] * p(gain, l)[i] - sum - (x[i] - mean) * scale * along);
}

static float gelu(float x) { return 0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x))); }
static float gelu_slope(float x) {
  const float t = tanhf(0.7978845608f * (x + 0.044715f * x * x * x));
  return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * 0.7978845608f * (1 + 3 * 0.044715f * x * x);
}

static void attend(int l, int h) {
  for (int t = 0; t < T; ++t) {
    const float *query = s.qkv[l][t] + h * SIZE;
    float *weight = s.attention[l][h][t], largest = -INFINITY, sum = 0;
    for (int k = 0; k <= t; ++k) {
      weight[k] = 0;
      for (int i = 0; i < SIZE; ++i) weight[k] += query[i] * s.qkv[l][k][C + h * SIZE + i] / sqrtf(SIZE);
      largest = fmaxf(largest, weight[k]);
    }
    largest_logits[l][h] = fmaxf(largest_logits[l][h], largest);
    for (int k = 0; k <= t; ++k) sum += weight[k] = expf(weight[k] - largest);
    for (int i = 0; i < SIZE; ++i) s.y[l][t][h * SIZE + i] = 0;
    for (int k = 0; k <= t; ++k) {
      weight[k] /= sum;
      for (int i = 0; i < SIZE; ++i) s.y[l][t][h * SIZE + i] += weight[k] * s.qkv[l][k][2 * C + h * SIZE + i];
    }
  }
}
static void attend_back(float d_qkv[T][3 * C], float d_y[T][C], int l, int h) {
  for (int t = 0; t < T; ++t) {
    const float *weight = s.attention[l][h][t];
    float d_weight[T], mean = 0;
    for (int k = 0; k <= t; ++k) {
      d_weight[k] = 0;
      for (int i = h * SIZE; i < (h + 1) * SIZE; ++i) {
        d_weight[k] += d_y[t][i] * s.qkv[l][k][2 * C + i];
        d_qkv[k][2 * C + i] += d_y[t][i] * weight[k];
      }
      mean += weight[k] * d_weight[k];
    }
    for (int k = 0; k <= t; ++k) {
      const float d_logit = weight[k] * (d_weight[k] - mean) / sqrtf(SIZE);
      for (int i = h * SIZE; i < (h + 1) * SIZE; ++i) {
        d_qkv[t][i] += d_logit * s.qkv[l][k][C + i];
        d_qkv[k][C + i] += d_logit * s.qkv[l][t][i];
      }
    }
  }
}

/* The mean of -log p(next | before) over T letters. */
static float forward(const char *letters) {
  float loss = 0;
  for (int t = 0; t < T; ++t)
    for (int i = 0; i < C; ++i) s.x[0][t][i] = p(WTE, 0)[letter(letters[t]) * C + i] + p(WPE, 0)[t * C + i];
  for (int l = 0; l < L; ++l) {
    for (int t = 0; t < T; ++t) {
      norm(s.a[l][t], s.x[l][t], LN1W, LN1B, l);
      linear(s.qkv[l][t], s.a[l][t], QKVW, QKVB, l, C, 3 * C);
    }
    for (int h = 0; h < H; ++h) attend(l, h);
    for (int t = 0; t < T; ++t) {
      linear(s.mid[l][t], s.y[l][t], ATTPROJW, ATTPROJB, l, C, C);
      for (int i = 0; i < C; ++i) s.mid[l][t][i] += s.x[l][t][i];
      norm(s.b[l][t], s.mid[l][t], LN2W, LN2B, l);
      linear(s.f[l][t], s.b[l][t], FCW, FCB, l, C, N);
      for (int i = 0; i < N; ++i) s.g[l][t][i] = gelu(s.f[l][t][i]);
      linear(s.x[l + 1][t], s.g[l][t], FCPROJW, FCPROJB, l, N, C);
      for (int i = 0; i < C; ++i) s.x[l + 1][t][i] += s.mid[l][t][i];
    }
  }
  for (int t = 0; t < T; ++t) {
    float largest = -INFINITY, sum = 0, *probability = s.probability[t];
    norm(s.z[t], s.x[L][t], LNFW, LNFB, 0);
    for (int v = 0; v < V; ++v) {
      probability[v] = 0;
      for (int i = 0; i < C; ++i) probability[v] += p(WTE, 0)[v * C + i] * s.z[t][i];
      largest = fmaxf(largest, probability[v]);
    }
    for (int v = 0; v < V; ++v) sum += probability[v] = expf(probability[v] - largest);
    for (int v = 0; v < V; ++v) probability[v] /= sum;
    loss -= logf(probability[letter(letters[t + 1])]) / T;
  }
  return loss;
}

/* Adds the gradient of scale times that loss. */
static void backward(const char *letters, float scale) {
  static float d_x[T][C], d_y[T][C], d_qkv[T][3 * C];
  float d_n[N], d_c[C];
  memset(d_x, 0, sizeof d_x);
  for (int t = 0; t < T; ++t) {
    memset(d_c, 0, sizeof d_c);
    for (int v = 0; v < V; ++v) {
      const float d_logit = scale * (s.probability[t][v] - (v == letter(letters[t + 1]))) / T;
      for (int i = 0; i < C; ++i) {
        d(WTE, 0)[v * C + i] += d_logit * s.z[t][i];
        d_c[i] += d_logit * p(WTE, 0)[v * C + i];
      }
    }
    norm_back(d_x[t], d_c, s.x[L][t], LNFW, LNFB, 0);
  }
  for (int l = L - 1; l >= 0; --l) {
    for (int t = 0; t < T; ++t) {
      linear_back(d_n, d_x[t], s.g[l][t], FCPROJW, FCPROJB, l, N, C);
      for (int i = 0; i < N; ++i) d_n[i] *= gelu_slope(s.f[l][t][i]);
      linear_back(d_c, d_n, s.b[l][t], FCW, FCB, l, C, N);
      norm_back(d_x[t], d_c, s.mid[l][t], LN2W, LN2B, l);
      linear_back(d_y[t], d_x[t], s.y[l][t], ATTPROJW, ATTPROJB, l, C, C);
    }
    memset(d_qkv, 0, sizeof d_qkv);
    for (int h = 0; h < H; ++h) attend_back(d_qkv, d_y, l, h);
    for (int t = 0; t < T; ++t) {
      linear_back(d_c, d_qkv[t], s.a[l][t], QKVW, QKVB, l, C, 3 * C);
      norm_back(d_x[t], d_c, s.x[l][t], LN1W, LN1B, l);
    }
  }
  for (int t = 0; t < T; ++t)
    for (int i = 0; i < C; ++i) {
      d(WTE, 0)[letter(letters[t]) * C + i] += d_x[t][i];
      d(WPE, 0)[t * C + i] += d_x[t][i];
    }
}

static float mean_loss(void) { /* over the whole text */
  float loss = 0;
  const int windows = (int)strlen(text) - T;
  for (int first = 0; first < windows; ++first) loss += forward(text + first) / (float)windows;
  return loss;
}

static float uniform(void) { /* in [-1, 1) */
  static unsigned state = 7;
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 8388608.0f - 1;
}

static void initialize(int64_t count) {
  for (int64_t i = 0; i < count; ++i) parameters[i] = 0;
  for (int tensor = WTE; tensor <= LNFB; ++tensor) {
    const symopt_block *block = &blocks[tensor];
    const int64_t entries = block->rows * block->cols * (block->batch > 1 ? block->batch : 1);
    const int is_matrix = block->role != SYMOPT_ADAMW, is_gain = tensor == LN1W || tensor == LN2W || tensor == LNFW;
    for (int64_t i = 0; i < entries; ++i)
      parameters[block->offset + i] = is_matrix ? 0.15f * uniform() : (float)is_gain;
  }
}

/* Keeps the attention's logits below 100. */
static symopt_status clip(symopt_optimizer *optimizer, int layer) {
  symopt_head_rows query = {sizeof query, .weights = "qkvw", .bias = "qkvb", .heads = H, .size = SIZE, .slice = layer};
  symopt_head_rows key = query;
  key.first = C;
  return symopt_qk_clip(optimizer, &query, &key, largest_logits[layer], H, 100, NULL);
}

static int fails(symopt_status status) { return status != SYMOPT_OK && (puts(symopt_last_error()), 1); }

int main(void) {
  int64_t count = 0;
  const symopt_gpt2_config config = {sizeof config, T, V, PADDED, L, H, C};
  if (fails(symopt_gpt2_blocks(&config, blocks, sizeof *blocks, &count))) return 1;
  parameters = malloc(sizeof(float) * (size_t)count), gradients = malloc(sizeof(float) * (size_t)count);
  if (parameters == NULL || gradients == NULL) return 1;
  initialize(count);

  symopt_optimizer *optimizer;
  const symopt_options options = {sizeof options, .learning_rate = 0.02, .weight_decay = 0.1};
  if (fails(symopt_create(&options, blocks, SYMOPT_GPT2_BLOCKS, parameters, &optimizer))) return 1;
  for (int i = 0; i < SYMOPT_GPT2_BLOCKS; ++i) /* vectors do not decay */
    if (blocks[i].role == SYMOPT_ADAMW && fails(symopt_set_weight_decay(optimizer, blocks[i].name, 0))) return 1;
  int64_t bytes = 0;
  if (fails(symopt_state_bytes(optimizer, NULL, &bytes))) return 1;
  printf("%s\n%lld parameters, %lld bytes of state\n", symopt_plan(optimizer), (long long)count, (long long)bytes);

  const float before = mean_loss();
  for (int step = 0; step < STEPS; ++step) {
    float loss = 0;
    memset(gradients, 0, sizeof(float) * (size_t)count);
    memset(largest_logits, 0, sizeof largest_logits);
    for (int b = 0; b < BATCH; ++b) {
      const char *letters = text + (int)((0.5f + 0.5f * uniform()) * (float)(strlen(text) - T - 1));
      loss += forward(letters) / BATCH;
      backward(letters, 1.0f / BATCH);
    }
    if (step % 30 == 0) printf("step %3d  loss %.4f\n", step, (double)loss);
    symopt_set_schedule_factor(optimizer, 1.0 - step / (double)STEPS);
    symopt_set_schedule_momentum(optimizer, step < 50 ? 0.85 + 0.002 * step : 0.95);
    if (fails(symopt_step(optimizer, gradients, NULL))) return 1;
    for (int l = 0; l < L; ++l)
      if (fails(clip(optimizer, l))) return 1;
  }
  const float after = mean_loss();
  printf("loss %.4f, from %.4f\n", (double)after, (double)before);
  symopt_free(optimizer);
  free(parameters), free(gradients);
  return after < 0.5f * before ? 0 : 1;
}
