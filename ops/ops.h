// The catalogue: every function of tensors, one line each, with its formula and shapes. Those over
// sequences are in ops/sequences.h, losses in ops/losses.h.
// Names and argument order are PyTorch's. Every op has first and second derivatives, in float32
// and float64; each stands beside its forward in ops/<family>.cpp. Wrong arguments are an Error
// that names the op, and nothing is half-done.
//
// In the formulas y is the result, g the gradient of y, and da what it gives the argument a. a b
// multiplies element by element, a · b matrices, and xᵀ swaps two dimensions. An argument that was
// broadcast gets the sum over its copies. autograd/trace/formulas.py reads "y = ..; da = ..".
#pragma once

#include <optional>
#include <string_view>

#include "autograd/graph.h"
#include "ops/conv.h"
#include "ops/losses.h"
#include "ops/normalise.h"
#include "ops/random.h"
#include "ops/sequences.h"
#include "ops/transform.h"

namespace regrad {

// Dimensions to reduce: one, several, or an empty list for all. Negative ones count from the last.
struct Dims : std::vector<int64_t> {
  Dims() = default;  // none
  // One, or several.
  Dims(int64_t dim) : std::vector<int64_t>{dim} {}
  Dims(std::initializer_list<int64_t> dims) : std::vector<int64_t>(dims) {}
  Dims(std::vector<int64_t> dims) : std::vector<int64_t>(std::move(dims)) {}
};

// --- making tensors (create.cpp); zeros, ones, full, empty are in autograd/tensor.h
Tensor zeros_like(const Tensor& x);               // 0, of x's shape, dtype and device
Tensor ones_like(const Tensor& x);                // 1, likewise
Tensor full_like(const Tensor& x, Number value);  // an Error where x's dtype cannot hold the value
// zeros(shape, {.dtype = dtype}), likewise ones and full; templates, so that {} means options.
template <std::same_as<DType> D>
Tensor zeros(const Shape& shape, D dtype) {
  return zeros(shape, TensorOptions{.dtype = dtype});
}
template <std::same_as<DType> D>
Tensor ones(const Shape& shape, D dtype) {
  return ones(shape, TensorOptions{.dtype = dtype});
}
// full(shape, value, dtype), likewise.
template <std::same_as<DType> D>
Tensor full(const Shape& shape, Number value, D dtype) {
  return full(shape, value, TensorOptions{.dtype = dtype});
}
// 0, 1, .. below end, which must be 0 or more: [ceil(end)], int64 for an integer, else float32.
Tensor arange(Number end, TensorOptions options = {});
// start, start + step, .. before end: int64 where all three are integers, else float32. An Error
// for a step that is 0 or leads away from end.
Tensor arange(Number start, Number end, Number step = 1, TensorOptions options = {});
// count numbers from start to end, evenly spaced, both ends among them: [count].
Tensor linspace(double start, double end, int64_t count, TensorOptions options = {});
Tensor eye(int64_t n, TensorOptions options = {});  // 1 on the diagonal, else 0: [n, n]
// The values in row-major order, of their own dtype unless the options name another. An Error where
// their number is not that of the shape's elements.
Tensor tensor(const std::vector<float>& values, const Shape& shape, TensorOptions options = {});
Tensor tensor(const std::vector<double>& values, const Shape& shape, TensorOptions options = {});
Tensor tensor(const std::vector<int64_t>& values, const Shape& shape, TensorOptions options = {});
Tensor tensor(const std::vector<bool>& values, const Shape& shape, TensorOptions options = {});
template <class T>
requires std::is_arithmetic_v<T> Tensor tensor(std::initializer_list<T> values, const Shape& shape,
                                               TensorOptions options = {}) {
  using Element = std::conditional_t<std::is_integral_v<T> && !std::same_as<T, bool>, int64_t, T>;
  return tensor(std::vector<Element>(values.begin(), values.end()), shape, options);
}
Tensor scalar(Number value, DType dtype = float32, Device device = default_device());  // shape []
// Element i comes from (generator's seed, position + i); the position moves on by numel.
Tensor rand(const Shape& shape, Generator& generator, TensorOptions options = {});   // [0, 1)
Tensor randn(const Shape& shape, Generator& generator, TensorOptions options = {});  // N(0, 1)
// Integers from low to high - 1, int64; an Error unless low < high.
Tensor randint(int64_t low, int64_t high, const Shape& shape, Generator& generator);
Tensor randperm(int64_t n, Generator& generator);  // 0 .. n - 1 in a random order, int64
// Class numbers drawn with the probabilities p / sum(p), p [classes] or [n, classes]: int64 [count]
// or [n, count]. Without replacement no class comes twice. An Error for a p below 0 or not finite,
// and for a row with too few above 0.
Tensor multinomial(const Tensor& p, int64_t count, Generator& generator, bool replacement = false);

// --- arithmetic (arithmetic.cpp): shapes broadcast as in NumPy. Dtypes are
// promoted: bool to int64, and both to a float. float32 with float64 is an Error, and so are two
// bools, except in div and where. A number takes a float tensor's dtype; with an int64 or bool
// tensor, an integer becomes int64 and a fraction float32. div of integers gives float32.
Tensor add(const Tensor& a, const Tensor& b);  // y = a + b; da = g, db = g
Tensor sub(const Tensor& a, const Tensor& b);  // y = a - b; da = g, db = -g
Tensor mul(const Tensor& a, const Tensor& b);  // y = a b; da = g b, db = g a
Tensor div(const Tensor& a, const Tensor& b);  // y = a / b; da = g / b, db = -g y / b
// y = max(a, b); da = g where a > b, g / 2 where a = b, else 0, db = g where b > a, g / 2 where
// a = b, else 0. NaN wins.
Tensor maximum(const Tensor& a, const Tensor& b);
// y = min(a, b); da = g where a < b, g / 2 where a = b, else 0, db = g where b < a, g / 2 where
// a = b, else 0. NaN wins.
Tensor minimum(const Tensor& a, const Tensor& b);
// y = a^b; da = g b a^(b - 1), 0 where b = 0, db = g y ln a, 0 where y = 0 or a = b = 0.
Tensor pow(const Tensor& a, const Tensor& b);
// y = yes where condition, else no; dyes = g where condition, else 0, dno = 0 where condition, else
// g. The condition is bool, the others are of any dtype.
Tensor where(const Tensor& condition, const Tensor& yes, const Tensor& no);
Tensor where(const Tensor& condition, const Tensor& yes, Number no);
Tensor where(const Tensor& condition, Number yes, const Tensor& no);
// The same with a number.
Tensor add(const Tensor& a, Number b);
Tensor sub(const Tensor& a, Number b);
Tensor mul(const Tensor& a, Number b);
Tensor div(const Tensor& a, Number b);
Tensor sub(Number a, const Tensor& b);  // a - b of a number a
Tensor div(Number a, const Tensor& b);  // a / b of a number a
Tensor pow(const Tensor& a, Number b);  // a^b of a number b
// a = b, a != b, a < b, a <= b, a > b, a >= b: bool, without a gradient. With NaN only ne is true.
Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);
// The same with a number; int64 and bool are compared with it as real numbers, exactly.
Tensor eq(const Tensor& a, Number b);
Tensor ne(const Tensor& a, Number b);
Tensor lt(const Tensor& a, Number b);
Tensor le(const Tensor& a, Number b);
Tensor gt(const Tensor& a, Number b);
Tensor ge(const Tensor& a, Number b);
Tensor logical_not(const Tensor& a);                   // not a: bool, where what is not 0 is true
Tensor logical_and(const Tensor& a, const Tensor& b);  // a and b, likewise
Tensor logical_or(const Tensor& a, const Tensor& b);   // a or b, likewise

// --- elementwise functions (pointwise.cpp; formulas and slopes in pointwise.h): for an int64 x,
// neg, abs, square, relu, clamp, floor, round, sign and pow stay int64 where the result is an
// integer, and wrap around; the others give float32. σ is sigmoid. Derivatives of any order, unless
// said otherwise.
Tensor neg(const Tensor& x);         // y = -x; dx = -g
Tensor abs(const Tensor& x);         // y = |x|; dx = g sign(x). sign(0) = 0
Tensor exp(const Tensor& x);         // y = e^x; dx = g y
Tensor log(const Tensor& x);         // y = ln x; dx = g / x. -inf at 0, NaN below
Tensor sqrt(const Tensor& x);        // y = √x; dx = g / (2 y). NaN below 0
Tensor rsqrt(const Tensor& x);       // y = 1 / √x; dx = -g y³ / 2
Tensor square(const Tensor& x);      // y = x²; dx = 2 g x
Tensor reciprocal(const Tensor& x);  // y = 1 / x; dx = -g y²
Tensor sin(const Tensor& x);         // y = sin(x); dx = g cos(x). Radians
Tensor cos(const Tensor& x);         // y = cos(x); dx = -g sin(x). Radians
Tensor tanh(const Tensor& x);        // y = (e^x - e^-x) / (e^x + e^-x); dx = g (1 - y²)
Tensor sigmoid(const Tensor& x);     // y = 1 / (1 + e^-x); dx = g y (1 - y)
Tensor relu(const Tensor& x);        // y = max(x, 0); dx = g where x > 0, else 0. NaN stays NaN
// y = x Φ(x); dx = g (Φ(x) + x φ(x)). Φ: the normal distribution, exact (Hendrycks and Gimpel,
// 2016); φ: its density.
Tensor gelu(const Tensor& x);
Tensor silu(const Tensor& x);  // y = x σ(x); dx = g σ(x) (1 + x (1 - σ(x)))
// y = ln(1 + e^(beta x)) / beta, x where beta x > threshold; dx = g σ(beta x), g where beta x >
// threshold.
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);
Tensor erf(const Tensor& x);  // y = 2/√π ∫ e^(-t²) dt from 0 to x; dx = g 2/√π e^(-x²)
// y = min(max(x, min), max); dx = 0 where x < min or x > max, else g.
Tensor clamp(const Tensor& x, Number min, Number max);
Tensor floor(const Tensor& x);  // y = floor(x); dx = 0. The greatest integer that is not above x
Tensor round(const Tensor& x);  // y = round(x); dx = 0. The nearest integer, of two the even one
Tensor sign(const Tensor& x);   // y = sign(x); dx = 0. -1, 0 or 1; NaN stays NaN
Tensor log1p(const Tensor& x);  // y = ln(1 + x); dx = g / (1 + x). No digit is lost near 0
Tensor expm1(const Tensor& x);  // y = e^x - 1; dx = g (y + 1). No digit is lost near 0
// y = x where x > 0, else slope x; dx = g where x > 0, else g slope.
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
// y = x where x > 0, else alpha (e^x - 1); dx = g where x > 0, else g alpha e^x. From Clevert et
// al., 2015.
Tensor elu(const Tensor& x, double alpha = 1);
// y = min(max(x, min), max); dx = g where min < x < max, else 0.
Tensor hardtanh(const Tensor& x, double min = -1, double max = 1);
// y = x t, t = n / (n + 2), n = e^x (e^x + 2); dx = g (t + x (1 - t²) σ(x)). t is tanh(ln(1 + e^x))
// (Misra, 2019). Without a third derivative.
Tensor mish(const Tensor& x);

// --- products (matmul.cpp, einsum.cpp): float32, float64 or int64 (which wraps around), the same
// for all operands

// y = a · b; da = g · bᵀ, db = aᵀ · g. [.., m, k] [.., k, n] -> [.., m, n]; the batch broadcasts;
// a [k] is a row, b [k] a column.
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor bmm(const Tensor& a, const Tensor& b);  // matmul of [b, m, k] [b, k, n] -> [b, m, n]
// y = x · weightᵀ + bias; dx = g · weight, dweight = gᵀ · x, dbias = Σ g over the rows of x.
// [.., in] [out, in] [out] -> [.., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
// Each letter names a dimension, and is summed over where the result lacks it: "bij,bjk->bik",
// "ii->i" is the diagonal. Without an arrow the result has the letters that occur once, sorted. The
// gradient of an operand is an einsum of g and the others: for "ij,jk->ik", "ik,jk->ij" of g and b.
// "..." stands for the dimensions that have no letter, aligned at the right and broadcast:
// "...ij,...jk->...ik"; without an arrow they come first.
Tensor einsum(std::string_view spec, const std::vector<Tensor>& operands);

// --- reductions (reduce.cpp): over the dims, or over all elements where none are named; n is their
// number. keepdim keeps the dims with size 1. An Error for a dim that is named twice.

// y = Σ x; dx = g repeated. int64 for bool.
Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// y = Σ x / n; dx = g / n.
Tensor mean(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// y = max x; dx = g / k for the k elements equal to y, else 0. NaN wins; an Error for n = 0.
Tensor max(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// y = min x; dx = g / k for the k elements equal to y, else 0. NaN wins; an Error for n = 0.
Tensor min(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// y = Σ (x - mean(x))² / m, m = max(n - correction, 0); dx = 2 g (x - mean(x)) / m. A correction
// of 1 is for a sample, 0 for a population.
Tensor var(const Tensor& x, const Dims& dims = {}, bool keepdim = false, double correction = 1);
// y = Π x; dx = g Π of the others. Right also where elements are 0; 1 for n = 0; int64 for bool.
Tensor prod(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// y = √(Σ (x - mean(x))² / m), m = max(n - correction, 0); dx = g (x - mean(x)) / (m y), 0 where
// y = 0. To be called as regrad::std where a using-directive makes std ambiguous.
Tensor std(const Tensor& x, const Dims& dims = {}, bool keepdim = false, double correction = 1);
// y = (Σ |x|^p)^(1 / p); dx = g sign(x) (|x| / y)^(p - 1), 0 where x = 0. p of infinity: max |x|,
// shared by the k equal ones; of -infinity: min |x|; of 0: how many are not 0.
Tensor norm(const Tensor& x, double p = 2, const Dims& dims = {}, bool keepdim = false);
Tensor any(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // whether one is not 0
Tensor all(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // whether none is 0
// y = ln Σ e^x; dx = g softmax(x). Shifted by the maximum so that nothing overflows. -inf
// for n = 0.
Tensor logsumexp(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// The index of the greatest element: int64, without a gradient. The first of ties, the first NaN if
// there is one; an Error for n = 0. Without a dim: among all elements in row-major order, shape [].
Tensor argmax(const Tensor& x);
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);
// The index of the least, likewise.
Tensor argmin(const Tensor& x);
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim = false);
bool all_finite(const Tensor& x);  // no NaN, no infinity

// --- order (order.cpp): along dim, -1 the last. Of equals the first comes first, also where the
// greatest do; NaN is the greatest
struct Sorted {
  Tensor values, indices;  // indices: int64, where along dim in x each value stands
};
// values = x in rising order; dx = g where each stood, 0 for those that are not there.
Sorted sort(const Tensor& x, int64_t dim = -1, bool descending = false);
Tensor argsort(const Tensor& x, int64_t dim = -1, bool descending = false);  // sort's indices
// The first k of sort(x, dim, largest). An Error unless k is from 0 to the size of dim.
Sorted topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true);
// y = Σ x up to each element; dx = Σ g from there on. int64 for bool.
Tensor cumsum(const Tensor& x, int64_t dim);

// --- softmax (softmax.cpp): along dim, and so is Σ; shifted by the maximum so that nothing
// overflows; x's shape
Tensor softmax(const Tensor& x, int64_t dim);  // y = e^x / Σ e^x; dx = y (g - Σ g y). 0 if all -inf
// y = x - ln Σ e^x; dx = g - e^y Σ g. -inf if all are -inf.
Tensor log_softmax(const Tensor& x, int64_t dim);

// --- shape and order (layout.cpp): views, which share x's storage, unless said otherwise

// y = x in another shape; dx = g in x's shape. The elements in row-major order; one size may be -1:
// inferred. A copy where x is not contiguous; an Error where the numbers of elements differ.
Tensor reshape(const Tensor& x, const Shape& shape);
// y = xᵀ; dx = gᵀ. Swaps d0 and d1, or the last two dimensions.
Tensor transpose(const Tensor& x, int64_t d0, int64_t d1);
Tensor transpose(const Tensor& x);
// y = x in another order of dimensions; dx = g in x's order. y's dimension i is x's order[i].
Tensor permute(const Tensor& x, const Dims& order);
// y = x without dimensions of size 1; dx = g in x's shape. All of them, or dim if its size is 1.
Tensor squeeze(const Tensor& x);
Tensor squeeze(const Tensor& x, int64_t dim);
// y = x with a dimension of size 1 at dim; dx = g in x's shape. -1: at the end.
Tensor unsqueeze(const Tensor& x, int64_t dim);
// y = x repeated; dx = Σ g over the copies. Repeats along new dimensions, which come first, and
// those of size 1; a size of -1 keeps x's size.
Tensor expand(const Tensor& x, const Shape& shape);
Tensor flatten(const Tensor& x, int64_t start = 0, int64_t end = -1);  // start .. end merged
// Elements start .. start + length - 1 of dim; an Error where it has fewer.
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
// y = x[start:end:step]; dx = g at these elements, else 0. Elements start, start + step, .. before
// end of dim, as in Python; step above 0.
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step = 1);
// x at index along dim, which is dropped; a negative index counts from the end.
Tensor select(const Tensor& x, int64_t dim, int64_t index);
// y = the parts one after the other along dim; dparts = the slice of g where the part stands. A
// copy. Their other sizes and dtypes must be equal.
Tensor concat(const std::vector<Tensor>& parts, int64_t dim = 0);
// The same along a new dimension, of size parts.size(), for parts of one shape.
Tensor stack(const std::vector<Tensor>& parts, int64_t dim = 0);
// Parts of this size along dim, the last with what is left.
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);
// Parts of these sizes along dim; an Error unless they add up to its size.
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
// y = x backwards along dims; dx = g backwards along dims. A copy.
Tensor flip(const Tensor& x, const Dims& dims);
// y = x with value around it; dx = g where x stands. A copy; padding: {before the last dimension,
// after it, before the last but one, after it, ..}.
Tensor pad(const Tensor& x, const std::vector<int64_t>& padding, Number value = 0);

// --- repeating and moving (repeat.cpp): copies

// x repeats[i] times along dimension i; more numbers than dimensions make new ones, which come
// first.
Tensor repeat(const Tensor& x, const std::vector<int64_t>& repeats);
// Each element of dim so many times, one copy after the other; without a dim those of x flattened.
// repeats: a number, or int64 [n] or [1] for the n elements of dim.
Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim = {});
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim = {});
// At most that many parts along dim, views of one size, the last with what is left.
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
// Elements moved by shifts[i] along dims[i], what falls off the end first again; without dims, x
// flattened is moved by the one shift.
Tensor roll(const Tensor& x, const std::vector<int64_t>& shifts, const Dims& dims = {});
Tensor roll(const Tensor& x, int64_t shift, std::optional<int64_t> dim = {});

// --- indexing (indexing.cpp): indices are int64; one out of range is an Error, which a GPU raises
// when numbers are next read from it

// y = x[index[i][j]][j] at [i][j], for dim 0; dx = Σ g over an element's copies. index's shape,
// which may exceed x's along dim alone.
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
// y = x at index[0], index[1], .. of dim; dx = Σ g over an element's copies. index [n], and n is
// the result's size there.
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
// y = weight[index]; dweight = Σ g over a row's copies. index [..], weight [count, dim] -> [..,
// dim]; the row padding_idx gets no gradient.
Tensor embedding(const Tensor& weight, const Tensor& index, int64_t padding_idx = -1);
// A copy of x with out[index[i][j]][j] += source[i][j] for dim 0; an index may come more than once.
// index may be smaller than x outside dim, and than source anywhere.
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
// A copy of x with out[index[i][j]][j] = source[i][j] for dim 0; of equal indices the last counts,
// and alone gets a gradient. Sizes as in scatter_add.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, Number value);
// A copy of x with out[indices[0], indices[1], ..] = values, or += with accumulate. The indices are
// for the first dimensions, and broadcast: int64, where negative ones count from the last, or bool,
// which stands for the columns of its nonzero(). values broadcast to the indices' shape followed by
// x's other dimensions; of equal indices the last counts, or all are added up.
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values,
                 bool accumulate = false);
// Where x is not 0, in row-major order: int64 [count, rank], without a gradient. Waits for a GPU.
Tensor nonzero(const Tensor& x);
// The elements where mask is true, in row-major order: [count]; x and mask (bool) broadcast. The
// gradient goes back to where they stood. Waits for a GPU.
Tensor masked_select(const Tensor& x, const Tensor& mask);
// y = value where mask, else x; dx = 0 where mask, else g. A copy; mask: bool, broadcast to x.
Tensor masked_fill(const Tensor& x, const Tensor& mask, Number value);
Tensor tril(const Tensor& x, int64_t diagonal = 0);  // 0 where column - row > diagonal; [.., m, n]
Tensor triu(const Tensor& x, int64_t diagonal = 0);  // 0 where column - row < diagonal
Tensor one_hot(const Tensor& index, int64_t classes);  // int64 [..] -> int64 [.., classes]
// t < length for t = 0 .. steps - 1: int64 [b], each from 0 to steps -> bool [b, steps].
Tensor length_mask(const Tensor& lengths, int64_t steps);

// --- random (random.cpp)

// y = 0 with probability p, else x / (1 - p); dx = 0 where x was dropped, else g / (1 - p). p in
// [0, 1]; unless p is 0, the generator moves on by numel.
Tensor dropout(const Tensor& x, double p, Generator& generator);

// --- operators: arithmetic, comparisons, and ! & | for bool masks, as the functions of these names

// a + b, a - b, a * b (element by element), a / b, -x.
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, Number b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, Number b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, Number b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, Number b) { return div(a, b); }
inline Tensor operator+(Number a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(Number a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(Number a, const Tensor& b) { return mul(b, a); }
inline Tensor operator/(Number a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }
// Comparisons give a bool tensor; min(a == b).item<bool>() says whether it is true throughout.
inline Tensor operator==(const Tensor& a, const Tensor& b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, const Tensor& b) { return ne(a, b); }
inline Tensor operator<(const Tensor& a, const Tensor& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return ge(a, b); }
inline Tensor operator==(const Tensor& a, Number b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, Number b) { return ne(a, b); }
inline Tensor operator<(const Tensor& a, Number b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, Number b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, Number b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, Number b) { return ge(a, b); }
// x += y is x = x + y: x becomes a handle on a new tensor, and the numbers that it referred to stay
// as they are, for other handles and for the graph. But a parameter (a leaf that requires a
// gradient) is written in place, which is an Error unless under NoGrad.
Tensor& operator+=(Tensor& x, const Tensor& y);
Tensor& operator-=(Tensor& x, const Tensor& y);
Tensor& operator*=(Tensor& x, const Tensor& y);
Tensor& operator/=(Tensor& x, const Tensor& y);
Tensor& operator+=(Tensor& x, Number y);
Tensor& operator-=(Tensor& x, Number y);
Tensor& operator*=(Tensor& x, Number y);
Tensor& operator/=(Tensor& x, Number y);
// Not, and, or, element by element.
inline Tensor operator!(const Tensor& a) { return logical_not(a); }
inline Tensor operator&(const Tensor& a, const Tensor& b) { return logical_and(a, b); }
inline Tensor operator|(const Tensor& a, const Tensor& b) { return logical_or(a, b); }

}  // namespace regrad
