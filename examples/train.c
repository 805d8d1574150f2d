/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer in C: which letter follows which, by an embedding, a head and a bias in one flat array. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <symopt/symopt.h>

enum { V = 27, C = 12, HEAD = V * C, BIAS = 2 * V * C, SIZE = BIAS + V };
static const char text[] = "in the beginning was the word and the word was with the reader and the word was read";

static int letter(char c) { return c == ' ' ? 26 : c - 'a'; }

/* The mean loss -log p(next | this) over the text; adds its gradient to g. */
static float loss(const float *p, float *g) {
  const int n = (int)strlen(text) - 1;
  float total = 0, z[V], sum;
  for (int t = 0; t < n; ++t, total += logf(sum) / (float)n) {
    const float *x = p + letter(text[t]) * C;
    float *dx = g + letter(text[t]) * C;
    for (int v = 0; v < V; ++v)
      for (int i = (z[v] = p[BIAS + v], 0); i < C; ++i) z[v] += p[HEAD + v * C + i] * x[i];
    total -= z[letter(text[t + 1])] / (float)n;
    sum = 0;
    for (int v = 0; v < V; ++v) sum += expf(z[v]);
    for (int v = 0; v < V; ++v) {
      const float dz = (expf(z[v]) / sum - (v == letter(text[t + 1]) ? 1.0f : 0.0f)) / (float)n;
      g[BIAS + v] += dz;
      for (int i = 0; i < C; ++i) g[HEAD + v * C + i] += dz * x[i], dx[i] += dz * p[HEAD + v * C + i];
    }
  }
  return total;
}

#define BLOCK .struct_size = sizeof(symopt_block)

int main(void) {
  static float p[SIZE], g[SIZE];
  for (int i = 0; i < BIAS; ++i) p[i] = (float)rand() / (float)RAND_MAX - 0.5f;
  const symopt_block blocks[] = {
      {BLOCK, .name = "embedding", .offset = 0, .rows = V, .cols = C, .role = SYMOPT_EMBEDDING, .learning_rate = 0.1},
      {BLOCK, .name = "head", .offset = HEAD, .rows = V, .cols = C, .role = SYMOPT_LM_HEAD, .learning_rate = 0.1},
      {BLOCK, .name = "bias", .offset = BIAS, .rows = 1, .cols = V, .learning_rate = 0.02}};
  symopt_optimizer *optimizer;
  if (symopt_create(NULL, blocks, 3, p, &optimizer) != SYMOPT_OK) return puts(symopt_last_error()), 1;
  printf("%s", symopt_plan(optimizer));
  const float before = loss(p, g);
  for (int step = 0; step < 200; ++step) {
    memset(g, 0, sizeof g);
    const float now = loss(p, g);
    if (step % 40 == 0) printf("step %3d  loss %.4f\n", step, (double)now);
    symopt_set_schedule_factor(optimizer, 1.0 - step / 200.0);
    if (symopt_step(optimizer, g, NULL) != SYMOPT_OK) return puts(symopt_last_error()), 1;
  }
  const float after = loss(p, g);
  printf("loss %.4f, from %.4f\n", (double)after, (double)before);
  symopt_free(optimizer);
  return after < 0.4f * before ? 0 : 1;
}
