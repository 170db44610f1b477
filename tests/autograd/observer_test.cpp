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

TEST_CASE("an observer is told when a pass begins and ends, what is written, and what fails") {
  struct Told : Observer {
    Words events;
    void started(const Tensor& output) override { events.push_back("started " + output.str()); }
    void ended() override { events.emplace_back("ended"); }
    void written(const char* op, const Tensor& x) override {
      events.push_back(std::string(op) + " of " + x.shape().str());
    }
    void failed(const std::string& text) override { events.push_back(text); }
  };
  Tensor x = scalar(2, float64).set_requires_grad(true);
  const Tensor y = square(x);
  Told told;
  grad({y}, {x}, {.retain_graph = true});
  y.backward();
  CHECK(told.events == Words{"started " + y.str(), "ended", "started " + y.str(), "ended"});
  told.events.clear();
  {
    const NoGrad guard;
    x.fill_(1);
  }
  CHECK_ERROR(y.backward(), "backward: the graph through square was used");
  CHECK(told.events.size() == 3);  // with "started"
  CHECK(told.events.front() == "fill_ of []");
  CHECK(told.events.back().starts_with("backward: the graph through square was used"));
}

TEST_CASE("an observer may leave in the middle of an event") {
  struct Once : Observer {
    int ops = 0;
    void computed(const Op&) override {
      ++ops;
      leave();
    }
  };
  Once first;
  Log log;
  Once last;
  static_cast<void>(scalar(1) + scalar(2));
  static_cast<void>(scalar(1) + scalar(2));
  CHECK(first.ops == 1);
  CHECK(last.ops == 1);
  CHECK(log.ops == Words{"add", "add"});
}

TEST_CASE("errors name the op that wrote in place, and what an observer knows of places") {
  struct Knows : Observer {
    std::string made_at(const Node& node) const override {
      return "at " + node.called() + ".cpp:1";
    }
    std::string written_at(const Storage&) const override { return "at step.cpp:2"; }
  };
  Tensor w = ones({2, 3}).set_requires_grad(true);
  const Tensor y = sum(square(w));
  {
    const NoGrad guard;
    w.add_(ones({2, 3}));
  }
  CHECK_ERROR(grad({y}, {w}, {.retain_graph = true}), "in place since by add_ (version 0 then");
  const Knows observer;
  CHECK_ERROR(grad({y}, {w}, {.retain_graph = true}), "backward of square, at square.cpp:1: ");
  CHECK_ERROR(grad({y}, {w}, {.retain_graph = true}), "by add_, at step.cpp:2 (");
  CHECK_ERROR(matmul(exp(w), w), "[2, 3] (made by exp, at exp.cpp:1)");
}

constexpr double inf = std::numeric_limits<double>::infinity();

TEST_CASE("DetectAnomaly names the op that makes the first NaN or infinity") {
  const DetectAnomaly guard;
  CHECK_ERROR(log(tensor({0.0}, {1})), "log");
  CHECK_ERROR(log(tensor({4.0, 1.0, 0.0}, {3})),
              ": made -inf at [2] of its result [3] from finite inputs: [3] in [0, 4]");
  CHECK_ERROR(tensor({1.0, 0.0}, {2}) / tensor({1.0, 0.0}, {2}), ": made NaN at [1]");
  CHECK_ERROR(sqrt(tensor({-1.0}, {1})), ": made NaN");
  static_cast<void>(tensor({inf}, {1}) + 1);  // it was there before
}

TEST_CASE("DetectAnomaly names the op whose derivative makes the first NaN or infinity") {
  Tensor x = tensor({0.0, 4.0}, {2}).set_requires_grad(true);
  x.set_name("net.bias");
  const DetectAnomaly guard;
  CHECK_ERROR(sum(sqrt(x)).backward(), "backward of sqrt");
  CHECK_ERROR(sum(sqrt(x)).backward(), "inf at [0]");
  CHECK_FALSE(x.grad().defined());
}

TEST_SUITE_END();

}  // namespace
