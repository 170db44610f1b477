// A NaN that the forward does not show: a distance of 0 is right, but its derivative is 1 / (2 √0).
//   REGRAD_TRACE=nan.html build/examples/learn/planted_nan     press n on the page
#include <regrad.h>

#include <cmath>
#include <iostream>

using namespace regrad;

// |a - b| for each row.
Tensor distance(const Tensor& a, const Tensor& b) { return sqrt(sum(square(a - b), 1)); }

int main() {
  Tensor points = tensor({0.0, 0.0, 3.0, 4.0}, {2, 2}).set_requires_grad(true);
  points.set_name("points");
  const Tensor origin = zeros({2, 2}, {.dtype = float64});

  const Tensor loss = sum(distance(points, origin));
  loss.backward();
  std::cout << "loss " << loss.item<double>() << ", gradient " << points.grad().str() << "\n";
  const bool has_nan = std::isnan(points.grad().to_vector<double>()[0]);

  try {
    const DetectAnomaly guard;
    sum(distance(points, origin)).backward();
  } catch (const Error& error) {
    std::cout << error.what() << "\n";
    return has_nan ? 0 : 1;
  }
  return 1;  // it should have been found
}
