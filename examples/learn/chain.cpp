// A chain of four ops on one number: the gradient is the product of their local derivatives.
//   REGRAD_TRACE=chain.html build/examples/learn/chain
// Before you look: what is the derivative of each op at this x, and what is their product?
#include <regrad.h>

#include <cmath>
#include <iostream>

using namespace regrad;

int main() {
  Tensor x = scalar(0.5, float64).set_requires_grad(true);
  x.set_name("x");
  const Tensor tripled = x * 3;
  const Tensor bent = sin(tripled);
  const Tensor grown = exp(bent);
  const Tensor loss = square(grown);
  std::cout << explain(loss, x).str();  // the same product, op by op
  loss.backward();

  const double chain = 3 * std::cos(1.5) * std::exp(std::sin(1.5)) * 2 * std::exp(std::sin(1.5));
  std::cout << "by hand " << chain << ", by backward() " << x.grad().item<double>() << "\n";
  return std::abs(chain - x.grad().item<double>()) < 1e-12 ? 0 : 1;
}
