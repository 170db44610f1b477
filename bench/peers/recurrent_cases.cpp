// Recurrent cells and layers, forward and backward.
#include "bench/peers/case.h"

using namespace regrad;

namespace peers {
namespace {

// Made when a case is: not before main() has chosen the device.
Tensor wanted(const Shape& shape, Generator& generator) {
  return randn(shape, generator, {.requires_grad = true});
}

std::string tag(const char* kind, int64_t batch, int64_t width) {
  return std::string("fb_") + kind + "_cell_b" + std::to_string(batch) + "_h" +
         std::to_string(width);
}

// Three products of each step's inputs and states with gates · width rows of weights, and those.
Need products(int64_t steps, int64_t batch, int64_t width, int64_t gates) {
  const auto weights = static_cast<double>(2 * gates * width * width);
  return {6 * static_cast<double>(steps * batch) * weights, 4 * 3 * weights,
          static_cast<double>(steps * batch * width * gates)};
}

void cells(int64_t batch, int64_t width) {
  add_case(
      tag("gru", batch, width),
      [=] {
        Generator generator(1);
        nn::GRUCell cell(width, width);
        Tensor x = wanted({batch, width}, generator);
        Tensor h = wanted({batch, width}, generator);
        const Tensor g = randn({batch, width}, generator);
        return [=]() mutable {
          nn::zero_grad(cell);
          for (Tensor* one : {&x, &h}) one->zero_grad();
          cell(x, h).backward(g);
        };
      },
      products(1, batch, width, 3));
  add_case(
      tag("lstm", batch, width),
      [=] {
        Generator generator(1);
        nn::LSTMCell cell(width, width);
        Tensor x = wanted({batch, width}, generator);
        Tensor h = wanted({batch, width}, generator);
        Tensor c = wanted({batch, width}, generator);
        const Tensor g = randn({batch, width}, generator);
        return [=]() mutable {
          nn::zero_grad(cell);
          for (Tensor* one : {&x, &h, &c}) one->zero_grad();
          cell(x, {h, c}).hidden.backward(g);
        };
      },
      products(1, batch, width, 4));
}

template <class Layer>
void sequence(const std::string& kind, int64_t gates) {
  add_case(
      "fb_" + kind + "_seq_t30_b64_h256",
      [=] {
        Generator generator(1);
        Layer layer(256, 256, {.batch_first = false});
        Tensor x = wanted({30, 64, 256}, generator);
        const Tensor g = randn({30, 64, 256}, generator);
        return [=]() mutable {
          nn::zero_grad(layer);
          x.zero_grad();
          layer(x).output.backward(g);
        };
      },
      products(30, 64, 256, gates));
}

}  // namespace

void recurrent_cases() {
  cells(1, 256);
  cells(32, 256);
  cells(64, 256);
  cells(32, 64);
  sequence<nn::GRU>("gru", 3);
  sequence<nn::LSTM>("lstm", 4);
}

}  // namespace peers
