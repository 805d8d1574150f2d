// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>
#include <symopt/matrix.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

// immintrin.h declares everything up to AVX-512, which takes longer to read than Eigen does; without AVX the
// instructions named here are all of SSE2.
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_FEATURE_FMA) && defined(__aarch64__)
#include <arm_neon.h>
#endif

// Vectors of the width that the translation unit is compiled for. Everything here is written with vector
// types of GCC and Clang and a few instructions by name, so that loops are vectors at -O2 and without -march
// too, and every entry of a block goes through the same arithmetic wherever it lies: in the body or in the
// ragged end of a row, on any thread, and in either storage order where both have the same kernel. Sums of
// products in lanes are fused on x86 and aarch64 where the processor can, by name, not left to the compiler;
// elsewhere a compiler that fuses on its own may do so in one place and not in another (-ffp-contract=off).
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

#if defined(__AVX512F__)
inline constexpr int lane_bytes = 64;
#elif defined(__AVX__)
inline constexpr int lane_bytes = 32;
#else
inline constexpr int lane_bytes = 16;
#endif

#define SYMOPT_INLINE [[gnu::always_inline]] inline
/// After the parameters of a lambda that is the body of a loop: called, it would read what it captures from
/// memory in every turn.
#define SYMOPT_INLINE_LAMBDA __attribute__((always_inline))

template <RealScalar Scalar>
struct VectorTypes;
template <>
struct VectorTypes<float> {
  using Bits = std::uint32_t;
  using Vector [[gnu::vector_size(lane_bytes)]] = float;
  using BitVector [[gnu::vector_size(lane_bytes)]] = std::uint32_t;
};
template <>
struct VectorTypes<double> {
  using Bits = std::uint64_t;
  using Vector [[gnu::vector_size(lane_bytes)]] = double;
  using BitVector [[gnu::vector_size(lane_bytes)]] = std::uint64_t;
};

/// As many scalars as fit a register.
template <RealScalar Scalar>
struct Lanes {
  using Bits = typename VectorTypes<Scalar>::Bits;
  using Vector = typename VectorTypes<Scalar>::Vector;
  using BitVector = typename VectorTypes<Scalar>::BitVector;
  static constexpr int size = lane_bytes / int(sizeof(Scalar));

  Vector value;

  Lanes() = default;
  SYMOPT_INLINE explicit Lanes(Vector v) : value(v) {}
  SYMOPT_INLINE explicit Lanes(Scalar x) : value(x - Vector{}) {}

  SYMOPT_INLINE static Lanes load(const Scalar* from) {
    Lanes loaded;
    std::memcpy(&loaded.value, from, sizeof(Vector));
    return loaded;
  }
  SYMOPT_INLINE void store(Scalar* to) const { std::memcpy(to, &value, sizeof(Vector)); }

  SYMOPT_INLINE friend Lanes operator+(Lanes a, Lanes b) { return Lanes(a.value + b.value); }
  SYMOPT_INLINE friend Lanes operator-(Lanes a, Lanes b) { return Lanes(a.value - b.value); }
  SYMOPT_INLINE friend Lanes operator*(Lanes a, Lanes b) { return Lanes(a.value * b.value); }
  SYMOPT_INLINE friend Lanes operator/(Lanes a, Lanes b) { return Lanes(a.value / b.value); }

  SYMOPT_INLINE BitVector bits() const { return BitVector(value); }
  SYMOPT_INLINE static Lanes of_bits(BitVector bits) { return Lanes(Vector(bits)); }
};

/// Lanes that may be missing.
template <RealScalar Scalar>
struct OptionalLanes {
  Lanes<Scalar> lanes;
  bool is_given;
};

/// a b + c, rounded once where the processor fuses.
SYMOPT_INLINE Lanes<float> multiply_add(Lanes<float> a, Lanes<float> b, Lanes<float> c) {
#if defined(__AVX512F__)
  return Lanes<float>(_mm512_fmadd_ps(a.value, b.value, c.value));
#elif defined(__FMA__)
  return Lanes<float>(_mm256_fmadd_ps(a.value, b.value, c.value));
#elif defined(__ARM_FEATURE_FMA) && defined(__aarch64__)
  return Lanes<float>(
      Lanes<float>::Vector(vfmaq_f32(float32x4_t(c.value), float32x4_t(a.value), float32x4_t(b.value))));
#else
  return a * b + c;
#endif
}
SYMOPT_INLINE Lanes<double> multiply_add(Lanes<double> a, Lanes<double> b, Lanes<double> c) {
#if defined(__AVX512F__)
  return Lanes<double>(_mm512_fmadd_pd(a.value, b.value, c.value));
#elif defined(__FMA__)
  return Lanes<double>(_mm256_fmadd_pd(a.value, b.value, c.value));
#elif defined(__ARM_FEATURE_FMA) && defined(__aarch64__)
  return Lanes<double>(
      Lanes<double>::Vector(vfmaq_f64(float64x2_t(c.value), float64x2_t(a.value), float64x2_t(b.value))));
#else
  return a * b + c;
#endif
}

/// x in a register: a compiler that takes it from memory anew for every use, as an operand, makes a loop of
/// many products for each load wait for loads.
template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> in_register(Lanes<Scalar> x) {
#if defined(__SSE2__)
  __asm__("" : "+v"(x.value));
#endif
  return x;
}

SYMOPT_INLINE Lanes<float> square_root(Lanes<float> x) {
#if defined(__AVX512F__)
  return Lanes<float>(_mm512_maskz_sqrt_ps(__mmask16(-1), x.value));
#elif defined(__AVX__)
  return Lanes<float>(_mm256_sqrt_ps(x.value));
#elif defined(__SSE2__)
  return Lanes<float>(_mm_sqrt_ps(x.value));
#else
  for (int k = 0; k < Lanes<float>::size; ++k) x.value[k] = std::sqrt(x.value[k]);
  return x;
#endif
}
SYMOPT_INLINE Lanes<double> square_root(Lanes<double> x) {
#if defined(__AVX512F__)
  return Lanes<double>(_mm512_maskz_sqrt_pd(__mmask8(-1), x.value));
#elif defined(__AVX__)
  return Lanes<double>(_mm256_sqrt_pd(x.value));
#elif defined(__SSE2__)
  return Lanes<double>(_mm_sqrt_pd(x.value));
#else
  for (int k = 0; k < Lanes<double>::size; ++k) x.value[k] = std::sqrt(x.value[k]);
  return x;
#endif
}

/// The first half of the lanes as doubles, and the second.
SYMOPT_INLINE Lanes<double> lower_half(Lanes<float> x) {
#if defined(__AVX512F__)
  // By name: GCC's __builtin_convertvector does it in quarters. With a mask, for without it GCC warns.
  const auto half = __builtin_shufflevector(x.value, x.value, 0, 1, 2, 3, 4, 5, 6, 7);
  return Lanes<double>(_mm512_maskz_cvtps_pd(__mmask8(-1), __m256(half)));
#elif defined(__AVX__)
  return Lanes<double>(_mm256_cvtps_pd(__builtin_shufflevector(x.value, x.value, 0, 1, 2, 3)));
#elif defined(__SSE2__)
  return Lanes<double>(_mm_cvtps_pd(x.value));
#else
  Lanes<double> half;
  for (int k = 0; k < Lanes<double>::size; ++k) half.value[k] = double(x.value[k]);
  return half;
#endif
}
SYMOPT_INLINE Lanes<double> upper_half(Lanes<float> x) {
#if defined(__AVX512F__)
  const __m512d as_doubles = _mm512_castps_pd(x.value);
  const __m256 half = _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(__mmask8(-1), as_doubles, 1));
  return Lanes<double>(_mm512_maskz_cvtps_pd(__mmask8(-1), half));
#elif defined(__AVX__)
  return Lanes<double>(_mm256_cvtps_pd(__builtin_shufflevector(x.value, x.value, 4, 5, 6, 7)));
#elif defined(__SSE2__)
  return Lanes<double>(_mm_cvtps_pd(_mm_movehl_ps(x.value, x.value)));
#else
  Lanes<double> half;
  for (int k = 0; k < Lanes<double>::size; ++k) half.value[k] = double(x.value[k + Lanes<double>::size]);
  return half;
#endif
}

/// The entries whose mask bits are set, zero elsewhere.
template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> kept_where(typename Lanes<Scalar>::BitVector mask, Lanes<Scalar> x) {
  return Lanes<Scalar>::of_bits(x.bits() & mask);
}

template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> absolute(Lanes<Scalar> x) {
  using Bits = typename Lanes<Scalar>::Bits;
  return Lanes<Scalar>::of_bits(x.bits() & (std::numeric_limits<Bits>::max() >> 1));
}

/// The larger of two entries, and the smaller; of two of which one is NaN, `larger` is the second.
///@{
template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> larger(Lanes<Scalar> a, Lanes<Scalar> b) {
  const auto is_first = typename Lanes<Scalar>::BitVector(a.value > b.value);
  return Lanes<Scalar>::of_bits((a.bits() & is_first) | (b.bits() & ~is_first));
}
template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> smaller(Lanes<Scalar> a, Lanes<Scalar> b) {
  const auto is_first = typename Lanes<Scalar>::BitVector(a.value > b.value);
  return Lanes<Scalar>::of_bits((b.bits() & is_first) | (a.bits() & ~is_first));
}
///@}

/// Entries below the smallest normal number become zero; NaN stays.
template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> without_subnormals(Lanes<Scalar> x) {
  using BitVector = typename Lanes<Scalar>::BitVector;
  const Lanes<Scalar> smallest(std::numeric_limits<Scalar>::min());
  return kept_where<Scalar>(~BitVector(absolute(x).value < smallest.value), x);
}

/// 1, -1 or the entry itself where that is neither positive nor negative: zero and NaN.
template <class Scalar>
SYMOPT_INLINE Lanes<Scalar> sign(Lanes<Scalar> x) {
  using L = Lanes<Scalar>;
  using BitVector = typename L::BitVector;
  const L zero(Scalar(0));
  const BitVector positive = BitVector(x.value > zero.value), negative = BitVector(x.value < zero.value);
  return L::of_bits((L(Scalar(1)).bits() & positive) | (L(Scalar(-1)).bits() & negative) |
                    (x.bits() & ~(positive | negative)));
}

/// The entries in order, added up one after the other.
SYMOPT_INLINE double sum_of(Lanes<double> x) {
  double sum = 0;
  for (int k = 0; k < Lanes<double>::size; ++k) sum += x.value[k];
  return sum;
}

/// Gradients whose entries are all less than 2 to this power cannot lead out of range: neither their squares,
/// nor their sums, nor what an average of them is divided by. Others are finite, but looked after; see
/// optimizer/step_range.hpp. 2^48 for float, 2^384 for double.
template <class Scalar>
inline constexpr int usual_exponent = std::numeric_limits<Scalar>::max_exponent / 8 * 3;

/// The bits that, added to those of an exponent, overflow into the bit above them for 2^exponent and more;
/// with max_exponent for Inf and NaN alone.
template <class Scalar>
constexpr auto overflow_from(int exponent) {
  using Bits = typename Lanes<Scalar>::Bits;
  constexpr int digits = std::numeric_limits<Scalar>::digits - 1,
                most = std::numeric_limits<Scalar>::max_exponent;
  return static_cast<Bits>(most + 1 - exponent) << digits;
}
/// A register's worth of bits in which every lane with a number of 2^exponent or more, an Inf or a NaN has
/// its top bit set, for overflow_from(exponent). Looks at bits rather than comparing numbers, so it also
/// holds in programs built with -ffast-math.
template <class Scalar>
SYMOPT_INLINE typename Lanes<Scalar>::BitVector large_bits(Lanes<Scalar> x,
                                                           typename Lanes<Scalar>::Bits overflow) {
  using Bits = typename Lanes<Scalar>::Bits;
  constexpr int digits = std::numeric_limits<Scalar>::digits - 1;
  constexpr Bits exponent = (std::numeric_limits<Bits>::max() >> 1) >> digits << digits;
  return (x.bits() & exponent) + overflow;
}
template <class Scalar>
SYMOPT_INLINE bool has_top_bit(typename Lanes<Scalar>::BitVector x) {
  using Bits = typename Lanes<Scalar>::Bits;
  Bits any = 0;
  for (int k = 0; k < Lanes<Scalar>::size; ++k) any |= x[k];
  return any >> (8 * sizeof(Bits) - 1) != 0;
}

/// A running sum in double of as many columns as there are lanes.
template <class Scalar>
struct DoubleLanes;
template <>
struct DoubleLanes<double> {
  Lanes<double> all{0.0};

  SYMOPT_INLINE static DoubleLanes of(Lanes<double> x) { return {x}; }
  SYMOPT_INLINE static DoubleLanes load(const double* from) { return {Lanes<double>::load(from)}; }
  SYMOPT_INLINE void store(double* to) const { all.store(to); }
  SYMOPT_INLINE void add(Lanes<double> x) { all = all + x; }
  SYMOPT_INLINE void add_square(Lanes<double> x) { all = multiply_add(x, x, all); }
  SYMOPT_INLINE double sum() const { return sum_of(all); }
};
template <>
struct DoubleLanes<float> {
  Lanes<double> lower{0.0};
  Lanes<double> upper{0.0};

  SYMOPT_INLINE static DoubleLanes load(const double* from) {
    return {Lanes<double>::load(from), Lanes<double>::load(from + Lanes<double>::size)};
  }
  SYMOPT_INLINE void store(double* to) const {
    lower.store(to);
    upper.store(to + Lanes<double>::size);
  }
  SYMOPT_INLINE void add(Lanes<float> x) {
    lower = lower + lower_half(x);
    upper = upper + upper_half(x);
  }
  /// The squares of floats are exact in double, and never leave its range.
  SYMOPT_INLINE void add_square(Lanes<float> x) {
    const Lanes<double> a = lower_half(x), b = upper_half(x);
    lower = multiply_add(a, a, lower);
    upper = multiply_add(b, b, upper);
  }
  SYMOPT_INLINE double sum() const { return sum_of(lower) + sum_of(upper); }
};

}}}  // namespace symopt::kernel
