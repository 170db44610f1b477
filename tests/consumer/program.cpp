// A program outside the project: it sees only what is installed.
#include <regrad.h>

#include <cstdio>

int main() {
  using namespace regrad;
  nn::Linear layer(4, 3);
  Tensor y = sum(layer(ones({2, 4})));
  y.backward();
  const double total = sum(layer.weight.grad()).item<double>();
  std::printf("%g\n", total);
  return total == 24 ? 0 : 1;
}
