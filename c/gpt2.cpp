// SPDX-License-Identifier: Apache-2.0
// The block table of GPT-2 in one flat array.
#include "boundary.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace {

using symopt_c::require;

/// Lays blocks one after the other, and counts the scalars.
class Table {
 public:
  explicit Table(symopt_block* first) : next_(first) {}

  /// So many layers of rows x cols; `fields` has what else is to be said of them.
  void add(const char* name, symopt_role role, std::int64_t layers, std::int64_t rows, std::int64_t cols,
           symopt_block fields = {}) {
    fields.name = name;
    fields.offset = size_;
    fields.rows = rows;
    fields.cols = cols;
    fields.batch = layers;
    fields.role = role;
    std::int64_t size = layers;
    const bool overflows = __builtin_mul_overflow(size, rows, &size) ||
                           __builtin_mul_overflow(size, cols, &size) ||
                           __builtin_add_overflow(size_, size, &size_);
    require(!overflows, "it is larger than memory can be", name);
    *next_++ = fields;
  }
  std::int64_t size() const { return size_; }

 private:
  symopt_block* next_;
  std::int64_t size_ = 0;
};

void validate(const symopt_gpt2_config& config) {
  const auto require_positive = [](const char* field, std::int64_t value) {
    require(value > 0 && value <= INT32_MAX, std::string("symopt_gpt2_config.") + field + " is " +
                                                 std::to_string(value) + "; it must be positive, of 31 bits");
  };
  require_positive("max_seq_len", config.max_seq_len);
  require_positive("vocab_size", config.vocab_size);
  require_positive("padded_vocab_size", config.padded_vocab_size);
  require_positive("num_layers", config.num_layers);
  require_positive("num_heads", config.num_heads);
  require_positive("channels", config.channels);
  require(config.padded_vocab_size >= config.vocab_size,
          "symopt_gpt2_config.padded_vocab_size is " + std::to_string(config.padded_vocab_size) +
              ", less than the vocab_size of " + std::to_string(config.vocab_size) +
              "; leave it 0 where nothing is padded");
  require(config.channels % config.num_heads == 0, std::to_string(config.num_heads) + " heads do not share " +
                                                       std::to_string(config.channels) + " channels equally");
}

}  // namespace

symopt_status symopt_gpt2_blocks(const symopt_gpt2_config* config, symopt_block* blocks, size_t block_size,
                                 int64_t* parameter_count) {
  return symopt_c::guarded([&] {
    require(config != nullptr, "symopt_gpt2_blocks: the config is NULL");
    require(blocks != nullptr, "symopt_gpt2_blocks: there is no place for the blocks");
    symopt_gpt2_config own = symopt_c::in_own_size(config, "symopt_gpt2_config");
    if (own.padded_vocab_size == 0) own.padded_vocab_size = own.vocab_size;
    validate(own);
    const std::int64_t L = own.num_layers, C = own.channels;
    const std::size_t least = offsetof(symopt_block, learning_rate);  // all that is set here
    require(
        block_size >= least && block_size <= sizeof(symopt_block) && block_size % alignof(symopt_block) == 0,
        "symopt_gpt2_blocks: block_size is " + std::to_string(block_size) +
            "; set it to sizeof(symopt_block), which is " + std::to_string(sizeof(symopt_block)) +
            " in this version of the library");
    symopt_block vocabulary{}, fused{}, output{};
    if (own.padded_vocab_size > own.vocab_size) vocabulary.existing_rows = own.vocab_size;
    fused.row_heads = 3 * own.num_heads;
    output.column_heads = own.num_heads;
    symopt_block made[SYMOPT_GPT2_BLOCKS] = {};  // nothing has changed where the sizes overflow
    Table table(made);
    table.add("wte", SYMOPT_TIED_EMBEDDING, 1, own.padded_vocab_size, C, vocabulary);
    table.add("wpe", SYMOPT_POSITIONS, 1, own.max_seq_len, C);
    table.add("ln1w", SYMOPT_ADAMW, 1, L, C);
    table.add("ln1b", SYMOPT_ADAMW, 1, L, C);
    table.add("qkvw", SYMOPT_HIDDEN_MATRIX, L, 3 * C, C, fused);
    table.add("qkvb", SYMOPT_ADAMW, 1, L, 3 * C);
    table.add("attprojw", SYMOPT_HIDDEN_MATRIX, L, C, C, output);
    table.add("attprojb", SYMOPT_ADAMW, 1, L, C);
    table.add("ln2w", SYMOPT_ADAMW, 1, L, C);
    table.add("ln2b", SYMOPT_ADAMW, 1, L, C);
    table.add("fcw", SYMOPT_SWIGLU_INPUT, L, 4 * C, C);
    table.add("fcb", SYMOPT_ADAMW, 1, L, 4 * C);
    table.add("fcprojw", SYMOPT_SWIGLU_OUTPUT, L, C, 4 * C);
    table.add("fcprojb", SYMOPT_ADAMW, 1, L, C);
    table.add("lnfw", SYMOPT_ADAMW, 1, 1, C);
    table.add("lnfb", SYMOPT_ADAMW, 1, 1, C);
    auto* place = reinterpret_cast<std::byte*>(blocks);
    for (symopt_block& block : made) {
      block.struct_size = block_size;
      std::memcpy(place, &block, block_size);
      place += block_size;
    }
    if (parameter_count != nullptr) *parameter_count = table.size();
  });
}
