// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/interop/mpi/owned_block.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// Sends the gradient of every block to its owner, which adds what has come, in the order of the ranks:
/// ((g_0 + g_1) + g_2) + ..., in Scalar, and for an average divides by their number. So the bits do not
/// depend on the network, nor on who owns what, as those of MPI_Reduce may, whose sums associate as it likes.
/// A rank sends all but its own blocks, once, which is what the best reduce-scatter sends. Gradients in
/// bfloat16 travel as such. Memory: two messages for each other rank and direction. Allocates at construction
/// alone.
template <class Scalar>
class GradientExchange {
 public:
  using Blocks = std::vector<OwnedBlock<Scalar>>;

  GradientExchange(const Communicator& processes, const Blocks& blocks, bool divides)
      : ranks_(static_cast<std::size_t>(processes.size())),
        rank_(static_cast<std::size_t>(processes.rank())),
        divides_(divides),
        chunks_(ranks_),
        posted_sends_(ranks_),
        posted_receives_(ranks_),
        requests_(2 * ranks_ * depth, MPI_REQUEST_NULL),
        done_(requests_.size()),
        has_arrived_(ranks_ * depth) {
    Index largest = 0;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      if (!blocks[b].has_gradient()) continue;
      const Index count = blocks[b].count();
      for (Index first = 0; first < count; first += longest)
        chunks_[static_cast<std::size_t>(blocks[b].owner())].push_back(
            {b, first, std::min(longest, count - first)});
      largest = std::max(largest, std::min(longest, count));
    }
    slot_size_ = static_cast<std::size_t>(largest);
    slots_.resize((requests_.size() + 1) * slot_size_ * sizeof(Scalar));
    sum_.resize(slot_size_);
  }

  /// One exchange of all gradients. Errors: MpiError.
  void run(const Communicator& processes, const Blocks& blocks) {
    std::ranges::fill(posted_sends_, std::size_t{0});
    std::ranges::fill(posted_receives_, std::size_t{0});
    std::ranges::fill(has_arrived_, char{0});
    summed_ = 0;
    Communicator::Patience patience(processes, "exchange gradients");
    for (;;) {
      post(processes, blocks);
      if (is_done()) return;
      if (advance(blocks)) {
        patience.start_anew();
      } else {
        patience.wait();
      }
    }
  }

 private:
  /// A part of a block that travels as one message.
  struct Chunk {
    std::size_t block;
    Index first, count;
  };
  static constexpr Index longest = 1 << 16;  // numbers of a chunk, which stay in the second cache
  static constexpr std::size_t depth = 2;    // messages on their way from one rank to another
  static constexpr int tag = 1;

  const std::vector<Chunk>& mine() const { return chunks_[rank_]; }
  std::size_t request_of(std::size_t peer, bool receives, std::size_t chunk) const {
    return (2 * peer + (receives ? 1 : 0)) * depth + chunk % depth;
  }
  /// The memory of a message; the one after those of all requests is for numbers of this rank.
  template <class Number>
  Number* slot(std::size_t request) {
    return reinterpret_cast<Number*>(slots_.data() + request * slot_size_ * sizeof(Scalar));
  }
  bool is_done() const {
    for (std::size_t peer = 0; peer < ranks_; ++peer)
      if (peer != rank_ && posted_sends_[peer] < chunks_[peer].size()) return false;
    const auto is_null = [](MPI_Request request) { return request == MPI_REQUEST_NULL; };
    return summed_ == mine().size() && std::ranges::all_of(requests_, is_null);
  }

  /// Begins all messages for which there is room.
  void post(const Communicator& processes, const Blocks& blocks) {
    for (std::size_t peer = 0; peer < ranks_; ++peer) {
      if (peer == rank_) continue;
      for (std::size_t& next = posted_sends_[peer]; next < chunks_[peer].size(); ++next) {
        const std::size_t request = request_of(peer, false, next);
        if (requests_[request] != MPI_REQUEST_NULL) break;
        send(processes, blocks, chunks_[peer][next], static_cast<int>(peer), request);
      }
      for (std::size_t& next = posted_receives_[peer]; next < mine().size() && next < summed_ + depth; ++next)
        receive(processes, blocks, mine()[next], static_cast<int>(peer), request_of(peer, true, next));
    }
  }
  void send(const Communicator& processes, const Blocks& blocks, const Chunk& chunk, int peer,
            std::size_t request) {
    blocks[chunk.block].with_gradient([&](const auto& run) {
      using Number = std::remove_const_t<std::remove_pointer_t<decltype(run.lying(0))>>;
      require_success(MPI_Isend(numbers(run, chunk, slot<Number>(request)), static_cast<int>(chunk.count),
                                number_type<Number>(), peer, tag, processes.get(), &requests_[request]),
                      "send gradients");
    });
  }
  void receive(const Communicator& processes, const Blocks& blocks, const Chunk& chunk, int peer,
               std::size_t request) {
    blocks[chunk.block].with_gradient([&](const auto& run) {
      using Number = std::remove_const_t<std::remove_pointer_t<decltype(run.lying(0))>>;
      require_success(MPI_Irecv(slot<Number>(request), static_cast<int>(chunk.count), number_type<Number>(),
                                peer, tag, processes.get(), &requests_[request]),
                      "receive gradients");
    });
  }
  /// The numbers of a chunk where they lie, or in a copy where they lie apart.
  template <class Run, class Number>
  static const Number* numbers(const Run& run, const Chunk& chunk, Number* copy) {
    if (const Number* lying = run.lying(chunk.first)) return lying;
    run.read(chunk.first, chunk.count, copy);
    return copy;
  }

  /// Adds what has come. Returns whether a message has ended.
  bool advance(const Blocks& blocks) {
    int count = 0;
    require_success(
        MPI_Testsome(as_count(requests_.size()), requests_.data(), &count, done_.data(), MPI_STATUSES_IGNORE),
        "exchange gradients");
    if (count == MPI_UNDEFINED) count = 0;  // of a rank that is alone
    for (int k = 0; k < count; ++k) {
      const auto request = static_cast<std::size_t>(done_[static_cast<std::size_t>(k)]);
      const std::size_t peer = request / depth / 2, place = request % depth;
      if (request / depth % 2 == 1) has_arrived_[peer * depth + place] = 1;
    }
    while (summed_ < mine().size() && is_complete(summed_)) add(blocks[mine()[summed_].block], summed_);
    return count > 0;
  }
  bool is_complete(std::size_t chunk) const {
    for (std::size_t peer = 0; peer < ranks_; ++peer)
      if (peer != rank_ && !has_arrived_[peer * depth + chunk % depth]) return false;
    return true;
  }
  void add(const OwnedBlock<Scalar>& block, std::size_t number) {
    const Chunk chunk = mine()[number];
    const NumberRun<Scalar> average = block.average();
    Scalar* const lying = average.lying(chunk.first);
    Scalar* const sum = lying != nullptr ? lying : sum_.data();
    block.with_gradient([&](const auto& run) {
      using Number = std::remove_const_t<std::remove_pointer_t<decltype(run.lying(0))>>;
      for (std::size_t rank = 0; rank < ranks_; ++rank) {
        const Number* from = rank == rank_ ? numbers(run, chunk, slot<Number>(requests_.size()))
                                           : slot<Number>(request_of(rank, true, number));
        if (rank == 0) {
          for (Index i = 0; i < chunk.count; ++i) sum[i] = value(from[i]);
        } else {
          for (Index i = 0; i < chunk.count; ++i) sum[i] += value(from[i]);
        }
      }
    });
    if (divides_) {
      const auto ranks = static_cast<Scalar>(ranks_);
      for (Index i = 0; i < chunk.count; ++i) sum[i] /= ranks;
    }
    if (lying == nullptr) average.write(sum, chunk.first, chunk.count);
    for (std::size_t peer = 0; peer < ranks_; ++peer) has_arrived_[peer * depth + number % depth] = 0;
    ++summed_;
  }
  static Scalar value(Scalar x) { return x; }
  static float value(bfloat16 x) { return to_float(x); }

  std::size_t ranks_, rank_;
  bool divides_;
  std::vector<std::vector<Chunk>> chunks_;  // by owner, in the order in which they are sent and added
  std::vector<std::size_t> posted_sends_, posted_receives_;  // by peer, how many of these
  std::size_t summed_ = 0;                                   // of the chunks that are this rank's
  std::vector<MPI_Request> requests_;
  std::vector<int> done_;
  std::vector<char> has_arrived_;  // by peer and slot
  std::size_t slot_size_ = 0;
  std::vector<std::byte> slots_;
  std::vector<Scalar> sum_;
};

}}}  // namespace symopt::mpi::detail
