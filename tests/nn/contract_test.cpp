// Every name of the public interface, used once as its documentation says: what programs outside
// the project are compiled against.
#include <doctest/doctest.h>

#include <filesystem>

#include "regrad.h"

using namespace regrad;
namespace {

struct Mine {
  nn::Linear a{4, 4};
  nn::GRU g{4, 4};
  void visit(auto&& each) {
    each("a", a);
    each("g", g);
  }
};
TEST_SUITE_BEGIN("nn");

TEST_CASE("the public interface compiles and runs") {
  Generator generator(7);
  TensorOptions opts{.dtype = float32, .device = cpu, .requires_grad = false};
  Tensor z = zeros({2, 3});
  ones({2});
  full({2, 3}, 1.5);
  arange(5);
  eye(3);
  randn({2, 2}, generator, opts);
  rand({2}, generator);
  int64_t n = 4;
  Tensor q0 = zeros({n, 3});
  Tensor ar = arange(n);
  Tensor t = tensor(std::vector<float>{1, 2, 3, 4, 5, 6}, Shape{2, 3},
                    TensorOptions{.requires_grad = true});
  Tensor td = tensor(std::vector<double>{1, 2}, {2});
  tensor(std::vector<int64_t>{1, 2}, {2});
  tensor(std::vector<bool>{true, false}, {2});
  t.shape();
  t.size(-1);
  t.rank();
  t.numel();
  t.dtype();
  t.device();
  t.requires_grad();
  t.set_requires_grad(true);
  t.is_contiguous();
  t.to(cpu);
  t.to(float64);
  t.contiguous();
  t.clone();
  t.detach();
  sum(t).item<double>();
  t.to_vector<float>();
  sum(t * t).backward();
  t.grad();
  t.zero_grad();
  (t * 2).backward(ones({2, 3}));
  (t * 2).backward(ones({2, 3}), {.retain_graph = true, .create_graph = false});
  std::vector<Tensor> gs = grad(
      {sum(t * t)}, {t}, {.grad_outputs = {ones({})}, .create_graph = true, .allow_unused = true});
  {
    NoGrad guard;
    t.mul_(1);
  }
  set_num_threads(1);
  num_threads();
  cpu_features();
  cuda_is_available();
  Tensor x = rand({2, 3}, generator) + 0.5, y = rand({2, 3}, generator) + 0.5;
  add(x, y);
  sub(x, y);
  mul(x, y);
  div(x, y);
  neg(x);
  pow(x, 2);
  pow(x, y);
  exp(x);
  log(x);
  sqrt(x);
  rsqrt(x);
  abs(x);
  sin(x);
  cos(x);
  tanh(x);
  sigmoid(x);
  relu(x);
  gelu(x);
  silu(x);
  softplus(x);
  erf(x);
  clamp(x, 0, 1);
  maximum(x, y);
  minimum(x, y);
  where(x > y, x, y);
  Tensor c1 = x + y - x * y / x;
  Tensor c2 = -x;
  const std::vector<Tensor> more{x == y,  x != y, x<y, x <= y, x> 0.5, x >= y, 1 - x,
                                 2.0 * x, x + 1};
  matmul(x, transpose(y, 0, 1));
  bmm(zeros({2, 3, 4}), zeros({2, 4, 5}));
  linear(x, ones({4, 3}), ones({4}));
  linear(x, ones({4, 3}));
  einsum("ij,kj->ik", {x, y});
  sum(x);
  sum(x, 1);
  sum(x, {0, 1}, true);
  mean(x);
  mean(x, -1, true);
  max(x);
  max(x, 1);
  min(x, 0, true);
  argmax(x);
  argmax(x, 1);
  logsumexp(x, 1);
  var(x);
  var(x, 1);
  softmax(x, 1);
  log_softmax(x, -1);
  layer_norm(x, ones({3}), zeros({3}), 1e-5);
  reshape(x, {3, 2});
  reshape(x, {-1});
  transpose(x, 0, 1);
  permute(x, {1, 0});
  squeeze(x);
  squeeze(x, 0);
  unsqueeze(x, 0);
  expand(x, {4, 2, 3});
  flatten(x);
  concat({x, y}, 0);
  stack({x, y}, 0);
  split(x, 1, 0);
  narrow(x, 1, 0, 2);
  select(x, 0, 1);
  flip(x, {0});
  pad(x, {1, 1});
  Tensor idx = tensor(std::vector<int64_t>{0, 1}, {2});
  gather(x, 1, reshape(idx, {2, 1}));
  index_select(x, 0, idx);
  embedding(x, idx);
  scatter_add(x, 1, reshape(idx, {2, 1}), ones({2, 1}));
  masked_fill(x, x > y, 0);
  tril(x);
  triu(x);
  one_hot(idx, 3);
  dropout(x, 0.5, generator);
  Tensor q = randn({2, 4, 5, 8}, generator);
  scaled_dot_product_attention(q, q, q, {}, {.causal = true, .scale = 0.1});
  scaled_dot_product_attention(q, q, q);
  scaled_dot_product_attention(q, q, q, ones({5, 5}).to(bool_));
  cross_entropy(x, idx, {.ignore_index = -1, .label_smoothing = 0.1});
  nll_loss(log_softmax(x, 1), idx);
  mse_loss(x, y);
  binary_cross_entropy_with_logits(x, y);
  auto cube = [](const Tensor& v) {
    return record("cube", v.detach() * v.detach() * v.detach(),
                  {{v, [v](const Tensor& g) { return g * v * v * 3; }}});
  };
  auto e = [](const Tensor& v) {
    return record("e", exp(v.detach()),
                  {{v, [](const Tensor& g, const Tensor& out) { return g * out; }}});
  };
  auto all = [](const Tensor& a, const Tensor& b) {
    return record("all", a.detach() * b.detach(), {a, b},
                  [a, b](const Tensor& g, Needed needed) -> std::vector<Tensor> {
                    return {needed[0] ? g * b : Tensor(), needed[1] ? g * a : Tensor()};
                  });
  };
  GradcheckResult r = gradcheck(
      [&](const std::vector<Tensor>& in) { return cube(in[0]) + e(in[0]) + all(in[0], in[0]); },
      {td}, {.eps = 1e-5, .rtol = 1e-6, .atol = 1e-8});
  CHECK_MESSAGE(r.passed, r.message);
  CHECK(gradgradcheck([&](const std::vector<Tensor>& in) { return cube(in[0]); }, {td}));
  nn::Linear lin(3, 2, {.bias = true});
  nn::Embedding emb(5, 3, {.padding_idx = 0});
  nn::LayerNorm ln(3);
  nn::Dropout drop(0.1);
  nn::RNN rnn(3, 4, {.layers = 2, .bidirectional = true, .dropout = 0.0});
  nn::GRU gru(3, 4);
  nn::LSTM lstm(3, 4, {.layers = 1});
  lin(x);
  emb(idx);
  ln(x);
  drop(x);
  Tensor h = randn({2, 5, 4}, generator);
  nn::Attention att(4);
  auto [w, s] = att(h);
  auto [w2, s2] = att(h, ones({2, 5}).to(bool_));
  auto out = att(h);
  CHECK(out.weights.shape() == out.scores.shape());
  nn::Seq2SeqModel s2s(3, 4, 4);
  Tensor o = s2s(randn({2, 5, 3}, generator));
  auto sa = nn::self_attention(h, nn::DotScore{});
  CHECK(sa.summary.shape() == Shape{2, 4});
  auto [aw, ao, aO] = nn::self_attention(h, nn::ScaledDotScore{}, ones({2, 5}).to(bool_));
  Tensor L = nn::attention_variance_loss(sa.weights, h, sa.outputs);
  nn::self_attention(h, nn::GeneralScore(4));
  nn::self_attention(h, nn::AdditiveScore(4));
  nn::self_attention(h, nn::LocationScore(4, 5));
  nn::self_attention(h, nn::DistanceScore{});
  nn::self_attention(h, nn::CosineScore{});
  nn::self_attention(
      h, [](const Tensor& a, const Tensor& b) { return matmul(a, transpose(b, -2, -1)); });
  nn::MultiheadAttention mha(4, 2);
  nn::TransformerEncoderLayer enc(4, 2, {.feedforward = 8});
  nn::TransformerDecoderLayer dec(4, 2, {.feedforward = 8});
  nn::Sequential seq(nn::Linear(3, 4), nn::ReLU(), nn::Linear(4, 1));
  Mine m;
  std::vector<Tensor> ps = nn::parameters(m);
  std::vector<std::pair<std::string, Tensor>> np = nn::named_parameters(m);
  nn::num_parameters(m);
  nn::to(m, cpu);
  nn::train(m);
  nn::eval(m);
  auto dict = nn::state_dict(m);
  nn::load_state_dict(m, dict);
  const std::string folder = std::filesystem::temp_directory_path().string();
  const std::string weights = folder + "/regrad_contract.safetensors",
                    array = folder + "/regrad_contract.npy";
  nn::save_safetensors(weights, dict, {{"k", "v"}});
  auto loaded = nn::load_safetensors(weights);
  nn::save_npy(array, x);
  Tensor xn = nn::load_npy(array);
  optim::SGD sgd(
      ps, {.lr = 0.1, .momentum = 0.9, .dampening = 0, .nesterov = true, .weight_decay = 0.01});
  optim::Adam adam(ps, {.lr = 1e-3});
  optim::AdamW adamw(ps, {.lr = 1e-3});
  sgd.step();
  sgd.zero_grad();
  sgd.state_dict();
  optim::clip_grad_norm(ps, 1.0);
  optim::StepLR step(sgd, 10);
  CHECK(L.item<double>() > 0);
  CHECK(nn::num_parameters(s2s) > 0);
}

TEST_SUITE_END();

}  // namespace
