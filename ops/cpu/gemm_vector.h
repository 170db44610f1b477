// What the matrix product needs of a vector beyond xsimd: a true fused multiply-add (xsimd 8 has
// none for AVX-512), the first few lanes of a vector, and a transposition within registers.
// Everything is inlined and carries its instruction set in its name.
#pragma once

#include <cstdint>
#include <utility>
#include <xsimd/xsimd.hpp>

#define REGRAD_INLINE __attribute__((always_inline)) inline

namespace regrad::simd {

template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> multiply_add(xsimd::batch<T, Arch> x, xsimd::batch<T, Arch> y,
                                                 xsimd::batch<T, Arch> z) {
  return xsimd::fma(x, y, z);
}

// The first `count` lanes of a vector in memory; the others read as zero and are not written.
template <class T, class Arch>
struct FirstLanes {
  using Vector = xsimd::batch<T, Arch>;
  static constexpr bool is_free = false;  // true: loaded as fast as a whole vector, nearly
  explicit FirstLanes(int64_t count) : count_(count) {}

  REGRAD_INLINE Vector load(const T* from) const {
    alignas(64) T lanes[Vector::size] = {};
    for (int64_t i = 0; i < count_; ++i) lanes[i] = from[i];
    return Vector::load_unaligned(lanes);
  }
  REGRAD_INLINE void store(T* to, Vector value) const {
    alignas(64) T lanes[Vector::size];
    value.store_unaligned(lanes);
    for (int64_t i = 0; i < count_; ++i) to[i] = lanes[i];
  }

 private:
  int64_t count_;
};

#if XSIMD_WITH_AVX2

// Loads are masked; stores go by halves, since a masked store is slow on some processors.
template <>
struct FirstLanes<float, xsimd::fma3<xsimd::avx2>> {
  using Vector = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
  static constexpr bool is_free = true;
  REGRAD_INLINE explicit FirstLanes(int64_t count)
      : mask_(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                 _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))),
        count_(static_cast<int>(count)) {}
  REGRAD_INLINE Vector load(const float* from) const { return _mm256_maskload_ps(from, mask_); }
  REGRAD_INLINE void store(float* to, Vector value) const {
    const __m256 whole = value;
    __m128 lanes = _mm256_castps256_ps128(whole);
    if (count_ & 4) {
      _mm_storeu_ps(to, lanes);
      lanes = _mm256_extractf128_ps(whole, 1);
      to += 4;
    }
    if (count_ & 2) {
      _mm_storel_pi(reinterpret_cast<__m64*>(to), lanes);
      lanes = _mm_movehl_ps(lanes, lanes);
      to += 2;
    }
    if (count_ & 1) _mm_store_ss(to, lanes);
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
  REGRAD_INLINE Vector load(const double* from) const { return _mm256_maskload_pd(from, mask_); }
  REGRAD_INLINE void store(double* to, Vector value) const {
    const __m256d whole = value;
    __m128d lanes = _mm256_castpd256_pd128(whole);
    if (count_ & 2) {
      _mm_storeu_pd(to, lanes);
      lanes = _mm256_extractf128_pd(whole, 1);
      to += 2;
    }
    if (count_ & 1) _mm_store_sd(to, lanes);
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
  REGRAD_INLINE Vector load(const float* from) const { return _mm512_maskz_loadu_ps(mask_, from); }
  REGRAD_INLINE void store(float* to, Vector value) const {
    _mm512_mask_storeu_ps(to, mask_, value);
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
  REGRAD_INLINE Vector load(const double* from) const { return _mm512_maskz_loadu_pd(mask_, from); }
  REGRAD_INLINE void store(double* to, Vector value) const {
    _mm512_mask_storeu_pd(to, mask_, value);
  }

 private:
  __mmask8 mask_;
};

#endif

// Blocks of 16 bytes, the unit within which the x86 shuffles work.
template <class T, class Arch>
struct Blocks {
  static constexpr int lanes = static_cast<int>(xsimd::batch<T, Arch>::size);
  static constexpr int width = 16 / static_cast<int>(sizeof(T));  // elements of a block
  static constexpr int count = lanes / width;
  typedef T Vector __attribute__((vector_size(lanes * sizeof(T))));
  typedef T Block __attribute__((vector_size(16)));

  static REGRAD_INLINE Block load(const T* from) {
    Block block;
    __builtin_memcpy(&block, from, sizeof block);
    return block;
  }

  // The blocks at from[0], from[step], from[2 * step] ..., each `offset` elements on.
  static REGRAD_INLINE Vector gather(const T* const* from, int64_t step, int64_t offset) {
    if constexpr (count == 1) {
      return load(from[0] + offset);
    } else if constexpr (count == 2) {
      return join(load(from[0] + offset), load(from[step] + offset),
                  std::make_integer_sequence<int, 2 * width>{});
    } else {
      constexpr std::make_integer_sequence<int, 2 * width> half{};
      const auto low = join(load(from[0] + offset), load(from[step] + offset), half);
      const auto high = join(load(from[2 * step] + offset), load(from[3 * step] + offset), half);
      return join(low, high, std::make_integer_sequence<int, 4 * width>{});
    }
  }

  // Within each block: x and y interleaved in groups of `Group`, from their lower or upper half.
  template <int Group, int Upper>
  static REGRAD_INLINE Vector interleave(Vector x, Vector y) {
    return interleave<Group, Upper>(x, y, std::make_integer_sequence<int, lanes>{});
  }

 private:
  template <class Part, int... I>
  static REGRAD_INLINE auto join(Part x, Part y, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(x, y, I...);
  }
  template <int Group, int Upper, int... I>
  static REGRAD_INLINE Vector interleave(Vector x, Vector y, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(x, y, source(I, Group, Upper)...);
  }
  static constexpr int source(int lane, int group, int upper) {
    const int place = lane % width / group;  // which group of the result's block
    const int from = lane / width * width + upper * width / 2 + place / 2 * group + lane % group;
    return place % 2 == 0 ? from : from + lanes;
  }
};

// rows[i] holds, for every block, the block of column i; afterwards rows[i] holds element i of all.
template <class T, class Arch>
REGRAD_INLINE void transpose_blocks(typename Blocks<T, Arch>::Vector* rows) {
  using B = Blocks<T, Arch>;
  if constexpr (B::width == 2) {
    const auto first = rows[0];
    rows[0] = B::template interleave<1, 0>(first, rows[1]);
    rows[1] = B::template interleave<1, 1>(first, rows[1]);
  } else {
    const auto a = B::template interleave<1, 0>(rows[0], rows[1]);
    const auto b = B::template interleave<1, 1>(rows[0], rows[1]);
    const auto c = B::template interleave<1, 0>(rows[2], rows[3]);
    const auto d = B::template interleave<1, 1>(rows[2], rows[3]);
    rows[0] = B::template interleave<2, 0>(a, c);
    rows[1] = B::template interleave<2, 1>(a, c);
    rows[2] = B::template interleave<2, 0>(b, d);
    rows[3] = B::template interleave<2, 1>(b, d);
  }
}

// rows[b][r] = element at + b * width + r of all columns. All that is needed of a column is read at
// once: with strides of a power of two, its cache line would not stay until the next block.
template <class T, class Arch>
REGRAD_INLINE void transpose_columns(
    const T* const* column, int64_t at,
    typename Blocks<T, Arch>::Vector (&rows)[Blocks<T, Arch>::count][Blocks<T, Arch>::width]) {
  using B = Blocks<T, Arch>;
#pragma GCC unroll 4
  for (int r = 0; r < B::width; ++r) {
#pragma GCC unroll 4
    for (int b = 0; b < B::count; ++b) {
      rows[b][r] = B::gather(column + r, B::width, at + b * B::width);
    }
  }
#pragma GCC unroll 4
  for (int b = 0; b < B::count; ++b) transpose_blocks<T, Arch>(rows[b]);
}

}  // namespace regrad::simd
