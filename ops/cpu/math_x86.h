// Overloads of math_lanes.h, which alone includes this, for which x86 has a single instruction. The
// zero-masked intrinsics with a full mask compile to the plain instructions; the plain intrinsics
// make g++ warn of undefined operands in its own headers.
#pragma once

namespace regrad::simd {

// The lower and upper half of a vector of floats, as doubles.
template <class Arch>
struct Wide {
  xsimd::batch<double, Arch> low, high;
};

#if XSIMD_WITH_SSE2
using Float4 = xsimd::batch<float, xsimd::sse2>;
using Double2 = xsimd::batch<double, xsimd::sse2>;
REGRAD_INLINE Float4 max_or_second(Float4 x, Float4 y) { return _mm_max_ps(x, y); }
REGRAD_INLINE Float4 min_or_second(Float4 x, Float4 y) { return _mm_min_ps(x, y); }
REGRAD_INLINE Double2 max_or_second(Double2 x, Double2 y) { return _mm_max_pd(x, y); }
REGRAD_INLINE Double2 min_or_second(Double2 x, Double2 y) { return _mm_min_pd(x, y); }
REGRAD_INLINE Wide<xsimd::sse2> widen(Float4 x) {
  return {_mm_cvtps_pd(x), _mm_cvtps_pd(_mm_movehl_ps(x, x))};
}
REGRAD_INLINE Float4 narrow(Double2 low, Double2 high) {
  return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}
#endif

#if XSIMD_WITH_FMA3_AVX2
using Float8 = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
using Double4 = xsimd::batch<double, xsimd::fma3<xsimd::avx2>>;
REGRAD_INLINE Float8 max_or_second(Float8 x, Float8 y) { return _mm256_max_ps(x, y); }
REGRAD_INLINE Float8 min_or_second(Float8 x, Float8 y) { return _mm256_min_ps(x, y); }
REGRAD_INLINE Double4 max_or_second(Double4 x, Double4 y) { return _mm256_max_pd(x, y); }
REGRAD_INLINE Double4 min_or_second(Double4 x, Double4 y) { return _mm256_min_pd(x, y); }
REGRAD_INLINE Wide<xsimd::fma3<xsimd::avx2>> widen(Float8 x) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))};
}
REGRAD_INLINE Float8 narrow(Double4 low, Double4 high) {
  return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}
#endif

#if XSIMD_WITH_AVX512BW
using Float16 = xsimd::batch<float, xsimd::avx512bw>;
using Double8 = xsimd::batch<double, xsimd::avx512bw>;
inline constexpr __mmask16 all16 = 0xffff;
inline constexpr __mmask8 all8 = 0xff;
REGRAD_INLINE Float16 max_or_second(Float16 x, Float16 y) {
  return _mm512_maskz_max_ps(all16, x, y);
}
REGRAD_INLINE Float16 min_or_second(Float16 x, Float16 y) {
  return _mm512_maskz_min_ps(all16, x, y);
}
REGRAD_INLINE Double8 max_or_second(Double8 x, Double8 y) {
  return _mm512_maskz_max_pd(all8, x, y);
}
REGRAD_INLINE Double8 min_or_second(Double8 x, Double8 y) {
  return _mm512_maskz_min_pd(all8, x, y);
}

REGRAD_INLINE Wide<xsimd::avx512bw> widen(Float16 x) {
  return {_mm512_maskz_cvtps_pd(all8, _mm512_maskz_extractf32x8_ps(all8, x, 0)),
          _mm512_maskz_cvtps_pd(all8, _mm512_maskz_extractf32x8_ps(all8, x, 1))};
}
REGRAD_INLINE Float16 narrow(Double8 low, Double8 high) {
  return _mm512_maskz_insertf32x8(all16, _mm512_castps256_ps512(_mm512_maskz_cvtpd_ps(all8, low)),
                                  _mm512_maskz_cvtpd_ps(all8, high), 1);
}

REGRAD_INLINE Float16 v_sqrt(Float16 x) { return _mm512_maskz_sqrt_ps(all16, x); }
REGRAD_INLINE Double8 v_sqrt(Double8 x) { return _mm512_maskz_sqrt_pd(all8, x); }

REGRAD_INLINE Float16 scale(Float16 x, Float16 n) { return _mm512_maskz_scalef_ps(all16, x, n); }
REGRAD_INLINE Double8 scale(Double8 x, Double8 n) { return _mm512_maskz_scalef_pd(all8, x, n); }

// 2^(n / 16) for n = 16 e + j is 2^(j / 16) with e added to its exponent. Adding n << 19 adds e to
// the exponent, but also j << 19 to the fraction; the table's entries have j << 19 subtracted
// beforehand.
constexpr uint32_t root_bits(float root, uint32_t j) {
  return __builtin_bit_cast(uint32_t, root) - (j << 19);
}
alignas(64) constexpr uint32_t roots_of_two[16] = {
    root_bits(0x1.000000p0f, 0),  root_bits(0x1.0b5586p0f, 1),  root_bits(0x1.172b84p0f, 2),
    root_bits(0x1.2387a6p0f, 3),  root_bits(0x1.306fe0p0f, 4),  root_bits(0x1.3dea64p0f, 5),
    root_bits(0x1.4bfdaep0f, 6),  root_bits(0x1.5ab07ep0f, 7),  root_bits(0x1.6a09e6p0f, 8),
    root_bits(0x1.7a1148p0f, 9),  root_bits(0x1.8ace54p0f, 10), root_bits(0x1.9c4918p0f, 11),
    root_bits(0x1.ae89fap0f, 12), root_bits(0x1.c199bep0f, 13), root_bits(0x1.d5818ep0f, 14),
    root_bits(0x1.ea4afap0f, 15)};

template <>
struct ExpPowers<float, xsimd::avx512bw> {
  static constexpr int steps = 16;
  static constexpr float shifter = Bits<float, xsimd::avx512bw>::shifter;
  static REGRAD_INLINE Float16 power(Float16 shifted) {
    using Words = Bits<float, xsimd::avx512bw>::Words;
    const Words n = bits_of(shifted);
    const __m512i root = _mm512_maskz_permutexvar_epi32(all16, reinterpret_cast<__m512i>(n),
                                                        _mm512_load_si512(roots_of_two));
    return from_bits<float, xsimd::avx512bw>((n << 19) + reinterpret_cast<Words>(root));
  }
};

// getexp returns -infinity for 0 and infinity for infinity, and getmant a NaN for a negative x, so
// that log needs no special cases.
REGRAD_INLINE Float16 with_log_edge_cases(Float16, Float16 y) { return y; }
REGRAD_INLINE Double8 with_log_edge_cases(Double8, Double8 y) { return y; }

REGRAD_INLINE FractionExponent<float, xsimd::avx512bw> split(Float16 x) {
  const Float16 fraction =
      _mm512_maskz_getmant_ps(all16, x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
  return {fraction, Float16(_mm512_maskz_getexp_ps(all16, x)) -
                        Float16(_mm512_maskz_getexp_ps(all16, fraction))};
}
REGRAD_INLINE FractionExponent<double, xsimd::avx512bw> split(Double8 x) {
  const Double8 fraction =
      _mm512_maskz_getmant_pd(all8, x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
  return {fraction, Double8(_mm512_maskz_getexp_pd(all8, x)) -
                        Double8(_mm512_maskz_getexp_pd(all8, fraction))};
}
#endif

}  // namespace regrad::simd
