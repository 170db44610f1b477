// Attention: ops/attention.cpp, and masks of every kind.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

constexpr double inf = std::numeric_limits<double>::infinity();

struct Rules {
  double scale = 0;  // 1 / sqrt(d) unless given
  bool causal = false;
};

// q [t, d], k [s, d], v [s, e], scores(i, j) increased by bias: -inf forbids.
Array attend(const Array& q, const Array& k, const Array& v, const Array& bias,
             const Rules& rules) {
  const double scale =
      rules.scale != 0 ? rules.scale : 1 / std::sqrt(static_cast<double>(q.shape[1]));
  return twin::make({q.shape[0], v.shape[1]}, [&](const Index& index) {
    double largest = -inf, total = 0, result = 0;
    std::vector<double> scores;
    for (int64_t j = 0; j < k.shape[0]; ++j) {
      double score = bias({index[0], j});
      for (int64_t p = 0; p < q.shape[1]; ++p) score += scale * q({index[0], p}) * k({j, p});
      scores.push_back(rules.causal && j > index[0] ? -inf : score);
      largest = std::max(largest, scores.back());
    }
    for (int64_t j = 0; j < k.shape[0] && largest > -inf; ++j) {
      const double weight = std::exp(scores[static_cast<size_t>(j)] - largest);
      total += weight;
      result += weight * v({j, index[1]});
    }
    return total > 0 ? result / total : 0;
  });
}

Array part(const Array& x, int64_t b) {  // x[b], or all of x for rank 2
  if (x.shape.size() < 3) return x;
  const Index shape(x.shape.begin() + 1, x.shape.end());
  return twin::make(shape, [&](Index index) {
    index.insert(index.begin(), x.shape[0] == 1 ? 0 : b);
    return x(index);
  });
}

enum class Fourth { none, mask, bias };

Twin attention(Fourth fourth, Rules rules = {}) {
  return [=](const Arrays& x) {
    const int64_t batch = x[0].shape.size() < 3 ? 1 : x[0].shape[0];
    Array result{x[0].shape, {}};
    result.shape.back() = x[2].shape.back();
    for (int64_t b = 0; b < batch; ++b) {
      const Array bias = fourth == Fourth::none ? Array{{}, {0}}
                         : fourth == Fourth::bias
                             ? part(x[3], b)
                             : each([](double m) { return m != 0 ? 0 : -inf; })({part(x[3], b)});
      const Array y = attend(part(x[0], b), part(x[1], b), part(x[2], b), bias, rules);
      result.values.insert(result.values.end(), y.values.begin(), y.values.end());
    }
    return result;
  };
}

#define ATTEND(...) OP(scaled_dot_product_attention(__VA_ARGS__))

TEST_CASE("scaled_dot_product_attention") {
  const std::vector<In> plain = {in({2, 3, 4}), in({2, 5, 4}), in({2, 5, 6})};
  const auto with = [&](const In& fourth) {
    std::vector<In> inputs = plain;
    inputs.push_back(fourth);
    return inputs;
  };
  const std::vector<Case> cases = {
      {"scaled_dot_product_attention", ATTEND(x[0], x[1], x[2]), attention(Fourth::none), plain},
      {"attention of rank 2",
       ATTEND(x[0], x[1], x[2]),
       attention(Fourth::none),
       {in({3, 4}), in({5, 4}), in({5, 2})}},
      {"attention, mask", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::mask),
       with(mask_in({2, 3, 5}))},
      {"attention, mask of keys", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::mask),
       with(mask_in({2, 1, 5}))},
      {"attention, one mask", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::mask),
       with(mask_in({3, 5}))},
      {"attention, bias", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::bias),
       with(in({2, 3, 5}))},
      {"attention, one bias", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::bias),
       with(in({3, 5}))},
      {"attention, causal", ATTEND(x[0], x[1], x[2], {}, {.causal = true}),
       attention(Fourth::none, {.causal = true}), plain},
      {"attention, scaled", ATTEND(x[0], x[1], x[2], {}, {.scale = 0.3}),
       attention(Fourth::none, {.scale = 0.3}), plain},
      {"attention, causal and mask", ATTEND(x[0], x[1], x[2], x[3], {.causal = true}),
       attention(Fourth::mask, {.causal = true}), with(mask_in({2, 3, 5}))},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("attention with heads is attention of each head") {
  const Tensor q = to_tensor(numbers(in({2, 3, 4, 5}), 0)),
               k = to_tensor(numbers(in({2, 3, 6, 5}), 1)),
               v = to_tensor(numbers(in({2, 3, 6, 7}), 2));
  const Tensor all = scaled_dot_product_attention(q, k, v);
  const Tensor one =
      scaled_dot_product_attention(select(q, 1, 2), select(k, 1, 2), select(v, 1, 2));
  CHECK(all.shape() == Shape{2, 3, 4, 7});
  CHECK(difference(to_array(select(all, 1, 2)), to_array(one), 1e-14) == "");
}

TEST_CASE("attention to nothing") {
  const Tensor q = ones({2, 3}), none = zeros({0, 3});
  CHECK(same_bits(scaled_dot_product_attention(q, none, zeros({0, 4})), zeros({2, 4})));
  CHECK(scaled_dot_product_attention(none, q, q).shape() == Shape{0, 3});
  CHECK(
      scaled_dot_product_attention(zeros({0, 2, 3}), zeros({0, 2, 3}), zeros({0, 2, 3})).numel() ==
      0);
}

bool nothing_but_numbers(const Tensors& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const Tensor& x) { return all_finite(x); });
}

TEST_CASE(
    "every mask of up to 6 keys gives finite attention and gradients, zero where nothing is "
    "allowed") {
  for (const DType dtype : {float32, float64}) {
    for (int64_t n = 1; n <= 6; ++n) {
      for (uint64_t bits = 0; bits < uint64_t{1} << n; ++bits) {
        std::vector<bool> allowed;
        for (int64_t i = 0; i < n; ++i) allowed.push_back((bits >> i & 1) != 0);
        const Tensor mask = tensor(allowed, {1, n});
        const Tensors x = {to_tensor(numbers(in({2, 3}, -50, 50), 0), dtype),
                           to_tensor(numbers(in({n, 3}, -50, 50), 1), dtype),
                           to_tensor(numbers(in({n, 4}), 2), dtype)};
        const auto op = [&](const Tensors& t) {
          return scaled_dot_product_attention(t[0], t[1], t[2], mask);
        };
        const Tensor y = op(x);
        const Tensors g = gradients(op, x, ones(y.shape(), {.dtype = dtype}));
        REQUIRE(all_finite(y));
        REQUIRE(nothing_but_numbers(g));
        for (int64_t i = 0; i < n; ++i) {
          if (!allowed[static_cast<size_t>(i)])
            REQUIRE(greatest(select(g[1], 0, i).to_vector<double>()) == 0);
          if (!allowed[static_cast<size_t>(i)])
            REQUIRE(greatest(select(g[2], 0, i).to_vector<double>()) == 0);
        }
        if (bits != 0) continue;
        REQUIRE(greatest(y.to_vector<double>()) == 0);  // of either sign
        for (const Tensor& one : g) REQUIRE(greatest(one.to_vector<double>()) == 0);
      }
    }
  }
}

TEST_CASE("random masks over many rows") {
  Generator generator(11);
  for (int round = 0; round < 200; ++round) {
    const Tensors x = {randn({4, 9, 8}, generator), randn({4, 13, 8}, generator),
                       randn({4, 13, 8}, generator)};
    const Tensor mask = rand({4, 9, 13}, generator) < 0.15;
    const auto op = [&](const Tensors& t) {
      return scaled_dot_product_attention(t[0], t[1], t[2], mask, {.causal = round % 2 == 0});
    };
    REQUIRE(all_finite(op(x)));
    REQUIRE(nothing_but_numbers(gradients(op, x, ones({4, 9, 8}))));
  }
}

TEST_CASE("what a mask forbids is not even looked at") {
  for (const double bad : {std::nan(""), inf, -inf, 1e38}) {
    const Tensor scores = tensor({1.0, bad, 2.0}, {1, 3}),
                 mask = tensor({true, false, true}, {1, 3});
    const Tensor y = masked_softmax(scores, mask, 1);
    CHECK(all_finite(y));
    CHECK(y.to_vector<double>()[1] == 0);
    const auto op = [&](const Tensors& t) { return masked_softmax(t[0], mask, 1); };
    CHECK(all_finite(gradients(op, {scores}, tensor({1.0, 2.0, 3.0}, {1, 3}))[0]));
  }
}

// ---- blocks: sizes beyond those that one block holds, and with remainders everywhere

// The formula, op by op, with the scores in memory.
Tensor of_ops(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
              const AttentionOptions& how) {
  Tensor scores =
      matmul(q, transpose(k)) * how.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(-1))));
  if (mask.defined() && mask.dtype() != bool_) scores = scores + mask;
  Tensor allowed = ones(scores.shape()).to(bool_);
  if (mask.defined() && mask.dtype() == bool_) allowed = allowed & mask;
  if (how.causal) allowed = allowed & tril(ones({q.size(-2), k.size(-2)})).to(bool_);
  return matmul(masked_softmax(scores, allowed, -1), v);
}

struct Blocks {
  std::string name;
  Shape q, k, v;
  AttentionOptions how = {};
  Shape mask = {};  // of a bool mask, unless `bias`
  bool bias = false;
  double allowed = 0.6;  // the part of a mask that is true
};

const std::vector<Blocks> blocks = {
    {"one query", {3, 1, 40}, {3, 301, 40}, {3, 301, 24}},
    {"one key", {2, 130, 16}, {2, 1, 16}, {2, 1, 33}},
    {"odd sizes", {2, 103, 33}, {2, 277, 33}, {2, 277, 19}},
    {"whole blocks", {1, 2, 96, 64}, {1, 2, 256, 64}, {1, 2, 256, 64}},
    {"wide", {1, 50, 200}, {1, 61, 200}, {1, 61, 520}},
    {"rather wide", {2, 70, 100}, {2, 90, 100}, {2, 90, 80}, {.causal = true}},
    {"many heads", {10, 13, 20, 8}, {10, 13, 70, 8}, {10, 13, 70, 12}, {.causal = true}},
    {"many wider heads", {10, 13, 9, 40}, {10, 13, 11, 40}, {10, 13, 11, 36}},
    {"depth 1", {2, 70, 1}, {2, 150, 1}, {2, 150, 1}},
    {"causal", {2, 2, 205, 20}, {2, 2, 205, 20}, {2, 2, 205, 20}, {.causal = true}},
    {"causal, more keys", {1, 110, 24}, {1, 300, 24}, {1, 300, 16}, {.causal = true}},
    {"causal, more queries", {1, 300, 24}, {1, 110, 24}, {1, 110, 16}, {.causal = true}},
    {"scaled down", {1, 150, 24}, {1, 140, 24}, {1, 140, 8}, {.scale = -0.1}},
    {"mask", {2, 2, 103, 16}, {2, 2, 150, 16}, {2, 2, 150, 16}, {}, {2, 1, 103, 150}},
    {"mask of keys", {2, 2, 103, 16}, {2, 2, 301, 16}, {2, 2, 301, 16}, {}, {2, 1, 1, 301}},
    {"mask of queries", {2, 103, 16}, {2, 150, 16}, {2, 150, 16}, {}, {103, 1}},
    {"few allowed", {2, 103, 16}, {2, 301, 16}, {2, 301, 16}, {}, {2, 103, 301}, false, 0.01},
    {"mask and causal", {2, 203, 16}, {2, 203, 16}, {2, 203, 16}, {.causal = true}, {203, 203}},
    {"bias", {2, 2, 103, 16}, {2, 2, 150, 16}, {2, 2, 150, 16}, {}, {2, 2, 103, 150}, true},
    {"bias of heads", {3, 2, 103, 16}, {3, 2, 150, 16}, {3, 2, 150, 16}, {}, {2, 103, 150}, true},
    {"bias of batch",
     {3, 2, 103, 16},
     {3, 2, 150, 16},
     {3, 2, 150, 16},
     {},
     {3, 1, 103, 150},
     true},
    {"bias of keys", {2, 103, 16}, {2, 301, 16}, {2, 301, 16}, {.causal = true}, {301}, true},
    {"bias of queries", {2, 103, 16}, {2, 301, 16}, {2, 301, 16}, {}, {103, 1}, true},
    {"shared keys", {3, 2, 103, 16}, {150, 16}, {2, 150, 16}},
    {"shared queries", {103, 16}, {2, 3, 150, 16}, {3, 150, 16}, {.causal = true}},
};

Tensors inputs_of(const Blocks& b, DType dtype) {
  Generator generator(5);
  Tensors x = {randn(b.q, generator), randn(b.k, generator), randn(b.v, generator)};
  for (Tensor& one : x) one = one.to(dtype);
  if (b.mask.rank() == 0) return x;
  x.push_back(b.bias ? randn(b.mask, generator).to(dtype) : rand(b.mask, generator) < b.allowed);
  return x;
}

Tensor without_mask(const Tensors& x) { return scaled_dot_product_attention(x[0], x[1], x[2]); }

Function fused(const Blocks& b) {
  return [&b](const Tensors& x) {
    return scaled_dot_product_attention(x[0], x[1], x[2], x.size() > 3 ? x[3] : Tensor(), b.how);
  };
}

// Each within bound times the greatest of them all: some are nothing but rounding (a softmax does
// not feel a bias that is the same for all keys).
void check_gradients(const Tensors& got, const Tensors& wanted, double bound) {
  REQUIRE(got.size() == wanted.size());
  double largest = 0;
  for (const Tensor& one : wanted) largest = std::max(largest, greatest(one.to_vector<double>()));
  for (size_t i = 0; i < got.size(); ++i) {
    const Array exact = to_array(wanted[i]);
    const double own = std::max(greatest(exact.values), 1e-30);
    const std::string off = difference(to_array(got[i]), exact, bound * largest / own);
    CHECK_MESSAGE(off == "", "gradient ", i, ": ", off);
  }
}

TEST_CASE("attention in blocks is the formula: values and gradients") {
  for (const Blocks& b : blocks) {
    INFO(b.name);
    const Function plain = [&b](const Tensors& x) {
      return of_ops(x[0], x[1], x[2], x.size() > 3 ? x[3] : Tensor(), b.how);
    };
    for (const DType dtype : {float64, float32}) {
      const double bound = dtype == float64 ? 1e-12 : 4e-6;
      const Tensors x = inputs_of(b, dtype);
      Tensors exact;
      for (const Tensor& one : x) exact.push_back(one.dtype() == bool_ ? one : one.to(float64));
      const Tensor y = fused(b)(x), wanted = plain(exact);
      CHECK(difference(to_array(y), to_array(wanted), bound) == "");
      Generator generator(6);
      const Tensor g = randn(wanted.shape(), generator).to(dtype);
      check_gradients(gradients(fused(b), x, g), gradients(plain, exact, g.to(float64)), 3 * bound);
    }
  }
}

TEST_CASE("attention computes only the gradients that are wanted") {
  const Blocks b = {"bias", {2, 103, 16}, {2, 150, 16}, {2, 150, 16}, {}, {103, 150}, true};
  const Tensors x = inputs_of(b, float64);
  const Tensor g = ones({2, 103, 16}, {.dtype = float64});
  const Tensors all = gradients(fused(b), x, g);
  for (size_t wanted = 0; wanted < 4; ++wanted) {
    Tensors t = x;
    t[wanted] = t[wanted].detach().set_requires_grad(true);
    fused(b)(t).backward(g);
    CHECK(same_bits(t[wanted].grad(), all[wanted]));
  }
}

TEST_CASE("attention gives the same bits for any number of threads") {
  for (const Blocks& b : blocks) {
    INFO(b.name);
    Tensors first;
    for (const int threads : {1, 2, 3}) {
      set_num_threads(threads);
      const Function op = fused(b);
      const Tensors x = inputs_of(b, float32);
      Tensors results = {op(x)};
      Generator generator(6);
      for (const Tensor& g : gradients(op, x, randn(results[0].shape(), generator))) {
        results.push_back(g);
      }
      if (threads == 1) first = results;
      for (size_t k = 0; k < results.size(); ++k) CHECK(same_bits(results[k], first[k]));
    }
    set_num_threads(0);
  }
}

TEST_CASE("attention of few long heads gives the same bits for any number of threads") {
  Generator generator(8);
  const Tensors x = {randn({1, 700, 64}, generator), randn({1, 1100, 64}, generator),
                     randn({1, 1100, 64}, generator)};
  const Tensor g = randn({1, 700, 64}, generator);
  const Function op = without_mask;
  Tensors first;
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    const Tensors got = gradients(op, x, g);
    if (threads == 1) first = got;
    for (size_t k = 0; k < got.size(); ++k) CHECK(same_bits(got[k], first[k]));
  }
  set_num_threads(0);
  const Function plain = [](const Tensors& t) { return of_ops(t[0], t[1], t[2], {}, {}); };
  check_gradients(first, gradients(plain, x, g), 1e-5);
}

TEST_CASE("heads that are slices of one tensor are attended to in place, and join as a view") {
  const int64_t batch = 2, time = 70, heads = 3, depth = 16;
  Generator generator(3);
  const Tensor all = randn({batch, time, 3, heads, depth}, generator);
  const auto part = [&](const Tensor& x, int64_t i) { return transpose(select(x, 2, i), 1, 2); };
  const auto op = [&](const Tensors& x) {
    return scaled_dot_product_attention(part(x[0], 0), part(x[0], 1), part(x[0], 2), {},
                                        {.causal = true});
  };
  const Tensor y = op({all});
  CHECK(y.shape() == Shape{batch, heads, time, depth});
  CHECK(transpose(y, 1, 2).is_contiguous());
  const auto apart = [&](const Tensors& x) {
    return scaled_dot_product_attention(part(x[0], 0).contiguous(), part(x[0], 1).contiguous(),
                                        part(x[0], 2).contiguous(), {}, {.causal = true});
  };
  CHECK(same_bits(y, apart({all})));
  CHECK(apart({all}).is_contiguous());
  const Tensor g = transpose(randn({batch, time, heads, depth}, generator), 1, 2);
  CHECK(same_bits(gradients(op, {all}, g)[0], gradients(apart, {all}, g)[0]));
}

TEST_CASE("attention of shared keys copies nothing") {
  const Tensor q = ones({8, 4, 64, 32}), k = ones({2048, 32});
  const NoGrad guard;
  scaled_dot_product_attention(q, k, k);
  reset_peak_memory();
  const int64_t before = memory_use().live_bytes;
  const Tensor y = scaled_dot_product_attention(q, k, k);
  CHECK(memory_use().peak_bytes - before < 2 * y.numel() * 4);
}

TEST_CASE("the scores are never stored") {
  Generator generator(4);
  Tensors x;
  for (int i = 0; i < 3; ++i) {
    x.push_back(randn({1, 2000, 8}, generator).set_requires_grad(true));
  }
  reset_peak_memory();
  const int64_t before = memory_use().live_bytes;
  scaled_dot_product_attention(x[0], x[1], x[2], {}, {.causal = true}).backward(ones({1, 2000, 8}));
  CHECK(memory_use().peak_bytes - before < 2000 * 2000);  // bytes: a quarter of the scores
}

// ---- numbers at the edge

TEST_CASE("scores far from zero give finite attention") {
  for (const double size : {1e2, 1e4, 1e8}) {
    const Tensors x = {to_tensor(numbers(in({5, 8}, -size, size), 0), float32),
                       to_tensor(numbers(in({150, 8}, -size, size), 1), float32),
                       to_tensor(numbers(in({150, 3}), 2), float32)};
    const Function op = without_mask;
    CHECK(all_finite(op(x)));
    CHECK(nothing_but_numbers(gradients(op, x, ones({5, 3}))));
  }
}

TEST_CASE("a bias of -inf forbids as a mask does, with zeros where nothing is left") {
  Generator generator(9);
  const Tensors x = {randn({2, 60, 8}, generator), randn({2, 140, 8}, generator),
                     randn({2, 140, 8}, generator)};
  Tensor mask = rand({60, 140}, generator) < 0.5;
  narrow(mask, 0, 7, 2).fill_(0);
  const Tensor bias = where(mask, zeros({60, 140}), -inf);
  const auto op = [](const Tensor& m) {
    return [m](const Tensors& t) { return scaled_dot_product_attention(t[0], t[1], t[2], m); };
  };
  CHECK(same_bits(op(mask)(x), op(bias)(x)));
  CHECK(greatest(narrow(op(bias)(x), 1, 7, 2).to_vector<double>()) == 0);
  const Tensor g = randn({2, 60, 8}, generator);
  const Tensors masked = gradients(op(mask), x, g), biased = gradients(op(bias), x, g);
  for (size_t k = 0; k < 3; ++k) {
    CHECK(all_finite(masked[k]));
    CHECK(difference(to_array(masked[k]), to_array(biased[k]), 1e-6) == "");
  }
  CHECK(greatest(narrow(masked[0], 1, 7, 2).to_vector<double>()) == 0);
}

TEST_CASE("NaN goes where it is looked at, and nowhere else") {
  const int64_t time = 150;
  for (const int64_t index : {0, 5, 70, 149}) {
    Tensor q = ones({time, 8}), k = ones({time, 8});
    const Tensor v = ones({time, 8});
    narrow(q, 0, index, 1).fill_(std::nan(""));
    const std::vector<double> y = sum(scaled_dot_product_attention(q, k, v), 1).to_vector<double>();
    for (int64_t i = 0; i < time; ++i) CHECK(std::isnan(y[static_cast<size_t>(i)]) == (i == index));
    narrow(k, 0, index, 1).fill_(std::nan(""));
    const std::vector<double> past =
        sum(scaled_dot_product_attention(v, k, v, {}, {.causal = true}), 1).to_vector<double>();
    for (int64_t i = 0; i < time; ++i) {
      CHECK(std::isnan(past[static_cast<size_t>(i)]) == (i >= index));
    }
    Tensor mask = ones({1, time}).to(bool_);
    narrow(mask, 1, index, 1).fill_(0);
    const Function op = [&](const Tensors& x) {
      return scaled_dot_product_attention(x[0], x[1], x[2], mask);
    };
    CHECK(all_finite(op({v, k, v})));
    const Tensors g = gradients(op, {v, k, v}, v);
    CHECK(all_finite(g[1]));
    CHECK(all_finite(g[2]));
  }
}

TEST_CASE("attention says what does not fit") {
  const Tensor q = ones({2, 3, 4}), k = ones({2, 5, 4});
  CHECK_ERROR(scaled_dot_product_attention(q, ones({2, 5, 3}), k),
              "scaled_dot_product_attention: takes q [.., t, d], k [.., s, d], v [.., s, e], not "
              "[2, 3, 4], [2, 5, 3], [2, 5, 4]");
  CHECK_ERROR(scaled_dot_product_attention(q, k, ones({3, 5, 4})), "scaled_dot_product_attention:");
  CHECK_ERROR(scaled_dot_product_attention(q, k, k, ones({4, 5}).to(bool_)),
              "scaled_dot_product_attention:");
  CHECK_ERROR(scaled_dot_product_attention(q, k, k, ones({4, 2, 3, 5})),
              "a mask of shape [4, 2, 3, 5] does not fit scores of shape [2, 3, 5]");
  CHECK_ERROR(scaled_dot_product_attention(q, k.to(float64), k), "float64");
  CHECK_ERROR(scaled_dot_product_attention(q, k, k, ones({3, 5}, {.dtype = float64})), "float64");
  CHECK_ERROR(scaled_dot_product_attention(q.to(int64), k.to(int64), k.to(int64)),
              "takes float32 or float64");
}

TEST_SUITE_END();

}  // namespace
