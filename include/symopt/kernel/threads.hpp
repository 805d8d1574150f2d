// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#include <exception>

#ifdef _OPENMP
#include <omp.h>
#endif

// Threads appear when the program is compiled with OpenMP, and nothing here depends on how many there are:
// work is cut into pieces by its size, never by the number of threads, so that 1, 2 or 16 of them give the same
// bits.
namespace symopt::inline SYMOPT_ABI::kernel {

/// Threads that parallel_for would use here: 1 without OpenMP, and inside of a parallel region.
inline int thread_count() {
#ifdef _OPENMP
  return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

/// Which of them runs: 0 to thread_count() - 1 inside of parallel_for, 0 outside. To choose scratch memory by,
/// never what is computed.
inline int thread_index() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

/// Calls work(i) once for every i in [0, count), in any order and on any thread. Piece i must not write what
/// another piece reads. Pieces may differ in cost. One piece, one thread or a call from inside of a parallel
/// region: a plain loop. The first exception of a piece is
/// thrown again here, after the others have run.
template <class Work>
void parallel_for(Index count, Work&& work) {
#ifdef _OPENMP
  if (count > 1 && thread_count() > 1) {
    std::exception_ptr error;
#pragma omp parallel for schedule(dynamic, 1)
    for (Index i = 0; i < count; ++i) {
      try {
        work(i);
      } catch (...) {
#pragma omp critical(symopt_parallel_for)
        if (!error) error = std::current_exception();
      }
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  for (Index i = 0; i < count; ++i) work(i);
}

}  // namespace symopt::kernel
