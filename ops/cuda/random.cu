// Random numbers, each a function of (seed, position) alone, with the same bits as on the CPU
// (ops/kernels/philox.h). So multiply_add rounds twice here, as in ops/cpu/random.cpp, which is
// compiled without FMA.
#include <bit>
#include <limits>

#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"
#include "ops/kernels/philox.h"

// ops/kernels/series.h calls these by their bare names.
namespace regrad::series {

template <class T>
__host__ __device__ inline T multiply_add(T x, T y, T z) {
  return x * y + z;
}

// c0 + c2 z + c4 z^2 + ..., with every second coefficient.
template <class T>
__host__ __device__ inline T even_coefficients(T, double c0, double = 0) {
  return static_cast<T>(c0);
}
template <class T, class... More>
__host__ __device__ inline T even_coefficients(T z, double c0, double, double c2, More... more) {
  return multiply_add(even_coefficients(z, c2, more...), z, static_cast<T>(c0));
}

// c0 + c1 x + c2 x^2 + ..., as two Horner chains in x^2, as in ops/cpu/math_lanes.h.
template <class T, class... More>
__host__ __device__ inline T polynomial(T x, double c0, More... more) {
  const T square = x * x;
  return multiply_add(even_coefficients(square, more...), x,
                      even_coefficients(square, c0, more...));
}

}  // namespace regrad::series

#include "ops/kernels/series.h"

namespace regrad::gpu {
namespace {

struct LowHalfProduct {
  __host__ __device__ static uint64_t product(uint64_t a, uint64_t b) {
    return static_cast<uint64_t>(static_cast<uint32_t>(a)) * static_cast<uint32_t>(b);
  }
};

template <class T>
using BitsOf = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

// The logarithm of x in (0, 1]; x must not be denormal.
template <class T>
__device__ T log_unit(T x) {
  using Bits = BitsOf<T>;
  constexpr int fraction = std::numeric_limits<T>::digits - 1;
  constexpr Bits bias = std::numeric_limits<T>::max_exponent - 1;
  constexpr T shifter = T(1.5) * static_cast<T>(Bits{1} << fraction);
  const Bits bits = std::bit_cast<Bits>(x);
  const Bits exponent = (bits + (Bits{1} << (fraction - 1))) >> fraction;
  const T exponent_value =
      std::bit_cast<T>(exponent | std::bit_cast<Bits>(shifter)) - (shifter + static_cast<T>(bias));
  const T fraction_value = std::bit_cast<T>(bits - (exponent << fraction) + (bias << fraction));
  return series::log_from_parts<T>(fraction_value - T(1), exponent_value);
}

// The sine of x + quarters pi/2.
template <class T>
__device__ T sine_at_quadrant(const series::SinCos<T>& reduced, T x, unsigned quarters) {
  const auto quadrant = static_cast<unsigned>(std::bit_cast<BitsOf<T>>(reduced.shifted)) + quarters;
  const T magnitude = quadrant & 1 ? reduced.cosine : x == T(0) ? x : reduced.sine;
  return quadrant & 2 ? -magnitude : magnitude;
}

// The Box-Muller transform (1958).
template <class T>
__device__ void to_normal(uint64_t even, uint64_t odd, T* values) {
  T u1, u2;
  random_bits::to_uniform_positive(even, &u1);
  random_bits::to_uniform(odd, &u2);
  const T r = sqrt(log_unit(u1) * T(-2));
  const T theta = (u2 - T(0.5)) * T(6.28318530717958647692);
  const auto reduced = series::reduced_sincos<T>(theta);
  values[0] = r * sine_at_quadrant(reduced, theta, 1);
  values[1] = r * sine_at_quadrant(reduced, theta, 0);
}

struct Uniform {
  template <class T>
  __device__ static void generate(uint64_t even, uint64_t odd, T* values) {
    random_bits::to_uniform(even, values);
    random_bits::to_uniform(odd, values + 1);
  }
};
struct Normal {
  template <class T>
  __device__ static void generate(uint64_t even, uint64_t odd, T* values) {
    to_normal(even, odd, values);
  }
};

// Calls store(position, number) for the two numbers of block first + i. The first `skipped` numbers
// are not stored.
template <class Distribution, class T, class Store>
struct Draw {
  Store store;
  int64_t n, skipped;
  uint64_t seed, first;
  __device__ void operator()(int64_t i) const {
    uint64_t even = first + static_cast<uint64_t>(i), odd = 0;
    random_bits::philox_block<LowHalfProduct>(seed, even, odd);
    T values[2];
    Distribution::generate(even, odd, values);
    const int64_t position = 2 * i - skipped;
    if (position >= 0) store(position, values[0]);
    if (position + 1 < n) store(position + 1, values[1]);
  }
};

template <class T>
struct WriteNumber {
  T* out;
  __device__ void operator()(int64_t position, T value) const { out[position] = value; }
};

template <class T>
struct Drop {
  T* out;
  const T* x;
  T p, scale;
  __device__ void operator()(int64_t position, T value) const {
    out[position] = value < p ? T(0) : x[position] * scale;
  }
};

template <class Distribution, class T, class Store>
void draw(int64_t n, const Store& store, uint64_t seed, uint64_t offset) {
  const auto skipped = static_cast<int64_t>(offset % 2);
  for_each(n > 0 ? (skipped + n + 1) / 2 : 0,
           Draw<Distribution, T, Store>{store, n, skipped, seed, offset / 2});
}

}  // namespace

template <class T>
void uniform(int64_t n, T* out, uint64_t seed, uint64_t offset) {
  draw<Uniform, T>(n, WriteNumber<T>{out}, seed, offset);
}
template <class T>
void normal(int64_t n, T* out, uint64_t seed, uint64_t offset) {
  draw<Normal, T>(n, WriteNumber<T>{out}, seed, offset);
}
template <class T>
void dropout(int64_t n, T* out, const T* x, T p, T scale, uint64_t seed, uint64_t offset) {
  draw<Uniform, T>(n, Drop<T>{out, x, p, scale}, seed, offset);
}

template <class T>
RandomKernels<T> random_kernels() {
  return {
      .uniform = uniform<T>,
      .normal = normal<T>,
      .dropout = dropout<T>,
  };
}

template RandomKernels<float> random_kernels();
template RandomKernels<double> random_kernels();

}  // namespace regrad::gpu
