// An op of your own: the forward, and a derivative that the engine uses like any other.
#include <regrad.h>

#include <cmath>
#include <iostream>

using namespace regrad;

// log(cosh x): a smooth |x|. d/dx = tanh x. Written as |x| + log(1 + e^(-2|x|)) - log 2, because
// cosh overflows at x = 89 in float32.
Tensor log_cosh(const Tensor& x) {
  Tensor output;
  {
    NoGrad guard;  // what follows is the value; its derivative is the line with record
    output = abs(x) + softplus(-2.0 * abs(x)) - std::log(2.0);
  }
  return record("log_cosh", output, {{x, [x](const Tensor& g) { return g * tanh(x); }}});
}

int main() {
  Tensor x = tensor({-100.0, -2.0, -0.5, 0.0, 0.5, 2.0, 100.0}, {7}, {.requires_grad = true});
  sum(log_cosh(x)).backward();
  std::cout << "x         " << x.detach() << "\n"
            << "log_cosh  " << log_cosh(x).detach() << "\n"
            << "gradient  " << x.grad() << "\n";

  // Is the derivative right? Compared with finite differences; the second derivative too.
  Generator generator(1);
  const auto function = [](const std::vector<Tensor>& in) { return log_cosh(in[0]); };
  const std::vector<Tensor> inputs = {randn({3, 4}, generator, {.dtype = float64})};
  const GradcheckResult first = gradcheck(function, inputs);
  const GradcheckResult second = gradgradcheck(function, inputs);
  std::cout << "gradcheck " << (first ? "passed" : first.message) << "\n"
            << "gradgradcheck " << (second ? "passed" : second.message) << "\n";
  return first && second ? 0 : 1;
}
