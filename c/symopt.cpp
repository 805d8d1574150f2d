// SPDX-License-Identifier: Apache-2.0
// The C interface over LayerwiseOptimizer.
#include "boundary.hpp"

#include <symopt/diagnostics/state_sizes.hpp>
#include <symopt/stack/clip.hpp>
#include <symopt/stack/qk_clip.hpp>
#include <symopt/state/state.hpp>
#include <symopt/symopt.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <limits>
#include <new>
#include <optional>
#include <sstream>
#include <string_view>
#include <type_traits>
#include <utility>

struct symopt_optimizer {
  struct Block {
    std::string name;
    std::ptrdiff_t offset;
    std::vector<symopt::Index> sizes;
    bool is_frozen = false;
  };

  symopt::LayerwiseOptimizer stack;
  std::vector<Block> blocks;
  double max_norm = 0;
  bool has_bf16_gradients = false;  // in bfloat16
  const void* gradients = nullptr;  // where the stack looks now
  symopt::bfloat16* copy = nullptr;
  std::string plan;
};

namespace {

using symopt::Index;
using symopt_c::guarded;
using symopt_c::in_own_size;
using symopt_c::require;

/// The last error of a thread. Fixed memory: to say that there is no memory takes none.
thread_local char last_error[4096] = "";

/// A term of the C++ library in its messages, and the one for a program in C.
struct Wording {
  std::string_view cxx, c;
};
constexpr Wording wordings[] = {
    {"non_finite = NonFinite::skip", "symopt_options.non_finite = SYMOPT_SKIP"},
    {"; stack.remove(name) takes the old one away, set_weights and set_gradient give it other memory",
     "; give every block of the table a name of its own"},
    {"is one TiedEmbedding (in a rule set: Embeddings::tied)", "is one block, SYMOPT_TIED_EMBEDDING"},
    {", or save it as it is with SaveOptions::allow_non_finite", ""},
    {"; LoadOptions::allow_missing would leave it as it is", ""},
    {"; LoadOptions::allow_unknown would pass over it", ""},
    {"; LoadOptions::allow_changed_options would go on with the one here", ""},
    {"; LoadOptions::allow_non_finite would load it all the same", ""}};

/// Keeps the message, in the words of C.
symopt_status fail(symopt_status status, std::string_view what) noexcept {
  std::size_t length = 0;
  const auto append = [&](std::string_view text) {
    for (const char letter : text)
      if (length + 1 < sizeof last_error) last_error[length++] = letter;
  };
  while (!what.empty()) {
    const auto* wording =
        std::ranges::find_if(wordings, [&](const Wording& known) { return what.starts_with(known.cxx); });
    const bool is_known = wording != std::end(wordings);
    append(is_known ? wording->c : what.substr(0, 1));
    what.remove_prefix(is_known ? wording->cxx.size() : 1);
  }
  last_error[length] = '\0';
  return status;
}

void require_block(const symopt_block& block, std::size_t index) {
  require(block.name != nullptr, "block " + std::to_string(index) + " of the table has no name");
  const auto require_count = [&](std::int64_t value, const char* what) {
    require(value >= 0, std::string(what) + " is " + std::to_string(value) + "; it must not be negative",
            block.name);
    require(std::in_range<Index>(value),
            std::string(what) + " is " + std::to_string(value) + "; this build of the library counts to " +
                std::to_string(std::numeric_limits<Index>::max()),
            block.name);
  };
  const auto require_positive = [&](std::int64_t value, const char* what) {
    require(value > 0, std::string(what) + " is " + std::to_string(value) + "; it must be positive",
            block.name);
  };
  require(block.offset >= 0, "offset is " + std::to_string(block.offset) + "; it must not be negative",
          block.name);
  require_positive(block.rows, "rows");
  require_positive(block.cols, "cols");
  require_count(block.rows, "rows");
  require_count(block.cols, "cols");
  require_count(block.batch, "batch");
  require_count(block.row_heads, "row_heads");
  require_count(block.column_heads, "column_heads");
  require_count(block.existing_rows, "existing_rows");
  std::int64_t end = block.rows;
  const bool overflows = __builtin_mul_overflow(end, block.cols, &end) ||
                         __builtin_mul_overflow(end, std::max<std::int64_t>(block.batch, 1), &end) ||
                         __builtin_add_overflow(end, block.offset, &end) ||
                         end > std::numeric_limits<std::ptrdiff_t>::max() / 8;
  require(!overflows, "it is larger than memory can be", block.name);
  require(block.row_heads <= 1 || block.column_heads <= 1,
          "it has row_heads and column_heads; give one of them", block.name);
  require(block.layout == SYMOPT_ROW_MAJOR || block.layout == SYMOPT_TRANSPOSED,
          "layout is " + std::to_string(block.layout) + "; it must be a symopt_layout", block.name);
}

/// A count of a table that was looked at.
Index index_of(std::int64_t count) {
  return static_cast<Index>(count);
}

symopt::Layout layout_of(const symopt_block& block) {
  using namespace symopt;
  Layout layout;
  if (block.row_heads > 1) layout = layout::row_heads(index_of(block.row_heads));
  if (block.column_heads > 1) layout = layout::column_heads(index_of(block.column_heads));
  if (block.layout == SYMOPT_TRANSPOSED) layout = layout::transposed(layout);
  if (block.batch > 1) layout = layout::experts(layout);
  return layout;
}

/// A role with the rate and the decay of a block, if it has any.
symopt::Role with_rates(const symopt::Role& role, const symopt_block& block,
                        const symopt::StackOptions& stack, bool is_in_units_of_adamw) {
  if (block.learning_rate == 0 && block.weight_decay == 0) return role;
  symopt::OptimizerOptions options = role.options(stack);
  options.weight_decay = block.weight_decay;
  if (block.learning_rate != 0) {
    options.learning_rate = block.learning_rate;
    if (!is_in_units_of_adamw) options.scale = symopt::Scale::none;
  }
  return role.with(options);
}

/// A block without a rate of its own takes the stack's, in AdamW's units, and the stack's decay unless it has
/// its own.
template <class Class>
symopt::Role role_of(const symopt_block& block, const symopt::StackOptions& stack) {
  const symopt::RowMask mask =
      block.existing_rows == 0 ? symopt::RowMask() : symopt::RowMask::first(index_of(block.existing_rows));
  return with_rates(symopt::role<Class>(layout_of(block), mask), block, stack,
                    std::is_same_v<Class, symopt::HiddenMatrix>);
}

symopt::Role role_of(const symopt_block& block, const symopt::StackOptions& stack) {
  switch (block.role) {
    case SYMOPT_ADAMW:
      return role_of<symopt::AdamW>(block, stack);
    case SYMOPT_HIDDEN_MATRIX:
      return role_of<symopt::HiddenMatrix>(block, stack);
    case SYMOPT_EMBEDDING:
      return role_of<symopt::Embedding>(block, stack);
    case SYMOPT_TIED_EMBEDDING:
      return role_of<symopt::TiedEmbedding>(block, stack);
    case SYMOPT_LM_HEAD:
      return role_of<symopt::LmHead>(block, stack);
    case SYMOPT_SWIGLU_INPUT:
      return role_of<symopt::SwigluInput>(block, stack);
    case SYMOPT_SWIGLU_OUTPUT:
      return role_of<symopt::SwigluOutput>(block, stack);
    case SYMOPT_ROUTER:
      return role_of<symopt::Router>(block, stack);
    case SYMOPT_ADAPTIVE_ENTRIES:
      return role_of<symopt::Adaptive<symopt::Trivial>>(block, stack);
    case SYMOPT_ADAPTIVE_EMBEDDING:
      return role_of<symopt::Adaptive<symopt::Embedding>>(block, stack);
    case SYMOPT_ADAPTIVE_TIED_EMBEDDING:
      return role_of<symopt::Adaptive<symopt::TiedEmbedding>>(block, stack);
    case SYMOPT_ADAPTIVE_LM_HEAD:
      return role_of<symopt::Adaptive<symopt::LmHead>>(block, stack);
    case SYMOPT_ADAPTIVE_SWIGLU_INPUT:
      return role_of<symopt::Adaptive<symopt::SwigluInput>>(block, stack);
    case SYMOPT_ADAPTIVE_SWIGLU_OUTPUT:
      return role_of<symopt::Adaptive<symopt::SwigluOutput>>(block, stack);
    case SYMOPT_ADAPTIVE_ROUTER:
      return role_of<symopt::Adaptive<symopt::Router>>(block, stack);
    case SYMOPT_POSITIONS:
      return role_of<symopt::Update<symopt::RightOrthogonal, symopt::RowNorm>>(block, stack);
    case SYMOPT_ADAPTIVE_HIDDEN_MATRIX:
      return role_of<symopt::Adaptive<symopt::HiddenMatrix>>(block, stack);
    default:
      throw symopt::Error("role is " + std::to_string(block.role) + "; it must be a symopt_role", block.name);
  }
}

struct QueryKeyHalves : symopt::Gauge<symopt::algebra::Planes<symopt::algebra::Pairing::halves>,
                                      symopt::LeftOrthogonal, symopt::LeftOrthogonal> {};

bool is_of_pair(const symopt_block& block) {
  return block.role >= SYMOPT_LORA_PAIR && block.role <= SYMOPT_NEURON_PAIR;
}

symopt::PairRole pair_role_of(const symopt_block& a, const symopt_block& b) {
  const symopt::PairLayout layout{layout_of(a), layout_of(b)};
  switch (a.role) {
    case SYMOPT_LORA_PAIR:
      return symopt::pair_role<symopt::LoraPair>(layout);
    case SYMOPT_VALUE_OUTPUT:
      return symopt::pair_role<symopt::ValueOutput>(layout);
    case SYMOPT_QUERY_KEY:
      return symopt::pair_role<symopt::QueryKey>(layout);
    case SYMOPT_QUERY_KEY_HALVES:
      return symopt::pair_role<QueryKeyHalves>(layout);
    default:
      return symopt::pair_role<symopt::NeuronPair>(layout);
  }
}

/// The roles of a table's blocks, in its order; those of a pair know each other.
std::vector<std::optional<symopt::Role>> roles_of(const std::vector<symopt_block>& blocks,
                                                  const symopt::StackOptions& stack) {
  std::vector<std::optional<symopt::Role>> roles(blocks.size());
  const auto require_whole = [](const symopt_block& block) {
    require(block.existing_rows == 0, "the blocks of a pair have no existing_rows; leave them 0", block.name);
  };
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const symopt_block& a = blocks[i];
    require(a.partner == nullptr || is_of_pair(a), "it has a partner, but no role of a pair", a.name);
    if (!is_of_pair(a)) roles[i] = role_of(a, stack);
    if (a.partner == nullptr) continue;
    const auto is_partner = [&](const symopt_block& b) {
      return std::string_view(b.name) == a.partner && b.role == a.role && b.partner == nullptr;
    };
    const auto found = std::ranges::find_if(blocks, is_partner);
    const auto place = static_cast<std::size_t>(found - blocks.begin());
    require(found != blocks.end() && !roles[place],
            std::string("its partner '") + a.partner +
                "' is not in the table with the same role and without a partner of its own, or is another's",
            a.name);
    require_whole(a);
    require_whole(*found);
    const auto linked = pair_role_of(a, *found).linked();
    roles[i] = with_rates(linked.a.front(), a, stack, true);
    roles[place] = with_rates(linked.b.front(), *found, stack, true);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i)
    require(roles[i].has_value(), "it is block B of a pair, but no block names it as its partner",
            blocks[i].name);
  return roles;
}

symopt::NonFinite policy_of(std::int32_t value) {
  require(value >= SYMOPT_REFUSE && value <= SYMOPT_UNCHECKED,
          "symopt_options.non_finite is " + std::to_string(value) + "; it must be a symopt_non_finite");
  if (value == SYMOPT_SKIP) return symopt::NonFinite::skip;
  return value == SYMOPT_UNCHECKED ? symopt::NonFinite::unchecked : symopt::NonFinite::throw_error;
}

void require_dtypes(const symopt_options& options) {
  require(options.parameter_dtype == SYMOPT_F32,
          "symopt_options.parameter_dtype is " + std::to_string(options.parameter_dtype) +
              "; parameters are SYMOPT_F32, and symopt_copy_to gives a copy in bfloat16");
  require(options.gradient_dtype == SYMOPT_F32 || options.gradient_dtype == SYMOPT_BF16,
          "symopt_options.gradient_dtype is " + std::to_string(options.gradient_dtype) +
              "; it must be SYMOPT_F32 or SYMOPT_BF16");
}

std::vector<Index> sizes_of(const symopt_block& block) {
  std::vector<Index> sizes{index_of(block.rows), index_of(block.cols)};
  if (block.layout == SYMOPT_TRANSPOSED) std::swap(sizes[0], sizes[1]);
  if (block.batch > 1) sizes.insert(sizes.begin(), index_of(block.batch));
  return sizes;
}

symopt_optimizer::Block& find(symopt_optimizer& optimizer, const char* name) {
  require(name != nullptr, "the name of a block is NULL");
  (void)optimizer.stack.options(name);  // throws with the nearest name
  return *std::ranges::find(optimizer.blocks, name, &symopt_optimizer::Block::name);
}

template <class Optimizer>
auto& checked(Optimizer* optimizer) {
  require(optimizer != nullptr, "the optimizer is NULL");
  return *optimizer;
}

/// Threads of every call that computes; 0 for as many as OpenMP would take.
std::atomic<std::int32_t> set_threads{0};

/// Gives OpenMP the threads of the library until the end of the scope, and then the caller's again.
class ThreadsOfCall {
 public:
#ifdef _OPENMP
  ThreadsOfCall() {
    const int count = set_threads.load();
    if (count == 0) return;
    before_ = omp_get_max_threads();
    omp_set_num_threads(count);
  }
  ~ThreadsOfCall() {
    if (before_ > 0) omp_set_num_threads(before_);
  }
#else
  ThreadsOfCall() {}  // not trivial, so that an unused one is no warning
#endif
  ThreadsOfCall(const ThreadsOfCall&) = delete;
  ThreadsOfCall& operator=(const ThreadsOfCall&) = delete;

 private:
#ifdef _OPENMP
  int before_ = 0;
#endif
};

symopt::HeadRows heads_of(const symopt_head_rows* given) {
  require(given != nullptr, "symopt_qk_clip: the heads are NULL");
  const symopt_head_rows rows = in_own_size(given, "symopt_head_rows");
  require(rows.weights != nullptr, "symopt_head_rows.weights is NULL; it is the name of a block");
  for (const std::int64_t number : {rows.heads, rows.size, rows.first, rows.stride, rows.rotary, rows.slice})
    require(std::in_range<Index>(number), "symopt_head_rows: a number is larger than memory can be");
  return {.weights = rows.weights,
          .heads = rows.heads == 0 ? 1 : index_of(rows.heads),
          .size = index_of(rows.size),
          .first = index_of(rows.first),
          .stride = index_of(rows.stride),
          .rotary = index_of(rows.rotary),
          .bias = rows.bias == nullptr ? "" : rows.bias,
          .slice = index_of(rows.slice),
          .is_transposed = rows.is_transposed != 0};
}

void write_copies(symopt_optimizer& optimizer, symopt::bfloat16* copy) {
  for (const auto& block : optimizer.blocks) {
    if (copy == nullptr) {
      optimizer.stack.set_copy(block.name, std::nullopt);
    } else {
      optimizer.stack.set_copy(block.name,
                               symopt::TensorView<symopt::bfloat16>(copy + block.offset, block.sizes));
    }
  }
}

template <class Scalar>
void look_at(symopt_optimizer& optimizer, const Scalar* gradients) {
  optimizer.gradients = nullptr;  // unless all of them are taken
  for (const auto& block : optimizer.blocks)
    if (!block.is_frozen)
      optimizer.stack.set_gradient(block.name,
                                   symopt::TensorView<const Scalar>(gradients + block.offset, block.sizes));
  optimizer.gradients = gradients;
}

}  // namespace

symopt_status symopt_c::status_of_exception() noexcept {
  try {
    throw;
  } catch (const symopt::NonFiniteGradient& error) {
    return fail(SYMOPT_NON_FINITE, error.what());
  } catch (const symopt::interop::StateMismatch& error) {
    return fail(SYMOPT_OTHER_STATE, error.what());
  } catch (const symopt::interop::FormatError& error) {
    return fail(SYMOPT_BROKEN_FILE, error.what());
  } catch (const std::invalid_argument& error) {
    return fail(SYMOPT_INVALID_ARGUMENT, error.what());
  } catch (const std::system_error& error) {
    return fail(SYMOPT_FILE_ERROR, error.what());
  } catch (const std::bad_alloc&) {
    return fail(SYMOPT_OUT_OF_MEMORY, "symopt: out of memory");
  } catch (const std::length_error&) {  // a vector larger than there can be
    return fail(SYMOPT_OUT_OF_MEMORY, "symopt: out of memory");
  } catch (const std::exception& error) {
    return fail(SYMOPT_INTERNAL_ERROR, error.what());
  } catch (...) {
    return fail(SYMOPT_INTERNAL_ERROR, "symopt: an error without a name");
  }
}

symopt_status symopt_create(const symopt_options* options, const symopt_block* blocks, size_t count,
                            float* parameters, symopt_optimizer** optimizer) {
  if (optimizer != nullptr) *optimizer = nullptr;
  return guarded([&] {
    require(optimizer != nullptr, "symopt_create: there is no place for the optimizer");
    require(blocks != nullptr && count > 0, "symopt_create: the block table is empty");
    require(parameters != nullptr, "symopt_create: the parameters are NULL");
    const ThreadsOfCall threads;
    const symopt_options all = options == nullptr ? symopt_options{} : in_own_size(options, "symopt_options");
    require_dtypes(all);
    require(all.max_norm >= 0, "symopt_options.max_norm is " + std::to_string(all.max_norm) +
                                   "; it must be positive, or 0 for no clipping");
    symopt::StackOptions stack{.weight_decay = all.weight_decay, .non_finite = policy_of(all.non_finite)};
    if (all.learning_rate != 0) stack.learning_rate = all.learning_rate;
    auto made = std::make_unique<symopt_optimizer>();
    made->stack = symopt::LayerwiseOptimizer(stack);
    made->max_norm = all.max_norm;
    made->has_bf16_gradients = all.gradient_dtype == SYMOPT_BF16;
    const auto* next = reinterpret_cast<const std::byte*>(blocks);
    std::vector<symopt_block> table;
    for (std::size_t i = 0; i < count; ++i) {
      const auto* given = reinterpret_cast<const symopt_block*>(next);
      table.push_back(in_own_size(given, "symopt_block"));
      require_block(table.back(), i);
      std::size_t size = 0;
      std::memcpy(&size, given, sizeof size);
      next += size;  // the caller's entries are as large as the caller's version made them
    }
    const auto roles = roles_of(table, stack);
    for (std::size_t i = 0; i < count; ++i) {
      const symopt_block& block = table[i];
      made->blocks.push_back({block.name, static_cast<std::ptrdiff_t>(block.offset), sizes_of(block)});
      made->stack.add(block.name, *roles[i],
                      symopt::TensorView<float>(parameters + block.offset, sizes_of(block)), std::nullopt);
    }
    std::ostringstream plan;
    plan << made->stack.plan();
    made->plan = plan.str();
    *optimizer = made.release();
  });
}

void symopt_free(symopt_optimizer* optimizer) {
  delete optimizer;
}

symopt_status symopt_step(symopt_optimizer* optimizer, const void* gradients, symopt_report* report) {
  return guarded([&] {
    symopt_optimizer& own = checked(optimizer);
    require(gradients != nullptr, "symopt_step: the gradients are NULL");
    const ThreadsOfCall threads;
    symopt_report done =
        report == nullptr ? symopt_report{} : in_own_size(report, "symopt_report", sizeof(std::int32_t));
    if (gradients != own.gradients && own.has_bf16_gradients) {
      look_at(own, static_cast<const symopt::bfloat16*>(gradients));
    } else if (gradients != own.gradients) {
      look_at(own, static_cast<const float*>(gradients));
    }
    done.clip_factor = 1;
    done.gradient_norm = 0;
    if (own.max_norm > 0) {
      const symopt::ClipReport clipped = symopt::clip_by_global_norm(own.stack, own.max_norm);
      done.gradient_norm = clipped.norm;
      done.clip_factor = clipped.factor;
    }
    const symopt::StackReport step = own.stack.step();
    done.applied = step.applied ? 1 : 0;
    done.step = step.step;
    if (report == nullptr) return;
    const std::size_t size = report->struct_size;
    done.struct_size = size;
    std::memcpy(report, &done, size);
  });
}

symopt_status symopt_copy_to(symopt_optimizer* optimizer, uint16_t* copy) {
  return guarded([&] {
    symopt_optimizer& own = checked(optimizer);
    try {
      write_copies(own, reinterpret_cast<symopt::bfloat16*>(copy));  // the same two bytes
    } catch (...) {
      write_copies(own, own.copy);
      throw;
    }
    own.copy = reinterpret_cast<symopt::bfloat16*>(copy);
  });
}

symopt_status symopt_move_parameters(symopt_optimizer* optimizer, float* parameters) {
  return guarded([&] {
    symopt_optimizer& own = checked(optimizer);
    require(parameters != nullptr, "symopt_move_parameters: the parameters are NULL");
    for (const auto& block : own.blocks)
      own.stack.set_weights(block.name, symopt::TensorView<float>(parameters + block.offset, block.sizes));
    own.gradients = nullptr;  // to be compared with the new place
  });
}

symopt_status symopt_set_learning_rate(symopt_optimizer* optimizer, const char* name, double rate) {
  return guarded([&] {
    find(checked(optimizer), name);
    optimizer->stack.set_learning_rate(name, rate);
  });
}

symopt_status symopt_set_momentum(symopt_optimizer* optimizer, const char* name, double momentum) {
  return guarded([&] {
    symopt::LayerwiseOptimizer& stack = checked(optimizer).stack;
    if (name == nullptr) return stack.set_momentum(momentum);
    stack.set_momentum(name, momentum);
  });
}

symopt_status symopt_set_weight_decay(symopt_optimizer* optimizer, const char* name, double decay) {
  return guarded([&] {
    symopt::LayerwiseOptimizer& stack = checked(optimizer).stack;
    if (name == nullptr) return stack.set_weight_decay(decay);
    stack.set_weight_decay(name, decay);
  });
}

symopt_status symopt_set_schedule_factor(symopt_optimizer* optimizer, double factor) {
  return guarded([&] { checked(optimizer).stack.set_schedule_factor(factor); });
}

symopt_status symopt_set_schedule_decay(symopt_optimizer* optimizer, double factor) {
  return guarded([&] { checked(optimizer).stack.set_schedule_decay(factor); });
}

symopt_status symopt_set_schedule_momentum(symopt_optimizer* optimizer, double momentum) {
  return guarded([&] {
    symopt::LayerwiseOptimizer& stack = checked(optimizer).stack;
    stack.set_schedule_momentum(momentum < 0 ? std::nullopt : std::optional<double>(momentum));
  });
}

symopt_status symopt_set_frozen(symopt_optimizer* optimizer, const char* name, int32_t is_frozen) {
  return guarded([&] {
    find(checked(optimizer), name).is_frozen = is_frozen != 0;
    if (is_frozen != 0) optimizer->stack.set_gradient(name, std::nullopt);
    optimizer->gradients = nullptr;
  });
}

symopt_status symopt_qk_clip(symopt_optimizer* optimizer, const symopt_head_rows* query,
                             const symopt_head_rows* key, const float* largest_logits, size_t count,
                             double threshold, int64_t* clipped) {
  return guarded([&] {
    symopt_optimizer& own = checked(optimizer);
    require(largest_logits != nullptr || count == 0, "symopt_qk_clip: the largest logits are NULL");
    const std::vector<double> logits(largest_logits, largest_logits + count);
    const symopt::QkClipReport report =
        symopt::qk_clip(own.stack, heads_of(query), heads_of(key), logits, threshold);
    if (clipped != nullptr) *clipped = report.clipped;
  });
}

symopt_status symopt_state_bytes(const symopt_optimizer* optimizer, const char* name, int64_t* bytes) {
  return guarded([&] {
    const symopt_optimizer& own = checked(optimizer);
    require(bytes != nullptr, "symopt_state_bytes: there is no place for the size");
    if (name != nullptr) (void)own.stack.options(name);  // throws with the nearest name
    std::size_t sum = 0;
    for (const symopt::StateSize& row : symopt::state_sizes(own.stack).rows())
      if (name == nullptr || row.name == name) sum += row.bytes;
    *bytes = static_cast<std::int64_t>(sum);
  });
}

symopt_status symopt_save(const symopt_optimizer* optimizer, const char* path) {
  return guarded([&] {
    require(path != nullptr, "symopt_save: the path is NULL");
    symopt::interop::save_state(checked(optimizer).stack, path);
  });
}

symopt_status symopt_load(symopt_optimizer* optimizer, const char* path) {
  return guarded([&] {
    require(path != nullptr, "symopt_load: the path is NULL");
    symopt::interop::load_state(checked(optimizer).stack, path);
  });
}

const char* symopt_plan(symopt_optimizer* optimizer) {
  return optimizer == nullptr ? "" : optimizer->plan.c_str();
}

const char* symopt_last_error(void) {
  return last_error;
}

symopt_status symopt_set_threads(int32_t count) {
  return guarded([&] {
    require(count >= 0, "symopt_set_threads: " + std::to_string(count) +
                            " threads; give 1 or more, or 0 for as many as OpenMP takes");
#ifndef _OPENMP
    require(count <= 1,
            "symopt_set_threads: this build of the library has one thread; build it with the "
            "CMake option SYMOPT_C_OPENMP for more");
#endif
    set_threads = count;
  });
}

int32_t symopt_threads(void) {
  const ThreadsOfCall threads;
  return symopt::kernel::thread_count();
}

#define SYMOPT_TEXT_EXPANDED(x) #x
#define SYMOPT_TEXT(x) SYMOPT_TEXT_EXPANDED(x)
const char* symopt_instruction_set(void) {
  return SYMOPT_TEXT(SYMOPT_ABI_ISA);
}
#undef SYMOPT_TEXT
#undef SYMOPT_TEXT_EXPANDED

const char* symopt_configuration(void) {
  static const std::string text = symopt::configuration();
  return text.c_str();
}
