// Training steps of whole models: forward, backward, SGD.
#include "bench/peers/case.h"

using namespace regrad;

namespace peers {
namespace {

template <class Model, class Loss>
auto step(Model model, const Loss& loss) {
  optim::SGD sgd(nn::parameters(model), {.lr = 0.01});
  return [model, loss, sgd]() mutable {
    sgd.zero_grad();
    loss(model).backward();
    sgd.step();
  };
}

// FLOP of a training step: each product forward, and twice that backward.
double products(std::initializer_list<double> forward) {
  double sum = 0;
  for (const double one : forward) sum += one;
  return 3 * 2 * sum;
}

void tutorial(int64_t batch, int64_t width) {  // the tutorial's Seq2SeqModel, T = 20, O = H
  const auto b = static_cast<double>(batch), h = static_cast<double>(width);
  // hidden_layer sees 20, then 21 .. 39 rows; input_layer 20, output_layer 20, attention 20 .. 39.
  const double rows = 20 + 19 * 30.0, seen = 20 * 29.5;
  const Need need{products({b * (rows + 20 + 20) * h * h, 2 * b * seen * h}) - 2 * b * 20 * h * h,
                  0, 0};
  add_case(
      "seq2seq_b" + std::to_string(batch) + "_t20_h" + std::to_string(width) + "_step",
      [=] {
        Generator generator(1);
        const Tensor x = randn({batch, 20, width}, generator),
                     y = randn({batch, 20, width}, generator);
        return step(nn::Seq2SeqModel(width, width, width),
                    [=](const nn::Seq2SeqModel& model) { return mse_loss(model(x), y); });
      },
      need);
}

// GRU encoder-decoder with additive attention, one direction, no dropout.
void translation(int64_t vocabulary, int64_t batch, int64_t width) {
  const std::string name = "gru_attn_v" + std::to_string(vocabulary) + "_b" +
                           std::to_string(batch) + "_s30_t12_h" + std::to_string(width) + "_step";
  const auto b = static_cast<double>(batch), h = static_cast<double>(width);
  const auto v = static_cast<double>(vocabulary);
  const Need need{products({b * 30 * 7 * h * h,              // encoder and keys
                            b * 12 * (10 * h * h + 60 * h),  // query, cell, scores, context
                            b * 12 * 2 * h * v}),            // logits
                  0, b * 12 * 30 * h};                       // tanh of every query with every key
  add_case(
      name,
      [=] {
        Generator generator(1);
        const Tensor source = randint(0, vocabulary, {batch, 30}, generator);
        const Tensor target = randint(0, vocabulary, {batch, 12}, generator);
        const Tensor gold = randint(0, vocabulary, {batch * 12}, generator);
        nn::Seq2SeqOptions options;
        options.embedding = options.hidden = width;
        options.bidirectional = false;
        options.padding_idx = -1;
        return step(nn::Seq2Seq(vocabulary, vocabulary, options), [=](const nn::Seq2Seq& model) {
          const Tensor logits = model(source, {}, target).logits;
          return cross_entropy(reshape(logits, {-1, vocabulary}), gold);
        });
      },
      need);
}

struct Block {
  nn::LayerNorm n1, n2;
  nn::Linear qkv, proj, up, down;
  int64_t heads;
  Block(int64_t d, int64_t h)
      : n1(d), n2(d), qkv(d, 3 * d), proj(d, d), up(d, 4 * d), down(4 * d, d), heads(h) {}
  Tensor operator()(const Tensor& input) const {
    const int64_t b = input.size(0), t = input.size(1), d = input.size(2);
    const Tensor all = reshape(qkv(n1(input)), {b, t, 3, heads, d / heads});
    const Tensor each = permute(all, {2, 0, 3, 1, 4});
    const Tensor y = scaled_dot_product_attention(select(each, 0, 0), select(each, 0, 1),
                                                  select(each, 0, 2), {}, {.causal = true});
    const Tensor x = input + proj(reshape(transpose(y, 1, 2), {b, t, d}));
    return x + down(gelu(up(n2(x))));
  }
  void visit(auto&& each) {
    each("n1", n1);
    each("n2", n2);
    each("qkv", qkv);
    each("proj", proj);
    each("up", up);
    each("down", down);
  }
};

struct Gpt {
  nn::Embedding token, position;
  std::vector<Block> blocks;
  nn::LayerNorm norm;
  nn::Linear head;
  Gpt(int64_t vocabulary, int64_t steps, int64_t layers, int64_t d, int64_t heads)
      : token(vocabulary, d),
        position(steps, d),
        blocks(static_cast<size_t>(layers), Block(d, heads)),
        norm(d),
        head(d, vocabulary, {.bias = false}) {
    for (Block& block : blocks) block = Block(d, heads);
  }
  Tensor operator()(const Tensor& ids) const {
    Tensor x = token(ids) + position(arange(ids.size(1)));
    for (const Block& block : blocks) x = block(x);
    return head(norm(x));
  }
  void visit(auto&& each) {
    each("tok", token);
    each("pos", position);
    each("blocks", blocks);
    each("nf", norm);
    each("head", head);
  }
};

void gpt(int64_t layers, int64_t d, int64_t heads, int64_t steps, int64_t batch) {
  const std::string name = "gpt_l" + std::to_string(layers) + "_d" + std::to_string(d) + "_h" +
                           std::to_string(heads) + "_t" + std::to_string(steps) + "_b" +
                           std::to_string(batch) + "_v64_sdpa_step";
  const auto width = static_cast<double>(d), seen = static_cast<double>(steps + 1) / 2;
  const double layer = 12 * width * width + 2 * seen * width;  // a position attends to the past
  const double all =
      static_cast<double>(batch * steps) * (static_cast<double>(layers) * layer + width * 64);
  add_case(name,
           [=] {
             Generator generator(1);
             const Tensor ids = randint(0, 64, {batch, steps}, generator);
             const Tensor gold = randint(0, 64, {batch * steps}, generator);
             return step(Gpt(64, steps, layers, d, heads), [=](const Gpt& model) {
               return cross_entropy(reshape(model(ids), {-1, 64}), gold);
             });
           },
           {products({all}), 0, 0});
}

void attention(int64_t steps) {
  const std::string name = "attention_b4_h8_t" + std::to_string(steps) + "_d64_sdpa_";
  const Shape shape{4, 8, steps, 64};
  const double pairs = 32.0 * static_cast<double>(steps) * static_cast<double>(steps);
  add_case(name + "forward",
           [=] {
             Generator generator(1);
             const Tensor q = randn(shape, generator), k = randn(shape, generator),
                          v = randn(shape, generator);
             return [=] { scaled_dot_product_attention(q, k, v); };
           },
           {2 * 2 * 64 * pairs, 0, pairs});
  add_case(name + "fb",
           [=] {
             Generator generator(1);
             const TensorOptions wanted{.requires_grad = true};
             Tensor q = randn(shape, generator, wanted), k = randn(shape, generator, wanted);
             Tensor v = randn(shape, generator, wanted);
             const Tensor g = randn(shape, generator);
             return [=]() mutable {
               for (Tensor* x : {&q, &k, &v}) x->zero_grad();
               scaled_dot_product_attention(q, k, v).backward(g);
             };
           },
           {2 * 7 * 64 * pairs, 0, 2 * pairs});  // 2 products forward, 5 backward: the scores anew
}

}  // namespace

void model_cases() {
  tutorial(1, 64);
  tutorial(32, 64);
  tutorial(32, 256);
  translation(64, 8, 64);
  translation(64, 64, 256);
  translation(8000, 64, 256);
  gpt(2, 64, 4, 64, 8);
  gpt(4, 256, 8, 128, 16);
  attention(1024);
  attention(4096);
}

}  // namespace peers
