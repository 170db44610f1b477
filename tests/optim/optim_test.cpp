// Optimisers and schedules against PyTorch's numbers; clipping; saving and loading their state.
#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("optim");

Tensor start() { return tensor({1.0, -2.0, 3.0}, {3}, {.requires_grad = true}); }

void descend_once(const Tensor& p, optim::Optimizer& optimizer) {
  optimizer.zero_grad();
  sum(p * p * cos(p)).backward();
  optimizer.step();
}

template <class Make>
Tensor after_four(const Make& make) {
  const Tensor p = start();
  auto optimizer = make(std::vector<Tensor>{p});
  for (int i = 0; i < 4; ++i) descend_once(p, optimizer);
  return p;
}

TEST_CASE("four steps give PyTorch's numbers") {
  using Parameters = const std::vector<Tensor>&;
  CHECK(largest_difference(after_four([](Parameters p) { return optim::SGD(p, {.lr = 0.1}); }),
                           {0.8605869874, -3.536713313, 3.616792547}) < 1e-8);
  CHECK(largest_difference(
            after_four([](Parameters p) {
              return optim::SGD(
                  p, {.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.05});
            }),
            {0.7213122471, -4.129036184, 3.213271051}) < 1e-8);
  CHECK(largest_difference(after_four([](Parameters p) {
                             return optim::SGD(p, {.lr = 0.1, .momentum = 0.9, .nesterov = true});
                           }),
                           {0.4881109583, -0.323752417, 3.853666973}) < 1e-8);
  CHECK(largest_difference(after_four([](Parameters p) {
                             return optim::Adam(p, {.lr = 0.1, .weight_decay = 0.05});
                           }),
                           {0.6064123015, -2.401158145, 3.395586276}) < 1e-8);
  CHECK(largest_difference(
            after_four([](Parameters p) {
              return optim::AdamW(p, {.lr = 0.1, .betas = {0.8, 0.9}, .weight_decay = 0.05});
            }),
            {0.5906391053, -2.358669135, 3.334109215}) < 1e-8);
  CHECK(largest_difference(after_four([](Parameters p) { return optim::AdamW(p); }),
                           {0.9959575652, -2.003920208, 3.003879782}) < 1e-8);
}

// Training stopped after two steps and continued by a new optimiser ends where it would have ended.
template <class Make>
void check_resume(const Make& make) {
  const Tensor whole = after_four(make);
  const Tensor p = start();
  auto first = make(std::vector<Tensor>{p});
  for (int i = 0; i < 2; ++i) descend_once(p, first);
  auto second = make(std::vector<Tensor>{p});
  second.set_lr(123);
  second.load_state_dict(first.state_dict());
  for (int i = 0; i < 2; ++i) descend_once(p, second);
  CHECK(largest_difference(p, whole) == 0);
}

TEST_CASE("an optimiser continues from its saved state") {
  using Parameters = const std::vector<Tensor>&;
  check_resume([](Parameters p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9}); });
  check_resume([](Parameters p) { return optim::AdamW(p, {.lr = 0.1}); });
  optim::Adam adam({start()});
  CHECK_ERROR(adam.load_state_dict({{"lr", tensor({0.1}, {})}, {"steps", tensor({3}, {1})}}),
              "missing: square.0");
  CHECK_ERROR(adam.load_state_dict({{"lr", tensor({0.1}, {})}, {"steps", tensor({-3}, {1})}}),
              "steps holds -3");
  optim::State state = adam.state_dict();
  state.emplace_back("mean.0", zeros({4}, {.dtype = float64}));
  state.emplace_back("speed", zeros({1}));
  const std::string text = error_of([&] { adam.load_state_dict(state); });
  CHECK(text.find("mean.0 must be [3] float64") != std::string::npos);
  CHECK(text.find("not known: speed") != std::string::npos);
}

TEST_CASE("parameters that a model no longer has are an error, not a step that does nothing") {
  nn::Linear layer(2, 3);
  optim::Adam adam(nn::parameters(layer));
  adam.step();  // nothing to do, and nothing lost
  const auto train = [&] {
    sum(layer(ones({1, 2}, {.dtype = layer.weight.dtype()}))).backward();
    adam.step();
  };
  train();
  nn::to(layer, float64);
  CHECK_ERROR(
      [&] {
        adam.zero_grad();
        train();
      }(),
      "Adam: no parameter has a gradient, and only the optimiser still has them");
}

TEST_CASE("parameters without a gradient stay; wrong ones are an error") {
  const Tensor used = start(), unused = start();
  optim::Adam adam({used, unused});
  descend_once(used, adam);
  CHECK(largest_difference(unused, start()) == 0);
  CHECK(largest_difference(used, start()) > 0);
  const Tensor frozen = zeros({2});  // no gradient is asked of it: it stays
  optim::SGD some({used, frozen});
  descend_once(used, some);
  CHECK(largest_difference(frozen, zeros({2})) == 0);
  CHECK_ERROR(optim::SGD({used, Tensor()}), "parameter 1 is undefined");
  CHECK_ERROR(optim::SGD(std::vector<Tensor>{}), "no parameters");
  CHECK_ERROR(optim::SGD({used, used}), "twice");
  CHECK_ERROR(optim::SGD({used * 2.0}), "computed by mul");
  CHECK_ERROR(optim::SGD({used}, {.lr = -1}), "learning rate");
  CHECK_ERROR(optim::SGD({used}, {.nesterov = true}), "nesterov");
}

TEST_CASE("clipping by norm and by value, when two parameters hold one gradient") {
  Tensor a = zeros({2}, {.requires_grad = true}), b = zeros({2}, {.requires_grad = true});
  const Tensor none = zeros({2}, {.requires_grad = true});
  const Tensor gradient = tensor({3.0f, 4.0f}, {2});
  a.set_grad(gradient);
  b.set_grad(gradient);
  const double length = std::sqrt(50.0);
  CHECK(optim::clip_grad_norm({a, b, none}, 100) == doctest::Approx(length));
  CHECK(largest_difference(a.grad(), {3, 4}) == 0);
  CHECK(optim::clip_grad_norm({a, b, none}, 1) == doctest::Approx(length));
  CHECK(largest_difference(a.grad(), {3 / length, 4 / length}) < 1e-6);
  CHECK(largest_difference(b.grad(), {3 / length, 4 / length}) < 1e-6);
  CHECK(largest_difference(gradient, {3, 4}) == 0);
  a.set_grad(gradient);
  CHECK(optim::clip_grad_norm({a}, 2, INFINITY) == doctest::Approx(4));
  CHECK(largest_difference(a.grad(), {1.5, 2}) < 1e-5);
  CHECK(optim::clip_grad_norm({a}, 100, 1) == doctest::Approx(3.5));
  optim::clip_grad_value({a}, 1.75);
  CHECK(largest_difference(a.grad(), {1.5, 1.75}) < 1e-5);
}

// Parameters of odd sizes and both dtypes, one of them without a gradient; two steps each.
template <class Make>
std::vector<Tensor> stepped(const Make& make) {
  Generator generator(3);
  std::vector<Tensor> parameters;
  for (const int64_t size : {1, 5, 40'001, 3, 0, 17, 20'000}) {
    const DType dtype = size == 17 || size == 20'000 ? float32 : float64;
    parameters.push_back(randn({size}, generator, {.dtype = dtype, .requires_grad = true}));
  }
  auto optimizer = make(parameters);
  for (int step = 0; step < 2; ++step) {
    for (Tensor& p : parameters) {
      if (p.numel() != 3) p.set_grad(cos(p.detach() * (step + 3.0)));
    }
    optimizer.step();
  }
  return parameters;
}

template <class Make>
void check_all_in_one_pass(const Make& make) {
  const std::vector<Tensor> exact = stepped(make);
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    const std::vector<Tensor> found = stepped(make);
    for (size_t i = 0; i < exact.size(); ++i) CHECK(largest_difference(found[i], exact[i]) == 0);
  }
  set_num_threads(0);
  // One parameter at a time ends where all of them in one pass do.
  for (size_t i = 0; i < exact.size(); ++i) {
    std::vector<Tensor> start_again =
        stepped([](const std::vector<Tensor>& all) { return optim::SGD(all, {.lr = 0}); });
    auto alone = make(std::vector<Tensor>{start_again[i]});
    for (int step = 0; step < 2; ++step) {
      Tensor& p = start_again[i];
      if (p.numel() != 3)
        p.set_grad(cos(p.detach() * (step + 3.0)));
      else
        p.zero_grad();
      alone.step();
    }
    CHECK(largest_difference(start_again[i], exact[i]) == 0);
  }
}

TEST_CASE("all parameters in one pass: any sizes, both dtypes, any number of threads") {
  using Parameters = const std::vector<Tensor>&;
  check_all_in_one_pass([](Parameters p) { return optim::SGD(p, {.lr = 0.1}); });
  check_all_in_one_pass([](Parameters p) {
    return optim::SGD(p, {.lr = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.1});
  });
  check_all_in_one_pass([](Parameters p) { return optim::AdamW(p, {.lr = 0.1}); });
  Tensor nan = tensor({1.0f, 2.0f, 3.0f}, {3}, {.requires_grad = true});
  nan.set_grad(tensor({0.0f, NAN, 1.0f}, {3}));
  optim::Adam({nan}).step();
  CHECK(std::isnan(nan.to_vector<float>()[1]));
  CHECK_FALSE(std::isnan(nan.to_vector<float>()[2]));
}

template <class Make>
std::vector<double> rates(int64_t count, const Make& make) {
  optim::SGD optimizer({start()}, {.lr = 1});
  auto schedule = make(optimizer);
  std::vector<double> given;
  for (int64_t i = 0; i < count; ++i) {
    given.push_back(optimizer.lr());
    schedule.step();
  }
  return given;
}

void check_rates(const std::vector<double>& given, const std::vector<double>& expected) {
  CHECK(largest_difference(tensor(given, {static_cast<int64_t>(given.size())}), expected) < 1e-7);
}

TEST_CASE("schedules") {
  check_rates(rates(7, [](auto& o) { return optim::StepLR(o, 3, 0.5); }),
              {1, 1, 1, 0.5, 0.5, 0.5, 0.25});
  check_rates(rates(9, [](auto& o) { return optim::CosineLR(o, 6, 0.1); }),
              {1, 0.93971143, 0.775, 0.55, 0.325, 0.16028857, 0.1, 0.16028857, 0.325});
  check_rates(rates(6, [](auto& o) { return optim::WarmupLR(o, 4); }), {0.25, 0.5, 0.75, 1, 1, 1});
  check_rates(rates(8, [](auto& o) { return optim::WarmupLR(o, 2, {.inverse_sqrt = true}); }),
              {0.5, 1, std::sqrt(2.0 / 3), std::sqrt(0.5), std::sqrt(0.4), std::sqrt(1.0 / 3),
               std::sqrt(2.0 / 7), 0.5});
  const double high = (1 + std::sqrt(0.5)) / 2;  // half a cosine in four steps
  check_rates(rates(8, [](auto& o) { return optim::WarmupLR(o, 2, {.cosine_to = 6}); }),
              {0.5, 1, high, 0.5, 1 - high, 0, 0, 0});
  optim::SGD optimizer({start()}, {.lr = 1});
  CHECK_ERROR(optim::WarmupLR(optimizer, 5, {.cosine_to = 5}), "above the 5 steps");
  optim::StepLR schedule(optimizer, 2);
  schedule.set_steps(5);
  CHECK(optimizer.lr() == doctest::Approx(0.01));
}

TEST_CASE("ReduceOnPlateau gives PyTorch's rates") {
  optim::SGD optimizer({start()}, {.lr = 1});
  optim::ReduceOnPlateau schedule(optimizer, {.factor = 0.5, .patience = 1, .cooldown = 1});
  std::vector<double> given;
  for (const double metric : {1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5}) {
    given.push_back(optimizer.lr());
    schedule.step(metric);
  }
  check_rates(given, {1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125});
}

TEST_CASE("ReduceOnPlateau continues from a saved progress") {
  optim::SGD optimizer({start()}, {.lr = 1});
  const optim::PlateauOptions options = {.factor = 0.5, .patience = 1, .cooldown = 1};
  optim::ReduceOnPlateau::Progress saved;
  std::vector<double> given;
  for (const double metric : {1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5}) {
    optim::ReduceOnPlateau schedule(optimizer, options);  // a new one at every step
    schedule.set_progress(saved);
    given.push_back(optimizer.lr());
    schedule.step(metric);
    saved = schedule.progress();
  }
  check_rates(given, {1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125});
}

TEST_CASE("descend stops at the threshold or when the iterations are used up") {
  Tensor p = start();
  optim::SGD optimizer({p}, {.lr = 0.1});
  const auto loss = [&] { return sum(square(p)); };
  const optim::Descent enough = optim::descend(loss, optimizer, {.threshold = 1e-6});
  CHECK(enough.reached);
  CHECK(enough.loss <= 1e-6);
  CHECK(enough.iterations < 50);
  const optim::Descent cut = optim::descend(loss, optimizer, {.threshold = 0, .max_iterations = 3});
  CHECK_FALSE(cut.reached);
  CHECK(cut.iterations == 3);
  CHECK(cut.loss == doctest::Approx(loss().item<double>()));
  CHECK_ERROR(optim::descend([&] { return sum(p) / 0.0; }, optimizer), "the loss became");
}

TEST_SUITE_END();

}  // namespace
