// The catalogue: every function of tensors, one line each, with its formula and shapes.
// Names and argument order are PyTorch's. Every op has first and second derivatives, in float32
// and float64; each stands beside its forward in ops/<family>.cpp. Wrong arguments are an Error
// that names the op, and nothing is half-done.
#pragma once

#include <string_view>

#include "autograd/graph.h"
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
// tensor, an integer becomes int64 and a fraction float32.
Tensor add(const Tensor& a, const Tensor& b);      // a + b
Tensor sub(const Tensor& a, const Tensor& b);      // a - b
Tensor mul(const Tensor& a, const Tensor& b);      // a b
Tensor div(const Tensor& a, const Tensor& b);      // a / b; float32 for integers
Tensor maximum(const Tensor& a, const Tensor& b);  // max(a, b): NaN wins; ties share the gradient
Tensor minimum(const Tensor& a, const Tensor& b);  // min(a, b), likewise
Tensor pow(const Tensor& a, const Tensor& b);      // a^b
// yes where condition (bool) is true, else no; any dtype. An element not chosen gets gradient 0.
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
// the others give float32
Tensor neg(const Tensor& x);         // -x
Tensor abs(const Tensor& x);         // |x|, slope 0 at 0
Tensor exp(const Tensor& x);         // e^x
Tensor log(const Tensor& x);         // ln x: -inf at 0, NaN below
Tensor sqrt(const Tensor& x);        // x^(1/2), NaN below 0
Tensor rsqrt(const Tensor& x);       // 1 / sqrt(x)
Tensor square(const Tensor& x);      // x²
Tensor reciprocal(const Tensor& x);  // 1 / x
Tensor sin(const Tensor& x);         // of radians
Tensor cos(const Tensor& x);         // of radians
Tensor tanh(const Tensor& x);        // (e^x - e^-x) / (e^x + e^-x)
Tensor sigmoid(const Tensor& x);     // 1 / (1 + exp(-x))
Tensor relu(const Tensor& x);        // max(x, 0), slope 0 at 0; NaN stays NaN
Tensor gelu(const Tensor& x);        // x Phi(x), exact (Hendrycks and Gimpel, 2016)
Tensor silu(const Tensor& x);        // x sigmoid(x)
// ln(1 + exp(beta x)) / beta, and x itself where beta x > threshold.
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);
Tensor erf(const Tensor& x);  // 2 / sqrt(π) times the integral of exp(-t²) from 0 to x
Tensor clamp(const Tensor& x, Number min, Number max);  // min(max(x, min), max); slope 0 outside
Tensor pow(const Tensor& x, Number exponent);           // x^exponent

// --- products (matmul.cpp, einsum.cpp): float32 or float64, the same for all operands

// a b: [.., m, k] [.., k, n] -> [.., m, n]; the batch broadcasts; a [k] is a row, b [k] a column.
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor bmm(const Tensor& a, const Tensor& b);  // [b, m, k] [b, k, n] -> [b, m, n]
// x weightᵀ + bias: [.., in] [out, in] [out] -> [.., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
// Each letter names a dimension, and is summed over where the result lacks it: "bij,bjk->bik",
// "ii->i" is the diagonal. Without an arrow the result has the letters that occur once, sorted.
Tensor einsum(std::string_view spec, const std::vector<Tensor>& operands);

// --- reductions (reduce.cpp): over the dims, or over all elements where none are named; n is their
// number. keepdim keeps the dims with size 1. An Error for a dim that is named twice.
Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false);   // Σ x; int64 for bool
Tensor mean(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // Σ x / n
// The greatest or least: NaN wins, ties share the gradient evenly; an Error for n = 0.
Tensor max(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor min(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// Σ (x - mean)² / max(n - correction, 0): 1 for a sample, 0 for a population.
Tensor var(const Tensor& x, const Dims& dims = {}, bool keepdim = false, double correction = 1);
// ln Σ exp(x), shifted by the maximum so that nothing overflows; -inf for n = 0.
Tensor logsumexp(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// The index of the greatest element: int64, without a gradient. The first of ties, the first NaN if
// there is one; an Error for n = 0. Without a dim: among all elements in row-major order, shape [].
Tensor argmax(const Tensor& x);
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);
// The index of the least, likewise.
Tensor argmin(const Tensor& x);
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim = false);
bool all_finite(const Tensor& x);  // no NaN, no infinity

// --- softmax (softmax.cpp): along dim, shifted by the maximum so that nothing overflows; x's shape
Tensor softmax(const Tensor& x, int64_t dim);      // exp(x_i) / Σ_j exp(x_j); 0 if all are -inf
Tensor log_softmax(const Tensor& x, int64_t dim);  // x_i - ln Σ_j exp(x_j); -inf if all are -inf

// --- normalisation (normalise.cpp)

// (x - mean) / sqrt(var + eps) weight + bias over the last dimension, var with correction 0 (Ba et
// al., 2016). x [.., n]; weight and bias [n], 1 and 0 where left out.
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

// --- shape and order (layout.cpp): views, which share x's storage, unless said otherwise

// The elements in row-major order; one size may be -1: inferred. A copy where x is not
// contiguous; an Error where the numbers of elements differ.
Tensor reshape(const Tensor& x, const Shape& shape);
Tensor transpose(const Tensor& x, int64_t d0, int64_t d1);  // swaps d0 and d1
Tensor transpose(const Tensor& x);                          // swaps the last two dimensions
Tensor permute(const Tensor& x, const Dims& order);  // the result's dimension i is x's order[i]
Tensor squeeze(const Tensor& x);                     // drops every dimension of size 1
Tensor squeeze(const Tensor& x, int64_t dim);        // drops dim if its size is 1
Tensor unsqueeze(const Tensor& x, int64_t dim);      // a dimension of size 1 at dim; -1: at the end
// Repeats along new dimensions, which come first, and those of size 1; a size of -1 keeps x's size.
Tensor expand(const Tensor& x, const Shape& shape);
Tensor flatten(const Tensor& x, int64_t start = 0, int64_t end = -1);  // start .. end merged
// Elements start .. start + length - 1 of dim; an Error where it has fewer.
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
// Elements start, start + step, .. before end of dim, as Python's x[start:end:step]; step above 0.
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step = 1);
// x at index along dim, which is dropped; a negative index counts from the end.
Tensor select(const Tensor& x, int64_t dim, int64_t index);
// The parts one after the other along dim: a copy. Their other sizes and dtypes must be equal.
Tensor concat(const std::vector<Tensor>& parts, int64_t dim = 0);
// The same along a new dimension, of size parts.size(), for parts of one shape.
Tensor stack(const std::vector<Tensor>& parts, int64_t dim = 0);
// Parts of this size along dim, the last with what is left.
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);
// Parts of these sizes along dim; an Error unless they add up to its size.
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
Tensor flip(const Tensor& x, const Dims& dims);  // backwards along dims: a copy
// A copy with the value before and after the last dimensions; padding: {before the last, after the
// last, before the last but one, after it, ..}.
Tensor pad(const Tensor& x, const std::vector<int64_t>& padding, Number value = 0);

// --- indexing (indexing.cpp): indices are int64; one out of range is an Error, which a GPU raises
// when numbers are next read from it

// out[i][j] = x[index[i][j]][j] for dim 0: index's shape, which may exceed x's along dim alone.
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
// x at index[0], index[1], .. of dim: index [n], and n is the result's size there.
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
// Row index[..] of weight [count, dim]: [..] -> [.., dim]; the row padding_idx gets no gradient.
Tensor embedding(const Tensor& weight, const Tensor& index, int64_t padding_idx = -1);
// A copy of x with out[index[i][j]][j] += source[i][j] for dim 0; an index may come more than once.
// index may be smaller than x outside dim, and than source anywhere.
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
// A copy of x with value where mask (bool, broadcast to x) is true.
Tensor masked_fill(const Tensor& x, const Tensor& mask, Number value);
Tensor tril(const Tensor& x, int64_t diagonal = 0);  // 0 where column - row > diagonal; [.., m, n]
Tensor triu(const Tensor& x, int64_t diagonal = 0);  // 0 where column - row < diagonal
Tensor one_hot(const Tensor& index, int64_t classes);  // int64 [..] -> int64 [.., classes]
// t < length for t = 0 .. steps - 1: int64 [b], each from 0 to steps -> bool [b, steps].
Tensor length_mask(const Tensor& lengths, int64_t steps);

// --- recurrent steps (recurrent.cpp): the pointwise part of a cell, between its matrix products,
// fused. The gates are given before their activations: W x + b and W h + b

// r, z = σ(x + h), n = tanh(x_n + r h_n), h' = (1 - z) n + z h (Cho et al., 2014): gates in the
// order r, z, n, [b, 3h] each, and hidden [b, h] -> h' [b, h].
Tensor gru_step(const Tensor& gates_x, const Tensor& gates_h, const Tensor& hidden);
// i, f, o = σ(gates), g = tanh(gates), c' = f c + i g, h' = o tanh(c') (Hochreiter and Schmidhuber,
// 1997): gates in the order i, f, g, o, [b, 4h], and cell [b, h] -> [b, 2h], h' beside c'.
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
// gru_step at each step: x [t, b, i], hidden [b, h] -> [t, b, h], the state after each.
Tensor gru_sequence(const Tensor& x, const Tensor& hidden, const SequenceWeights& weights,
                    const SequenceOptions& options = {});
// lstm_step at each step: -> [2, t, b, h], the hidden states, then the cell states.
Tensor lstm_sequence(const Tensor& x, const Tensor& hidden, const Tensor& cell,
                     const SequenceWeights& weights, const SequenceOptions& options = {});

// --- random (random.cpp)

// 0 with probability p, else x / (1 - p), p in [0, 1]; unless p is 0, the generator moves on by
// numel.
Tensor dropout(const Tensor& x, double p, Generator& generator);

// --- attention (attention.cpp)
struct AttentionOptions {
  bool causal = false;                         // query i attends to keys 0 .. i
  std::optional<double> scale = std::nullopt;  // 1 / sqrt(d) unless given
};
// softmax(q kᵀ scale + mask) v (Vaswani et al., 2017, equation 1): q [.., t, d], k [.., s, d],
// v [.., s, e] -> [.., t, e].
// mask: bool, true = may attend, broadcast to [.., t, s]; or a float bias added to the scores. A
// query with nothing to attend to gives zeros, and a value with a weight of 0 contributes
// nothing, even if it is NaN. The scores are never stored: memory grows with t + s.
// The result's dimensions are laid out in memory in the same order as q's.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask = {}, const AttentionOptions& options = {});
// Σ_h v_h tanh(q_ih + k_jh) (additive.cpp; Bahdanau et al., 2015): query [.., m, h], key [.., n,
// h], v [h] -> [.., m, n].
Tensor additive_scores(const Tensor& query, const Tensor& key, const Tensor& v);
// |a_i - b_j|² of every pair of rows (distance.cpp): [.., m, h], [.., n, h] -> [.., m, n]. From the
// differences themselves: exact however far from 0 the rows are, and never below 0.
Tensor squared_distance(const Tensor& a, const Tensor& b);
// softmax along dim where mask (bool, true = may attend) is true; a fully masked row gives zeros.
Tensor masked_softmax(const Tensor& x, const Tensor& mask, int64_t dim);

// --- losses (loss.cpp)
enum class Reduce { mean, sum, none };  // of the losses: [] for mean and sum
struct CrossEntropyOptions {
  int64_t ignore_index = -100;  // a target that gives 0 and does not count in the mean
  double label_smoothing = 0;   // ε in [0, 1]; for cross_entropy alone
  Reduce reduction = Reduce::mean;
};
// -Σ_c p_c ln softmax(logits)_c, p = (1 - ε) one_hot(target) + ε / classes (Szegedy et al., 2016).
// logits [n, classes], targets int64 [n]; or [n, classes, ..] and [n, ..]: classes come second. An
// Error for a target that is no class.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options = {});
// -log_probabilities[target], of the same shapes: cross_entropy() after a log_softmax().
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets,
                const CrossEntropyOptions& options = {});
// (x - target)², of equal shapes.
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduce reduction = Reduce::mean);
// -(t ln s + (1 - t) ln(1 - s)) with s = sigmoid(logits) and t = targets, of equal shapes; finite
// for finite logits.
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
