// What observers are shown, and DetectAnomaly.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("autograd");

struct Log : Observer {
  std::vector<std::string> ops, reasons, backward;
  std::vector<double> addends, sums;
  void computed(const Op& op) override {
    ops.push_back(op.name);
    reasons.push_back(op.unrecorded == nullptr ? "" : op.unrecorded);
    CHECK(op.output.requires_grad() == (op.unrecorded == nullptr));
    static_cast<void>(op.output + 1);  // not shown to itself
  }
  void took(const Node& node, const Tensor&) override { backward.push_back(node.called()); }
  void gave(const Node&, size_t, const Tensor& addend, const Tensor& sum) override {
    addends.push_back(addend.item<double>());
    sums.push_back(sum.item<double>());
  }
};

using Words = std::vector<std::string>;

TEST_CASE("an observer is shown every op, and why one is not recorded") {
  Tensor x = scalar(2, float64).set_requires_grad(true);
  Log log;
  static_cast<void>(x * x);
  {
    const NoGrad guard;
    static_cast<void>(exp(x));
  }
  static_cast<void>(scalar(1, float64) + scalar(2, float64));
  CHECK(log.ops == Words{"mul", "exp", "add"});
  CHECK(log.reasons == Words{"", "NoGrad", "no input requires a gradient"});
}

TEST_CASE("an observer is shown the user's detach(), not those inside ops") {
  Tensor x = tensor(std::vector<double>{1, 2}, {2}).set_requires_grad(true);
  Log log;
  const Tensor y = x.detach();
  static_cast<void>(softmax(var(exp(x), 0, true), 0));
  CHECK(y.shares_body(x) == false);
  CHECK(std::count(log.ops.begin(), log.ops.end(), "detach") == 1);
  CHECK(log.ops[0] == "detach");
  CHECK(log.reasons[0] == "detached");
}

TEST_CASE("an observer is shown each contribution to a gradient, and the sum so far") {
  Tensor w = scalar(2, float64).set_requires_grad(true);
  Tensor x = scalar(3, float64).set_requires_grad(true);
  const Tensor loss = square(w * x + w);
  Log log;
  loss.backward();
  CHECK(log.backward == Words{"square", "add", "mul"});
  CHECK(log.addends == std::vector<double>{16, 16, 16, 48, 32});
  CHECK(log.sums == std::vector<double>{16, 16, 16, 64, 32});
  CHECK(w.grad().item<double>() == 64);
}

TEST_CASE("gradients are the same, observed or not, also where derivatives add in place") {
  Generator generator(1);
  Tensor weight = randn({3, 4}, generator), x = randn({5, 4}, generator);
  weight.set_requires_grad(true);
  const auto gradient = [&] {
    Tensor sums = sum(linear(x, weight)) + sum(square(linear(x, weight)));
    for (int64_t i = 0; i < 4; ++i) sums = sums + sum(select(weight, 1, i));
    weight.zero_grad();
    sums.backward();
    return weight.grad().to_vector<float>();
  };
  const std::vector<float> unobserved = gradient();
  struct Quiet : Observer {
  } observer;
  const std::vector<float> observed = gradient();
  for (size_t i = 0; i < observed.size(); ++i) {
    CHECK(observed[i] == doctest::Approx(unobserved[i]).epsilon(1e-5));
  }
}

TEST_CASE("observers begin and end in any order") {
  std::optional<Log> first, second;
  first.emplace();
  second.emplace();
  static_cast<void>(scalar(1) + scalar(2));
  CHECK(first->ops == Words{"add"});
  CHECK(second->ops == Words{"add"});
  first.reset();
  static_cast<void>(scalar(1) * scalar(2));
  CHECK(second->ops == Words{"add", "mul"});
  second.reset();
  CHECK_FALSE(Observer::is_observing());
}

TEST_CASE("an Error of an observer leaves the others, and the pass, in order") {
  struct Refuses : Observer {
    void computed(const Op&) override { throw Error("no"); }
  };
  Log log;
  Tensor x = scalar(1, float64).set_requires_grad(true);
  {
    const Refuses observer;
    CHECK_ERROR(x * x, "no");
  }
  (x * x).backward();
  CHECK(x.grad().item<double>() == 2);
}

constexpr double inf = std::numeric_limits<double>::infinity();

TEST_CASE("DetectAnomaly names the op that makes the first NaN or infinity") {
  const DetectAnomaly guard;
  CHECK_ERROR(log(tensor({4.0, 1.0, 0.0}, {3})),
              "log: made -inf at [2] of its result [3] from finite inputs: [3] in [0, 4]");
  CHECK_ERROR(tensor({1.0, 0.0}, {2}) / tensor({1.0, 0.0}, {2}), "div: made NaN at [1]");
  CHECK_ERROR(sqrt(tensor({-1.0}, {1})), "sqrt: made NaN");
  static_cast<void>(tensor({inf}, {1}) + 1);  // it was there before
}

TEST_CASE("DetectAnomaly names the op whose derivative makes the first NaN or infinity") {
  Tensor x = tensor({0.0, 4.0}, {2}).set_requires_grad(true);
  x.set_name("net.bias");
  const DetectAnomaly guard;
  CHECK_ERROR(sum(sqrt(x)).backward(), "backward of sqrt: ");
  CHECK_ERROR(sum(sqrt(x)).backward(), "inf at [0]");
  CHECK_FALSE(x.grad().defined());
}

TEST_SUITE_END();

}  // namespace
