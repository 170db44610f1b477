// Optimisers, schedules and clipping at their ends: all or nothing, lengths that squares cannot
// hold, rates that are decayed once.
#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("optim");

Tensor leaf(const std::vector<double>& values, DType dtype) {
  return tensor(values, {static_cast<int64_t>(values.size())},
                {.dtype = dtype, .requires_grad = true});
}

// The gradients `values`, once in each parameter.
double clipped_to(std::vector<Tensor>& parameters, const std::vector<double>& values,
                  double max_norm, double p = 2) {
  for (Tensor& parameter : parameters) {
    parameter.set_grad(tensor(values, parameter.shape(), {.dtype = parameter.dtype()}));
  }
  return optim::clip_grad_norm(parameters, max_norm, p);
}

TEST_CASE("lengths whose squares overflow or vanish") {
  for (const DType dtype : {float32, float64}) {
    std::vector<Tensor> one = {leaf({0, 0, 0, 0}, dtype)};
    std::vector<Tensor> two = {leaf({0, 0}, dtype), leaf({0, 0}, dtype)};
    for (std::vector<Tensor>* all : {&one, &two}) {
      const size_t each = all->size() == 1 ? 4 : 2;
      const double largest = dtype == float32 ? 3e38 : 1.5e308,
                   least = dtype == float32 ? 1e-37 : 1e-300;
      for (const double value : {1e20, largest, 1.0, 1e-25, 1e-30, least}) {
        const double length = clipped_to(*all, std::vector<double>(each, value), 1);
        if (value < 1e308) CHECK(length / value == doctest::Approx(2).epsilon(1e-6));
        if (value >= 1 && value < 1e308) {
          CHECK(largest_difference((*all)[0].grad(), std::vector<double>(each, 0.5)) < 1e-6);
        }
        if (value < 1e308) {
          CHECK(clipped_to(*all, std::vector<double>(each, value), 1, 3) / value ==
                doctest::Approx(std::cbrt(4)).epsilon(1e-6));
        }
        if (value < largest) {
          CHECK(clipped_to(*all, std::vector<double>(each, value), 1, 1) / value ==
                doctest::Approx(4).epsilon(1e-6));
        }
        CHECK(clipped_to(*all, std::vector<double>(each, value), 1, INFINITY) ==
              doctest::Approx(value).epsilon(1e-6));
      }
      CHECK(clipped_to(*all, std::vector<double>(each, 0), 1) == 0);
      CHECK(std::isinf(clipped_to(*all, std::vector<double>(each, -INFINITY), 1)));
      CHECK(std::isnan(clipped_to(*all, std::vector<double>(each, NAN), 1)));
    }
  }
  std::vector<Tensor> mixed = {leaf({0}, float32), leaf({0}, float64)};
  mixed[0].set_grad(tensor({3e20f}, {1}));
  mixed[1].set_grad(tensor({4e20}, {1}));
  CHECK(optim::clip_grad_norm(mixed, 1) == doctest::Approx(5e20));
  CHECK(largest_difference(mixed[0].grad(), {0.6}) < 1e-6);
}

TEST_CASE("cosine scores of rows whose squares overflow or vanish") {
  for (const double size : {1e20, 1.0, 1e-12}) {
    const Tensor q = tensor({3 * size, 4 * size}, {1, 1, 2}, {.dtype = float32});
    const nn::CosineScore score{.eps = 1e-30};
    CHECK(score.scores(q, score.prepare(q)).item<float>() == doctest::Approx(1));
  }
}

template <class Make>
void check_all_or_nothing(const Make& make) {
  Tensor good = leaf({1, 2}, float32), also = leaf({5}, float64);
  Tensor odd = transpose(zeros({2, 3})).detach().set_requires_grad(true);
  auto optimizer = make(std::vector<Tensor>{good, also, odd});
  good.set_grad(ones({2}));
  also.set_grad(ones({1}, {.dtype = float64}));
  optimizer.step();  // what has no gradient is not looked at
  const std::vector<float> before = good.to_vector<float>();
  const std::vector<double> before_too = also.to_vector<double>();
  optim::State state = optimizer.state_dict();
  for (auto& [name, value] : state) value = value.clone();
  odd.set_grad(ones({3, 2}));
  CHECK_ERROR(optimizer.step(), "contiguous");
  CHECK(good.to_vector<float>() == before);
  CHECK(also.to_vector<double>() == before_too);
  const optim::State after = optimizer.state_dict();
  REQUIRE(after.size() == state.size());
  for (size_t i = 0; i < state.size(); ++i) {
    CHECK(after[i].first == state[i].first);
    CHECK(after[i].second.to_vector<double>() == state[i].second.to_vector<double>());
  }
}

TEST_CASE("a step that one parameter cannot take moves none, and nothing is remembered of it") {
  using Parameters = const std::vector<Tensor>&;
  check_all_or_nothing([](Parameters p) { return optim::SGD(p, {.lr = 0.1}); });
  check_all_or_nothing([](Parameters p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9}); });
  check_all_or_nothing([](Parameters p) { return optim::Adam(p); });
  check_all_or_nothing([](Parameters p) { return optim::AdamW(p); });
}

TEST_CASE("a gradient that lies over its parameter is read as it was before the step") {
  for (const int64_t n : {5, 10'001}) {
    Tensor flat = cos(arange(n).to(float32)), copy = flat.clone();
    Tensor p = narrow(flat, 0, 0, n - 1).detach().set_requires_grad(true);
    Tensor q = narrow(copy, 0, 0, n - 1).clone().set_requires_grad(true);
    p.set_grad(narrow(flat, 0, 1, n - 1));
    q.set_grad(narrow(copy, 0, 1, n - 1));
    optim::SGD({p}, {.lr = 0.5}).step();
    optim::SGD({q}, {.lr = 0.5}).step();
    CHECK(largest_difference(p, q) == 0);
  }
}

double rate_after_nine(double metric, bool maximise) {
  optim::SGD optimizer({leaf({1}, float32)}, {.lr = 1});
  optim::ReduceOnPlateau schedule(optimizer, {.patience = 1, .maximise = maximise});
  for (int i = 0; i < 9; ++i) schedule.step(metric);
  return optimizer.lr();
}

TEST_CASE("ReduceOnPlateau sees a plateau below zero, too") {
  for (const bool maximise : {false, true}) {
    const double wanted = rate_after_nine(1, maximise);
    CHECK(wanted < 1e-3);
    for (const double metric : {-1.0, 0.0, -1e-9, -1e9}) {
      CHECK(rate_after_nine(metric, maximise) == wanted);
    }
  }
  optim::SGD optimizer({leaf({1}, float32)}, {.lr = 1});
  optim::ReduceOnPlateau schedule(optimizer, {.patience = 0});
  for (const double metric : {-1.0, -1.1, -1.2, -1.3}) schedule.step(metric);  // improvements
  CHECK(optimizer.lr() == 1);
  schedule.step(-1.30001);  // too small a one
  CHECK(optimizer.lr() == doctest::Approx(0.1));
}

// The rates of a schedule that was made anew at each step, from a saved state.
template <class Make>
void check_continues(const Make& make) {
  optim::SGD whole({leaf({1}, float32)}, {.lr = 0.1});
  auto schedule = make(whole);
  optim::State state = whole.state_dict();
  for (int64_t step = 1; step < 9; ++step) {
    schedule.step();
    optim::SGD again({leaf({1}, float32)}, {.lr = 123});
    again.load_state_dict(state);
    auto continued = make(again);
    continued.set_steps(step);
    CHECK(again.lr() == whole.lr());
    CHECK(continued.base_lr() == 0.1);
    state = again.state_dict();
  }
}

TEST_CASE("a schedule made after the state was loaded goes on from the rate that the user gave") {
  check_continues([](auto& o) { return optim::StepLR(o, 2); });
  check_continues([](auto& o) { return optim::CosineLR(o, 6); });
  check_continues([](auto& o) { return optim::WarmupLR(o, 3); });
  check_continues([](auto& o) { return optim::WarmupLR(o, 3, {.inverse_sqrt = true}); });
  // A state from before the base was kept: it is the rate of the new optimiser.
  optim::SGD optimizer({leaf({1}, float32)}, {.lr = 0.1});
  optimizer.load_state_dict({{"lr", tensor({0.01}, {})}});
  CHECK(optimizer.lr() == 0.01);
  optim::StepLR schedule(optimizer, 2);
  schedule.set_steps(2);
  CHECK(optimizer.lr() == doctest::Approx(0.01));
  optimizer.set_lr(0.5);  // the user's word is the new base
  CHECK(optim::StepLR(optimizer, 2).base_lr() == 0.5);
  CHECK_ERROR(
      optimizer.load_state_dict({{"lr", tensor({0.01}, {})}, {"initial_lr", tensor({-1.0}, {})}}),
      "learning rate");
  CHECK(optimizer.lr() == 0.5);
}

TEST_SUITE_END();

}  // namespace
