// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/chunks.hpp>
#include <symopt/pair/line_gram.hpp>
#include <symopt/pair/line_product.hpp>
#include <symopt/pair/pair_blocks.hpp>
#include <symopt/product/product_tiles.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// Lines of a direction: `data` is the first of them, and the stride that of the memory's rows.
struct DirectionLines {
  float* data;
  Index stride;
};

/// The two sweeps of a pair of float blocks whose map goes through r x r matrices: one for the Gram matrices
/// of the weights and of the directions, in double, and one that multiplies the directions. Some lines at a
/// time, while they are in a cache: what else a step does with them it does there. Threads share both sides
/// in chunks of lines, whose sums are added up in their order: the same bits for any number of threads.
class GramSweeps {
 public:
  /// Of pairs of these sizes, with the Gram matrices of directions or without. The chunks are those of the
  /// sizes.
  GramSweeps(const PairExtents& extents, bool has_directions)
      : gram_(extents.shape.rank),
        rank_(extents.shape.rank),
        direction_count_(has_directions ? std::max(extents.count_of_a, extents.count_of_b) : 0),
        sums_size_((1 + direction_count_) * gram_.sums_size()),
        slab_size_(gram_.slab_size() + kernel::round_up(gram_.padded() * scratch_stride, 16) / 2),
        a_(chunks_of(extents.shape.rows_of_a)),
        b_(chunks_of(extents.shape.rows_of_b)) {}

  /// The numbers that the sweeps work in.
  Index memory_size() const { return (a_.count + b_.count) * (sums_size_ + slab_size_); }

  /// Adds up the Gram matrices of weights and directions. lines(side, direction, range, scratch) shows some
  /// lines of a direction, and may write them to the scratch. `memory`: for memory_size() numbers, which hold
  /// the sums in the end.
  void read(const PairBlocks<float>& a, const PairBlocks<float>& b, double* memory, const auto& lines) const {
    share(a, b, false, memory,
          [&](const PairBlocks<float>& side, kernel::Range range, double* sums, double* slab) {
            std::fill(sums, sums + sums_size_, 0.0);
            for_each_slab(range, [&](kernel::Range part) {
              for (const auto& weights : side.weights) add(weights, side.rank_side, part, slab, sums);
              for (std::size_t k = 0; direction_count_ > 0 && k < side.directions.size(); ++k) {
                const DirectionLines at = lines(side, k, part, scratch(side, slab));
                add(at, side.rank_side, part.end - part.begin, slab, sums_of(sums, k));
              }
            });
          });
  }

  /// gram <- the Gram matrix of all weights of a side, of a direction of it.
  ///@{
  void write_gram_of_weights(bool is_a, const double* memory, MatrixRef<double> gram) const {
    write_gram(is_a, memory, gram);
  }
  void write_gram_of_direction(bool is_a, std::size_t k, const double* memory, MatrixRef<double> gram) const {
    write_gram(is_a, sums_of(memory, k), gram);
  }
  ///@}

  /// take(side, direction, range, lines) for all lines of every direction, some at a time: as lines() shows
  /// them, or in other memory where they are multiplied by product(side, direction), which may be null.
  void write(const PairBlocks<float>& a, const PairBlocks<float>& b, double* memory, const auto& product,
             const auto& lines, const auto& take) const {
    share(a, b, true, memory, [&](const PairBlocks<float>& side, kernel::Range range, double*, double* slab) {
      for_each_slab(range, [&](kernel::Range part) {
        for (std::size_t k = 0; k < side.directions.size(); ++k) {
          DirectionLines at = lines(side, k, part, scratch(side, slab));
          if (const auto* square = product(side, k)) {
            const Index count = part.end - part.begin;
            const DirectionLines to{reinterpret_cast<float*>(slab), scratch(side, slab).stride};
            if (square->scale != 1) scale(at, side.rank_side, count, square->scale);
            square->product.apply(at.data, at.stride, side.rank_side, count, to.data, to.stride);
            at = to;
          }
          take(side, k, part, at);
        }
      });
    });
  }

 private:
  static constexpr Index slab_lines = LineGram<double>::slab_lines, scratch_stride = slab_lines + 16;

  /// Memory that a thread works in while it has it; the first that is free, which is in a cache.
  class Slabs {
   public:
    int take() {
      for (std::uint32_t taken = taken_.load();;) {
        const int first = std::countr_one(taken);
        if (taken_.compare_exchange_weak(taken, taken | (1U << first))) return first;
      }
    }
    void give_back(int slab) { taken_.fetch_and(~(1U << slab)); }

   private:
    std::atomic<std::uint32_t> taken_ = 0;
  };

  kernel::Chunks chunks_of(Index lines) const {
    constexpr Index most = 8;  // on each side: there are as many slabs
    const Index least = slab_lines + 4 * (1 + direction_count_) * gram_.padded();
    const Index count = std::clamp<Index>(lines / least, 1, most);
    const Index each = std::max<Index>(1, kernel::round_up((lines + count - 1) / count, slab_lines));
    return {lines, each, (lines + each - 1) / each};
  }

  /// work(side, lines, sums, slab) for all chunks. Backwards a thread begins with those that it had last.
  void share(const PairBlocks<float>& a, const PairBlocks<float>& b, bool is_backwards, double* memory,
             const auto& work) const {
    const Index count = a_.count + b_.count;
    const auto entries = static_cast<double>(
        (a_.rows * static_cast<Index>(a.weights.size()) + b_.rows * static_cast<Index>(b.weights.size())) *
        rank_);
    const double flops = entries * (20 + 2 * static_cast<double>(rank_));
    const bool is_shared = flops >= kernel::least_shared_flops;
    const Index threads = is_shared ? kernel::thread_count() : 1;
    Slabs slabs;
    const auto visit = [&](Index i) {
      const Index share = (i * threads + threads - 1) / count;  // as SharedChunks has them
      const Index begin = count * share / threads, end = count * (share + 1) / threads;
      const Index chunk = is_backwards ? begin + end - 1 - i : i;
      const bool is_a = chunk < a_.count;
      const int slab = slabs.take();
      work(is_a ? a : b, is_a ? a_[chunk] : b_[chunk - a_.count], memory + chunk * sums_size_,
           memory + count * sums_size_ + slab * slab_size_);
      slabs.give_back(slab);
    };
    if (is_shared) {
      kernel::parallel_sweep(count, visit);
    } else {
      for (Index i = 0; i < count; ++i) visit(i);
    }
  }
  static void for_each_slab(kernel::Range lines, const auto& visit) {
    for (Index first = lines.begin; first < lines.end; first += slab_lines)
      visit(kernel::Range{first, std::min(lines.end, first + slab_lines)});
  }
  DirectionLines scratch(const PairBlocks<float>& side, double* slab) const {
    return {reinterpret_cast<float*>(slab + gram_.slab_size()),
            side.rank_side == Side::right ? rank_ : scratch_stride};
  }

  void add(const kernel::WeightsView<float>& weights, Side rank_side, kernel::Range lines, double* slab,
           double* sums) const {
    const Index count = lines.end - lines.begin;
    const BlockView<float>* values = weights.values();
    if (values != nullptr && values->has_contiguous_rows() && values->rows.parts == 1 &&
        values->selected_rows == nullptr) {
      const Index stride = values->rows.stride;
      add({values->data + lines.begin * (rank_side == Side::right ? stride : 1), stride}, rank_side, count,
          slab, sums);
    } else {
      gram_.add(
          [&](Index i, Index j, Index width, float* copy) {
            if (rank_side == Side::right) {
              weights.read(lines.begin + i, j, width, copy);
            } else {
              weights.read(i, lines.begin + j, width, copy);
            }
            return copy;
          },
          rank_side, count, slab, sums);
    }
  }
  void add(DirectionLines lines, Side rank_side, Index count, double* slab, double* sums) const {
    if (rank_side == Side::right && lines.stride == rank_ && gram_.has_whole_tiles()) {
      gram_.add(lines.data, count, slab, sums);
    } else {
      gram_.add([=](Index i, Index j, Index, float*) { return lines.data + i * lines.stride + j; }, rank_side,
                count, slab, sums);
    }
  }

  void scale(DirectionLines lines, Side rank_side, Index count, float by) const {
    const Index rows = rank_side == Side::right ? count : rank_,
                cols = rank_side == Side::right ? rank_ : count;
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) lines.data[i * lines.stride + j] *= by;
  }

  void write_gram(bool is_a, const double* sums, MatrixRef<double> gram) const {
    gram.setZero();
    const Index begin = is_a ? 0 : a_.count, end = is_a ? a_.count : a_.count + b_.count;
    for (Index chunk = begin; chunk < end; ++chunk) gram_.add_to(gram, sums + chunk * sums_size_);
  }
  template <class Double>
  Double* sums_of(Double* sums, std::size_t direction) const {
    return sums + static_cast<Index>(1 + direction) * gram_.sums_size();
  }

  LineGram<double> gram_;
  Index rank_, direction_count_, sums_size_, slab_size_;
  kernel::Chunks a_, b_;
};

}}}  // namespace symopt::detail
