// One line for each way of calling an op. check_case() compares the op with its twin, a plain loop
// over doubles, and its derivatives with differences: in float64 and float32; on contiguous,
// transposed, sliced, expanded and empty inputs; with gradients of every layout.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/gradcheck.h"
#include "ops/backend.h"
#include "ops/ops.h"
#include "tests/errors.h"
#include "tests/ops/array.h"

namespace regrad {

using Tensors = std::vector<Tensor>;
using twin::Array;
using twin::Arrays;
using twin::each;
using twin::Index;
using twin::Twin;

#define OP(expression) [](const Tensors& x) -> Tensor { return expression; }
#define TWIN(expression) [](const Arrays& x) -> Array { return expression; }

// An input: numbers between low and high without a pattern. Indices and masks by their dtype.
struct In {
  Index shape;
  double low = -2, high = 2;
  DType dtype = float64;
};

inline In in(Index shape, double low = -2, double high = 2) {
  return {std::move(shape), low, high};
}
inline In index_in(Index shape, double size) { return {std::move(shape), 0, size, int64}; }
inline In mask_in(Index shape) { return {std::move(shape), 0, 2, bool_}; }

// What an op does with an input that has a dimension of size 0.
enum class Empty { works, refuses, untested };

struct Case {
  std::string name;  // begins with the op's
  Function op;
  Twin twin;
  std::vector<In> inputs;
  Empty empty = Empty::works;  // refuses: an Error that names the op is an answer, too
  double bound = 1e-6;         // of float32, relative to the greatest element
};

enum class Layout { contiguous, transposed, sliced, expanded };

inline Shape to_shape(const Index& shape) { return Shape(shape); }
Tensor to_tensor(const Array& x, DType dtype = float64);
Array to_array(const Tensor& x);
Array numbers(const In& input, int64_t salt);        // another salt, other numbers
double greatest(const std::vector<double>& values);  // of the finite ones, by size
bool same_bits(const Tensor& a, const Tensor& b);

// Empty when they agree within bound times the greatest element; NaN agrees with NaN.
std::string difference(const Array& got, const Array& wanted, double bound);

// A tensor made so that view(leaf) has given numbers and a given layout in memory.
struct Viewed {
  Tensor leaf;
  std::function<Tensor(const Tensor&)> view;
  Array seen;
};
Viewed viewed(const Array& x, DType dtype, Layout layout);

// Gradients of the float inputs, for a gradient g of the output.
Tensors gradients(const Function& op, const Tensors& inputs, const Tensor& g,
                  bool create_graph = false);

void check_case(const Case& c);

}  // namespace regrad
