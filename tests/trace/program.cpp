// A program for trace_test.py. Each line that calls an op ends with the names of the ops that it
// makes; what it prints is compared with what the trace holds.
#include <regrad.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

using namespace regrad;

namespace {

void print(const char* name, const Tensor& x) {
  std::printf("%s", name);
  const bool is_double = x.dtype() == float64;
  for (const double one : x.to_vector<double>()) std::printf(is_double ? " %.17g" : " %.9g", one);
  std::printf("\n");
}

Tensor scaled(const Tensor& x) { return x * 3; }  // ops: expand mul

struct Layer {
  nn::Linear linear;
  explicit Layer(Generator& generator) : linear(3, 4, {}, generator) {}
  Tensor operator()(const Tensor& x) const {
    return tanh(linear(x));  // ops: linear tanh
  }
  void visit(auto&& each) { each("linear", linear); }
};

struct Model {
  Layer first;
  explicit Model(Generator& generator) : first(generator) {}
  Tensor operator()(const Tensor& x) const {
    const Tensor hidden = first(x);
    return hidden * scaled(hidden);  // ops: mul
  }
  void visit(auto&& each) { each("first", first); }
};

int train(int steps) {
  Generator generator(1);
  Model model(generator);
  nn::named_parameters(model);
  for (int step = 1; step <= steps; ++step) {
    const Tensor x = named(randn({2, 3}, generator), {"batch", "feature"});
    Tensor loss = scalar(0);
    for (int t = 0; t < 3; ++t) loss = loss + sum(model(x));  // ops: sum add
    loss.backward();
    std::printf("step %d\n", step);
    print("loss", loss);
    print("weight", model.first.linear.weight);
    print("gradient", model.first.linear.weight.grad());
    nn::zero_grad(model);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const mode = argc > 1 ? argv[1] : "";
  if (std::strcmp(mode, "train") == 0) return train(3);
  Tensor w = ones({3, 4}).set_requires_grad(true);
  w.set_name("w");
  const Tensor y = exp(w);  // ops: exp
  if (std::strcmp(mode, "throws") == 0) {
    matmul(y, w);  // throws
  } else if (std::strcmp(mode, "catches") == 0) {
    try {
      matmul(y, w);
    } catch (const Error& error) {
      std::printf("%s\n", error.what());
      return 3;
    }
  } else if (std::strcmp(mode, "waits") == 0) {
    std::printf("waits\n");
    std::fflush(stdout);
    ::sleep(60);
  } else if (std::strcmp(mode, "writes") == 0) {
    Tensor running = zeros({3, 4});
    for (int i = 0; i < 2; ++i) {
      const Tensor more = running * 2 + 1;
      running.copy_(more);
    }
    {
      const NoGrad guard;
      w.copy_(w * -10);
    }
    sum(w * w * running).backward();
  } else if (std::strcmp(mode, "large") == 0) {
    Tensor sum_of_all = sum(y);
    Generator generator(1);
    for (int i = 0; i < 3000; ++i) {
      sum_of_all = sum_of_all + sum(randn({16, 16}, generator) * sum_of_all);
    }
    sum_of_all.backward();
  } else if (std::strcmp(mode, "object") == 0) {
    Trace trace(argv[2]);
    const Tensor z = sum(square(w));
    z.backward();
    sum(exp(w)).backward();  // after the trace
  }
  return 0;
}
