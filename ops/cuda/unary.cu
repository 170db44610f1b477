// The functions that ops/kernels/pointwise.h defines, axpy and scale.
#include "ops/cuda/families.h"
#include "ops/cuda/loop.h"
#include "ops/cuda/numbers.h"
#include "ops/kernels/pointwise.h"

namespace regrad::gpu {
namespace {

template <Unary function, class T>
struct Value {
  T p, q;
  __device__ T operator()(T x) const { return pointwise::Function<function, T>::value(x, p, q); }
};

template <Unary function, class T>
struct Slope {
  T p, q;
  __device__ T operator()(T g, T s) const {
    return g * pointwise::Function<function, T>::slope(s, p, q);
  }
};

template <Unary function, class T>
struct Curvature {
  T p, q;
  __device__ T operator()(T g, T s) const {
    return g * pointwise::Function<function, T>::curvature(s, p, q);
  }
};

template <class T>
struct AddScaled {
  T a;
  __device__ T operator()(T y, T x) const { return y + a * x; }
};

template <class T>
struct ScaleBy {
  T a;
  __device__ T operator()(T y) const { return y * a; }
};

template <Unary function, class T>
void value(const Loop& loop, T* out, const T* x, T p, T q) {
  run_loop(loop, Value<function, T>{p, q}, out, x);
}
template <Unary function, class T>
void slope(const Loop& loop, T* out, const T* g, const T* s, T p, T q) {
  run_loop(loop, Slope<function, T>{p, q}, out, g, s);
}
template <Unary function, class T>
void curvature(const Loop& loop, T* out, const T* g, const T* s, T p, T q) {
  run_loop(loop, Curvature<function, T>{p, q}, out, g, s);
}

template <class T, int... U>
UnaryKernels<T> unary_kernels(std::integer_sequence<int, U...>) {
  return {
      .value = {value<static_cast<Unary>(U), T>...},
      .slope = {slope<static_cast<Unary>(U), T>...},
      .curvature = {curvature<static_cast<Unary>(U), T>...},
  };
}

}  // namespace

template <class T>
UnaryKernels<T> unary_kernels() {
  return unary_kernels<T>(std::make_integer_sequence<int, static_cast<int>(Unary::count)>());
}

template <class T>
void axpy(int64_t n, T* y, T a, const T* x) {
  run_loop(flat_loop(n), AddScaled<T>{a}, y, static_cast<const T*>(y), x);
}

template <class T>
void scale_by(int64_t n, T* y, T a) {
  run_loop(flat_loop(n), ScaleBy<T>{a}, y, static_cast<const T*>(y));
}

template <class T>
VectorKernels<T> vector_kernels() {
  return {.axpy = axpy<T>, .scale = scale_by<T>};
}

template UnaryKernels<float> unary_kernels();
template UnaryKernels<double> unary_kernels();
template VectorKernels<float> vector_kernels();
template VectorKernels<double> vector_kernels();

}  // namespace regrad::gpu
