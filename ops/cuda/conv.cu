// Convolutions and their derivatives, directly: a thread for each element of the result, and for
// those of the weights, which are few and sum over all images, a warp or a block. Each sums in an
// order that depends on the shapes alone.
#include "ops/cuda/families.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {
namespace {

__device__ inline bool is_inside(int64_t i, int64_t size) { return i >= 0 && i < size; }

template <class T>
struct Forward {
  Conv s;
  T* y;
  const T *x, *weight, *bias;
  __device__ void operator()(int64_t index) const {
    const int64_t column = index % s.out_size[1], line = index / s.out_size[1];
    const int64_t row = line % s.out_size[0], plane = line / s.out_size[0];
    const int64_t channel = plane % (s.groups * s.out), image = plane / (s.groups * s.out);
    const int64_t first_row = row * s.stride[0] - s.padding[0],
                  first_column = column * s.stride[1] - s.padding[1];
    const int64_t group = channel / s.out;
    const T* from = x + (image * s.groups + group) * s.in * s.size[0] * s.size[1];
    const T* w = weight + channel * s.in * s.kernel[0] * s.kernel[1];
    T sum = bias != nullptr ? bias[channel] : T(0);
    for (int64_t i = 0; i < s.in; ++i, from += s.size[0] * s.size[1]) {
      for (int64_t a = 0; a < s.kernel[0]; ++a) {
        const int64_t r = first_row + a * s.dilation[0];
        for (int64_t b = 0; b < s.kernel[1]; ++b, ++w) {
          const int64_t c = first_column + b * s.dilation[1];
          if (is_inside(r, s.size[0]) && is_inside(c, s.size[1]))
            sum = multiply_add(*w, from[r * s.size[1] + c], sum);
        }
      }
    }
    y[index] = sum;
  }
};

// Which output meets element i of x by a tap, along dimension d; -1 for none.
__device__ inline int64_t output_of(const Conv& s, int d, int64_t i, int64_t tap) {
  const int64_t distance = i + s.padding[d] - tap * s.dilation[d];
  if (distance < 0 || distance % s.stride[d] != 0) return -1;
  const int64_t output = distance / s.stride[d];
  return output < s.out_size[d] ? output : -1;
}

template <class T>
struct Transposed {
  Conv s;
  T* x;
  const T *y, *weight, *bias;
  __device__ void operator()(int64_t index) const {
    const int64_t column = index % s.size[1], line = index / s.size[1];
    const int64_t row = line % s.size[0], plane = line / s.size[0];
    const int64_t channel = plane % (s.groups * s.in), image = plane / (s.groups * s.in);
    const int64_t group = channel / s.in, i = channel % s.in;
    const int64_t taps = s.kernel[0] * s.kernel[1], outputs = s.out_size[0] * s.out_size[1];
    T sum = bias != nullptr ? bias[channel] : T(0);
    for (int64_t o = group * s.out; o < (group + 1) * s.out; ++o) {
      const T* from = y + (image * s.groups * s.out + o) * outputs;
      const T* w = weight + (o * s.in + i) * taps;
      for (int64_t a = 0; a < s.kernel[0]; ++a) {
        const int64_t r = output_of(s, 0, row, a);
        for (int64_t b = 0; b < s.kernel[1] && r >= 0; ++b) {
          const int64_t c = output_of(s, 1, column, b);
          if (c >= 0) sum = multiply_add(w[a * s.kernel[1] + b], from[r * s.out_size[1] + c], sum);
        }
      }
    }
    x[index] = sum;
  }
};

// A team for each element of the weight. The sum over the images and outputs is kept in double.
template <class Threads, class T>
__device__ void weight_elements(const Conv& s, T* weight, const T* x, const T* y) {
  const int64_t taps = s.kernel[0] * s.kernel[1], outputs = s.out_size[0] * s.out_size[1];
  const int64_t area = s.size[0] * s.size[1], count = s.groups * s.out * s.in * taps;
  for (int64_t index = Threads::first(); index < count; index += Threads::step()) {
    const int64_t tap = index % taps, i = index / taps % s.in, o = index / taps / s.in;
    const int64_t row = tap / s.kernel[1] * s.dilation[0] - s.padding[0];
    const int64_t column = tap % s.kernel[1] * s.dilation[1] - s.padding[1];
    double sum = 0;
    for (int64_t at = Threads::rank(); at < s.batch * outputs; at += Threads::size()) {
      const int64_t image = at / outputs, output = at % outputs;
      const int64_t r = output / s.out_size[1] * s.stride[0] + row;
      const int64_t c = output % s.out_size[1] * s.stride[1] + column;
      if (!is_inside(r, s.size[0]) || !is_inside(c, s.size[1])) continue;
      const int64_t plane = (image * s.groups + o / s.out) * s.in + i;
      sum += static_cast<double>(y[(image * s.groups * s.out + o) * outputs + output]) *
             static_cast<double>(x[plane * area + r * s.size[1] + c]);
    }
    sum = Threads::reduce(sum, Sum());
    if (Threads::rank() == 0) weight[index] = static_cast<T>(sum);
  }
}

template <int threads, class T>
__global__ void weight_kernel(Conv s, T* weight, const T* x, const T* y) {
  weight_elements<Team<threads>>(s, weight, x, y);
}

template <class T>
void conv_forward(const Conv& s, T* y, const T* x, const T* weight, const T* bias) {
  for_each(s.batch * s.groups * s.out * s.out_size[0] * s.out_size[1],
           Forward<T>{s, y, x, weight, bias});
}

template <class T>
void conv_transposed(const Conv& s, T* x, const T* y, const T* weight, const T* bias) {
  for_each(s.batch * s.groups * s.in * s.size[0] * s.size[1], Transposed<T>{s, x, y, weight, bias});
}

template <class T>
void conv_weight(const Conv& s, T* weight, const T* x, const T* y) {
  launch_rows(s.groups * s.out * s.in * s.kernel[0] * s.kernel[1],
              s.batch * s.out_size[0] * s.out_size[1], weight_kernel<warp_threads, T>,
              weight_kernel<block_threads, T>, s, weight, x, y);
}

template <class T>
struct MaxPool {
  Pool p;
  T* y;
  int64_t* index_data;
  const T* x;
  __device__ void operator()(int64_t index) const {
    const int64_t column = index % p.out_size[1], line = index / p.out_size[1];
    const int64_t row = line % p.out_size[0];
    const T* plane = x + line / p.out_size[0] * p.size[0] * p.size[1];
    int64_t best = -1;
    for (int64_t a = 0; a < p.kernel[0]; ++a) {
      const int64_t r = row * p.stride[0] - p.padding[0] + a * p.dilation[0];
      for (int64_t b = 0; b < p.kernel[1]; ++b) {
        const int64_t c = column * p.stride[1] - p.padding[1] + b * p.dilation[1];
        if (!is_inside(r, p.size[0]) || !is_inside(c, p.size[1])) continue;
        const int64_t at = r * p.size[1] + c;
        const bool is_nan = plane[at] != plane[at];
        if (best < 0 || plane[at] > plane[best] || (is_nan && plane[best] == plane[best]))
          best = at;
      }
    }
    y[index] = plane[best];
    index_data[index] = best;
  }
};

template <class T>
void max_pool(const Pool& p, T* y, int64_t* index, const T* x) {
  for_each(p.planes * p.out_size[0] * p.out_size[1], MaxPool<T>{p, y, index, x});
}

}  // namespace

template <class T>
ConvKernels<T> conv_kernels() {
  return {
      .forward = conv_forward<T>,
      .transposed = conv_transposed<T>,
      .weight = conv_weight<T>,
      .max_pool = max_pool<T>,
  };
}

template ConvKernels<float> conv_kernels();
template ConvKernels<double> conv_kernels();

}  // namespace regrad::gpu
