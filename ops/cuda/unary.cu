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

template <class T>
struct LogisticLoss {
  __device__ T operator()(T x, T t) const { return pointwise::logistic_loss(x, t); }
};

template <class T>
struct LogisticSlope {
  __device__ T operator()(T g, T x, T t) const { return g * pointwise::logistic_slope(x, t); }
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
void logistic_loss(const Loop& loop, T* out, const T* x, const T* t) {
  run_loop(loop, LogisticLoss<T>{}, out, x, t);
}

template <class T>
void logistic_slope(const Loop& loop, T* out, const T* g, const T* x, const T* t) {
  run_loop(loop, LogisticSlope<T>{}, out, g, x, t);
}

template UnaryKernels<float> unary_kernels<float>();
template UnaryKernels<double> unary_kernels<double>();
template void axpy(int64_t, float*, float, const float*);
template void axpy(int64_t, double*, double, const double*);
template void scale_by(int64_t, float*, float);
template void scale_by(int64_t, double*, double);
template void logistic_loss(const Loop&, float*, const float*, const float*);
template void logistic_loss(const Loop&, double*, const double*, const double*);
template void logistic_slope(const Loop&, float*, const float*, const float*, const float*);
template void logistic_slope(const Loop&, double*, const double*, const double*, const double*);

}  // namespace regrad::gpu
