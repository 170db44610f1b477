// The catalogue: every function of tensors, one line each, with its formula and shapes.
// Names and argument order are PyTorch's. Every op has first and second derivatives, in float32
// and float64; each stands beside its forward in ops/<family>.cpp. Wrong arguments are an Error
// that names the op, and nothing is half-done.
#pragma once

#include <string_view>

#include "autograd/graph.h"
#include "ops/random.h"

namespace regrad {

// Dimensions to reduce: one, several, or none named for all. Negative ones count from the last.
struct Dims : std::vector<int64_t> {
  Dims() = default;
  Dims(int64_t dim) : std::vector<int64_t>{dim} {}
  Dims(std::initializer_list<int64_t> dims) : std::vector<int64_t>(dims) {}
  Dims(std::vector<int64_t> dims) : std::vector<int64_t>(std::move(dims)) {}
};

// --- making tensors (create.cpp); zeros, ones, full, empty are in autograd/tensor.h
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, Number value);
// start, start + step, .. up to end, excluded: int64 if all three are integers, else float32.
Tensor arange(Number end, TensorOptions options = {});
Tensor arange(Number start, Number end, Number step = 1, TensorOptions options = {});
Tensor linspace(double start, double end, int64_t count, TensorOptions options = {});
Tensor eye(int64_t n, TensorOptions options = {});
Tensor tensor(const std::vector<float>& values, const Shape& shape, TensorOptions options = {});
Tensor tensor(const std::vector<double>& values, const Shape& shape, TensorOptions options = {});
Tensor tensor(const std::vector<int64_t>& values, const Shape& shape, TensorOptions options = {});
Tensor tensor(const std::vector<bool>& values, const Shape& shape, TensorOptions options = {});
template <class T>
  requires std::is_arithmetic_v<T>
Tensor tensor(std::initializer_list<T> values, const Shape& shape, TensorOptions options = {}) {
  using Element = std::conditional_t<std::is_integral_v<T> && !std::same_as<T, bool>, int64_t, T>;
  return tensor(std::vector<Element>(values.begin(), values.end()), shape, options);
}
Tensor scalar(Number value, DType dtype = float32, Device device = default_device());  // shape []
// Element i comes from (generator's seed, position + i); the position moves on by numel.
Tensor rand(const Shape& shape, Generator& generator, TensorOptions options = {});   // [0, 1)
Tensor randn(const Shape& shape, Generator& generator, TensorOptions options = {});  // N(0, 1)
Tensor randint(int64_t low, int64_t high, const Shape& shape, Generator& generator);  // int64
Tensor randperm(int64_t n, Generator& generator);  // 0 .. n - 1 in a random order, int64
// Class numbers drawn with the chances p [classes] or [n, classes] (any sum): int64 [count] or
// [n, count]. Without replacement no class comes twice.
Tensor multinomial(const Tensor& p, int64_t count, Generator& generator, bool replacement = false);

// --- arithmetic (arithmetic.cpp): shapes broadcast; int64 and bool join float operands. A number
// joins the tensor: beside int64 and bool an integer gives int64, a fraction float32.
Tensor add(const Tensor& a, const Tensor& b);      // a + b
Tensor sub(const Tensor& a, const Tensor& b);      // a - b
Tensor mul(const Tensor& a, const Tensor& b);      // a b
Tensor div(const Tensor& a, const Tensor& b);      // a / b, of integers too
Tensor maximum(const Tensor& a, const Tensor& b);  // NaN wins; ties share the gradient
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Tensor& b);  // a^b
Tensor where(const Tensor& condition, const Tensor& yes, const Tensor& no);  // bool ? yes : no
Tensor add(const Tensor& a, Number b);
Tensor sub(const Tensor& a, Number b);
Tensor sub(Number a, const Tensor& b);
Tensor mul(const Tensor& a, Number b);
Tensor div(const Tensor& a, Number b);
Tensor div(Number a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& yes, Number no);
Tensor where(const Tensor& condition, Number yes, const Tensor& no);
Tensor eq(const Tensor& a, const Tensor& b);  // comparisons give bool and have no gradient
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor eq(const Tensor& a, Number b);  // of int64 and bool: as real numbers, exactly
Tensor ne(const Tensor& a, Number b);
Tensor lt(const Tensor& a, Number b);
Tensor le(const Tensor& a, Number b);
Tensor gt(const Tensor& a, Number b);
Tensor ge(const Tensor& a, Number b);
Tensor logical_not(const Tensor& a);
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);

// --- functions of each element (pointwise.cpp; formulas in pointwise.h): of int64,
// neg abs square relu clamp pow stay int64 where the result is whole, and wrap around; others give
// float32
Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);  // 1 / sqrt(x)
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);  // 1 / (1 + exp(-x))
Tensor relu(const Tensor& x);     // max(x, 0)
Tensor gelu(const Tensor& x);     // x Phi(x), exact
Tensor silu(const Tensor& x);     // x sigmoid(x)
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);
Tensor erf(const Tensor& x);
Tensor clamp(const Tensor& x, Number min, Number max);  // max, where min is above it
Tensor pow(const Tensor& x, Number exponent);

// --- products (matmul.cpp, einsum.cpp)
Tensor matmul(const Tensor& a, const Tensor& b);  // [.., m, k] [.., k, n] -> [.., m, n]; 1-D as NumPy
Tensor bmm(const Tensor& a, const Tensor& b);     // [b, m, k] [b, k, n] -> [b, m, n]
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});  // x weightᵀ + bias:
                                                  // [.., in] [out, in] [out] -> [.., out]
Tensor einsum(std::string_view spec, const std::vector<Tensor>& operands);  // "bij,bjk->bik"

// --- reductions (reduce.cpp): over all elements, or over dims
Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor max(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // ties share the gradient
Tensor min(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor var(const Tensor& x, const Dims& dims = {}, bool keepdim = false, double correction = 1);
Tensor logsumexp(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor argmax(const Tensor& x);  // position among all elements, int64, no gradient
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor argmin(const Tensor& x);
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim = false);
bool all_finite(const Tensor& x);  // no NaN, no infinity

// --- softmax (softmax.cpp): along dim, shifted by the maximum; rows of -inf alone give zeros
Tensor softmax(const Tensor& x, int64_t dim);
Tensor log_softmax(const Tensor& x, int64_t dim);

// --- normalisation (normalise.cpp): (x - mean) / sqrt(var + eps) weight + bias, last dimension
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

// --- shape and order (layout.cpp): views where they can be
Tensor reshape(const Tensor& x, const Shape& shape);  // one size may be -1: whatever is left
Tensor transpose(const Tensor& x, int64_t d0, int64_t d1);
Tensor transpose(const Tensor& x);  // the last two dimensions
Tensor permute(const Tensor& x, const Dims& order);
Tensor squeeze(const Tensor& x);  // drops every dimension of size 1
Tensor squeeze(const Tensor& x, int64_t dim);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor expand(const Tensor& x, const Shape& shape);  // repeats along new and size-1 dimensions; -1: as it is
Tensor flatten(const Tensor& x, int64_t start = 0, int64_t end = -1);
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step = 1);
Tensor select(const Tensor& x, int64_t dim, int64_t index);  // drops the dimension
Tensor concat(const std::vector<Tensor>& parts, int64_t dim = 0);
Tensor stack(const std::vector<Tensor>& parts, int64_t dim = 0);
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
Tensor flip(const Tensor& x, const Dims& dims);
Tensor pad(const Tensor& x, const std::vector<int64_t>& padding, Number value = 0);
    // padding: {last before, last after, the one before it before, after, ...}

// --- indexing (indexing.cpp): indices are int64 and must be in range
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);  // x[.., index[..], ..]
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);  // index [n]
Tensor embedding(const Tensor& weight, const Tensor& index, int64_t padding_idx = -1);
    // weight [count, dim], index [..] -> [.., dim]; padding_idx's row gets no gradient
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor masked_fill(const Tensor& x, const Tensor& mask, Number value);  // value where mask is true
Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);
Tensor one_hot(const Tensor& index, int64_t classes);  // int64 [..] -> int64 [.., classes]
Tensor length_mask(const Tensor& lengths, int64_t steps);  // int64 [b] <= steps -> bool [b, steps]: t < length

// --- recurrent steps (recurrent.cpp): what stands between a cell's products, fused
Tensor gru_step(const Tensor& gates_x, const Tensor& gates_h, const Tensor& hidden);
    // [b, 3h], [b, 3h], [b, h] -> [b, h]; gates r, z, n
Tensor lstm_step(const Tensor& gates, const Tensor& cell);
    // [b, 4h], [b, h] -> [b, 2h]: the hidden state, then the cell; gates i, f, g, o

// --- recurrent sequences (sequence.cpp): all steps of one direction, products and all
struct SequenceWeights {
  Tensor weight_ih, weight_hh;  // [G h, i], [G h, h]: G gates
  Tensor bias_ih, bias_hh;      // [G h], or undefined
};
struct SequenceOptions {
  Tensor lengths = {};   // int64 [b]: a sequence that has ended keeps its state
  bool reverse = false;  // from the last step to the first
};
Tensor gru_sequence(const Tensor& x, const Tensor& hidden, const SequenceWeights& weights,
                    const SequenceOptions& options = {});
    // x [t, b, i], hidden [b, h] -> [t, b, h]: the state after each step
Tensor lstm_sequence(const Tensor& x, const Tensor& hidden, const Tensor& cell,
                     const SequenceWeights& weights, const SequenceOptions& options = {});
    // -> [2, t, b, h]: the hidden states, then the cells

// --- random (random.cpp)
Tensor dropout(const Tensor& x, double p, Generator& generator);  // 0 with chance p, else x/(1-p)

// --- attention (attention.cpp): softmax(q kᵀ scale + mask) v; q [.., t, d], k [.., s, d], v [.., s, e]
struct AttentionOptions {
  bool causal = false;  // query i attends to keys 0 .. i
  std::optional<double> scale = std::nullopt;  // 1 / sqrt(d) unless given
};
// mask: bool, true = may attend, broadcast to [.., t, s]; or a float bias added to the scores. A
// query with nothing to attend to gives zeros, and a value with a weight of 0 counts for nothing,
// even if it is NaN. The scores are never stored: memory grows with t + s.
// The result lies in memory in the order of q's dimensions.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask = {}, const AttentionOptions& options = {});
// Σ_h v_h tanh(q_ih + k_jh) (additive.cpp): query [.., m, h], key [.., n, h], v [h] -> [.., m, n].
Tensor additive_scores(const Tensor& query, const Tensor& key, const Tensor& v);
// |a_i - b_j|² of every pair of rows (distance.cpp): [.., m, h], [.., n, h] -> [.., m, n]; never
// below 0, and as exact as its own size asks for, however far from 0 the rows are.
Tensor squared_distance(const Tensor& a, const Tensor& b);
// softmax along dim where mask (bool, true = may attend) lets it; a row with nothing gives zeros.
Tensor masked_softmax(const Tensor& x, const Tensor& mask, int64_t dim);

// --- losses (loss.cpp)
enum class Reduce { mean, sum, none };
struct CrossEntropyOptions {
  int64_t ignore_index = -100;
  double label_smoothing = 0;
  Reduce reduction = Reduce::mean;
};
// logits [n, classes], targets int64 [n]; or [n, classes, ..] and [n, ..]: classes come second
Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options = {});
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets,
                const CrossEntropyOptions& options = {});
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduce reduction = Reduce::mean);
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& targets,
                                        Reduce reduction = Reduce::mean);

// --- operators
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
inline Tensor operator!(const Tensor& a) { return logical_not(a); }
inline Tensor operator&(const Tensor& a, const Tensor& b) { return logical_and(a, b); }
inline Tensor operator|(const Tensor& a, const Tensor& b) { return logical_or(a, b); }

}  // namespace regrad
