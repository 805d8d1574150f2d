// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/matrix.hpp>

extern "C" {
void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
            const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
            const float* beta, float* c, const int* ldc);
}

namespace symopt_benchmark {

using symopt::Matrix;

/// Row-major c <- alpha op(a) op(b) + beta c by the BLAS, in which everything is the transpose.
inline void gemm(bool transpose_a, bool transpose_b, float alpha, const Matrix<float>& a,
                 const Matrix<float>& b, float beta, Matrix<float>& c) {
  const int m = static_cast<int>(c.cols()), n = static_cast<int>(c.rows()),
            k = static_cast<int>(transpose_a ? a.rows() : a.cols()), lda = static_cast<int>(a.cols()),
            ldb = static_cast<int>(b.cols()), ldc = static_cast<int>(c.cols());
  sgemm_(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &m, &n, &k, &alpha, b.data(), &ldb, a.data(), &lda,
         &beta, c.data(), &ldc);
}
}  // namespace symopt_benchmark
