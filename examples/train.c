/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer in C: which letter follows which. The logits of the next letter are the row of this one in a matrix,
 * plus a bias, all in one flat array. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <symopt/symopt.h>

enum { V = 27, BIAS = V * V, SIZE = BIAS + V }; /* 26 letters and a space */
static const char text[] = "in the beginning was the word and the word was with the reader and the word was read";
static float p[SIZE], g[SIZE];

static int letter(char c) { return c == ' ' ? 26 : c - 'a'; }

static float loss(void) { /* the mean of -log p(next | this); its gradient goes to g */
  const float n = (float)strlen(text) - 1;
  float total = 0;
  memset(g, 0, sizeof g);
  for (const char *c = text; c[1] != 0; ++c) {
    const int row = V * letter(c[0]), next = letter(c[1]);
    float sum = 0;
    for (int v = 0; v < V; ++v) sum += expf(p[row + v] + p[BIAS + v]);
    for (int v = 0; v < V; ++v) g[row + v] += expf(p[row + v] + p[BIAS + v]) / sum / n;
    for (int v = 0; v < V; ++v) g[BIAS + v] += expf(p[row + v] + p[BIAS + v]) / sum / n;
    g[row + next] -= 1 / n, g[BIAS + next] -= 1 / n;
    total += (logf(sum) - p[row + next] - p[BIAS + next]) / n;
  }
  return total;
}

int main(void) {
  const size_t size = sizeof(symopt_block); /* stored (in, out), the matrix is the transpose of a head */
  const symopt_block blocks[] = {
      {size, "head", .rows = V, .cols = V, .role = SYMOPT_LM_HEAD, .layout = SYMOPT_TRANSPOSED, .learning_rate = 0.3},
      {size, "bias", .offset = BIAS, .rows = 1, .cols = V, .role = SYMOPT_ADAMW, .learning_rate = 0.02}};
  symopt_optimizer *optimizer;
  if (symopt_create(NULL, blocks, 2, p, &optimizer) != SYMOPT_OK) return puts(symopt_last_error()), 1;
  printf("%s", symopt_plan(optimizer));
  const float before = loss();
  for (int step = 0; step < 200; ++step) {
    if (step % 40 == 0) printf("step %3d  loss %.4f\n", step, (double)loss());
    symopt_set_schedule_factor(optimizer, 1.0 - step / 200.0);
    loss();
    if (symopt_step(optimizer, g, NULL) != SYMOPT_OK) return puts(symopt_last_error()), 1;
  }
  printf("loss %.4f, from %.4f\n", (double)loss(), (double)before);
  symopt_free(optimizer);
  return loss() < 0.5f * before ? 0 : 1;
}
