// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>
#include <symopt/kernel/lanes.hpp>

#include <cstdint>
#include <cstring>

// How lanes come from memory and go to it, in every storage type and at the ragged end of a row.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// As many entries as there are lanes, from entry j on.
struct Whole {
  Index j;
};
/// Fewer: the others are not touched in memory, and zero in the lanes.
struct Ragged {
  Index j;
  int count;
};

/// body(place) for all places of a row of n entries.
template <class Scalar, class Body>
SYMOPT_INLINE void for_each_place(Index n, Body&& body) {
  constexpr int size = Lanes<Scalar>::size;
  Index j = 0;
  for (; j + size <= n; j += size) body(Whole{j});
  if (j < n) body(Ragged{j, static_cast<int>(n - j)});
}

template <RealScalar Scalar>
SYMOPT_INLINE Lanes<Scalar> load(const Scalar* from, Whole at) {
  return Lanes<Scalar>::load(from + at.j);
}
template <RealScalar Scalar>
SYMOPT_INLINE Lanes<Scalar> load(const Scalar* from, Ragged at) {
  Scalar padded[Lanes<Scalar>::size] = {};
  std::memcpy(padded, from + at.j, static_cast<std::size_t>(at.count) * sizeof(Scalar));
  return Lanes<Scalar>::load(padded);
}
template <RealScalar Scalar>
SYMOPT_INLINE void store(Scalar* to, Whole at, Lanes<Scalar> x) {
  x.store(to + at.j);
}
template <RealScalar Scalar>
SYMOPT_INLINE void store(Scalar* to, Ragged at, Lanes<Scalar> x) {
  Scalar padded[Lanes<Scalar>::size];
  x.store(padded);
  std::memcpy(to + at.j, padded, static_cast<std::size_t>(at.count) * sizeof(Scalar));
}

/// Asks for what a sweep will want so many entries on, so that it is in the first cache by then, or in the
/// second: between much arithmetic the processor's own guesses come late. Asking is not reading: past the end
/// nothing happens.
template <int cache = 1, RealScalar Scalar>
SYMOPT_INLINE void fetch(const Scalar* from, Whole at, Index entries_ahead) {
  constexpr int for_reading = 0, locality = cache == 1 ? 3 : 2;
  const auto bytes = static_cast<std::uintptr_t>(at.j + entries_ahead) * sizeof(Scalar);
  const auto address = reinterpret_cast<std::uintptr_t>(from) + bytes;
  __builtin_prefetch(reinterpret_cast<const void*>(address), for_reading, locality);
}
template <int cache = 1, RealScalar Scalar>
SYMOPT_INLINE void fetch(const Scalar*, Ragged, Index) {}

/// The same for what comes two kilobytes on.
template <RealScalar Scalar, class At>
SYMOPT_INLINE void fetch_ahead(const Scalar* from, At at) {
  fetch(from, at, 2048 / static_cast<Index>(sizeof(Scalar)));
}
/// Eight kilobytes on, for a sweep that leaves the memory alone for a while between its rows.
template <RealScalar Scalar, class At>
SYMOPT_INLINE void fetch_far_ahead(const Scalar* from, At at) {
  fetch<2>(from, at, 8192 / static_cast<Index>(sizeof(Scalar)));
}

/// The lanes of a float in two halves of 16 bits, as integers.
using FloatBits = Lanes<float>::BitVector;

/// 16 bits for each lane of a float, zero-extended. By name: GCC's __builtin_convertvector does it in two
/// parts. AVX without AVX2 has no such instruction.
SYMOPT_INLINE FloatBits load_halves(const void* from) {
#if defined(__AVX512F__)
  return FloatBits(
      _mm512_maskz_cvtepu16_epi32(__mmask16(-1), _mm256_loadu_si256(static_cast<const __m256i*>(from))));
#elif defined(__AVX2__)
  return FloatBits(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(from))));
#elif defined(__SSE2__) && !defined(__AVX__)
  return FloatBits(
      _mm_unpacklo_epi16(_mm_loadl_epi64(static_cast<const __m128i*>(from)), _mm_setzero_si128()));
#else
  std::uint16_t halves[Lanes<float>::size];
  std::memcpy(halves, from, sizeof halves);
  FloatBits bits{};
  for (int k = 0; k < Lanes<float>::size; ++k) bits[k] = halves[k];
  return bits;
#endif
}
/// The lower 16 bits of each lane, of which the upper are zero.
SYMOPT_INLINE void store_halves(void* to, FloatBits bits) {
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
  std::uint16_t halves[Lanes<float>::size];
  for (int k = 0; k < Lanes<float>::size; ++k) halves[k] = static_cast<std::uint16_t>(bits[k]);
  std::memcpy(to, halves, sizeof halves);
#endif
}

SYMOPT_INLINE FloatBits load_halves(const void* from, Whole at) {
  return load_halves(static_cast<const char*>(from) + 2 * at.j);
}
SYMOPT_INLINE FloatBits load_halves(const void* from, Ragged at) {
  std::uint16_t padded[Lanes<float>::size] = {};
  std::memcpy(padded, static_cast<const char*>(from) + 2 * at.j, 2 * static_cast<std::size_t>(at.count));
  return load_halves(padded);
}
SYMOPT_INLINE void store_halves(void* to, Whole at, FloatBits bits) {
  store_halves(static_cast<char*>(to) + 2 * at.j, bits);
}
SYMOPT_INLINE void store_halves(void* to, Ragged at, FloatBits bits) {
  std::uint16_t padded[Lanes<float>::size];
  store_halves(padded, bits);
  std::memcpy(static_cast<char*>(to) + 2 * at.j, padded, 2 * static_cast<std::size_t>(at.count));
}

template <class Place>
SYMOPT_INLINE Lanes<float> load(const bfloat16* from, Place at) {
  return Lanes<float>::of_bits(load_halves(from, at) << 16);
}

/// The bits of each lane rounded to the upper 16: see rounded_by.
SYMOPT_INLINE FloatBits rounded_halves(Lanes<float> x, FloatBits random_16) {
  typedef std::int32_t SignedBits __attribute__((vector_size(lane_bytes)));  // compared in one instruction
  const FloatBits bits = x.bits();
  const FloatBits is_nan = FloatBits(SignedBits(absolute(x).bits()) > (SignedBits{} + 0x7f800000));
  return (((bits + random_16) & ~is_nan) | ((bits | 0x00400000U) & is_nan)) >> 16;
}
SYMOPT_INLINE FloatBits nearest_halves(Lanes<float> x) {
  return rounded_halves(x, 0x7fffU + ((x.bits() >> 16) & 1U));
}

}}}  // namespace symopt::kernel
