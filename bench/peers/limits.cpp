#include "bench/peers/limits.h"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "ops/backend.h"

// gcc 12 warns of its own header here.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define REGRAD_AVX2 __attribute__((target("avx2,fma")))
#define REGRAD_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))

namespace peers {
namespace {

constexpr int64_t fma_rounds = 2'000'000;

// 12 chains hide the latency of two units of 4 or 5 cycles each.
REGRAD_AVX2 float fma_avx2() {
  __m256 sum[12];
  for (auto& one : sum) one = _mm256_set1_ps(1);
  const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
  for (int64_t i = 0; i < fma_rounds; ++i) {
#pragma GCC unroll 12
    for (auto& one : sum) one = _mm256_fmadd_ps(one, factor, term);
  }
  float lanes[8];
  for (int k = 1; k < 12; ++k) sum[0] = _mm256_add_ps(sum[0], sum[k]);
  _mm256_storeu_ps(lanes, sum[0]);
  return lanes[0];
}

REGRAD_AVX512 float fma_avx512() {
  __m512 sum[12];
  for (auto& one : sum) one = _mm512_set1_ps(1);
  const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
  for (int64_t i = 0; i < fma_rounds; ++i) {
#pragma GCC unroll 12
    for (auto& one : sum) one = _mm512_fmadd_ps(one, factor, term);
  }
  for (int k = 1; k < 12; ++k) sum[0] = _mm512_add_ps(sum[0], sum[k]);
  return _mm512_reduce_add_ps(sum[0]);
}

REGRAD_AVX2 void copy_near(float* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    _mm256_store_ps(to + i, _mm256_load_ps(from + i));
    _mm256_store_ps(to + i + 8, _mm256_load_ps(from + i + 8));
  }
}

// Past the caches: what is written is not read first.
REGRAD_AVX2 void copy_far(float* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    _mm256_stream_ps(to + i, _mm256_load_ps(from + i));
    _mm256_stream_ps(to + i + 8, _mm256_load_ps(from + i + 8));
  }
  _mm_sfence();
}

// exp(x) = 2^k exp(r), r = x - k log 2, by a polynomial: without care for overflow or NaN.
REGRAD_AVX2 void exp_avx2(float* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; i += 8) {
    const __m256 x = _mm256_load_ps(from + i);
    const __m256 k = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), 8);
    const __m256 r = _mm256_fnmadd_ps(k, _mm256_set1_ps(0.693147181f), x);
    __m256 p = _mm256_set1_ps(1.0f / 720);
    for (const float c : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) {
      p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(c));
    }
    const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(k), 23);
    _mm256_store_ps(to + i, _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power)));
  }
}

// Powers of 2^(1/16), less what the bits of their numbers add to them below the exponent.
struct Roots {
  alignas(64) int32_t bits[16];
  Roots() {
    for (int j = 0; j < 16; ++j) {
      bits[j] = std::bit_cast<int32_t>(std::exp2(static_cast<float>(j) / 16)) - (j << 19);
    }
  }
};

// The same with powers from a table of one vector, for a shorter polynomial.
REGRAD_AVX512 void exp_avx512(float* to, const float* from, int64_t n) {
  static const Roots roots;
  const __m512i table = _mm512_load_si512(roots.bits);
  const __m512 shifter = _mm512_set1_ps(0x1.8p23f);
  for (int64_t i = 0; i < n; i += 16) {
    const __m512 x = _mm512_load_ps(from + i);
    const __m512 shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(16 * 1.44269504f), shifter);
    const __m512 k = _mm512_sub_ps(shifted, shifter);
    const __m512 r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0.693147181f / 16), x);
    __m512 p = _mm512_set1_ps(1.0f / 6);
    for (const float c : {0.5f, 1.0f}) p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
    const __m512i bits = _mm512_castps_si512(shifted);
    const __m512 power = _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_permutexvar_epi32(bits, table), _mm512_slli_epi32(bits, 19)));
    _mm512_store_ps(to + i, _mm512_fmadd_ps(power, _mm512_mul_ps(p, r), power));
  }
}

// The shortest of many repetitions, all threads at once, in seconds.
double shortest(int threads, const std::function<void(int)>& body) {
  double best = 1e9;
  for (int repetition = 0; repetition < 15; ++repetition) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(body, t);
    body(0);
    for (std::thread& other : others) other.join();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

struct Arrays {  // one for each thread
  explicit Arrays(int threads, int64_t n) {
    for (int t = 0; t < threads; ++t) {
      both.push_back(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>(2 * n) * 4)));
      std::fill(both.back(), both.back() + 2 * n, 1.0f);
    }
  }
  ~Arrays() {
    for (float* one : both) std::free(one);
  }
  std::vector<float*> both;
};

double copy_gbs(int threads, int64_t bytes) {  // of both arrays together, each thread its own
  const int64_t n = bytes / 8;
  const Arrays arrays(threads, n);
  const int64_t rounds = std::max<int64_t>(1, (64 << 20) / bytes);
  const bool far = bytes > 64 << 20;
  const double seconds = shortest(threads, [&](int t) {
    float* to = arrays.both[static_cast<size_t>(t)];
    for (int64_t i = 0; i < rounds; ++i) (far ? copy_far : copy_near)(to, to + n, n);
  });
  return static_cast<double>(threads * rounds * bytes) / seconds / 1e9;
}

double exponentials(int threads, bool wide) {
  constexpr int64_t n = 2048, rounds = 2000;
  const Arrays arrays(threads, n);
  const double seconds = shortest(threads, [&](int t) {
    float* to = arrays.both[static_cast<size_t>(t)];
    for (int64_t i = 0; i < rounds; ++i) (wide ? exp_avx512 : exp_avx2)(to, to + n, n);
  });
  return static_cast<double>(threads * rounds * n) / seconds / 1e9;
}

}  // namespace

Limits measure_limits(int threads) {
  const bool wide = regrad::cpu_features() == "avx512";
  volatile float result = 0;  // so that the loops are not left out
  const double seconds = shortest(threads, [&](int) { result = wide ? fma_avx512() : fma_avx2(); });
  const double flop = 2.0 * 12 * (wide ? 16 : 8) * static_cast<double>(fma_rounds) * threads;
  Limits limits{flop / seconds / 1e9, {}, exponentials(threads, wide)};
  const int64_t sizes[] = {16 << 10, 256 << 10, 8 << 20, 256 << 20};
  for (int i = 0; i < 4; ++i) limits.copy_gbs[i] = copy_gbs(threads, sizes[i]);
  return limits;
}

}  // namespace peers
