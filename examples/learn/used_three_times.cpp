// A tensor that is used three times: its gradient is the sum of what each use contributes, and it
// is complete when the last has arrived ("waits for 1 more").
//   REGRAD_TRACE=used.html build/examples/learn/used_three_times
#include <regrad.h>

#include <iostream>

using namespace regrad;

int main() {
  Tensor x = tensor({1.0, 2.0, -3.0}, {3}).set_requires_grad(true);
  x.set_name("x");
  const Tensor squared = square(x);               // contributes 2x g
  const Tensor halved = x / 2;                    // contributes g / 2
  const Tensor loss = sum(squared + halved * x);  // and here x is used once more
  std::cout << explain(loss, x).str();
  loss.backward();

  // loss = Σ (x² + x²/2), so the gradient is 3x.
  std::cout << "x.grad() = " << x.grad().str() << ", 3x = " << (x.detach() * 3).str() << "\n";
  return sum(abs(x.grad() - x.detach() * 3)).item<double>() < 1e-12 ? 0 : 1;
}
