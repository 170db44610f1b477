// First values of parameters. Each function writes in place, outside any graph, and returns its
// tensor; the names and formulas are those of torch.nn.init. Numbers come from the generator given.
#pragma once

#include "autograd/tensor.h"
#include "ops/random.h"

namespace regrad::nn {

// Where a layer's first values come from when its constructor is given no generator: one generator
// for each thread, with seed 0 until manual_seed() sets another.
Generator& default_generator();
void manual_seed(uint64_t seed);  // of this thread's, from position 0
// A new stream, which depends on the generator's seed and position; moves that generator on by one.
Generator fork(Generator& generator);

namespace init {

// Uniform in [low, high).
Tensor uniform_(Tensor x, double low, double high, Generator& generator = default_generator());
// N(mean, deviation²).
Tensor normal_(Tensor x, double mean = 0, double deviation = 1,
               Generator& generator = default_generator());
Tensor zeros_(Tensor x);                   // 0
Tensor ones_(Tensor x);                    // 1
Tensor constant_(Tensor x, double value);  // the value everywhere
Tensor eye_(Tensor x);                     // 1 where row = column, else 0; an Error unless [m, n]
// N(mean, deviation²), given that the number is in [a, b]. An Error unless deviation > 0 and a < b,
// and where [a, b] is so far from the mean, about 35 deviations, that nothing falls into it.
Tensor trunc_normal_(Tensor x, double mean = 0, double deviation = 1, double a = -2, double b = 2,
                     Generator& generator = default_generator());
// gain Q, where Q, with all dimensions but the first taken as one, [out, rest], has orthonormal
// rows, or columns where out > rest; uniform among all such (Saxe et al., 2014; Mezzadri, 2007).
// An Error below rank 2. Computed on the host, in float64.
Tensor orthogonal_(Tensor x, double gain = 1, Generator& generator = default_generator());

// Of a weight [out, in, ..], with fan_in = in * rest and fan_out = out * rest; an Error below
// rank 2. Mean 0, variance 2 gain² / (fan_in + fan_out) (Glorot and Bengio, 2010).
Tensor xavier_uniform_(Tensor x, double gain = 1, Generator& generator = default_generator());
Tensor xavier_normal_(Tensor x, double gain = 1, Generator& generator = default_generator());
// Mean 0, variance 2 / ((1 + a²) fan_in), for a leaky ReLU of slope a (He et al., 2015).
Tensor kaiming_uniform_(Tensor x, double a = 0, Generator& generator = default_generator());
Tensor kaiming_normal_(Tensor x, double a = 0, Generator& generator = default_generator());
// fan_in keeps the size of activations, fan_out that of gradients.
enum FanMode { fan_in, fan_out };
// The same, with the fan that the mode names.
Tensor kaiming_uniform_(Tensor x, double a, FanMode mode,
                        Generator& generator = default_generator());
Tensor kaiming_normal_(Tensor x, double a, FanMode mode,
                       Generator& generator = default_generator());

}  // namespace init
}  // namespace regrad::nn
