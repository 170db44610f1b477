// The reductions: each reduces a few elements to a Total, combines two Totals, and converts a Total
// to the result. Threads exchange Totals, so that these are plain values.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "ops/cuda/launch.h"
#include "ops/kernels/table.h"

namespace regrad::gpu {

template <class T>
__device__ inline bool is_nan(T x) {
  return !(x == x);
}

// The identity of the maximum (sign 1) or the minimum (sign -1).
template <int sign, class T>
__device__ inline T extremum_identity() {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_floating_point_v<T>) {
    return sign > 0 ? -Limits::infinity() : Limits::infinity();
  } else {
    return sign > 0 ? Limits::min() : Limits::max();
  }
}

// Up to four floats are added pairwise in T, and these sums in double; integers wrap around.
template <class T>
struct SumReducer {
  using Element = T;
  using Result = T;
  using Total = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
  __device__ static Total identity() { return 0; }
  // The Total of the elements at positions first, first + step, ...
  template <int count>
  __device__ static Total reduce_elements(const T (&x)[count], int64_t, int64_t) {
    if constexpr (!std::is_floating_point_v<T>) {
      Total total = 0;
      for (int i = 0; i < count; ++i) total += static_cast<Total>(x[i]);
      return total;
    } else if constexpr (count == 4) {
      return static_cast<Total>((x[0] + x[1]) + (x[2] + x[3]));
    } else if constexpr (count == 2) {
      return static_cast<Total>(x[0] + x[1]);
    } else {
      static_assert(count == 1);
      return static_cast<Total>(x[0]);
    }
  }
  __device__ static Total combine(Total a, Total b) { return a + b; }
  __device__ static Total shuffle_xor(Total a, int distance) {
    return __shfl_xor_sync(all_lanes, a, distance);
  }
  __device__ static Result result(Total a) { return static_cast<Result>(a); }
};

// The product, in T; integers wrap around.
template <class T>
struct ProductReducer {
  using Element = T;
  using Result = T;
  using Total = T;
  __device__ static Total identity() { return T(1); }
  template <int count>
  __device__ static Total reduce_elements(const T (&x)[count], int64_t, int64_t) {
    Total product = x[0];
    for (int i = 1; i < count; ++i) product = combine(product, x[i]);
    return product;
  }
  __device__ static Total combine(Total a, Total b) {
    if constexpr (std::is_floating_point_v<T>) {
      return a * b;
    } else {
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    }
  }
  __device__ static Total shuffle_xor(Total a, int distance) {
    return __shfl_xor_sync(all_lanes, a, distance);
  }
  __device__ static Result result(Total a) { return a; }
};

// The maximum (sign 1) or the minimum (sign -1); NaN if one element is.
template <int sign, class T>
struct ExtremumReducer {
  using Element = T;
  using Result = T;
  using Total = T;
  __device__ static Total identity() { return extremum_identity<sign, T>(); }
  template <int count>
  __device__ static Total reduce_elements(const T (&x)[count], int64_t, int64_t) {
    Total extremum = x[0];
    for (int i = 1; i < count; ++i) extremum = combine(extremum, x[i]);
    return extremum;
  }
  __device__ static Total combine(Total a, Total b) {
    return (sign > 0 ? a > b : a < b) || is_nan(a) ? a : b;
  }
  __device__ static Total shuffle_xor(Total a, int distance) {
    return __shfl_xor_sync(all_lanes, a, distance);
  }
  __device__ static Result result(Total a) { return a; }
};

// The index of the extremum: the first of equals, or the first NaN if there is one.
template <int sign, class T>
struct ArgExtremumReducer {
  using Element = T;
  using Result = int64_t;
  struct Total {
    T value;
    int64_t position;
  };
  __device__ static Total identity() { return {extremum_identity<sign, T>(), INT64_MAX}; }
  template <int count>
  __device__ static Total reduce_elements(const T (&x)[count], int64_t first, int64_t step) {
    Total extremum{x[0], first};
    for (int i = 1; i < count; ++i) extremum = combine(extremum, {x[i], first + i * step});
    return extremum;
  }
  __device__ static Total combine(Total a, Total b) {
    if (is_nan(a.value) != is_nan(b.value)) return is_nan(a.value) ? a : b;
    if (a.value == b.value || is_nan(a.value)) return a.position < b.position ? a : b;
    return (sign > 0 ? a.value > b.value : a.value < b.value) ? a : b;
  }
  __device__ static Total shuffle_xor(Total a, int distance) {
    return {__shfl_xor_sync(all_lanes, a.value, distance),
            __shfl_xor_sync(all_lanes, a.position, distance)};
  }
  __device__ static Result result(Total a) { return a.position; }
};

// The second pass of a reduction in two: its elements are the Totals of the first.
template <class Reducer>
struct CombineTotals : Reducer {
  using Element = typename Reducer::Total;
  template <int count>
  __device__ static Element reduce_elements(const Element (&x)[count], int64_t, int64_t) {
    Element total = x[0];
    for (int i = 1; i < count; ++i) total = Reducer::combine(total, x[i]);
    return total;
  }
};

// The first pass of a reduction in two: its results are Totals.
template <class Reducer>
struct WithTotals : Reducer {
  using Result = typename Reducer::Total;
  __device__ static Result result(Result a) { return a; }
};

}  // namespace regrad::gpu
