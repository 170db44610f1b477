// A model of your own: a struct whose visit() names its parts. It learns to tell two spirals apart.
#include <regrad.h>

#include <cmath>
#include <iostream>
#include <numbers>

using namespace regrad;

struct Classifier {
  nn::Linear first, second, last;
  explicit Classifier(int64_t hidden) : first(2, hidden), second(hidden, hidden), last(hidden, 1) {}
  Tensor operator()(const Tensor& points) const {  // [n, 2] -> [n]: above 0 is the second spiral
    return squeeze(last(relu(second(relu(first(points))))), 1);
  }
  void visit(auto&& each) {
    each("first", first);
    each("second", second);
    each("last", last);
  }
};

struct Spirals {
  Tensor points, labels;
};

Spirals make_spirals(int64_t count, Generator& generator) {
  const Tensor radius = sqrt(rand({count}, generator));
  const Tensor labels = randint(0, 2, {count}, generator).to(float32);
  const Tensor angle = radius * (3 * std::numbers::pi) + labels * std::numbers::pi;
  const Tensor points = stack({radius * cos(angle), radius * sin(angle)}, 1);
  return {points + 0.02 * randn({count, 2}, generator), labels};
}

int main() {
  nn::manual_seed(1);
  Generator generator(2);
  const Spirals known = make_spirals(1000, generator), unseen = make_spirals(1000, generator);
  Classifier model(64);
  std::cout << nn::str(model);

  optim::Adam optimiser(nn::parameters(model), {.lr = 1e-2});
  for (int step = 1; step <= 500; ++step) {
    const Tensor loss = binary_cross_entropy_with_logits(model(known.points), known.labels);
    optimiser.zero_grad();
    loss.backward();
    optimiser.step();
    if (step % 100 == 0) std::cout << "step " << step << "  loss " << loss.item<double>() << "\n";
  }

  const NoGrad guard;
  const Tensor right = (model(unseen.points) > 0) == (unseen.labels > 0.5);
  const double share = mean(right.to(float32)).item<double>();
  std::cout << "right on points it never saw: " << 100 * share << " %\n";
  return share > 0.95 ? 0 : 1;
}
