// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>

#include <mpi.h>

#include <climits>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

/// The error of a call of MPI: what was tried, and MPI's own sentence.
struct MpiError : std::runtime_error {
  /// The message: "symopt: MPI could not WHAT: ...".
  MpiError(int error_code, std::string_view what_was_tried)
      : std::runtime_error(message(error_code, what_was_tried)), code(error_code) {}

  int code;  ///< MPI's

 private:
  static std::string message(int code, std::string_view what) {
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
    std::string whole = "symopt: MPI could not ";
    return whole.append(what).append(": ").append(text, static_cast<std::size_t>(length));
  }
};

namespace detail {

/// Throws MpiError unless a call of MPI went well.
inline void require_success(int code, std::string_view what_was_tried) {
  if (code != MPI_SUCCESS) throw MpiError(code, what_was_tried);
}

/// A count as MPI takes it. Errors: std::length_error for one beyond int.
inline int as_count(std::size_t count) {
  if (count > INT_MAX) throw std::length_error("symopt: more than 2^31 - 1 parts are too many for MPI");
  return static_cast<int>(count);
}

/// Throws Error unless seconds are a time-out.
inline void require_timeout(double seconds) {
  symopt::detail::require(seconds >= 0 && symopt::detail::is_finite(seconds), [&] {
    return "the time-out is " + std::to_string(seconds) +
           " s; it must be finite and not negative, and 0 waits for ever";
  });
}

}  // namespace detail

/// Some processes that exchange messages of their own: a duplicate of a communicator of the trainer, so that
/// no message of one is taken for one of the other. MPI's errors are exceptions there, and who waits longer
/// than `timeout` seconds for the others ends all processes with a sentence; 0 waits for ever.
/// Making one is collective: all processes do it together. To be destroyed before MPI_Finalize. One thread
/// at a time uses it (MPI_THREAD_FUNNELED is enough).
class Communicator {
 public:
  /// Errors: std::logic_error before MPI_Init; MpiError.
  explicit Communicator(MPI_Comm processes, double timeout = 0) : timeout_(timeout) {
    int is_initialized = 0;
    MPI_Initialized(&is_initialized);
    if (!is_initialized)
      throw std::logic_error(
          "symopt: MPI has not begun; call MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided) "
          "first");
    detail::require_success(MPI_Comm_dup(processes, &comm_), "duplicate the communicator");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }
  /// Moved, not copied: the one that was moved from has no processes.
  ///@{
  Communicator(Communicator&& other) noexcept
      : comm_(std::exchange(other.comm_, MPI_COMM_NULL)),
        rank_(other.rank_),
        size_(other.size_),
        timeout_(other.timeout_),
        seconds_(other.seconds_) {}
  Communicator& operator=(Communicator&& other) noexcept {
    std::swap(comm_, other.comm_);
    std::swap(rank_, other.rank_);
    std::swap(size_, other.size_);
    std::swap(timeout_, other.timeout_);
    std::swap(seconds_, other.seconds_);
    return *this;
  }
  ///@}
  ~Communicator() {
    int is_finalized = 0;
    MPI_Finalized(&is_finalized);
    if (comm_ != MPI_COMM_NULL && !is_finalized) MPI_Comm_free(&comm_);
  }

  /// The duplicate; the number of this process, and of all.
  ///@{
  MPI_Comm get() const { return comm_; }
  int rank() const { return rank_; }
  int size() const { return size_; }
  ///@}

  /// Begins something by begin(request), which gives MPI's code, and waits until it is done. `what` is waited
  /// for, as the sentences of an error and of the time-out have it. Errors: MpiError.
  void finish(const char* what, const auto& begin) const {
    MPI_Request request;
    detail::require_success(begin(&request), what);
    wait({&request, 1}, what);
  }

  /// Waits until all requests are done. `what` is waited for, as the sentence of the time-out has it.
  void wait(std::span<MPI_Request> requests, const char* what) const {
    Patience patience(*this, what);
    while (!test_all(requests, what)) patience.wait();
  }

  /// Lets MPI go on with requests, and tests whether all of them are done.
  static bool test_all(std::span<MPI_Request> requests, const char* what) {
    int is_done = 0;
    detail::require_success(
        MPI_Testall(detail::as_count(requests.size()), requests.data(), &is_done, MPI_STATUSES_IGNORE), what);
    return is_done != 0;
  }

  /// The time in which nothing has come from the others; whoever tests for messages tells it what came.
  class Patience {
   public:
    /// Begins now. `what` is waited for.
    Patience(const Communicator& processes, const char* what)
        : processes_(processes), what_(what), first_(MPI_Wtime()), begin_(first_) {}
    Patience(const Patience&) = delete;
    Patience& operator=(const Patience&) = delete;
    ~Patience() { processes_.seconds_ += MPI_Wtime() - first_; }
    /// Something has come.
    void start_anew() { begin_ = MPI_Wtime(); }
    /// Lets others have the core. Ends all processes once the time is over.
    void wait() {
      std::this_thread::yield();
      if (processes_.timeout_ > 0 && MPI_Wtime() - begin_ > processes_.timeout_) processes_.give_up(what_);
    }

   private:
    const Communicator& processes_;
    const char* what_;
    double first_, begin_;
  };

  /// Seconds so far in which this process did nothing but exchange messages, or wait for the others to.
  double communication_seconds() const { return seconds_; }

  /// On all ranks, for each place the largest of their numbers.
  void take_largest(std::span<long long> numbers) const {
    finish("agree with the other ranks", [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, numbers.data(), detail::as_count(numbers.size()), MPI_LONG_LONG,
                            MPI_MAX, comm_, request);
    });
  }

  /// On all ranks, for each place the sum of their numbers, at most one of which is not 0 there: so no sum
  /// rounds, in whatever order MPI makes it.
  void unite(std::span<double> numbers) const {
    finish("unite the norms of the ranks", [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, numbers.data(), detail::as_count(numbers.size()), MPI_DOUBLE,
                            MPI_SUM, comm_, request);
    });
  }

  /// The texts of all ranks, on all ranks.
  std::vector<std::string> gathered(const std::string& text) const {
    const char* const what = "gather the texts of the ranks";
    const auto ranks = static_cast<std::size_t>(size_);
    std::vector<int> lengths(ranks), places(ranks);
    const int length = detail::as_count(text.size());
    finish(what, [&](MPI_Request* request) {
      return MPI_Iallgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, comm_, request);
    });
    std::size_t total = 0;
    for (std::size_t r = 0; r < ranks; ++r) {
      places[r] = detail::as_count(total);
      total += static_cast<std::size_t>(lengths[r]);
    }
    std::string all(total, '\0');
    finish(what, [&](MPI_Request* request) {
      return MPI_Iallgatherv(text.data(), length, MPI_CHAR, all.data(), lengths.data(), places.data(),
                             MPI_CHAR, comm_, request);
    });
    std::vector<std::string> texts;
    for (std::size_t r = 0; r < ranks; ++r)
      texts.push_back(all.substr(static_cast<std::size_t>(places[r]), static_cast<std::size_t>(lengths[r])));
    return texts;
  }

 private:
  /// No exception: the other ranks would wait for this one as this one did for them.
  [[noreturn]] void give_up(const char* what) const {
    std::fprintf(
        stderr,
        "symopt: rank %d has waited %g s for the other ranks, to %s. One of them has left its loop, by an "
        "exception outside of a step say, or is slower than the time-out allows. All processes are "
        "ended.\n",
        rank_, timeout_, what);
    std::fflush(stderr);
    MPI_Abort(comm_, 1);
    std::abort();  // MPI_Abort does not return
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  double timeout_ = 0;
  mutable double seconds_ = 0;  // one thread at a time
};

}}}  // namespace symopt::mpi
