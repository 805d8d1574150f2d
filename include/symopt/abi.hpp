// SPDX-License-Identifier: Apache-2.0
#pragma once

#if __cplusplus < 202002L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 202002L)
#error "symopt needs C++20: compile with -std=c++20"
#endif

// SYMOPT_ABI names the inline namespace in which every entity of symopt lives: the instruction set, then
// OpenMP and BLAS where they are on, and -ffinite-math-only (a part of -ffast-math). Code compiled for
// different instruction sets has different symbols, so translation units with different flags meet in one
// program without the linker taking one's kernels for the other's, and passing an optimizer between them is a
// link error. Nobody has to write the name. Eigen's own functions do not carry it.

#if defined(__AVX512BF16__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define SYMOPT_ABI_ISA avx512_bf16
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define SYMOPT_ABI_ISA avx512
#elif defined(__AVX512F__)
#define SYMOPT_ABI_ISA avx512f
#elif defined(__AVX2__) && defined(__FMA__)
#define SYMOPT_ABI_ISA avx2_fma
#elif defined(__AVX2__)
#define SYMOPT_ABI_ISA avx2
#elif defined(__AVX__) && defined(__FMA__)
#define SYMOPT_ABI_ISA avx_fma
#elif defined(__AVX__)
#define SYMOPT_ABI_ISA avx
#elif defined(__SSE4_2__)
#define SYMOPT_ABI_ISA sse4
#elif defined(__x86_64__) || defined(_M_X64)
#define SYMOPT_ABI_ISA x86_64
#elif defined(__ARM_FEATURE_SVE)
#define SYMOPT_ABI_ISA sve
#elif defined(__ARM_NEON)
#define SYMOPT_ABI_ISA neon
#else
#define SYMOPT_ABI_ISA generic
#endif

#ifdef _OPENMP
#define SYMOPT_ABI_OPENMP _openmp
#else
#define SYMOPT_ABI_OPENMP
#endif

#ifdef SYMOPT_USE_BLAS
#define SYMOPT_ABI_BLAS _blas
#else
#define SYMOPT_ABI_BLAS
#endif

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#define SYMOPT_ABI_MATH _finite_math
#else
#define SYMOPT_ABI_MATH
#endif

#define SYMOPT_ABI_JOIN_EXPANDED(isa, openmp, blas, math) isa##openmp##blas##math
#define SYMOPT_ABI_JOIN(isa, openmp, blas, math) SYMOPT_ABI_JOIN_EXPANDED(isa, openmp, blas, math)
#define SYMOPT_ABI SYMOPT_ABI_JOIN(SYMOPT_ABI_ISA, SYMOPT_ABI_OPENMP, SYMOPT_ABI_BLAS, SYMOPT_ABI_MATH)
