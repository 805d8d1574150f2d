// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>
#include <symopt/kernel/all_finite.hpp>
#include <symopt/simd/lanes.hpp>
#include <symopt/simd/random_bits.hpp>
#include <symopt/threads.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>

// The limit that memory sets: a loop over the streams of a step that does no arithmetic.
namespace symopt_benchmark {

using symopt::Index;
using symopt::Shape;

/// A block of numbers whose pages were first touched by the threads that will work on them.
template <class T>
class Memory {
 public:
  explicit Memory(Index size) : data_(new (std::align_val_t{64}) T[static_cast<std::size_t>(size)]) {
    const Index piece = 1 << 16;
    symopt::kernel::parallel_sweep((size + piece - 1) / piece, [&](Index p) {
      for (Index k = p * piece; k < std::min(size, (p + 1) * piece); ++k) {
        const auto bits = symopt::kernel::mixed_32(static_cast<std::uint32_t>(k) + 12345U);
        data_.get()[k] = T(1e-3F * (static_cast<float>(bits >> 8) * 0x1p-23F - 1.0F));
      }
    });
  }
  T* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(T* data) const { ::operator delete[](data, std::align_val_t{64}); }
  };
  std::unique_ptr<T, Free> data_;
};

/// Parameters and bytes of all iterations, for rates.
inline void count(benchmark::State& state, Index parameters, int bytes_per_parameter) {
  state.SetItemsProcessed(state.iterations() * parameters);
  state.SetBytesProcessed(state.iterations() * parameters * bytes_per_parameter);
}

/// Reads `reads` blocks and writes the first `writes` of them, without arithmetic.
template <int reads, int writes>
void stream(const Memory<float>* const (&blocks)[reads], Index size) {
  using L = symopt::kernel::Lanes<float>;
  const Index piece = 1 << 15;
  symopt::kernel::parallel_sweep((size + piece - 1) / piece, [&](Index p) {
    const Index end = std::min(size, (p + 1) * piece);
    for (Index k = p * piece; k < end; k += L::size) {
      auto bits = L::load(blocks[reads - 1]->data() + k).bits();
      for (int b = reads - 2; b >= writes; --b) bits ^= L::load(blocks[b]->data() + k).bits();
      for (int b = 0; b < writes; ++b) {
        float* to = blocks[b]->data() + k;
        L::of_bits((L::load(to).bits() ^ bits) & 0x3fffffffU).store(to);
      }
    }
  });
  benchmark::ClobberMemory();
}

/// The limit of one sweep that reads so many blocks and writes all of them but one.
template <int reads>
void memory_limit(benchmark::State& state, Shape shape) {
  static_assert(reads >= 2 && reads <= 4);
  const Index size = shape.rows * shape.cols;
  const Memory<float> a(size), b(size), c(reads > 2 ? size : 64), d(reads > 3 ? size : 64);
  for (auto _ : state) {
    if constexpr (reads == 2) stream<2, 1>({&a, &b}, size);
    if constexpr (reads == 3) stream<3, 2>({&a, &b, &c}, size);
    if constexpr (reads == 4) stream<4, 3>({&a, &b, &c, &d}, size);
  }
  count(state, size, 4 * (2 * reads - 1));
}

/// The limit of a step in three sweeps: the check of the gradient, then one that reads it and writes the
/// momentum, then one that reads that and writes the weights.
inline void three_sweeps_limit(benchmark::State& state, Shape shape) {
  const Index size = shape.rows * shape.cols;
  const Memory<float> gradient(size), momentum(size), weights(size);
  const symopt::detail::BlockView<const float> checked(gradient.data(), {shape.rows, shape.cols},
                                                       {shape.cols, 1});
  for (auto _ : state) {
    benchmark::DoNotOptimize(symopt::kernel::all_finite(checked));
    stream<2, 1>({&momentum, &gradient}, size);
    stream<2, 1>({&weights, &momentum}, size);
  }
  count(state, size, 28);
}

}  // namespace symopt_benchmark
