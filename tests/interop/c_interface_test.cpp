// SPDX-License-Identifier: Apache-2.0
// The C interface through its shared library: what it does, what it refuses, and that nothing is thrown
// across.
#include <symopt/symopt.h>

#include <doctest/doctest.h>

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace c_interface_test { namespace {

constexpr int vocabulary = 12, width = 8, neurons = 10, experts = 3;
enum : int {
  at_embedding = 0,
  at_query = at_embedding + vocabulary * width,
  at_down = at_query + width * width,
  at_head = at_down + experts * width * neurons,
  at_gain = at_head + vocabulary * width,
  at_end = at_gain + width
};

symopt_block block(const char* name, int offset, int rows, int cols, symopt_role role) {
  symopt_block entry{};
  entry.struct_size = sizeof entry;
  entry.name = name;
  entry.offset = offset;
  entry.rows = rows;
  entry.cols = cols;
  entry.role = role;
  return entry;
}

std::vector<symopt_block> table() {
  std::vector<symopt_block> blocks{block("wte", at_embedding, vocabulary, width, SYMOPT_EMBEDDING),
                                   block("wq", at_query, width, width, SYMOPT_HIDDEN_MATRIX),
                                   block("down", at_down, width, neurons, SYMOPT_SWIGLU_OUTPUT),
                                   block("head", at_head, vocabulary, width, SYMOPT_LM_HEAD),
                                   block("gain", at_gain, 1, width, SYMOPT_ADAMW)};
  blocks[1].row_heads = 2;
  blocks[2].batch = experts;
  blocks[2].layout = SYMOPT_TRANSPOSED;
  blocks[3].existing_rows = vocabulary - 2;
  blocks[3].weight_decay = 0.1;
  return blocks;
}

std::vector<float> gaussian(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> entry;
  std::vector<float> values(at_end);
  for (float& value : values) value = entry(random);
  return values;
}

struct Trainer {
  std::vector<float> parameters = gaussian(1);
  symopt_optimizer* optimizer = nullptr;

  explicit Trainer(const std::vector<symopt_block>& blocks = table(),
                   const symopt_options* options = nullptr) {
    REQUIRE_MESSAGE(
        symopt_create(options, blocks.data(), blocks.size(), parameters.data(), &optimizer) == SYMOPT_OK,
        symopt_last_error());
  }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  ~Trainer() { symopt_free(optimizer); }

  symopt_status step(std::uint64_t seed, symopt_report* report = nullptr) {
    const std::vector<float> gradients = gaussian(seed);
    return symopt_step(optimizer, gradients.data(), report);
  }
};

symopt_options options_of(double max_norm = 0, symopt_non_finite non_finite = SYMOPT_REFUSE) {
  symopt_options options{};
  options.struct_size = sizeof options;
  options.max_norm = max_norm;
  options.non_finite = non_finite;
  return options;
}

void check_last_error(const std::vector<std::string>& words) {
  const std::string text = symopt_last_error();
  CAPTURE(text);
  CHECK(text.starts_with("symopt: "));
  for (const char* of_cxx : {"::", "stack.", "Options", "NonFinite", "TiedEmbedding", "set_weights"})
    CHECK(text.find(of_cxx) == std::string::npos);
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(text.find(word) != std::string::npos);
  }
}

TEST_CASE("every block moves, padding does not, and the plan says what was understood") {
  Trainer trainer;
  const std::vector<float> before = trainer.parameters;
  symopt_report report{};
  report.struct_size = sizeof report;
  CHECK(trainer.step(2, &report) == SYMOPT_OK);
  CHECK(report.applied == 1);
  CHECK(report.step == 1);
  CHECK(report.clip_factor == 1);
  for (std::size_t i = 0; i < before.size(); ++i) {
    const bool is_padding = i >= at_head + (vocabulary - 2) * width && i < at_gain;
    CHECK((trainer.parameters[i] != before[i]) == !is_padding);
  }
  const std::string plan = symopt_plan(trainer.optimizer);
  for (const char* words : {"wte", "LmHead", "2 row heads", "experts, transposed", "10 rows exist", "AdamW"})
    CHECK(plan.find(words) != std::string::npos);
  CHECK(std::string(symopt_configuration()).starts_with("symopt "));
}

TEST_CASE("the direction of a square head is a polar factor times the rate and the scale") {
  std::vector<float> weights(4, 0.0F), gradients{3, 0, 0, 2};
  symopt_block one = block("w", 0, 2, 2, SYMOPT_HIDDEN_MATRIX);
  one.learning_rate = 0.5;
  symopt_optimizer* optimizer = nullptr;
  REQUIRE(symopt_create(nullptr, &one, 1, weights.data(), &optimizer) == SYMOPT_OK);
  REQUIRE(symopt_set_schedule_factor(optimizer, 0.5) == SYMOPT_OK);
  REQUIRE(symopt_step(optimizer, gradients.data(), nullptr) == SYMOPT_OK);
  const double length = 0.25 * 0.2 * std::sqrt(2.0);  // rate, factor, and the scale that matches AdamW's
  constexpr double band = 0.06;                       // of the default polar factor in float
  CHECK(std::abs(static_cast<double>(weights[0]) + length) <= band * length);
  CHECK(std::abs(static_cast<double>(weights[3]) + length) <= band * length);
  CHECK(std::abs(weights[1]) <= 1e-6F);
  symopt_free(optimizer);
}

TEST_CASE("roles with second moments step a matrix at AdamW's rate, and entry by entry a vector too") {
  std::vector<int> roles{SYMOPT_ADAPTIVE_HIDDEN_MATRIX};
  for (int role = SYMOPT_ADAPTIVE_ENTRIES; role <= SYMOPT_ADAPTIVE_ROUTER; ++role) roles.push_back(role);
  for (const int role : roles) {
    CAPTURE(role);
    std::vector<float> weights(12, 0.0F), gradients{1, -1, 1, 1, -1, 1, -1, -1, -1, 1, 1, -1};
    symopt_block one = block("w", 0, 4, 3, static_cast<symopt_role>(role));
    if (role == SYMOPT_ADAPTIVE_ENTRIES) one.rows = 1, one.cols = 12;
    symopt_optimizer* optimizer = nullptr;
    REQUIRE(symopt_create(nullptr, &one, 1, weights.data(), &optimizer) == SYMOPT_OK);
    REQUIRE(symopt_step(optimizer, gradients.data(), nullptr) == SYMOPT_OK);
    double squares = 0;
    for (const float weight : weights) squares += std::pow(static_cast<double>(weight), 2);
    CHECK(std::sqrt(squares / 12) == doctest::Approx(0.001).epsilon(0.1));
    CHECK(std::string(symopt_plan(optimizer)).find("Adaptive<") != std::string::npos);
    symopt_free(optimizer);
  }
  std::vector<float> weights(4);
  const symopt_block unknown =
      block("w", 0, 2, 2, static_cast<symopt_role>(SYMOPT_ADAPTIVE_ROUTER + 1));  // NOLINT
  symopt_optimizer* optimizer = nullptr;
  CHECK(symopt_create(nullptr, &unknown, 1, weights.data(), &optimizer) == SYMOPT_INVALID_ARGUMENT);
}

TEST_CASE("blocks without a rate take that of the options in AdamW's units, and its decay") {
  const auto moved_by = [](symopt_role role, double rate, double decay, const symopt_options* options) {
    std::vector<float> weights(12, 1.0F), gradients{1, -1, 1, 1, -1, 1, -1, -1, -1, 1, 1, -1};
    symopt_block one = block("w", 0, 4, 3, role);
    one.learning_rate = rate;
    one.weight_decay = decay;
    symopt_optimizer* optimizer = nullptr;
    REQUIRE(symopt_create(options, &one, 1, weights.data(), &optimizer) == SYMOPT_OK);
    REQUIRE(symopt_step(optimizer, gradients.data(), nullptr) == SYMOPT_OK);
    symopt_free(optimizer);
    double sum = 0, squares = 0;
    for (const float weight : weights) sum += static_cast<double>(weight) - 1;
    for (const float weight : weights) squares += std::pow(static_cast<double>(weight) - 1 - sum / 12, 2);
    return std::pair{std::sqrt(squares / 12), -sum / 12};  // along the gradient, and by the decay
  };
  symopt_options options{};
  options.struct_size = sizeof options;
  options.learning_rate = 0.5;
  options.weight_decay = 0.25;
  // Rows of three signs: a row norm's entries are 1/sqrt(3), which match_rms makes 0.2.
  CHECK(moved_by(SYMOPT_EMBEDDING, 0, 0, nullptr).first == doctest::Approx(0.2 * 1e-3).epsilon(1e-3));
  CHECK(moved_by(SYMOPT_EMBEDDING, 0, 0, nullptr).second == doctest::Approx(0).epsilon(1e-6));
  CHECK(moved_by(SYMOPT_EMBEDDING, 0, 0, &options).first == doctest::Approx(0.2 * 0.5));
  CHECK(moved_by(SYMOPT_EMBEDDING, 0, 0, &options).second == doctest::Approx(0.5 * 0.25));
  CHECK(moved_by(SYMOPT_EMBEDDING, 0, 0.125, &options).second == doctest::Approx(0.5 * 0.125));
  // A rate of its own multiplies the update, and the decay is its own as well.
  CHECK(moved_by(SYMOPT_EMBEDDING, 0.5, 0, &options).first == doctest::Approx(0.5 / std::sqrt(3.0)));
  CHECK(moved_by(SYMOPT_EMBEDDING, 0.5, 0, &options).second == doctest::Approx(0).epsilon(1e-6));
  CHECK(moved_by(SYMOPT_ADAPTIVE_EMBEDDING, 0.5, 0, &options).first == doctest::Approx(0.5));
  options.learning_rate = -1;
  symopt_block one = block("w", 0, 4, 3, SYMOPT_EMBEDDING);
  std::vector<float> weights(12);
  symopt_optimizer* optimizer = nullptr;
  CHECK(symopt_create(&options, &one, 1, weights.data(), &optimizer) == SYMOPT_INVALID_ARGUMENT);
  CHECK(std::string(symopt_last_error()).find("learning_rate is -1") != std::string::npos);
}

/// LoRA's matrices, down as it is stored, [r, in], and B before its A; then grouped queries of 2 heads and a
/// key of 1, stored [heads * size, width].
std::vector<symopt_block> pair_table() {
  std::vector<symopt_block> blocks{
      block("down", 0, 10, 2, SYMOPT_LORA_PAIR), block("up", 20, 6, 2, SYMOPT_LORA_PAIR),
      block("q", 32, 8, 8, SYMOPT_QUERY_KEY), block("k", 96, 8, 4, SYMOPT_QUERY_KEY)};
  for (const int transposed : {0, 2, 3})
    blocks[static_cast<std::size_t>(transposed)].layout = SYMOPT_TRANSPOSED;
  blocks[1].partner = "down";
  blocks[2].partner = "k";
  blocks[2].column_heads = 2;
  return blocks;
}

TEST_CASE("pairs step together, each block with its partner") {
  std::vector<float> weights(128), gradients(128, 0.5F);
  std::mt19937_64 random(3);
  std::normal_distribution<float> entry;
  for (float& w : weights) w = entry(random);
  for (float& g : gradients) g = entry(random);
  const std::vector<float> before = weights;
  const auto blocks = pair_table();
  symopt_optimizer* optimizer = nullptr;
  REQUIRE_MESSAGE(
      symopt_create(nullptr, blocks.data(), blocks.size(), weights.data(), &optimizer) == SYMOPT_OK,
      symopt_last_error());
  const std::string plan = symopt_plan(optimizer);
  CHECK(plan.find("block A of a pair") != std::string::npos);
  CHECK(plan.find("2 of 8x4") != std::string::npos);
  CHECK(symopt_step(optimizer, gradients.data(), nullptr) == SYMOPT_OK);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    CAPTURE(i);
    CHECK(weights[i] != before[i]);
  }
  gradients[5] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> after = weights;
  CHECK(symopt_step(optimizer, gradients.data(), nullptr) == SYMOPT_NON_FINITE);
  CHECK(weights == after);
  symopt_free(optimizer);

  const auto refused = [&](auto change, const char* words) {
    auto wrong = pair_table();
    change(wrong);
    CHECK(symopt_create(nullptr, wrong.data(), wrong.size(), weights.data(), &optimizer) ==
          SYMOPT_INVALID_ARGUMENT);
    CAPTURE(symopt_last_error());
    CHECK(std::string(symopt_last_error()).find(words) != std::string::npos);
  };
  refused([](auto& wrong) { wrong[1].partner = "nobody"; }, "its partner 'nobody' is not in the table");
  refused([](auto& wrong) { wrong[1].partner = nullptr; }, "no block names it as its partner");
  refused([](auto& wrong) { wrong[1].partner = "k"; },
          "its partner 'k' is not in the table with the same role");
  refused([](auto& wrong) { wrong[0].role = wrong[1].role = SYMOPT_HIDDEN_MATRIX; }, "no role of a pair");
  refused([](auto& wrong) { wrong[0].existing_rows = 3; }, "no existing_rows");
  refused([](auto& wrong) { wrong[0].layout = SYMOPT_ROW_MAJOR, wrong[0].rows = 2, wrong[0].cols = 10; },
          "as many columns");
}

TEST_CASE("a saved run goes on bit for bit") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("symopt_c_" + std::to_string(::getpid()) + ".safetensors");
  Trainer through, before, after;
  for (std::uint64_t step = 10; step < 20; ++step) CHECK(through.step(step) == SYMOPT_OK);
  for (std::uint64_t step = 10; step < 15; ++step) CHECK(before.step(step) == SYMOPT_OK);
  CHECK(symopt_save(before.optimizer, path.c_str()) == SYMOPT_OK);
  after.parameters = before.parameters;
  CHECK(symopt_move_parameters(after.optimizer, after.parameters.data()) == SYMOPT_OK);
  CHECK(symopt_load(after.optimizer, path.c_str()) == SYMOPT_OK);
  for (std::uint64_t step = 15; step < 20; ++step) CHECK(after.step(step) == SYMOPT_OK);
  CHECK(std::memcmp(after.parameters.data(), through.parameters.data(), at_end * sizeof(float)) == 0);

  std::vector<symopt_block> other = table();
  other[4].role = SYMOPT_EMBEDDING;
  Trainer foreign(other);
  CHECK(symopt_load(foreign.optimizer, path.c_str()) == SYMOPT_OTHER_STATE);
  check_last_error({"parameter 'gain'", "rule is", "AdamW"});
  other = table();
  other[3].weight_decay = 0.2;
  other[4].name = "bias";
  Trainer renamed(other);
  CHECK(symopt_load(renamed.optimizer, path.c_str()) == SYMOPT_OTHER_STATE);
  check_last_error({"parameter 'head': weight_decay is 0.1 in the file and 0.2 here\n",
                    "parameter 'bias': it is not in the file\n",
                    "parameter 'gain' is not in this optimizer\n"});
  const symopt_options unchecked = options_of(0, SYMOPT_UNCHECKED);
  Trainer broken(table(), &unchecked);
  const std::vector<float> nans(at_end, std::numeric_limits<float>::quiet_NaN());
  CHECK(symopt_step(broken.optimizer, nans.data(), nullptr) == SYMOPT_OK);
  CHECK(symopt_save(broken.optimizer, path.c_str()) == SYMOPT_INVALID_ARGUMENT);
  check_last_error({"parameter 'wte'", "Inf or NaN", "Go back to the last good file"});
  std::ofstream(path) << "no such file";
  CHECK(symopt_load(after.optimizer, path.c_str()) == SYMOPT_BROKEN_FILE);
  std::filesystem::remove(path);
  CHECK(symopt_load(after.optimizer, path.c_str()) == SYMOPT_FILE_ERROR);
  check_last_error({path.string()});
  CHECK(symopt_save(after.optimizer, "/no/such/folder/state") == SYMOPT_FILE_ERROR);
}

TEST_CASE("wrong tables are refused with the block and the remedy") {
  std::vector<float> parameters(at_end);
  const auto refuses = [&](const auto& change, const std::vector<std::string>& words) {
    std::vector<symopt_block> blocks = table();
    change(blocks);
    auto* optimizer = reinterpret_cast<symopt_optimizer*>(&parameters);
    CHECK(symopt_create(nullptr, blocks.data(), blocks.size(), parameters.data(), &optimizer) ==
          SYMOPT_INVALID_ARGUMENT);
    CHECK(optimizer == nullptr);
    check_last_error(words);
  };
  using Blocks = std::vector<symopt_block>;
  refuses([](Blocks& b) { b[1].name = nullptr; }, {"block 1", "no name"});
  refuses([](Blocks& b) { b[1].name = "wte"; }, {"'wte'", "there already", "a name of its own"});
  refuses([](Blocks& b) { b[1].offset = 1; }, {"'wte' and 'wq' share memory", "SYMOPT_TIED_EMBEDDING"});
  refuses([](Blocks& b) { b[1].offset = -1; }, {"'wq'", "offset is -1"});
  refuses([](Blocks& b) { b[1].rows = -1; }, {"'wq'", "rows is -1"});
  refuses([](Blocks& b) { b[1].rows = b[1].cols = std::int64_t{1} << 40; }, {"'wq'", "larger than memory"});
  refuses([](Blocks& b) { b[1].role = 99; }, {"'wq'", "role is 99"});
  refuses([](Blocks& b) { b[1].layout = 7; }, {"'wq'", "layout is 7"});
  refuses([](Blocks& b) { b[1].row_heads = 3; }, {"'wq'", "3 heads"});
  refuses([](Blocks& b) { b[1].column_heads = 2; }, {"'wq'", "row_heads and column_heads"});
  refuses([](Blocks& b) { b[3].existing_rows = 13; }, {"'head'", "13 rows exist"});
  refuses([](Blocks& b) { b[3].learning_rate = -0.5; }, {"'head'", "learning_rate is -0.5"});
  refuses([](Blocks& b) { b[3].weight_decay = std::numeric_limits<double>::quiet_NaN(); },
          {"'head'", "weight_decay"});
  refuses([](Blocks& b) { b[0].struct_size = 0; }, {"symopt_block.struct_size is 0", "sizeof"});
  refuses([](Blocks& b) { b[0].struct_size = sizeof(symopt_block) + 8; }, {"struct_size"});
  for (std::size_t size = 1; size < sizeof(symopt_block); ++size)
    if (size % 8 != 0) refuses([=](Blocks& b) { b[0].struct_size = size; }, {"struct_size is", "sizeof"});
  refuses([](Blocks& b) { b[3].cols = 0; }, {"'head'", "cols is 0"});
  refuses([](Blocks& b) { b[3].rows = std::int64_t{1} << 40, b[3].cols = 0; }, {"'head'", "cols is 0"});
  refuses([](Blocks& b) { b[3].rows = 0; }, {"'head'", "rows is 0"});

  symopt_options options = options_of();
  const std::vector<symopt_block> blocks = table();
  symopt_optimizer* optimizer = nullptr;
  const auto refuses_options = [&](const std::vector<std::string>& words) {
    CHECK(symopt_create(&options, blocks.data(), blocks.size(), parameters.data(), &optimizer) ==
          SYMOPT_INVALID_ARGUMENT);
    check_last_error(words);
    options = options_of();
  };
  options.gradient_dtype = 2;
  refuses_options({"gradient_dtype is 2", "SYMOPT_F32 or SYMOPT_BF16"});
  options.parameter_dtype = SYMOPT_BF16;
  refuses_options({"parameter_dtype is 1", "symopt_copy_to"});
  options.non_finite = 5;
  refuses_options({"non_finite is 5"});
  options.max_norm = -1;
  refuses_options({"max_norm"});
  options.struct_size = 4;
  refuses_options({"symopt_options.struct_size is 4"});
  CHECK(symopt_create(nullptr, nullptr, 0, parameters.data(), &optimizer) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_create(nullptr, blocks.data(), 1, nullptr, &optimizer) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_create(nullptr, blocks.data(), 1, parameters.data(), nullptr) == SYMOPT_INVALID_ARGUMENT);
}

TEST_CASE("a table of an older version, whose entries are shorter, is read with zeros for the rest") {
  struct Older {  // without the weight decay at the end
    size_t struct_size;
    const char* name;
    int64_t offset, rows, cols, batch;
    int32_t role, layout;
    int64_t row_heads, column_heads, existing_rows;
    double learning_rate;
  };
  static_assert(sizeof(Older) < sizeof(symopt_block));
  Older older[2]{};
  for (int i = 0; i < 2; ++i) {
    older[i].struct_size = sizeof(Older);
    older[i].name = i == 0 ? "a" : "b";
    older[i].offset = 6 * i;
    older[i].rows = 2;
    older[i].cols = 3;
  }
  std::vector<float> parameters(12, 1.0F), gradients(12, 1.0F);
  symopt_optimizer* optimizer = nullptr;
  REQUIRE(symopt_create(nullptr, reinterpret_cast<const symopt_block*>(older), 2, parameters.data(),
                        &optimizer) == SYMOPT_OK);
  struct OlderReport {
    size_t struct_size;
    int32_t applied;
    std::uint32_t canary;
  } report{offsetof(symopt_report, applied) + sizeof(int32_t), 0, 77};
  CHECK(symopt_step(optimizer, gradients.data(), reinterpret_cast<symopt_report*>(&report)) == SYMOPT_OK);
  CHECK(report.applied == 1);
  CHECK(report.canary == 77);  // nothing is written beyond the caller's struct
  for (const float parameter : parameters) CHECK(parameter < 1);
  symopt_free(optimizer);
}

TEST_CASE("a gradient that is not finite is refused, or skipped and reported, without a trace") {
  const symopt_options skip = options_of(0, SYMOPT_SKIP);
  Trainer refusing, skipping(table(), &skip), undisturbed;
  std::vector<float> bad = gaussian(3);
  bad[at_query + 5] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> before = refusing.parameters;
  CHECK(symopt_step(refusing.optimizer, bad.data(), nullptr) == SYMOPT_NON_FINITE);
  check_last_error({"'wq'", "Inf or NaN", "symopt_options.non_finite = SYMOPT_SKIP"});
  CHECK(refusing.parameters == before);
  symopt_report report{};
  report.struct_size = sizeof report;
  CHECK(symopt_step(skipping.optimizer, bad.data(), &report) == SYMOPT_OK);
  CHECK(report.applied == 0);
  CHECK(report.step == 0);
  for (std::uint64_t step = 4; step < 7; ++step)
    for (Trainer* trainer : {&refusing, &skipping, &undisturbed}) CHECK(trainer->step(step) == SYMOPT_OK);
  CHECK(refusing.parameters == undisturbed.parameters);
  CHECK(skipping.parameters == undisturbed.parameters);
}

TEST_CASE("gradients are only read, may not be the parameters, and may lie elsewhere in each step") {
  Trainer one, two;
  const std::vector<float> gradients = gaussian(5);
  std::vector<float> copy = gradients, other = gradients;
  CHECK(symopt_step(one.optimizer, copy.data(), nullptr) == SYMOPT_OK);
  CHECK(symopt_step(one.optimizer, other.data(), nullptr) == SYMOPT_OK);
  CHECK(symopt_step(two.optimizer, copy.data(), nullptr) == SYMOPT_OK);
  CHECK(symopt_step(two.optimizer, copy.data(), nullptr) == SYMOPT_OK);
  CHECK(copy == gradients);
  CHECK(one.parameters == two.parameters);
  CHECK(symopt_step(one.optimizer, one.parameters.data(), nullptr) == SYMOPT_INVALID_ARGUMENT);
  check_last_error({"overlap"});
  CHECK(symopt_step(one.optimizer, nullptr, nullptr) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_step(nullptr, copy.data(), nullptr) == SYMOPT_INVALID_ARGUMENT);
  CHECK(one.parameters == two.parameters);
}

TEST_CASE("clipping is for the rules that depend on the gradient's scale, and is reported") {
  const symopt_options clip = options_of(0.5);
  Trainer clipped(table(), &clip), plain;
  symopt_report report{};
  report.struct_size = sizeof report;
  const std::vector<float> gradients = gaussian(6);
  double norm = 0;  // of the gain alone: AdamW's
  for (int i = at_gain; i < at_end; ++i)
    norm = std::hypot(norm, static_cast<double>(gradients[static_cast<std::size_t>(i)]));
  CHECK(symopt_step(clipped.optimizer, gradients.data(), &report) == SYMOPT_OK);
  CHECK(std::abs(report.gradient_norm - norm) <= 1e-6 * norm);
  CHECK(std::abs(report.clip_factor - 0.5 / norm) <= 1e-6);
  CHECK(symopt_step(plain.optimizer, gradients.data(), nullptr) == SYMOPT_OK);
  CHECK(std::memcmp(clipped.parameters.data(), plain.parameters.data(), at_gain * sizeof(float)) == 0);
}

std::uint16_t upper_half(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<std::uint16_t>(bits >> 16);
}
float from_upper_half(std::uint16_t half) {
  const std::uint32_t bits = std::uint32_t{half} << 16;
  float x = 0;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

TEST_CASE("gradients come in bfloat16, and a copy of the parameters goes out in it") {
  symopt_options options = options_of();
  options.gradient_dtype = SYMOPT_BF16;
  Trainer half(table(), &options), whole;
  std::vector<std::uint16_t> copy(at_end, 0xffff);
  REQUIRE(symopt_copy_to(half.optimizer, copy.data()) == SYMOPT_OK);
  for (const std::uint16_t entry : copy) CHECK(entry == 0xffff);
  for (std::uint64_t step = 30; step < 33; ++step) {
    const std::vector<float> gradients = gaussian(step);
    std::vector<std::uint16_t> cut(gradients.size());
    std::vector<float> same(gradients.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      cut[i] = upper_half(gradients[i]);
      same[i] = from_upper_half(cut[i]);
    }
    REQUIRE(symopt_step(half.optimizer, cut.data(), nullptr) == SYMOPT_OK);
    REQUIRE(symopt_step(whole.optimizer, same.data(), nullptr) == SYMOPT_OK);
  }
  for (std::size_t i = 0; i < at_end; ++i) {
    const double mine = static_cast<double>(half.parameters[i]);
    CHECK(std::abs(mine - static_cast<double>(whole.parameters[i])) <= 1e-5 * (1 + std::abs(mine)));
    const bool is_padding = i >= at_head + (vocabulary - 2) * width && i < at_gain;
    if (is_padding) {
      CHECK(copy[i] == 0xffff);
    } else {
      CHECK(std::abs(static_cast<double>(from_upper_half(copy[i])) - mine) <= std::abs(mine) / 256);
    }
  }
  REQUIRE(symopt_copy_to(half.optimizer, nullptr) == SYMOPT_OK);
  const std::vector<std::uint16_t> before = copy, zeros(at_end, 0);
  REQUIRE(symopt_step(half.optimizer, zeros.data(), nullptr) == SYMOPT_OK);
  CHECK(copy == before);
  CHECK(symopt_copy_to(half.optimizer, reinterpret_cast<std::uint16_t*>(half.parameters.data())) ==
        SYMOPT_INVALID_ARGUMENT);
  check_last_error({"overlap"});
}

TEST_CASE("rates, schedule and freezing") {
  Trainer trainer;
  const std::vector<float> before = trainer.parameters;
  CHECK(symopt_set_frozen(trainer.optimizer, "wte", 1) == SYMOPT_OK);
  CHECK(trainer.step(7) == SYMOPT_OK);
  CHECK(std::equal(before.begin(), before.begin() + at_query, trainer.parameters.begin()));
  CHECK(symopt_set_frozen(trainer.optimizer, "wte", 0) == SYMOPT_OK);
  CHECK(trainer.step(8) == SYMOPT_OK);
  CHECK_FALSE(std::equal(before.begin(), before.begin() + at_query, trainer.parameters.begin()));
  CHECK(symopt_set_schedule_factor(trainer.optimizer, 0) == SYMOPT_OK);
  const std::vector<float> now = trainer.parameters;
  CHECK(trainer.step(9) == SYMOPT_OK);
  CHECK(trainer.parameters == now);
  CHECK(symopt_set_schedule_factor(trainer.optimizer, -1) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_set_learning_rate(trainer.optimizer, "wq", -1) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_set_learning_rate(trainer.optimizer, "qw", 1) == SYMOPT_INVALID_ARGUMENT);
  check_last_error({"no parameter 'qw'"});
  CHECK(symopt_set_learning_rate(trainer.optimizer, nullptr, 1) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_set_learning_rate(nullptr, "wq", 1) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_save(trainer.optimizer, nullptr) == SYMOPT_INVALID_ARGUMENT);
  CHECK(symopt_load(nullptr, "state") == SYMOPT_INVALID_ARGUMENT);
  CHECK(std::string(symopt_plan(nullptr)).empty());
  symopt_free(nullptr);
}

TEST_CASE("a thread sees its own last error") {
  CHECK(symopt_step(nullptr, nullptr, nullptr) == SYMOPT_INVALID_ARGUMENT);
  const std::string mine = symopt_last_error();
  std::string theirs = "not asked";
  std::thread([&] { theirs = symopt_last_error(); }).join();
  CHECK(theirs.empty());
  CHECK(symopt_last_error() == mine);
}

}}  // namespace c_interface_test
