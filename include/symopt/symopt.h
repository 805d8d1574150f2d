/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYMOPT_SYMOPT_H
#define SYMOPT_SYMOPT_H

/** @file
 * symopt for C and for everything that can call C: the layerwise optimizer over flat buffers. A trainer with
 * all its parameters in one array and all gradients in another says where the blocks lie and what they are;
 * the optimizer keeps the momenta and updates the parameters in place:
 *
 *     symopt_block blocks[2] = {
 *         {.struct_size = sizeof(symopt_block), .name = "wte", .offset = 0, .rows = V, .cols = C, .role =
 * SYMOPT_EMBEDDING},
 *         {.struct_size = sizeof(symopt_block), .name = "head", .offset = V * C, .rows = V, .cols = C, .role
 * = SYMOPT_LM_HEAD}}; symopt_optimizer* optimizer; if (symopt_create(NULL, blocks, 2, parameters, &optimizer)
 * != SYMOPT_OK) puts(symopt_last_error()); for each batch: compute gradients; symopt_step(optimizer,
 * gradients, NULL); symopt_free(optimizer);
 *
 * Every call but symopt_free and those that return text returns a symopt_status, and after any but SYMOPT_OK
 * nothing has changed. Structs begin with their size, which the caller sets: a library of a later version
 * reads those of an earlier one, with zeros for what came later. Zero is the default of every field.
 * Optimizers share nothing: different ones may be used by different threads at a time, one by one thread at a
 * time. The library is built with the option SYMOPT_BUILD_C_LIBRARY. */

#include <stddef.h>
#include <stdint.h>

/** Marks what the shared library shows. */
#if defined(_WIN32)
#define SYMOPT_API
#else
#define SYMOPT_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** The outcome of a call. */
typedef enum symopt_status {
  SYMOPT_OK = 0,               /**< done */
  SYMOPT_INVALID_ARGUMENT = 1, /**< wrong use; the last error names the block and the remedy */
  SYMOPT_NON_FINITE = 2,       /**< a gradient has an Inf or NaN; nothing was changed */
  SYMOPT_BROKEN_FILE = 3,      /**< a state that is no such file */
  SYMOPT_OTHER_STATE = 4,      /**< a sound file, but the state of another optimizer */
  SYMOPT_FILE_ERROR = 5,       /**< a file that cannot be read or written */
  SYMOPT_OUT_OF_MEMORY = 6,    /**< nothing was changed */
  SYMOPT_INTERNAL_ERROR = 7    /**< a fault of the library, to be reported with the last error */
} symopt_status;

/** The role of a block in a transformer; each has the update that its group of symmetries derives. */
typedef enum symopt_role {
  SYMOPT_ADAMW = 0,          /**< vectors, and whatever has no better role */
  SYMOPT_HIDDEN_MATRIX = 1,  /**< attention and plain matrices, [out, in] */
  SYMOPT_EMBEDDING = 2,      /**< [vocabulary, width] */
  SYMOPT_TIED_EMBEDDING = 3, /**< an embedding that is also the head */
  SYMOPT_LM_HEAD = 4,        /**< [vocabulary, width] */
  SYMOPT_SWIGLU_INPUT = 5,   /**< gate or up, [neurons, width] */
  SYMOPT_SWIGLU_OUTPUT = 6,  /**< down, [width, neurons] */
  SYMOPT_ROUTER = 7,         /**< [experts, width] */
  /* Adam with the second moments that the class derives, at AdamW's rates. */
  SYMOPT_ADAPTIVE_ENTRIES = 8,         /**< anything, entry by entry: AdamW, but with beta2 = 0.99 */
  SYMOPT_ADAPTIVE_EMBEDDING = 9,       /**< [vocabulary, width] */
  SYMOPT_ADAPTIVE_TIED_EMBEDDING = 10, /**< an embedding that is also the head */
  SYMOPT_ADAPTIVE_LM_HEAD = 11,        /**< [vocabulary, width] */
  SYMOPT_ADAPTIVE_SWIGLU_INPUT = 12,   /**< gate or up, [neurons, width] */
  SYMOPT_ADAPTIVE_SWIGLU_OUTPUT = 13,  /**< down, [width, neurons] */
  SYMOPT_ADAPTIVE_ROUTER = 14,         /**< [experts, width] */
  /* Pairs of blocks A, B of which only A B^T matters; A names B as its partner, and both have the role. A
   * block is [lines, r], heads beside each other; one that is stored as [r, lines] is SYMOPT_TRANSPOSED. */
  SYMOPT_LORA_PAIR = 15,        /**< A up [out, r], B down */
  SYMOPT_VALUE_OUTPUT = 16,     /**< A o [width, heads * size], B v */
  SYMOPT_QUERY_KEY = 17,        /**< A q [width, heads * size], B k; planes of neighbouring columns */
  SYMOPT_QUERY_KEY_HALVES = 18, /**< planes that pair the halves of a head */
  SYMOPT_NEURON_PAIR = 19,      /**< A up [width, neurons], B down */
  SYMOPT_POSITIONS = 20,        /**< learned positions, [length, width]: rows in an order of their own */
  /* Adam with full second moments on the shorter side, of each head where the block has heads. */
  SYMOPT_ADAPTIVE_HIDDEN_MATRIX = 21 /**< attention and plain matrices, [out, in] */
} symopt_role;

/** The layout of a block in memory. */
typedef enum symopt_layout {
  SYMOPT_ROW_MAJOR = 0, /**< rows x cols, row after row */
  SYMOPT_TRANSPOSED =
      1 /**< stored (in, out): cols x rows, so that the block is the transpose of what is stored */
} symopt_layout;

/** Scalars of a buffer. */
typedef enum symopt_dtype {
  SYMOPT_F32 = 0, /**< float */
  SYMOPT_BF16 = 1 /**< bfloat16, the upper half of a float: gradients, and copies of the parameters */
} symopt_dtype;

/** The treatment of a step whose gradient has an Inf or NaN. */
typedef enum symopt_non_finite {
  SYMOPT_REFUSE = 0,   /**< SYMOPT_NON_FINITE */
  SYMOPT_SKIP = 1,     /**< SYMOPT_OK, and the report says that it was not applied */
  SYMOPT_UNCHECKED = 2 /**< gradients are taken as they are: who calls has checked them */
} symopt_non_finite;

/** One entry of the block table. */
typedef struct symopt_block {
  size_t struct_size;    /**< sizeof(symopt_block) */
  const char* name;      /**< not NULL, unlike all others; kept as a copy */
  int64_t offset;        /**< scalars from the beginning of the parameters, and of the gradients */
  int64_t rows;          /**< of one block; 1 for a vector */
  int64_t cols;          /**< of one block */
  int64_t batch;         /**< so many blocks one after the other: layers or experts; 0 or 1: one */
  int32_t role;          /**< symopt_role */
  int32_t layout;        /**< symopt_layout */
  int64_t row_heads;     /**< each block is that many heads below each other; 0 or 1: one */
  int64_t column_heads;  /**< or beside each other */
  int64_t existing_rows; /**< rows beyond are padding; 0: all exist */
  double learning_rate;  /**< multiplies the role's update, that of a hidden matrix in AdamW's units; 0: the
                            rate of the options, in AdamW's units for every role */
  double weight_decay;   /**< the block shrinks by learning rate times this per step; with learning_rate 0, 0
                            is the decay of the options */
  const char* partner;   /**< of block A of a pair: the name of its block B; else NULL */
} symopt_block;

/** The options of all blocks. */
typedef struct symopt_options {
  size_t struct_size;      /**< sizeof(symopt_options) */
  int32_t non_finite;      /**< symopt_non_finite */
  int32_t parameter_dtype; /**< symopt_dtype of the parameters: SYMOPT_F32 */
  int32_t gradient_dtype;  /**< of the gradients: either */
  double max_norm;      /**< global norm of the gradients of rules that depend on it, clipped to this; 0: not
                           clipped */
  double learning_rate; /**< AdamW's, for all blocks that have none of their own; 0: 1e-3 */
  double weight_decay;  /**< AdamW's, for all blocks that have none of their own; 0: none */
} symopt_options;

/** The report of a step. */
typedef struct symopt_report {
  size_t struct_size;   /**< sizeof(symopt_report), set by the caller */
  int32_t applied;      /**< 0 when it was skipped for a gradient that is not finite */
  int64_t step;         /**< steps applied so far */
  double gradient_norm; /**< of the gradients that are clipped; 0 without max_norm */
  double clip_factor;   /**< what they were multiplied by; 1 without max_norm */
} symopt_report;

/** Momenta, rates and steps of some blocks; made by symopt_create. */
typedef struct symopt_optimizer symopt_optimizer;

/** An optimizer of these blocks of `parameters`, which stays the caller's and in its place. options: NULL for
 * the defaults. On an error *optimizer is NULL. */
SYMOPT_API symopt_status symopt_create(const symopt_options* options, const symopt_block* blocks,
                                       size_t count, float* parameters, symopt_optimizer** optimizer);
/** Gives its memory back. NULL is allowed. */
SYMOPT_API void symopt_free(symopt_optimizer* optimizer);

/** One step along `gradients`, of the options' gradient_dtype, which are only read. report: NULL, or what was
 * done. */
SYMOPT_API symopt_status symopt_step(symopt_optimizer* optimizer, const void* gradients,
                                     symopt_report* report);

/** From now on each step writes the parameters that it moves to `copy` too, rounded to the nearest bfloat16,
 * each at its own offset: what the model computes with beside the floats that are trained. Nothing is written
 * before the next step. NULL: no more copies. */
SYMOPT_API symopt_status symopt_copy_to(symopt_optimizer* optimizer, uint16_t* copy);

/** The parameters lie there now. */
SYMOPT_API symopt_status symopt_move_parameters(symopt_optimizer* optimizer, float* parameters);
/** The base rate of one block. */
SYMOPT_API symopt_status symopt_set_learning_rate(symopt_optimizer* optimizer, const char* name, double rate);
/** The momentum of one block, or with the name NULL of all whose roles keep none themselves (those of AdamW
 * and second moments do). */
SYMOPT_API symopt_status symopt_set_momentum(symopt_optimizer* optimizer, const char* name, double momentum);
/** The weight decay of one block, or of all with the name NULL: 0 for the gains of a model, say. */
SYMOPT_API symopt_status symopt_set_weight_decay(symopt_optimizer* optimizer, const char* name, double decay);
/** Multiplies all rates from now on: the value of a schedule. */
SYMOPT_API symopt_status symopt_set_schedule_factor(symopt_optimizer* optimizer, double factor);
/** Multiplies all weight decays from now on: the value of a schedule. */
SYMOPT_API symopt_status symopt_set_schedule_decay(symopt_optimizer* optimizer, double factor);
/** The momentum from now on of all blocks whose roles keep none themselves: the value of a schedule, which no
 * option and no file remembers. Negative: their own again. */
SYMOPT_API symopt_status symopt_set_schedule_momentum(symopt_optimizer* optimizer, double momentum);
/** A frozen block takes no part in steps, decay included. */
SYMOPT_API symopt_status symopt_set_frozen(symopt_optimizer* optimizer, const char* name, int32_t is_frozen);

/** The rows of a block that make the queries or the keys of an attention: heads below each other in a tensor
 * [out, in], or in one of a stack of them [layers, out, in]. */
typedef struct symopt_head_rows {
  size_t struct_size;    /**< sizeof(symopt_head_rows) */
  const char* weights;   /**< name of the block */
  const char* bias;      /**< name of its bias, [out] or [layers, out]; NULL for none */
  int64_t heads;         /**< in the projection; 0: 1 */
  int64_t size;          /**< rows of a head; 0: all rows are shared equally by the heads */
  int64_t first;         /**< row where the first head begins: in a tensor with q, k and v */
  int64_t stride;        /**< rows from one head to the next; 0: size */
  int64_t rotary;        /**< the last rows of a query that meet a key which all heads share (MLA) */
  int64_t slice;         /**< number of the layer in a stack of them */
  int32_t is_transposed; /**< 1 where it is stored (in, out) */
} symopt_head_rows;

/** QK-clip (Kimi K2, arXiv 2507.20534): after a step, multiplies the weights of each head whose largest
 * attention logit exceeded the threshold (100 there) so that this logit would be the threshold: query and key
 * rows by the square root of the factor each, rotary queries of MLA by the factor, and a key that queries
 * share by the root of the largest of their factors, each query by the rest of its own. largest_logits: of
 * each query head, `count` of them, scaled as they go into the softmax. clipped: NULL, or the number of heads
 * that were clipped. */
SYMOPT_API symopt_status symopt_qk_clip(symopt_optimizer* optimizer, const symopt_head_rows* query,
                                        const symopt_head_rows* key, const float* largest_logits,
                                        size_t count, double threshold, int64_t* clipped);

/** Bytes of the state of one block, or of all with the name NULL: what is kept from step to step. */
SYMOPT_API symopt_status symopt_state_bytes(const symopt_optimizer* optimizer, const char* name,
                                            int64_t* bytes);

/** Momenta, steps and rates to a safetensors file, which replaces an older one in one go. */
SYMOPT_API symopt_status symopt_save(const symopt_optimizer* optimizer, const char* path);
/** Loads what symopt_save wrote, of an optimizer of the same block table and options; see docs/state.md. */
SYMOPT_API symopt_status symopt_load(symopt_optimizer* optimizer, const char* path);

/** The plan of the block table, as text: to be printed once. It lives as long as the optimizer. */
SYMOPT_API const char* symopt_plan(symopt_optimizer* optimizer);
/** The message of the last call that failed in this thread; never NULL. */
SYMOPT_API const char* symopt_last_error(void);
/** "symopt 0.2.0: avx2_fma, ..." */
SYMOPT_API const char* symopt_configuration(void);

/** The threads that calls of the library compute with from now on, whichever thread calls; 0: as many as
 * OpenMP takes by itself, OMP_NUM_THREADS or the cores. Results have the same bits for any number. Memory for
 * blocks that step side by side is taken by symopt_create, so call this before. A library that was built
 * without OpenMP has one thread and refuses more. */
SYMOPT_API symopt_status symopt_set_threads(int32_t count);
/** The threads that a call would compute with now. */
SYMOPT_API int32_t symopt_threads(void);
/** The instruction set that the library was built for: "x86_64", "avx2_fma", "avx512", "neon". It is chosen
 * by the CMake option SYMOPT_C_INSTRUCTION_SET; docs/c-interface.md has how one machine gets one of several.
 */
SYMOPT_API const char* symopt_instruction_set(void);

/** The shape of a GPT-2, by the names of llm.c's configuration. */
typedef struct symopt_gpt2_config {
  size_t struct_size;        /**< sizeof(symopt_gpt2_config) */
  int64_t max_seq_len;       /**< positions */
  int64_t vocab_size;        /**< tokens that exist */
  int64_t padded_vocab_size; /**< rows of wte; 0: vocab_size */
  int64_t num_layers;        /**< blocks of attention and MLP */
  int64_t num_heads;         /**< divides channels */
  int64_t channels;          /**< width */
} symopt_gpt2_config;

/** Tensors of a GPT-2 in llm.c. */
enum { SYMOPT_GPT2_BLOCKS = 16 };

/** Writes the table of a GPT-2 in one flat array as llm.c lays it out: wte, wpe, ln1w, ln1b, qkvw, qkvb,
 * attprojw, attprojb, ln2w, ln2b, fcw, fcb, fcprojw, fcprojb, lnfw, lnfb, each for all layers. wte is a tied
 * embedding without its padded rows, wpe positions, q, k, v and the output hidden matrices by heads, fcw and
 * fcprojw the input and the output of neurons, and the vectors AdamW's. Rates and decays are left to the
 * options. blocks: of SYMOPT_GPT2_BLOCKS entries of block_size = sizeof(symopt_block) each. parameter_count:
 * NULL, or the scalars of the array. */
SYMOPT_API symopt_status symopt_gpt2_blocks(const symopt_gpt2_config* config, symopt_block* blocks,
                                            size_t block_size, int64_t* parameter_count);

/** An optimizer of the process by a number of the caller's, for trainers that step on the CPU what they keep
 * in flat buffers elsewhere: shapes are given once, pointers at every step. Offsets of blocks count from the
 * pointers of a step. Matrices come whole: a buffer that holds a part of one cannot be stepped by its rule.
 * Different numbers may be used by different threads at a time. */
SYMOPT_API symopt_status symopt_offload_create(int32_t id, const symopt_options* options,
                                               const symopt_block* blocks, size_t count);
/** One step of optimizer `id`. learning_rate: that of the options at this step; the rates of blocks that have
 * their own change in proportion. parameters: updated in place; they may lie elsewhere at each step, the
 * state stays with the optimizer. gradients: of the options' gradient_dtype. copy: NULL, or where the
 * parameters go rounded to bfloat16. report: NULL, or what was done. */
SYMOPT_API symopt_status symopt_offload_step(int32_t id, double learning_rate, float* parameters,
                                             const void* gradients, uint16_t* copy, symopt_report* report);
/** Gives the optimizer `id` up. */
SYMOPT_API symopt_status symopt_offload_destroy(int32_t id);
/** The optimizer `id`, to save, load, print or set it; steps are taken by symopt_offload_step. It lives until
 * it is given up. NULL where there is none. */
SYMOPT_API symopt_optimizer* symopt_offload_optimizer(int32_t id);

#ifdef __cplusplus
}
#endif

#endif
