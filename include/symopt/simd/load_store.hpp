// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>
#include <symopt/simd/lanes.hpp>

#include <cstdint>
#include <cstring>

// How lanes come from memory and go to it, in every storage type and at the end of a row.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// As many entries as there are lanes, from entry j on.
struct FullVector {
  Index j;
};
/// The last entries of a row, fewer than there are lanes: the others are not touched in memory, and zero in
/// the lanes.
struct Tail {
  Index j;
  int count;
};

/// body(at) for all vectors of n entries: the last may be a Tail.
template <class Scalar, class Body>
SYMOPT_INLINE void for_each_vector(Index n, Body&& body) {
  constexpr int size = Lanes<Scalar>::size;
  Index j = 0;
  for (; j + size <= n; j += size) body(FullVector{j});
  if (j < n) body(Tail{j, static_cast<int>(n - j)});
}

#if defined(__AVX__)
/// The first lanes, of which there are some but not all. Lanes that a mask leaves out are not touched in
/// memory.
///@{
#if defined(__AVX512F__)
SYMOPT_INLINE __mmask16 first_lanes(int count) {
  return static_cast<__mmask16>((1U << count) - 1U);
}
SYMOPT_INLINE Lanes<float> load_first(const float* from, int count) {
  return Lanes<float>(_mm512_maskz_loadu_ps(first_lanes(count), from));
}
SYMOPT_INLINE Lanes<double> load_first(const double* from, int count) {
  return Lanes<double>(_mm512_maskz_loadu_pd(static_cast<__mmask8>(first_lanes(count)), from));
}
SYMOPT_INLINE void store_first(float* to, int count, Lanes<float> x) {
  _mm512_mask_storeu_ps(to, first_lanes(count), x.value);
}
SYMOPT_INLINE void store_first(double* to, int count, Lanes<double> x) {
  _mm512_mask_storeu_pd(to, static_cast<__mmask8>(first_lanes(count)), x.value);
}
#else
SYMOPT_INLINE __m256i first_lanes(float, int count) {
  typedef std::int32_t Numbers __attribute__((vector_size(32)));
  return __m256i(Numbers{0, 1, 2, 3, 4, 5, 6, 7} < Numbers{} + count);
}
SYMOPT_INLINE __m256i first_lanes(double, int count) {
  typedef std::int64_t Numbers __attribute__((vector_size(32)));
  return __m256i(Numbers{0, 1, 2, 3} < Numbers{} + count);
}
SYMOPT_INLINE Lanes<float> load_first(const float* from, int count) {
  return Lanes<float>(_mm256_maskload_ps(from, first_lanes(0.0F, count)));
}
SYMOPT_INLINE Lanes<double> load_first(const double* from, int count) {
  return Lanes<double>(_mm256_maskload_pd(from, first_lanes(0.0, count)));
}
SYMOPT_INLINE void store_first(float* to, int count, Lanes<float> x) {
  _mm256_maskstore_ps(to, first_lanes(0.0F, count), x.value);
}
SYMOPT_INLINE void store_first(double* to, int count, Lanes<double> x) {
  _mm256_maskstore_pd(to, first_lanes(0.0, count), x.value);
}
#endif
///@}
#else
template <RealScalar Scalar>
[[gnu::noinline]] Lanes<Scalar> load_first(const Scalar* from, int count) {
  Scalar padded[Lanes<Scalar>::size] = {};
  std::memcpy(padded, from, static_cast<std::size_t>(count) * sizeof(Scalar));
  return Lanes<Scalar>::load(padded);
}
template <RealScalar Scalar>
[[gnu::noinline]] void store_first(Scalar* to, int count, Lanes<Scalar> x) {
  Scalar padded[Lanes<Scalar>::size];
  x.store(padded);
  std::memcpy(to, padded, static_cast<std::size_t>(count) * sizeof(Scalar));
}
#endif

/// Reads and writes lanes.
///@{
template <RealScalar Scalar>
SYMOPT_INLINE Lanes<Scalar> load(const Scalar* from, FullVector at) {
  return Lanes<Scalar>::load(from + at.j);
}
template <RealScalar Scalar>
SYMOPT_INLINE Lanes<Scalar> load(const Scalar* from, Tail at) {
  return load_first(from + at.j, at.count);
}
template <RealScalar Scalar>
SYMOPT_INLINE void store(Scalar* to, FullVector at, Lanes<Scalar> x) {
  x.store(to + at.j);
}
template <RealScalar Scalar>
SYMOPT_INLINE void store(Scalar* to, Tail at, Lanes<Scalar> x) {
  store_first(to + at.j, at.count, x);
}
///@}

/// Asks for the numbers so many entries behind those at a vector, so that they are in the first cache, or in
/// the second, when the sweep comes to them: between much arithmetic the processor's own guesses come late.
/// Asking is not reading: past the end nothing happens.
///@{
template <int cache = 1, RealScalar Scalar>
SYMOPT_INLINE void fetch(const Scalar* from, FullVector at, Index distance) {
  constexpr int for_reading = 0, locality = cache == 1 ? 3 : 2;
  const auto bytes = static_cast<std::uintptr_t>(at.j + distance) * sizeof(Scalar);
  const auto address = reinterpret_cast<std::uintptr_t>(from) + bytes;
  __builtin_prefetch(reinterpret_cast<const void*>(address), for_reading, locality);
}
template <int cache = 1, RealScalar Scalar>
SYMOPT_INLINE void fetch(const Scalar*, Tail, Index) {}
///@}

/// 32 bits for each lane of a float.
using FloatBits = Lanes<float>::BitVector;

/// 16 bits for each lane of a float, zero-extended. By name: GCC's __builtin_convertvector does it in two
/// parts. AVX without AVX2 has no such instruction.
SYMOPT_INLINE FloatBits load_16_bits(const void* from) {
#if defined(__AVX512F__)
  return FloatBits(
      _mm512_maskz_cvtepu16_epi32(__mmask16(-1), _mm256_loadu_si256(static_cast<const __m256i*>(from))));
#elif defined(__AVX2__)
  return FloatBits(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(from))));
#elif defined(__SSE2__) && !defined(__AVX__)
  return FloatBits(
      _mm_unpacklo_epi16(_mm_loadl_epi64(static_cast<const __m128i*>(from)), _mm_setzero_si128()));
#else
  std::uint16_t entries[Lanes<float>::size];
  std::memcpy(entries, from, sizeof entries);
  FloatBits bits{};
  for (int k = 0; k < Lanes<float>::size; ++k) bits[k] = entries[k];
  return bits;
#endif
}
/// The lower 16 bits of each lane, of which the upper are zero.
SYMOPT_INLINE void store_16_bits(void* to, FloatBits bits) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(static_cast<__m256i*>(to), _mm512_maskz_cvtepi32_epi16(__mmask16(-1), __m512i(bits)));
#elif defined(__AVX2__)
  const __m256i packed = _mm256_packus_epi32(__m256i(bits), __m256i(bits));  // each half of the lanes twice
  const __m256i in_order = _mm256_permute4x64_epi64(packed, 0b1000);
  _mm_storeu_si128(static_cast<__m128i*>(to), _mm256_castsi256_si128(in_order));
#elif defined(__SSE2__) && !defined(__AVX__)
  const __m128i extended = _mm_srai_epi32(_mm_slli_epi32(__m128i(bits), 16), 16);  // packs without saturation
  _mm_storel_epi64(static_cast<__m128i*>(to), _mm_packs_epi32(extended, extended));
#else
  std::uint16_t entries[Lanes<float>::size];
  for (int k = 0; k < Lanes<float>::size; ++k) entries[k] = static_cast<std::uint16_t>(bits[k]);
  std::memcpy(to, entries, sizeof entries);
#endif
}

/// A vector of 16-bit numbers from entry at.j of a row on.
///@{
SYMOPT_INLINE FloatBits load_16_bits(const void* from, FullVector at) {
  return load_16_bits(static_cast<const char*>(from) + 2 * at.j);
}
SYMOPT_INLINE FloatBits load_16_bits(const void* from, Tail at) {
  std::uint16_t padded[Lanes<float>::size] = {};
  std::memcpy(padded, static_cast<const char*>(from) + 2 * at.j, 2 * static_cast<std::size_t>(at.count));
  return load_16_bits(padded);
}
SYMOPT_INLINE void store_16_bits(void* to, FullVector at, FloatBits bits) {
  store_16_bits(static_cast<char*>(to) + 2 * at.j, bits);
}
SYMOPT_INLINE void store_16_bits(void* to, Tail at, FloatBits bits) {
  std::uint16_t padded[Lanes<float>::size];
  store_16_bits(padded, bits);
  std::memcpy(static_cast<char*>(to) + 2 * at.j, padded, 2 * static_cast<std::size_t>(at.count));
}
///@}

template <class At>
SYMOPT_INLINE Lanes<float> load(const bfloat16* from, At at) {
  return Lanes<float>::of_bits(load_16_bits(from, at) << 16);
}

/// The bits of a bfloat16 for each lane, rounded with 16 random bits: see rounded_by.
SYMOPT_INLINE FloatBits rounded_bf16(Lanes<float> x, FloatBits random_16) {
  using SignedBits [[gnu::vector_size(lane_bytes)]] = std::int32_t;  // compared in one instruction
  const FloatBits bits = x.bits();
  const FloatBits is_nan = FloatBits(SignedBits(absolute(x).bits()) > (SignedBits{} + 0x7f800000));
  return (((bits + random_16) & ~is_nan) | ((bits | 0x00400000U) & is_nan)) >> 16;
}
/// The bits of the nearest bfloat16 for each lane.
SYMOPT_INLINE FloatBits nearest_bf16(Lanes<float> x) {
  return rounded_bf16(x, 0x7fffU + ((x.bits() >> 16) & 1U));
}

}}}  // namespace symopt::kernel
