// The catalogue: every function of tensors, one line each, with its formula and shapes.
// Names and argument order are PyTorch's. Every op has first and second derivatives, in float32
// and float64; each stands beside its forward in ops/<family>.cpp. Wrong arguments are an Error
// that names the op, and nothing is half-done.
//
// In the formulas y is the result, g the gradient of y, and da what it gives the argument a. a b
// multiplies element by element, a · b matrices, and xᵀ swaps two dimensions. An argument that was
// broadcast gets the sum over its copies. autograd/trace/formulas.py reads "y = ..; da = ..".
#pragma once

#include <string_view>

#include "autograd/graph.h"
#include "ops/conv.h"
#include "ops/normalise.h"
#include "ops/random.h"

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
// neg, abs, square, relu, clamp and pow stay int64 where the result is an integer, and wrap around;
// the others give float32. σ is sigmoid.
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

// --- products (matmul.cpp, einsum.cpp): float32 or float64, the same for all operands

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
// y = value where mask, else x; dx = 0 where mask, else g. A copy; mask: bool, broadcast to x.
Tensor masked_fill(const Tensor& x, const Tensor& mask, Number value);
Tensor tril(const Tensor& x, int64_t diagonal = 0);  // 0 where column - row > diagonal; [.., m, n]
Tensor triu(const Tensor& x, int64_t diagonal = 0);  // 0 where column - row < diagonal
Tensor one_hot(const Tensor& index, int64_t classes);  // int64 [..] -> int64 [.., classes]
// t < length for t = 0 .. steps - 1: int64 [b], each from 0 to steps -> bool [b, steps].
Tensor length_mask(const Tensor& lengths, int64_t steps);

// --- recurrent steps (recurrent.cpp): the pointwise part of a cell, between its matrix products,
// fused. The gates are given before their activations: W x + b and W h + b

// y = (1 - z) n + z hidden, r = σ(x_r + h_r), z = σ(x_z + h_z), n = tanh(x_n + r h_n); dgates_x =
// [R, Z, N] with N = g (1 - z) (1 - n²), Z = g (hidden - n) z (1 - z), R = N h_n r (1 - r),
// dgates_h = [R, Z, r N], dhidden = g z. gates_x = [x_r, x_z, x_n] and gates_h = [h_r, h_z, h_n]
// are [b, 3h], hidden [b, h] -> [b, h] (Cho et al., 2014).
Tensor gru_step(const Tensor& gates_x, const Tensor& gates_h, const Tensor& hidden);
// y = [h, c], h = o tanh(c), c = f cell + i n, i, f, o = σ(gates), n = tanh(gates); dgates =
// [C n i (1 - i), C cell f (1 - f), C i (1 - n²), g_h tanh(c) o (1 - o)] with C = g_c + g_h o (1 -
// tanh(c)²), g = [g_h, g_c], dcell = C f. gates in the order i, f, n, o (n is also called g),
// [b, 4h], cell [b, h] -> [b, 2h] (Hochreiter and Schmidhuber, 1997).
Tensor lstm_step(const Tensor& gates, const Tensor& cell);

// --- recurrent sequences (sequence.cpp): all time steps of one direction, with the matrix products
struct SequenceWeights {
  Tensor weight_ih, weight_hh;  // [G h, i], [G h, h]: G gates
  Tensor bias_ih, bias_hh;      // [G h], or undefined
};
struct SequenceOptions {
  Tensor lengths = {};   // int64 [b], each from 0 to t: what has ended keeps its state
  bool reverse = false;  // from the last step to the first
};
// y = gru_step(x · weight_ihᵀ + bias_ih, h · weight_hhᵀ + bias_hh, h) at each step, h = y of the
// step before, first hidden; dx = A · weight_ih with A, B = gru_step's dgates_x, dgates_h at each
// step, backwards, dhidden = what the first step gives its h, dweight_ih = Σ Aᵀ · x, dweight_hh =
// Σ Bᵀ · h, dbias_ih = Σ A, dbias_hh = Σ B. Σ over the steps, and for a bias the rows. x [t, b, i],
// hidden [b, h] -> [t, b, h].
Tensor gru_sequence(const Tensor& x, const Tensor& hidden, const SequenceWeights& weights,
                    const SequenceOptions& options = {});
// y = lstm_step(x · weight_ihᵀ + bias_ih + h · weight_hhᵀ + bias_hh, c) at each step, [h, c] = y of
// the step before, first [hidden, cell]; dx = A · weight_ih with A = lstm_step's dgates at each
// step, backwards, dhidden = what the first step gives its h, dcell = what it gives its c,
// dweight_ih = Σ Aᵀ · x, dweight_hh = Σ Aᵀ · h, dbias_ih = Σ A, dbias_hh = Σ A. Σ as above.
// -> [2, t, b, h], the hidden states, then the cell states.
Tensor lstm_sequence(const Tensor& x, const Tensor& hidden, const Tensor& cell,
                     const SequenceWeights& weights, const SequenceOptions& options = {});

// --- random (random.cpp)

// y = 0 with probability p, else x / (1 - p); dx = 0 where x was dropped, else g / (1 - p). p in
// [0, 1]; unless p is 0, the generator moves on by numel.
Tensor dropout(const Tensor& x, double p, Generator& generator);

// --- attention (attention.cpp)
struct AttentionOptions {
  bool causal = false;                         // query i attends to keys 0 .. i
  std::optional<double> scale = std::nullopt;  // 1 / sqrt(d) unless given
};
// y = P · v, P = softmax(scale q · kᵀ + mask); dq = scale S · k with S = P (D - Σ P D), D = g · vᵀ,
// dk = scale Sᵀ · q, dv = Pᵀ · g, dmask = S. Σ along a row (Vaswani et al., 2017, equation 1).
// q [.., t, d], k [.., s, d], v [.., s, e] -> [.., t, e].
// mask: bool, true = may attend, broadcast to [.., t, s]; or a float bias added to the scores. A
// query with nothing to attend to gives zeros, and a value with a weight of 0 contributes
// nothing, even if it is NaN. The scores are never stored: memory grows with t + s.
// The result's dimensions are laid out in memory in the same order as q's.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask = {}, const AttentionOptions& options = {});
// y = Σ_h v t, t = tanh(query_i + key_j); dquery = Σ_j g v (1 - t²), dkey = Σ_i g v (1 - t²), dv =
// Σ_ij g t. Of each row i of query [.., m, h] and j of key [.., n, h], v [h] -> [.., m, n]
// (additive.cpp; Bahdanau et al., 2015).
Tensor additive_scores(const Tensor& query, const Tensor& key, const Tensor& v);
// y = |a_i - b_j|²; da = 2 Σ_j g (a_i - b_j), db = -2 Σ_i g (a_i - b_j). Of every pair of rows
// (distance.cpp): [.., m, h], [.., n, h] -> [.., m, n]. From the differences themselves: exact
// however far from 0 the rows are, and never below 0.
Tensor squared_distance(const Tensor& a, const Tensor& b);
// y = e^x / Σ e^x over what mask shows, else 0; dx = y (g - Σ g y). Σ along dim; mask: bool, true =
// may attend; a fully masked row gives zeros.
Tensor masked_softmax(const Tensor& x, const Tensor& mask, int64_t dim);

// --- losses (loss.cpp)
enum class Reduce { mean, sum, none };  // of the losses: [] for mean and sum
struct CrossEntropyOptions {
  int64_t ignore_index = -100;  // a target that gives 0 and does not count in the mean
  double label_smoothing = 0;   // ε in [0, 1]; for cross_entropy alone
  Reduce reduction = Reduce::mean;
};
// y = -Σ p ln softmax(logits), p = (1 - ε) one_hot(targets) + ε / classes; dlogits =
// g (softmax(logits) - p), 0 where ignored. Before the reduction (Szegedy et al., 2016). logits
// [n, classes], targets int64 [n]; or [n, classes, ..] and [n, ..]: classes come second. An Error
// for a target that is no class.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options = {});
// y = -log_probabilities[targets]; dlog_probabilities = -g at the target, else 0. Before the
// reduction, of the same shapes: cross_entropy() after a log_softmax().
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets,
                const CrossEntropyOptions& options = {});
// y = (x - target)²; dx = 2 g (x - target), dtarget = -2 g (x - target). Before the reduction; of
// equal shapes.
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduce reduction = Reduce::mean);
// y = -(targets ln s + (1 - targets) ln(1 - s)), s = σ(logits); dlogits = g (s - targets), dtargets
// = -g logits. Before the reduction; of equal shapes, finite for finite logits.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& targets,
                                        Reduce reduction = Reduce::mean);

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
// Not, and, or, element by element.
inline Tensor operator!(const Tensor& a) { return logical_not(a); }
inline Tensor operator&(const Tensor& a, const Tensor& b) { return logical_and(a, b); }
inline Tensor operator|(const Tensor& a, const Tensor& b) { return logical_or(a, b); }

}  // namespace regrad
