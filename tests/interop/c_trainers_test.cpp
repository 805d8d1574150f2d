// SPDX-License-Identifier: Apache-2.0
// The parts of the C interface that are shaped as trainers are: GPT-2's table, optimizers by number, numbers
// of a schedule, QK-clip, threads.
#include <symopt/symopt.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace c_trainers_test { namespace {

void check_last_error(const std::string& words) {
  const std::string text = symopt_last_error();
  CAPTURE(text);
  CAPTURE(words);
  CHECK(text.starts_with("symopt: "));
  CHECK(text.find(words) != std::string::npos);
}

std::vector<float> gaussian(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> entry;
  std::vector<float> values(count);
  for (float& value : values) value = entry(random);
  return values;
}

symopt_gpt2_config config_of(int64_t length, int64_t vocabulary, int64_t padded, int64_t layers,
                             int64_t heads, int64_t channels) {
  return {sizeof(symopt_gpt2_config), length, vocabulary, padded, layers, heads, channels};
}

struct Table {
  std::vector<symopt_block> blocks = std::vector<symopt_block>(SYMOPT_GPT2_BLOCKS);
  int64_t count = 0;

  explicit Table(const symopt_gpt2_config& config) {
    REQUIRE_MESSAGE(symopt_gpt2_blocks(&config, blocks.data(), sizeof(symopt_block), &count) == SYMOPT_OK,
                    symopt_last_error());
  }
};

const symopt_gpt2_config small = config_of(6, 11, 16, 2, 2, 8);

TEST_CASE("the table of GPT-2 of 124 million parameters is llm.c's") {
  const Table table(config_of(1024, 50257, 50304, 12, 12, 768));
  struct Tensor {
    const char* name;
    int64_t size;
  };
  constexpr int64_t C = 768, L = 12;
  const Tensor tensors[] = {{"wte", 50304 * C},
                            {"wpe", 1024 * C},
                            {"ln1w", L * C},
                            {"ln1b", L * C},
                            {"qkvw", L * 3 * C * C},
                            {"qkvb", L * 3 * C},
                            {"attprojw", L * C * C},
                            {"attprojb", L * C},
                            {"ln2w", L * C},
                            {"ln2b", L * C},
                            {"fcw", L * 4 * C * C},
                            {"fcb", L * 4 * C},
                            {"fcprojw", L * 4 * C * C},
                            {"fcprojb", L * C},
                            {"lnfw", C},
                            {"lnfb", C}};
  int64_t offset = 0;
  for (std::size_t i = 0; i < SYMOPT_GPT2_BLOCKS; ++i) {
    const symopt_block& block = table.blocks[i];
    CHECK(std::string(block.name) == tensors[i].name);
    CHECK(block.struct_size == sizeof(symopt_block));
    CHECK(block.offset == offset);
    CHECK(block.rows * block.cols * block.batch == tensors[i].size);
    offset += tensors[i].size;
  }
  CHECK(table.count == offset);
  CHECK(table.count == 124475904);
  CHECK(table.blocks[0].existing_rows == 50257);
  CHECK(table.blocks[4].row_heads == 36);
  CHECK(table.blocks[6].column_heads == 12);
}

TEST_CASE("GPT-2's table makes an optimizer that moves all but the padded rows, as its roles say") {
  const Table table(small);
  std::vector<float> parameters = gaussian(std::size_t(table.count), 1);
  const std::vector<float> before = parameters, gradients = gaussian(parameters.size(), 2);
  symopt_optimizer* optimizer = nullptr;
  REQUIRE(symopt_create(nullptr, table.blocks.data(), SYMOPT_GPT2_BLOCKS, parameters.data(), &optimizer) ==
          SYMOPT_OK);
  REQUIRE(symopt_step(optimizer, gradients.data(), nullptr) == SYMOPT_OK);
  std::size_t still = 0, moved_padding = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const bool is_padding = i >= 11 * 8 && i < 16 * 8, has_moved = parameters[i] != before[i];
    still += !is_padding && !has_moved ? 1 : 0;
    moved_padding += is_padding && has_moved ? 1 : 0;
  }
  CHECK(moved_padding == 0);
  CHECK(still <= 3);  // a step may be lost in rounding
  const std::string plan = symopt_plan(optimizer);
  for (const char* words :
       {"TiedEmbedding: S x O", "whole, 11 rows exist -> 1 of 11x8", "Orthogonal<right>: 1 x O",
        "experts, 6 row heads -> 12 of 4x8", "experts, 2 column heads -> 4 of 8x4", "SwigluInput: S x O",
        "SwigluOutput: O x S", "AdamW"}) {
    CAPTURE(std::string(words));
    CHECK(plan.find(words) != std::string::npos);
  }
  symopt_free(optimizer);
}

TEST_CASE("a shape that is none is refused, and no block is written") {
  std::vector<symopt_block> blocks(SYMOPT_GPT2_BLOCKS);
  const auto refuses = [&](const symopt_gpt2_config& config, const char* words) {
    CHECK(symopt_gpt2_blocks(&config, blocks.data(), sizeof(symopt_block), nullptr) ==
          SYMOPT_INVALID_ARGUMENT);
    check_last_error(words);
    CHECK(blocks.front().name == nullptr);
  };
  refuses(config_of(0, 11, 16, 2, 2, 8), "max_seq_len is 0; it must be positive");
  refuses(config_of(6, 11, 10, 2, 2, 8), "padded_vocab_size is 10, less than the vocab_size of 11");
  refuses(config_of(6, 11, 16, 2, 3, 8), "3 heads do not share 8 channels equally");
  refuses(config_of(6, 11, 16, INT32_MAX, 1, INT32_MAX), "larger than memory can be");
  refuses(config_of(6, 11, 16, int64_t{1} << 40, 1, 8), "num_layers is 1099511627776");
  symopt_gpt2_config cut = small;
  cut.struct_size = 12;
  refuses(cut, "symopt_gpt2_config.struct_size is 12");
  CHECK(symopt_gpt2_blocks(&small, blocks.data(), 24, nullptr) == SYMOPT_INVALID_ARGUMENT);
  check_last_error("block_size is 24; set it to sizeof(symopt_block)");
  CHECK(symopt_gpt2_blocks(nullptr, blocks.data(), sizeof(symopt_block), nullptr) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_gpt2_blocks(&small, nullptr, sizeof(symopt_block), nullptr) == SYMOPT_INVALID_ARGUMENT);
}

TEST_CASE("a program of an earlier version, whose blocks are shorter, gets a table in its own size") {
  constexpr std::size_t size = offsetof(symopt_block, partner);
  std::vector<std::byte> memory(size * SYMOPT_GPT2_BLOCKS + 1, std::byte{0x5a});
  auto* blocks = reinterpret_cast<symopt_block*>(memory.data());
  int64_t count = 0;
  REQUIRE(symopt_gpt2_blocks(&small, blocks, size, &count) == SYMOPT_OK);
  CHECK(memory.back() == std::byte{0x5a});
  std::vector<float> parameters(std::size_t(count), 1.0F);
  symopt_optimizer* optimizer = nullptr;
  CHECK(symopt_create(nullptr, blocks, SYMOPT_GPT2_BLOCKS, parameters.data(), &optimizer) == SYMOPT_OK);
  symopt_free(optimizer);
}

/// Rounded to the nearest, ties to even.
std::uint16_t rounded(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

symopt_options options_of(double rate) {
  symopt_options options{};
  options.struct_size = sizeof options;
  options.learning_rate = rate;
  options.weight_decay = 0.1;
  return options;
}

TEST_CASE("an optimizer by number does what one of its own does, wherever the buffers lie") {
  const Table table(small);
  const auto size = std::size_t(table.count);
  const symopt_options options = options_of(0.02);
  std::vector<float> expected = gaussian(size, 1), current = expected;
  symopt_optimizer* optimizer = nullptr;
  REQUIRE(symopt_create(&options, table.blocks.data(), SYMOPT_GPT2_BLOCKS, expected.data(), &optimizer) ==
          SYMOPT_OK);
  REQUIRE(symopt_offload_create(7, &options, table.blocks.data(), SYMOPT_GPT2_BLOCKS) == SYMOPT_OK);
  for (int step = 0; step < 5; ++step) {
    const std::vector<float> gradients = gaussian(size, std::uint64_t(10 + step));
    const double rate = 0.02 / (1 + step);
    REQUIRE(symopt_set_schedule_factor(optimizer, rate / 0.02) == SYMOPT_OK);
    REQUIRE(symopt_step(optimizer, gradients.data(), nullptr) == SYMOPT_OK);
    std::vector<float> elsewhere = current;  // in new memory at every step
    std::vector<std::uint16_t> copy(size, 0);
    symopt_report report{};
    report.struct_size = sizeof report;
    const bool has_copy = step != 3;
    REQUIRE_MESSAGE(symopt_offload_step(7, rate, elsewhere.data(), gradients.data(),
                                        has_copy ? copy.data() : nullptr, &report) == SYMOPT_OK,
                    symopt_last_error());
    CHECK(report.step == step + 1);
    CHECK(elsewhere == expected);
    current = elsewhere;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const bool is_padding = i >= 11 * 8 && i < 16 * 8;
      wrong += copy[i] != (has_copy && !is_padding ? rounded(current[i]) : 0) ? 1 : 0;
    }
    CHECK(wrong == 0);
  }
  int64_t bytes = 0, of_own = 0;
  CHECK(symopt_state_bytes(symopt_offload_optimizer(7), nullptr, &bytes) == SYMOPT_OK);
  CHECK(symopt_state_bytes(optimizer, nullptr, &of_own) == SYMOPT_OK);
  CHECK(bytes == of_own);
  CHECK(std::string(symopt_plan(symopt_offload_optimizer(7))) == symopt_plan(optimizer));
  CHECK(symopt_offload_destroy(7) == SYMOPT_OK);
  symopt_free(optimizer);
}

TEST_CASE("wrong use of optimizers by number is refused") {
  const Table table(small);
  std::vector<float> parameters(std::size_t(table.count), 1.0F), gradients = parameters;
  const auto step = [&](int32_t id, double rate, float* at) {
    return symopt_offload_step(id, rate, at, gradients.data(), nullptr, nullptr);
  };
  CHECK(step(3, 1e-3, parameters.data()) == SYMOPT_INVALID_ARGUMENT);
  check_last_error("there is no optimizer 3; symopt_offload_create makes it");
  CHECK(symopt_offload_destroy(3) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_offload_optimizer(3) == nullptr);
  CHECK(symopt_offload_create(3, nullptr, nullptr, 0) == SYMOPT_INVALID_ARGUMENT);
  std::vector<symopt_block> bad = table.blocks;
  bad[4].rows = -1;
  CHECK(symopt_offload_create(3, nullptr, bad.data(), bad.size()) == SYMOPT_INVALID_ARGUMENT);
  check_last_error("'qkvw': rows is -1");
  CHECK(symopt_offload_optimizer(3) == nullptr);
  REQUIRE(symopt_offload_create(3, nullptr, table.blocks.data(), table.blocks.size()) == SYMOPT_OK);
  CHECK(symopt_offload_create(3, nullptr, table.blocks.data(), table.blocks.size()) ==
        SYMOPT_INVALID_ARGUMENT);
  check_last_error("there is an optimizer 3 already; symopt_offload_destroy");
  CHECK(step(3, 1e-3, nullptr) == SYMOPT_INVALID_ARGUMENT);
  CHECK(step(3, -1, parameters.data()) == SYMOPT_INVALID_ARGUMENT);
  CHECK(step(3, 1e-3, gradients.data()) == SYMOPT_INVALID_ARGUMENT);  // which it would overwrite
  gradients[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(step(3, 1e-3, parameters.data()) == SYMOPT_NON_FINITE);
  gradients[5] = 1;
  CHECK(parameters == std::vector<float>(parameters.size(), 1.0F));
  CHECK(step(3, 1e-3, parameters.data()) == SYMOPT_OK);
  CHECK(symopt_offload_destroy(3) == SYMOPT_OK);
}

TEST_CASE("optimizers of different numbers are used by different threads at a time") {
  const Table table(small);
  const auto size = std::size_t(table.count);
  std::vector<std::vector<float>> parameters(4, gaussian(size, 1));
  std::vector<int> failures(parameters.size(), 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < parameters.size(); ++t)
    threads.emplace_back([&, t] {
      const auto id = int32_t(t);
      failures[t] +=
          symopt_offload_create(id, nullptr, table.blocks.data(), table.blocks.size()) != SYMOPT_OK;
      for (std::uint64_t step = 0; step < 5; ++step) {
        const std::vector<float> gradients = gaussian(size, step);
        failures[t] += symopt_offload_step(id, 1e-2, parameters[t].data(), gradients.data(), nullptr,
                                           nullptr) != SYMOPT_OK;
      }
      failures[t] += symopt_offload_destroy(id) != SYMOPT_OK;
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < parameters.size(); ++t) {
    CHECK(failures[t] == 0);
    CHECK(parameters[t] == parameters[0]);
  }
}

/// A block of AdamW and one of a hidden matrix, trained for three steps after `before`.
std::vector<float> trained(const auto& before) {
  symopt_block blocks[2] = {};
  for (symopt_block& block : blocks) block.struct_size = sizeof block;
  blocks[0].name = "gain", blocks[0].rows = 1, blocks[0].cols = 4;
  blocks[1].name = "w", blocks[1].offset = 4, blocks[1].rows = 3, blocks[1].cols = 4;
  blocks[1].role = SYMOPT_EMBEDDING;
  std::vector<float> parameters = gaussian(16, 3);
  symopt_optimizer* optimizer = nullptr;
  const symopt_options options = options_of(0.1);
  REQUIRE(symopt_create(&options, blocks, 2, parameters.data(), &optimizer) == SYMOPT_OK);
  before(optimizer);
  for (std::uint64_t step = 0; step < 3; ++step)
    REQUIRE(symopt_step(optimizer, gaussian(16, step).data(), nullptr) == SYMOPT_OK);
  symopt_free(optimizer);
  return parameters;
}

TEST_CASE("momentum and decay are set by name, for all, and on a schedule") {
  const auto plain = trained([](symopt_optimizer*) {});
  const auto of = [](auto call, const char* name, double value) {
    return trained([=](symopt_optimizer* optimizer) {
      REQUIRE_MESSAGE(call(optimizer, name, value) == SYMOPT_OK, symopt_last_error());
    });
  };
  const auto by_name = of(symopt_set_momentum, "w", 0.5), for_all = of(symopt_set_momentum, nullptr, 0.5);
  CHECK(by_name == for_all);  // AdamW keeps its own
  CHECK(by_name != plain);
  CHECK(of(symopt_set_momentum, nullptr, 0.95) == plain);
  CHECK(trained([](symopt_optimizer* o) { symopt_set_schedule_momentum(o, 0.5); }) == for_all);
  CHECK(trained([](symopt_optimizer* o) {
          symopt_set_schedule_momentum(o, 0.5);
          symopt_set_schedule_momentum(o, -1);
        }) == plain);
  const auto none = of(symopt_set_weight_decay, nullptr, 0), of_gain = of(symopt_set_weight_decay, "gain", 0);
  CHECK(std::equal(none.begin(), none.begin() + 4, of_gain.begin()));
  CHECK(std::equal(plain.begin() + 4, plain.end(), of_gain.begin() + 4));
  CHECK(trained([](symopt_optimizer* o) { symopt_set_schedule_decay(o, 0); }) == none);
  trained([](symopt_optimizer* o) {
    CHECK(symopt_set_momentum(o, "gain", 0.5) == SYMOPT_INVALID_ARGUMENT);
    CHECK(symopt_set_momentum(o, "v", 0.5) == SYMOPT_INVALID_ARGUMENT);
    check_last_error("the nearest name is 'w'");
    CHECK(symopt_set_momentum(o, nullptr, 1) == SYMOPT_INVALID_ARGUMENT);
    CHECK(symopt_set_schedule_momentum(o, 1) == SYMOPT_INVALID_ARGUMENT);
    CHECK(symopt_set_schedule_decay(o, -1) == SYMOPT_INVALID_ARGUMENT);
    CHECK(symopt_set_weight_decay(o, "w", -1) == SYMOPT_INVALID_ARGUMENT);
    int64_t bytes = 0;
    CHECK(symopt_state_bytes(o, "w", &bytes) == SYMOPT_OK);
    CHECK(bytes == 12 * 4);
    CHECK(symopt_state_bytes(o, "v", &bytes) == SYMOPT_INVALID_ARGUMENT);
    CHECK(symopt_state_bytes(o, nullptr, nullptr) == SYMOPT_INVALID_ARGUMENT);
  });
}

TEST_CASE("QK-clip scales the heads of one layer in the tensor of q, k and v") {
  const Table table(small);
  std::vector<float> parameters = gaussian(std::size_t(table.count), 1);
  const std::vector<float> before = parameters;
  symopt_optimizer* optimizer = nullptr;
  REQUIRE(symopt_create(nullptr, table.blocks.data(), SYMOPT_GPT2_BLOCKS, parameters.data(), &optimizer) ==
          SYMOPT_OK);
  symopt_head_rows query{};
  query.struct_size = sizeof query;
  query.weights = "qkvw";
  query.bias = "qkvb";
  query.heads = 2;
  query.size = 4;
  query.slice = 1;
  symopt_head_rows key = query;
  key.first = 8;
  const float largest[] = {50, 400};
  int64_t clipped = 0;
  REQUIRE_MESSAGE(symopt_qk_clip(optimizer, &query, &key, largest, 2, 100, &clipped) == SYMOPT_OK,
                  symopt_last_error());
  CHECK(clipped == 1);
  const auto is_of_second_head = [](int64_t row) { return (row >= 4 && row < 8) || (row >= 12 && row < 16); };
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const int64_t in_weights = int64_t(i) - table.blocks[4].offset - 24 * 8;
    const int64_t in_bias = int64_t(i) - table.blocks[5].offset - 24;
    const bool is_clipped = (in_weights >= 0 && in_weights < 24 * 8 && is_of_second_head(in_weights / 8)) ||
                            (in_bias >= 0 && in_bias < 24 && is_of_second_head(in_bias));
    wrong += parameters[i] != (is_clipped ? 0.5F : 1.0F) * before[i] ? 1 : 0;
  }
  CHECK(wrong == 0);
  CHECK(symopt_qk_clip(optimizer, &query, &key, largest, 1, 100, nullptr) == SYMOPT_INVALID_ARGUMENT);
  check_last_error("2 query heads and 1 largest logits");
  CHECK(symopt_qk_clip(optimizer, nullptr, &key, largest, 2, 100, nullptr) == SYMOPT_INVALID_ARGUMENT);
  query.weights = nullptr;
  CHECK(symopt_qk_clip(optimizer, &query, &key, largest, 2, 100, nullptr) == SYMOPT_INVALID_ARGUMENT);
  symopt_free(optimizer);
}

TEST_CASE("threads and instruction set are said, and threads are set") {
  const std::string configuration = symopt_configuration(), set = symopt_instruction_set();
  CHECK(!set.empty());
  CHECK(configuration.find(": " + set + ",") != std::string::npos);
  const int32_t own = symopt_threads();
  CHECK(own >= 1);
  CHECK(symopt_set_threads(-1) == SYMOPT_INVALID_ARGUMENT);
  check_last_error("-1 threads");
  CHECK(symopt_set_threads(1) == SYMOPT_OK);
  CHECK(symopt_threads() == 1);
  const bool has_threads = configuration.find("OpenMP") != std::string::npos;
  CHECK((symopt_set_threads(3) == SYMOPT_OK) == has_threads);
  CHECK(symopt_threads() == (has_threads ? 3 : 1));
  int32_t elsewhere = 0;
  std::thread([&] { elsewhere = symopt_threads(); }).join();  // whichever thread calls
  CHECK(elsewhere == symopt_threads());
  if (!has_threads) check_last_error("SYMOPT_C_OPENMP");
  CHECK(symopt_set_threads(0) == SYMOPT_OK);
  CHECK(symopt_threads() == own);
}

TEST_CASE("a large block has the same bits with any number of threads") {
  std::vector<std::vector<float>> results;
  for (const int32_t threads : {1, 2, 3}) {
    if (symopt_set_threads(threads) != SYMOPT_OK) break;
    symopt_block block{};
    block.struct_size = sizeof block;
    block.name = "w", block.rows = 300, block.cols = 500, block.role = SYMOPT_LM_HEAD;
    std::vector<float> parameters = gaussian(300 * 500, 1);
    symopt_optimizer* optimizer = nullptr;
    REQUIRE(symopt_create(nullptr, &block, 1, parameters.data(), &optimizer) == SYMOPT_OK);
    REQUIRE(symopt_step(optimizer, gaussian(300 * 500, 2).data(), nullptr) == SYMOPT_OK);
    symopt_free(optimizer);
    results.push_back(parameters);
  }
  for (const auto& result : results) CHECK(result == results.front());
  CHECK(symopt_set_threads(0) == SYMOPT_OK);
}

}}  // namespace c_trainers_test
