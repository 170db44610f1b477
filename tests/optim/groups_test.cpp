// Groups of parameters: options of their own, schedules that scale each group's rate, state.
#include "ops/update.h"
#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("optim");

Tensor start(double shift, DType dtype = float64) {
  return waves({3}, shift).to(dtype).set_requires_grad(true);
}

void descend_once(const std::vector<Tensor>& parameters, optim::Optimizer& optimizer) {
  optimizer.zero_grad();
  for (const Tensor& p : parameters) sum(p * p * cos(p)).backward();
  optimizer.step();
}

// Two groups in one optimiser move as two optimisers with the options of each.
template <class Optimiser, class Groups, class First, class Second>
void check_as_two(const Groups& groups, const First& first, const Second& second) {
  const std::vector<Tensor> a = {start(0), start(1, float32)}, b = {start(2), start(3, float32)};
  const std::vector<Tensor> c = {start(0), start(1, float32)}, d = {start(2), start(3, float32)};
  Optimiser together = groups(a, b);
  Optimiser one = first(c), other = second(d);
  for (int i = 0; i < 5; ++i) {
    descend_once({a[0], a[1], b[0], b[1]}, together);
    descend_once(c, one);
    descend_once(d, other);
  }
  for (size_t i = 0; i < 2; ++i) {
    CHECK(largest_difference(a[i], c[i]) == 0);
    CHECK(largest_difference(b[i], d[i]) == 0);
    CHECK(largest_difference(a[i], b[i]) > 0.01);
  }
}

TEST_CASE("a group overrides the options of all") {
  using Ps = std::vector<Tensor>;
  check_as_two<optim::SGD>(
      [](Ps a, Ps b) {
        return optim::SGD({{.params = a, .lr = 0.1}, {.params = b, .weight_decay = 0}},
                          {.lr = 0.05, .momentum = 0.9, .weight_decay = 0.5});
      },
      [](Ps c) { return optim::SGD(c, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.5}); },
      [](Ps d) { return optim::SGD(d, {.lr = 0.05, .momentum = 0.9}); });
  check_as_two<optim::SGD>(
      [](Ps a, Ps b) {
        return optim::SGD(
            {{.params = a, .momentum = 0.8, .nesterov = true}, {.params = b, .dampening = 0.3}},
            {.lr = 0.1});
      },
      [](Ps c) { return optim::SGD(c, {.lr = 0.1, .momentum = 0.8, .nesterov = true}); },
      [](Ps d) { return optim::SGD(d, {.lr = 0.1}); });
  check_as_two<optim::Adam>(
      [](Ps a, Ps b) {
        return optim::Adam({{.params = a, .betas = {{0.5, 0.6}}}, {.params = b, .eps = 0.1}},
                           {.lr = 0.1});
      },
      [](Ps c) {
        return optim::Adam(c, {.lr = 0.1, .betas = {0.5, 0.6}});
      },
      [](Ps d) { return optim::Adam(d, {.lr = 0.1, .eps = 0.1}); });
  check_as_two<optim::AdamW>(
      [](Ps a, Ps b) {
        return optim::AdamW({{.params = a}, {.params = b, .lr = 0.02, .weight_decay = 3}},
                            {.lr = 0.1});
      },
      [](Ps c) { return optim::AdamW(c, {.lr = 0.1}); },
      [](Ps d) { return optim::AdamW(d, {.lr = 0.02, .weight_decay = 3}); });
}

TEST_CASE("groups that cannot be are an error") {
  const Tensor a = start(0), b = start(1);
  const std::vector<Tensor> both = {a, b}, second = {b};
  CHECK_ERROR(optim::SGD({{.params = both}, {.params = second, .lr = 0.1}}),
              "parameter 2 was given twice, in groups 0 and 1: [3]");
  CHECK_ERROR(optim::SGD({{.params = second}, {.params = {Tensor()}}}), "parameter 1 is undefined");
  CHECK_ERROR(optim::SGD({{.params = second, .lr = -1}}), "learning rate");
  CHECK_ERROR(optim::Adam({{.params = second, .betas = {{0.5, 1.0}}}}), "betas");
  CHECK_ERROR(optim::SGD({{.params = {a}}, {.params = {b}, .nesterov = true}}), "nesterov");
  CHECK_ERROR(optim::SGD(std::vector<optim::SGDGroup>{}), "no parameters");
  CHECK_ERROR(optim::SGD({{.params = {}}, {.params = {}}}), "no parameters");
  optim::SGD one({{.params = second}, {.params = {}}});  // an empty group is no error: a filter's
  CHECK(one.num_groups() == 2);
  CHECK(one.parameters().size() == 1);
}

TEST_CASE("lr and set_lr, of one group and of all") {
  optim::SGD sgd({{.params = {start(0)}}, {.params = {start(1)}, .lr = 0.5}}, {.lr = 0.1});
  CHECK(sgd.lr() == 0.1);
  CHECK(sgd.lr(1) == 0.5);
  sgd.set_lr(0.3, 1);
  CHECK(sgd.lr(0) == 0.1);
  CHECK(sgd.lr(1) == 0.3);
  CHECK(sgd.base_lr(1) == 0.3);
  sgd.set_lr(0.2);
  CHECK(sgd.lr(0) == 0.2);
  CHECK(sgd.lr(1) == 0.2);
  CHECK_ERROR(sgd.lr(2), "SGD: there is no group 2 among 2");
  CHECK_ERROR(sgd.set_lr(1, -1), "there is no group -1");
  CHECK_ERROR(sgd.set_lr(-1, 1), "learning rate");
  CHECK_ERROR(sgd.set_lr(NAN), "learning rate");
  CHECK(sgd.lr() == 0.2);
}

TEST_CASE("schedules scale the rate of every group") {
  const auto make = [] {
    return optim::SGD({{.params = {start(0)}}, {.params = {start(1)}, .lr = 0.5}}, {.lr = 0.1});
  };
  optim::SGD stepped = make(), cosine = make(), warm = make(), plateau = make();
  optim::StepLR steps(stepped, 2, 0.5);
  optim::CosineLR half(cosine, 4, 0.02);
  optim::WarmupLR slow(warm, 4);
  CHECK(steps.base_lr(1) == 0.5);
  CHECK_ERROR(steps.base_lr(2), "no group 2");
  for (int i = 0; i < 2; ++i) {
    steps.step();
    half.step();
    slow.step();
  }
  CHECK(stepped.lr(0) == doctest::Approx(0.05));
  CHECK(stepped.lr(1) == doctest::Approx(0.25));
  CHECK(stepped.base_lr(1) == 0.5);
  CHECK(cosine.lr(0) == doctest::Approx(0.06));  // PyTorch's eta_min is of every group
  CHECK(cosine.lr(1) == doctest::Approx(0.26));
  CHECK(warm.lr(0) == doctest::Approx(0.075));
  CHECK(warm.lr(1) == doctest::Approx(0.375));
  optim::ReduceOnPlateau reduce(plateau, {.factor = 0.5, .patience = 0, .min_lr = 0.08});
  for (int i = 0; i < 3; ++i) reduce.step(1);
  CHECK(plateau.lr(0) == doctest::Approx(0.08));
  CHECK(plateau.lr(1) == doctest::Approx(0.125));
}

TEST_CASE("the state of groups is saved, and fits groups of the same sizes only") {
  const std::vector<Tensor> all = {start(0), start(1), start(2)};
  const auto make = [](const std::vector<Tensor>& ps) {
    return optim::Adam({{.params = {ps[0]}}, {.params = {ps[1], ps[2]}, .lr = 0.5}}, {.lr = 0.1});
  };
  optim::Adam first = make(all);
  optim::StepLR schedule(first, 1, 0.5);
  descend_once(all, first);
  schedule.step();
  std::vector<Tensor> copies;
  for (const Tensor& p : all) copies.push_back(p.detach().clone().set_requires_grad(true));
  optim::State state = first.state_dict();
  for (auto& [name, value] : state) value = value.clone();
  optim::Adam second = make(copies);
  second.set_lr(123);
  second.load_state_dict(state);
  CHECK(second.lr(1) == 0.25);
  CHECK(second.base_lr(0) == 0.1);
  CHECK(second.base_lr(1) == 0.5);
  descend_once(all, first);
  descend_once(copies, second);
  for (size_t i = 0; i < all.size(); ++i) CHECK(largest_difference(all[i], copies[i]) == 0);

  optim::Adam other({{.params = {copies[0], copies[1]}}, {.params = {copies[2]}}}, {.lr = 7});
  CHECK_ERROR(other.load_state_dict(state), "group 0 has 2 parameters, not 1");
  CHECK_ERROR(optim::Adam(copies).load_state_dict(state), "not known: group_sizes");
  CHECK_ERROR(other.load_state_dict(optim::Adam(copies).state_dict()), "missing: group_sizes");
  state[0].second = tensor({0.1, -0.1}, {2});
  CHECK_ERROR(second.load_state_dict(state), "learning rate");
  CHECK(other.lr(1) == 7);
  CHECK(second.lr(1) == 0.25);
}

TEST_CASE("one parameter that cannot be stepped keeps every group where it was") {
  const Tensor a = start(0), b = start(1, float32);
  Tensor odd = transpose(zeros({2, 3})).detach().set_requires_grad(true);
  optim::Adam adam({{.params = {a}}, {.params = {b}, .lr = 0.5}, {.params = {odd}}}, {.lr = 0.1});
  for (Tensor p : {a, b, odd}) p.set_grad(ones(p.shape(), {.dtype = p.dtype()}));
  const std::vector<double> before = a.to_vector<double>(), too = b.to_vector<double>();
  CHECK_ERROR(adam.step(), "contiguous");
  CHECK(a.to_vector<double>() == before);
  CHECK(b.to_vector<double>() == too);
  CHECK(adam.state_dict().size() == 4);  // lr, initial_lr, group_sizes, steps
}

// As a user writes one: what is remembered, groups, state and schedules come from the base.
struct AveragedDescent : optim::Optimizer {
  explicit AveragedDescent(const std::vector<optim::SGDGroup>& groups)
      : Optimizer("AveragedDescent", groups_of(groups, 0.1), {"mean"}) {}
  void step() override {
    const NoGrad guard;
    std::vector<ParameterUpdate> all = updates();
    for (ParameterUpdate& one : all) one.state[0] = one.state[0] * 0.9 + one.gradient * 0.1;
    for (ParameterUpdate& one : all)
      one.parameter.add_(one.state[0], -lr(static_cast<int64_t>(one.group)));
    remember(all);
  }
};

TEST_CASE("an optimiser of one's own has groups, state and schedules") {
  const Tensor a = zeros({1}, {.requires_grad = true}), b = zeros({1}, {.requires_grad = true});
  AveragedDescent own({{.params = {a}}, {.params = {b}, .lr = 0.2}});
  optim::StepLR schedule(own, 1, 0.5);
  for (int i = 0; i < 2; ++i) {
    for (Tensor p : {a, b}) p.set_grad(ones({1}));
    own.step();
    schedule.step();
  }
  CHECK(a.item<double>() == doctest::Approx(-0.1 * 0.1 - 0.05 * 0.19));
  CHECK(b.item<double>() == doctest::Approx(-0.2 * 0.1 - 0.1 * 0.19));
  AveragedDescent again({{.params = {a}}, {.params = {b}}});
  again.load_state_dict(own.state_dict());
  CHECK(again.lr(1) == doctest::Approx(0.05));
  CHECK(again.state_dict().size() == own.state_dict().size());
}

TEST_SUITE_END();

}  // namespace
