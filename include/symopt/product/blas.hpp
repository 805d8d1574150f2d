// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

#ifdef _OPENMP
#include <omp.h>
#endif

// The products of a BLAS, by its Fortran names, so that none of its headers is needed. There where
// SYMOPT_USE_BLAS is defined; the program links the library.
#ifdef SYMOPT_USE_BLAS
extern "C" {
void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
            const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
            const float* beta, float* c, const int* ldc);
void dgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
            const double* alpha, const double* a, const int* lda, const double* b, const int* ldb,
            const double* beta, double* c, const int* ldc);
}

namespace symopt { inline namespace SYMOPT_ABI { namespace kernel::blas {

/// Calls work() where an OpenMP BLAS does not start threads of its own, which would change the bits: inside
/// of a parallel region. Without OpenMP the library's own number of threads counts: set it to one.
template <class Work>
void single_threaded(Work&& work) {
#ifdef _OPENMP
  if (!omp_in_parallel()) {
#pragma omp parallel num_threads(2)
#pragma omp single nowait
    work();
    return;
  }
#endif
  work();
}

/// c <- op(a) op(b) + beta c, column-major, one thread.
template <class Scalar>
void gemm(bool transpose_a, bool transpose_b, Index m, Index n, Index k, const Scalar* a, Index lda,
          const Scalar* b, Index ldb, Scalar beta, Scalar* c, Index ldc) {
  const char ta = transpose_a ? 'T' : 'N', tb = transpose_b ? 'T' : 'N';
  const int im = static_cast<int>(m), in = static_cast<int>(n), ik = static_cast<int>(k),
            ia = static_cast<int>(lda), ib = static_cast<int>(ldb), ic = static_cast<int>(ldc);
  const Scalar one = 1;
  single_threaded([&] {
    if constexpr (std::same_as<Scalar, float>) {
      sgemm_(&ta, &tb, &im, &in, &ik, &one, a, &ia, b, &ib, &beta, c, &ic);
    } else {
      dgemm_(&ta, &tb, &im, &in, &ik, &one, a, &ia, b, &ib, &beta, c, &ic);
    }
  });
}

}}}  // namespace symopt::kernel::blas
#endif
