// The tutorial's attention, written out: four positions of three numbers, and one step of learning.
//   s(i,j) = P h_i . P h_j,  a(i,j) = softmax over j,  o(i) = Σ_j a(i,j) h_j,
//   L = Σ_i Σ_j a(i,j) |h_j - o_i|²
//   REGRAD_TRACE=attention.html build/examples/learn/attention_by_hand
// h and P are each used several times: look at their ledgers.
#include <regrad.h>

#include <iostream>

using namespace regrad;

int main() {
  const Tensor h = tensor({1.0, 0.0, 0.5, 0.5, 1.0, 0.0, 0.0, 0.5, 1.0, -0.5, 0.0, 0.5}, {4, 3});
  Tensor p = eye(3, {.dtype = float64}).set_requires_grad(true);
  p.set_name("P");

  const auto loss_of = [&] {
    const Tensor projected = matmul(h, p);
    const Tensor scores = matmul(projected, transpose(projected));
    const Tensor weights = softmax(scores, 1);
    const Tensor outputs = matmul(weights, h);
    const Tensor difference = unsqueeze(h, 0) - unsqueeze(outputs, 1);  // [i, j, 3]
    return sum(weights * sum(square(difference), -1));
  };

  const Tensor before = loss_of();
  before.backward();
  std::cout << "L = " << before.item<double>() << ", dL/dP = " << p.grad().str() << "\n";
  const NoGrad guard;
  p.add_(p.grad(), -0.1);
  const Tensor after = loss_of();
  std::cout << "after a step down the slope, L = " << after.item<double>() << "\n";
  return after.item<double>() < before.item<double>() ? 0 : 1;
}
