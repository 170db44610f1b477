// What each reduction makes of its elements: a Total of a few of them, of two Totals, and the
// result. Totals travel between threads, so that they are plain values.
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

// What no element is worse than, for the greatest (sign 1) or the least (sign -1).
template <int sign, class T>
__device__ inline T identity_of() {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_floating_point_v<T>) {
    return sign > 0 ? -Limits::infinity() : Limits::infinity();
  } else {
    return sign > 0 ? Limits::min() : Limits::max();
  }
}

// A few floats are added in pairs, and such sums in double; whole numbers wrap around.
template <class T>
struct SumOf {
  using Element = T;
  using Result = T;
  using Total = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
  __device__ static Total none() { return 0; }
  // Of the elements at positions first, first + step, ...
  template <int count>
  __device__ static Total of(const T (&x)[count], int64_t, int64_t) {
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
  __device__ static Total from_lane(Total a, int distance) {
    return __shfl_xor_sync(all_lanes, a, distance);
  }
  __device__ static Result result(Total a) { return static_cast<Result>(a); }
};

// The greatest (sign 1) or the least (sign -1); NaN when one is.
template <int sign, class T>
struct ExtremumOf {
  using Element = T;
  using Result = T;
  using Total = T;
  __device__ static Total none() { return identity_of<sign, T>(); }
  template <int count>
  __device__ static Total of(const T (&x)[count], int64_t, int64_t) {
    Total best = x[0];
    for (int i = 1; i < count; ++i) best = combine(best, x[i]);
    return best;
  }
  __device__ static Total combine(Total a, Total b) {
    return (sign > 0 ? a > b : a < b) || is_nan(a) ? a : b;
  }
  __device__ static Total from_lane(Total a, int distance) {
    return __shfl_xor_sync(all_lanes, a, distance);
  }
  __device__ static Result result(Total a) { return a; }
};

// Its position: the first of equals, the first NaN if any.
template <int sign, class T>
struct ArgExtremumOf {
  using Element = T;
  using Result = int64_t;
  struct Total {
    T value;
    int64_t position;
  };
  __device__ static Total none() { return {identity_of<sign, T>(), INT64_MAX}; }
  template <int count>
  __device__ static Total of(const T (&x)[count], int64_t first, int64_t step) {
    Total best{x[0], first};
    for (int i = 1; i < count; ++i) best = combine(best, {x[i], first + i * step});
    return best;
  }
  __device__ static Total combine(Total a, Total b) {
    if (is_nan(a.value) != is_nan(b.value)) return is_nan(a.value) ? a : b;
    if (a.value == b.value || is_nan(a.value)) return a.position < b.position ? a : b;
    return (sign > 0 ? a.value > b.value : a.value < b.value) ? a : b;
  }
  __device__ static Total from_lane(Total a, int distance) {
    return {__shfl_xor_sync(all_lanes, a.value, distance),
            __shfl_xor_sync(all_lanes, a.position, distance)};
  }
  __device__ static Result result(Total a) { return a.position; }
};

// The Totals of the parts of a row, which a first pass has left, as the elements of a second one.
template <class Reducer>
struct CombineTotals : Reducer {
  using Element = typename Reducer::Total;
  template <int count>
  __device__ static Element of(const Element (&x)[count], int64_t, int64_t) {
    Element total = x[0];
    for (int i = 1; i < count; ++i) total = Reducer::combine(total, x[i]);
    return total;
  }
};

// A first pass, whose results are Totals.
template <class Reducer>
struct WithTotals : Reducer {
  using Result = typename Reducer::Total;
  __device__ static Result result(Result a) { return a; }
};

}  // namespace regrad::gpu
