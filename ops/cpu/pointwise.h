// Pointwise kernels: functions of one and two arguments, comparisons, where.
#pragma once

#include "ops/cpu/loop.h"
#include "ops/kernels/elements.h"
#include "ops/kernels/pointwise.h"

namespace regrad::simd {

template <class T>
struct Parameters {
  T p, q;
};

template <Unary function, class T, class Arch>
struct UnaryKernel {
  using V = Vec<T, Arch>;
  using Formula = pointwise::Function<function, V>;

  [[gnu::flatten]] static void value_block(const void* context, int64_t n, void* const* operands) {
    const auto* parameters = static_cast<const Parameters<T>*>(context);
    const V p(parameters->p), q(parameters->q);
    T* out = static_cast<T*>(operands[0]);
    const T* x = static_cast<const T*>(operands[1]);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      store<T, Arch>(out + i, n - i, Formula::value(load<T, Arch>(x + i, n - i), p, q));
    }
  }
  template <bool second>
  [[gnu::flatten]] static void slope_block(const void* context, int64_t n, void* const* operands) {
    const auto* parameters = static_cast<const Parameters<T>*>(context);
    const V p(parameters->p), q(parameters->q);
    T* out = static_cast<T*>(operands[0]);
    const T* g = static_cast<const T*>(operands[1]);
    const T* s = static_cast<const T*>(operands[2]);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      const V value = load<T, Arch>(s + i, n - i);
      const V factor = second ? Formula::curvature(value, p, q) : Formula::slope(value, p, q);
      store<T, Arch>(out + i, n - i, load<T, Arch>(g + i, n - i) * factor);
    }
  }

  static void value(const Loop& loop, T* out, const T* x, T p, T q) {
    const Parameters<T> parameters{p, q};
    run_loop<Arch>(loop, value_block, &parameters, out, x);
  }
  static void slope(const Loop& loop, T* out, const T* g, const T* s, T p, T q) {
    const Parameters<T> parameters{p, q};
    run_loop<Arch>(loop, slope_block<false>, &parameters, out, g, s);
  }
  static void curvature(const Loop& loop, T* out, const T* g, const T* s, T p, T q) {
    const Parameters<T> parameters{p, q};
    run_loop<Arch>(loop, slope_block<true>, &parameters, out, g, s);
  }
};

template <class T, class Arch>
struct LogisticKernel {
  [[gnu::flatten]] static void loss_block(const void*, int64_t n, void* const* operands) {
    T* out = static_cast<T*>(operands[0]);
    const T* x = static_cast<const T*>(operands[1]);
    const T* t = static_cast<const T*>(operands[2]);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      store<T, Arch>(
          out + i, n - i,
          pointwise::logistic_loss(load<T, Arch>(x + i, n - i), load<T, Arch>(t + i, n - i)));
    }
  }
  [[gnu::flatten]] static void slope_block(const void*, int64_t n, void* const* operands) {
    T* out = static_cast<T*>(operands[0]);
    const T* g = static_cast<const T*>(operands[1]);
    const T* x = static_cast<const T*>(operands[2]);
    const T* t = static_cast<const T*>(operands[3]);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      const auto factor =
          pointwise::logistic_slope(load<T, Arch>(x + i, n - i), load<T, Arch>(t + i, n - i));
      store<T, Arch>(out + i, n - i, load<T, Arch>(g + i, n - i) * factor);
    }
  }
  static void loss(const Loop& loop, T* out, const T* x, const T* t) {
    run_loop<Arch>(loop, loss_block, nullptr, out, x, t);
  }
  static void slope(const Loop& loop, T* out, const T* g, const T* x, const T* t) {
    run_loop<Arch>(loop, slope_block, nullptr, out, g, x, t);
  }
};

template <Binary function, class T, class Arch>
struct BinaryKernel {
  static void block(const void*, int64_t n, void* const* operands) {
    T* out = static_cast<T*>(operands[0]);
    const T* a = static_cast<const T*>(operands[1]);
    const T* b = static_cast<const T*>(operands[2]);
    if constexpr (!std::is_floating_point_v<T>) {
      for (int64_t i = 0; i < n; ++i) out[i] = pointwise::apply_integer<function>(a[i], b[i]);
    } else {
      for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
        store<T, Arch>(out + i, n - i,
                       pointwise::apply_binary<function>(load<T, Arch>(a + i, n - i),
                                                         load<T, Arch>(b + i, n - i, T(1))));
      }
    }
  }
  static void run(const Loop& loop, T* out, const T* a, const T* b) {
    run_loop<Arch>(loop, block, nullptr, out, a, b);
  }
};

// A plain loop, which the compiler vectorises.
template <Compare function, class T, class Arch>
struct CompareKernel {
  static void block(const void*, int64_t n, void* const* operands) {
    bool* out = static_cast<bool*>(operands[0]);
    const T* a = static_cast<const T*>(operands[1]);
    const T* b = static_cast<const T*>(operands[2]);
    for (int64_t i = 0; i < n; ++i) out[i] = pointwise::compare<function>(a[i], b[i]);
  }
  static void run(const Loop& loop, bool* out, const T* a, const T* b) {
    run_loop<Arch>(loop, block, nullptr, out, a, b);
  }
};

template <class T, class Arch>
struct WhereKernel {
  // A bitwise select with a mask: compilers do not vectorise a choice between two loads.
  using Word = std::conditional_t<sizeof(T) == 8, uint64_t,
                                  std::conditional_t<sizeof(T) == 4, uint32_t, uint8_t>>;

  static void block(const void*, int64_t n, void* const* operands) {
    char* out = static_cast<char*>(operands[0]);
    const auto* condition = static_cast<const unsigned char*>(operands[1]);
    const char* yes = static_cast<const char*>(operands[2]);
    const char* no = static_cast<const char*>(operands[3]);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t offset = i * int64_t{sizeof(Word)};
      Word if_true, if_false;
      __builtin_memcpy(&if_true, yes + offset, sizeof(Word));
      __builtin_memcpy(&if_false, no + offset, sizeof(Word));
      const auto mask = static_cast<Word>(Word{0} - Word{condition[i]});
      const auto chosen = static_cast<Word>((if_true & mask) | (if_false & ~mask));
      __builtin_memcpy(out + offset, &chosen, sizeof(Word));
    }
  }
  static void run(const Loop& loop, T* out, const bool* condition, const T* yes, const T* no) {
    run_loop<Arch>(loop, block, nullptr, out, condition, yes, no);
  }
};

}  // namespace regrad::simd
