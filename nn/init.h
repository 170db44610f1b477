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

// Of a weight [out, in, ..], with fan_in = in * rest and fan_out = out * rest; an Error below
// rank 2. Mean 0, variance 2 gain² / (fan_in + fan_out) (Glorot and Bengio, 2010).
Tensor xavier_uniform_(Tensor x, double gain = 1, Generator& generator = default_generator());
Tensor xavier_normal_(Tensor x, double gain = 1, Generator& generator = default_generator());
// Mean 0, variance 2 / ((1 + a²) fan_in), for a leaky ReLU of slope a (He et al., 2015).
Tensor kaiming_uniform_(Tensor x, double a = 0, Generator& generator = default_generator());
Tensor kaiming_normal_(Tensor x, double a = 0, Generator& generator = default_generator());

}  // namespace init
}  // namespace regrad::nn
