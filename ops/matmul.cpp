// Products. C = A B:  dA = G Bᵀ,  dB = Aᵀ G.  The kernel takes any strides of A and B, so
// transposed and sliced matrices, and batches of them, are not copied; where rows of a batch are
// taken together (linear, a batch times one matrix), they must be contiguous. The derivatives are
// function objects with an add_into(), by which a product accumulates into a gradient that exists
// already.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

template <class T>
Gemm<T> gemm_args(const Tensor& a, const Tensor& b, const Tensor& c) {
  const int64_t row = a.rank() - 2, col = a.rank() - 1;
  Gemm<T> g{};
  g.m = a.shape()[row], g.k = a.shape()[col], g.n = b.shape()[col];
  g.a = raw<T>(a), g.a_row = a.strides()[row], g.a_col = a.strides()[col];
  g.b = raw<T>(b), g.b_row = b.strides()[row], g.b_col = b.strides()[col];
  g.c = raw<T>(c), g.c_row = c.strides()[row];
  g.batch_rank = static_cast<int>(row);
  for (int64_t d = 0; d < row; ++d) {
    g.batch_sizes[d] = c.shape()[d];
    g.a_batch[d] = a.strides()[d], g.b_batch[d] = b.strides()[d], g.c_batch[d] = c.strides()[d];
  }
  return g;
}

// Writes c = a b + bias, or c += a b: a [.., m, k], b [.., k, n], c [.., m, n]; bias [n] may be
// undefined.
void multiply_into(const char* op, const Tensor& c, const Tensor& a, const Tensor& b,
                   const Tensor& bias, bool accumulate) {
  const Tensor row = kernel_input(bias);
  for_numbers(op, a, [&]<class T>() {
    Gemm<T> g = gemm_args<T>(a, b, c);
    g.bias = raw_or_null<T>(row);
    g.accumulate = accumulate;
    kernels<T>(a).gemm(g);
  });
}

// a [.., m, k] b [.., k, n], equal batch dimensions; bias [n] may be undefined.
Tensor multiply(const char* op, const Tensor& a, const Tensor& b, const Tensor& bias = {}) {
  Shape shape = a.shape();
  shape[shape.rank() - 1] = b.shape().back();
  Tensor c = empty(shape, a.dtype(), a.device());
  multiply_into(op, c, a, b, bias, false);
  return c;
}

Tensor product(const Tensor& a, const Tensor& b);

struct GradOfLeft {  // dA = G Bᵀ
  Tensor b;
  Tensor operator()(const Tensor& g) const { return product(g, transpose(b)); }
  void add_into(Tensor& sum, const Tensor& g) const {
    multiply_into("matmul", sum, g, transpose(b), {}, true);
  }
};

struct GradOfRight {  // dB = Aᵀ G
  Tensor a;
  Tensor operator()(const Tensor& g) const { return product(transpose(a), g); }
  void add_into(Tensor& sum, const Tensor& g) const {
    multiply_into("matmul", sum, transpose(a), g, {}, true);
  }
};

Tensor product(const Tensor& a, const Tensor& b) {
  return record("matmul", multiply("matmul", a, b), {{a, GradOfLeft{b}}, {b, GradOfRight{a}}});
}

Shape batch_of(const Tensor& x) { return Shape(x.shape().begin(), x.shape().size() - 2); }

Tensor as_rows(const Tensor& x) {
  if (x.rank() == 2) return x;
  return reshape(x, {Shape(x.shape().begin(), x.shape().size() - 1).numel(), x.size(-1)});
}

Tensor with_batch(const Tensor& x, Shape shape) {
  if (batch_of(x) == shape) return x;
  shape.push_back(x.size(-2));
  shape.push_back(x.size(-1));
  return expand(x, shape);
}

// Gradients of y = x Wᵀ + b; G as [rows, out], whatever the rank of x.
struct GradOfInput {  // dx = G W
  Tensor weight;
  Shape shape;
  Tensor operator()(const Tensor& g) const {
    const Tensor gradient = product(g, weight);
    return shape.rank() == 2 ? gradient : reshape(gradient, shape);
  }
  void add_into(Tensor& sum, const Tensor& g) const {
    if (sum.rank() == 2 || sum.is_contiguous()) {
      return multiply_into("linear", as_rows(sum), g, weight, {}, true);
    }
    Shape of_output = shape;  // rows of the batch are not contiguous: one product for each
    of_output[shape.rank() - 1] = g.size(1);
    multiply_into("linear", sum, reshape(g, of_output), with_batch(weight, batch_of(sum)), {},
                  true);
  }
};

struct GradOfWeight {  // dW = Gᵀ x
  Tensor x;
  Tensor operator()(const Tensor& g) const { return product(transpose(g), as_rows(x)); }
  void add_into(Tensor& sum, const Tensor& g) const {
    multiply_into("linear", sum, transpose(g), as_rows(x), {}, true);
  }
};

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check_same_dtype("matmul", a, b);
  check(a.rank() >= 1 && b.rank() >= 1, "matmul: {} and {}: both need a dimension to multiply over",
        called(a), called(b));
  if (a.rank() == 1) return squeeze(matmul(unsqueeze(a, 0), b), b.rank() == 1 ? 0 : -2);
  if (b.rank() == 1) return squeeze(matmul(a, unsqueeze(b, 1)), -1);
  check(a.size(-1) == b.size(-2), "matmul: {} has {} columns, {} has {} rows; they must be equal",
        called(a), a.size(-1), called(b), b.size(-2));
  if (a.rank() > 2 && b.rank() == 2) {  // one large product instead of a batch of small ones
    Shape shape = a.shape();
    shape[shape.rank() - 1] = b.size(-1);
    return reshape(product(as_rows(a), b), shape);
  }
  const Shape batch = broadcast_shapes("matmul", batch_of(a), batch_of(b));
  return product(with_batch(a, batch), with_batch(b, batch));
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  check_same_dtype("bmm", a, b);
  check(a.rank() == 3 && b.rank() == 3, "bmm: takes [batch, m, k] and [batch, k, n], not {} and {}",
        called(a), called(b));
  check(a.size(0) == b.size(0) && a.size(2) == b.size(1),
        "bmm: {} and {} do not match: batches {} and {}, inner sizes {} and {}", called(a),
        called(b), a.size(0), b.size(0), a.size(2), b.size(1));
  return product(a, b);
}

// y = x Wᵀ + b:  dx = G W,  dW = Gᵀ x,  db = sum of G's rows.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check(weight.rank() == 2 && x.rank() >= 1,
        "linear: takes [.., in] and a weight [out, in], not {} and {}", called(x), called(weight));
  const int64_t in = weight.size(1), out = weight.size(0);
  check(x.size(-1) == in, "linear: input {} has {} features, {} takes {}", called(x), x.size(-1),
        called(weight), in);
  check_same_dtype("linear", x, weight);
  if (bias.defined()) {
    check_same_dtype("linear", x, bias);
    check(bias.shape() == Shape{out}, "linear: {} gives {} features, the bias is {}",
          called(weight), out, called(bias));
  }
  if (x.rank() == 1) return squeeze(linear(unsqueeze(x, 0), weight, bias), 0);
  const Tensor input = x.rank() == 2 ? x : x.contiguous();
  Tensor y;
  {
    const InsideOp guard;
    y = multiply("linear", as_rows(input), transpose(weight), bias);
  }
  y = record("linear", std::move(y),
             {{input, GradOfInput{weight, x.shape()}},
              {weight, GradOfWeight{input}},
              {bias, [](const Tensor& g) { return sum(g, 0); }}});
  if (x.rank() == 2) return y;
  Shape shape = x.shape();
  shape[shape.rank() - 1] = out;
  return reshape(y, shape);
}

}  // namespace regrad
