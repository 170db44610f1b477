// Specialisations of lanes.h for AVX2 and AVX-512. Included only by lanes.h.
#pragma once

namespace regrad::simd {

#if XSIMD_WITH_AVX2

// Loads are masked. Stores are split into 4, 2 and 1 lanes, as masked stores are slow on some
// processors.
template <>
struct FirstLanes<float, xsimd::fma3<xsimd::avx2>> {
  using Vector = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
  static constexpr bool is_free = true;
  REGRAD_INLINE explicit FirstLanes(int64_t count)
      : mask_(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                 _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))),
        count_(static_cast<int>(count)) {}
  REGRAD_INLINE Vector load(const float* source) const { return _mm256_maskload_ps(source, mask_); }
  REGRAD_INLINE Vector load(const float* source, float fill) const {
    return _mm256_blendv_ps(Vector(fill), _mm256_maskload_ps(source, mask_),
                            _mm256_castsi256_ps(mask_));
  }
  REGRAD_INLINE void store(float* destination, Vector value) const {
    const __m256 vector = value;
    __m128 lanes = _mm256_castps256_ps128(vector);
    if (count_ & 4) {
      _mm_storeu_ps(destination, lanes);
      lanes = _mm256_extractf128_ps(vector, 1);
      destination += 4;
    }
    if (count_ & 2) {
      _mm_storel_pi(reinterpret_cast<__m64*>(destination), lanes);
      lanes = _mm_movehl_ps(lanes, lanes);
      destination += 2;
    }
    if (count_ & 1) _mm_store_ss(destination, lanes);
  }

 private:
  __m256i mask_;
  int count_;
};

template <>
struct FirstLanes<double, xsimd::fma3<xsimd::avx2>> {
  using Vector = xsimd::batch<double, xsimd::fma3<xsimd::avx2>>;
  static constexpr bool is_free = true;
  REGRAD_INLINE explicit FirstLanes(int64_t count)
      : mask_(_mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3))),
        count_(static_cast<int>(count)) {}
  REGRAD_INLINE Vector load(const double* source) const {
    return _mm256_maskload_pd(source, mask_);
  }
  REGRAD_INLINE Vector load(const double* source, double fill) const {
    return _mm256_blendv_pd(Vector(fill), _mm256_maskload_pd(source, mask_),
                            _mm256_castsi256_pd(mask_));
  }
  REGRAD_INLINE void store(double* destination, Vector value) const {
    const __m256d vector = value;
    __m128d lanes = _mm256_castpd256_pd128(vector);
    if (count_ & 2) {
      _mm_storeu_pd(destination, lanes);
      lanes = _mm256_extractf128_pd(vector, 1);
      destination += 2;
    }
    if (count_ & 1) _mm_store_sd(destination, lanes);
  }

 private:
  __m256i mask_;
  int count_;
};

#endif

#if XSIMD_WITH_AVX512BW

REGRAD_INLINE xsimd::batch<float, xsimd::avx512bw> multiply_add(
    xsimd::batch<float, xsimd::avx512bw> x, xsimd::batch<float, xsimd::avx512bw> y,
    xsimd::batch<float, xsimd::avx512bw> z) {
  return _mm512_fmadd_ps(x, y, z);
}
REGRAD_INLINE xsimd::batch<double, xsimd::avx512bw> multiply_add(
    xsimd::batch<double, xsimd::avx512bw> x, xsimd::batch<double, xsimd::avx512bw> y,
    xsimd::batch<double, xsimd::avx512bw> z) {
  return _mm512_fmadd_pd(x, y, z);
}

template <>
struct FirstLanes<float, xsimd::avx512bw> {
  using Vector = xsimd::batch<float, xsimd::avx512bw>;
  static constexpr bool is_free = true;
  REGRAD_INLINE explicit FirstLanes(int64_t count)
      : mask_(static_cast<__mmask16>((1u << static_cast<unsigned>(count)) - 1u)) {}
  REGRAD_INLINE Vector load(const float* source) const {
    return _mm512_maskz_loadu_ps(mask_, source);
  }
  REGRAD_INLINE Vector load(const float* source, float fill) const {
    return _mm512_mask_loadu_ps(Vector(fill), mask_, source);
  }
  REGRAD_INLINE void store(float* destination, Vector value) const {
    _mm512_mask_storeu_ps(destination, mask_, value);
  }

 private:
  __mmask16 mask_;
};

template <>
struct FirstLanes<double, xsimd::avx512bw> {
  using Vector = xsimd::batch<double, xsimd::avx512bw>;
  static constexpr bool is_free = true;
  REGRAD_INLINE explicit FirstLanes(int64_t count)
      : mask_(static_cast<__mmask8>((1u << static_cast<unsigned>(count)) - 1u)) {}
  REGRAD_INLINE Vector load(const double* source) const {
    return _mm512_maskz_loadu_pd(mask_, source);
  }
  REGRAD_INLINE Vector load(const double* source, double fill) const {
    return _mm512_mask_loadu_pd(Vector(fill), mask_, source);
  }
  REGRAD_INLINE void store(double* destination, Vector value) const {
    _mm512_mask_storeu_pd(destination, mask_, value);
  }

 private:
  __mmask8 mask_;
};

#endif

}  // namespace regrad::simd
