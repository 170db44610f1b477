// Losses: ops/loss.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

constexpr int64_t ignored = -100;

struct Rules {
  Reduce reduction = Reduce::mean;
  double smoothing = 0;
  int64_t ignore = ignored;
  bool logits = true;  // or already log probabilities
};

Array reduced_to(const Array& losses, Reduce reduction, double count) {
  if (reduction == Reduce::none) return losses;
  double total = 0;
  for (double loss : losses.values) total += loss;
  return {{}, {reduction == Reduce::sum ? total : total / std::max(count, 1.0)}};
}

// Scores [n, classes, ...] and targets [n, ...].
Twin entropy(const Rules& rules) {
  return [rules](const Arrays& x) {
    double counted = 0;
    const int64_t classes = x[0].shape[1];
    const Array losses = twin::make(x[1].shape, [&](const Index& index) {
      const auto target = static_cast<int64_t>(x[1](index));
      if (target == rules.ignore) return 0.0;
      ++counted;
      std::vector<double> scores;
      for (int64_t c = 0; c < classes; ++c) {
        Index place = index;
        place.insert(place.begin() + 1, c);
        scores.push_back(x[0](place));
      }
      double sum = 0, mean = 0;
      for (double s : scores) sum += std::exp(s), mean += s / static_cast<double>(classes);
      const double shift = rules.logits ? std::log(sum) : 0;
      return (1 - rules.smoothing) * (shift - scores[static_cast<size_t>(target)]) +
             rules.smoothing * (shift - mean);
    });
    return reduced_to(losses, rules.reduction, counted);
  };
}

std::vector<In> scored() { return {in({5, 3}), index_in({5}, 3)}; }

TEST_CASE("cross_entropy and nll_loss") {
  constexpr auto refuses = Empty::refuses;
  for (const Reduce reduction : {Reduce::mean, Reduce::sum, Reduce::none}) {
    for (const double smoothing : {0.0, 0.1, 1.0}) {
      check_case({"cross_entropy",
                  [=](const Tensors& x) {
                    return cross_entropy(x[0], x[1],
                                         {.label_smoothing = smoothing, .reduction = reduction});
                  },
                  entropy({.reduction = reduction, .smoothing = smoothing}), scored(), refuses});
      check_case({"cross_entropy, ignoring",
                  [=](const Tensors& x) {
                    return cross_entropy(
                        x[0], x[1],
                        {.ignore_index = 1, .label_smoothing = smoothing, .reduction = reduction});
                  },
                  entropy({.reduction = reduction, .smoothing = smoothing, .ignore = 1}), scored(),
                  refuses});
    }
    check_case(
        {"cross_entropy of sequences",
         [=](const Tensors& x) { return cross_entropy(x[0], x[1], {.reduction = reduction}); },
         entropy({.reduction = reduction}),
         {in({2, 4, 3}), index_in({2, 3}, 4)},
         refuses});
    check_case({"nll_loss",
                [=](const Tensors& x) { return nll_loss(x[0], x[1], {.reduction = reduction}); },
                entropy({.reduction = reduction, .logits = false}), scored(), refuses});
    check_case({"nll_loss, ignoring",
                [=](const Tensors& x) {
                  return nll_loss(x[0], x[1], {.ignore_index = 0, .reduction = reduction});
                },
                entropy({.reduction = reduction, .ignore = 0, .logits = false}), scored(),
                refuses});
  }
}

TEST_CASE("cross_entropy is nll_loss of log_softmax") {
  const Tensor x = to_tensor(numbers(in({7, 5}), 0)),
               t = to_tensor(numbers(index_in({7}, 5), 1), int64);
  CHECK(cross_entropy(x, t).item<double>() ==
        doctest::Approx(nll_loss(log_softmax(x, 1), t).item<double>()).epsilon(1e-14));
}

TEST_CASE("every target ignored, and no row at all: 0, with zero gradients") {
  const Tensor scores = to_tensor(numbers(in({3, 4}), 0));
  const Tensor targets = full({3}, ignored, {.dtype = int64});
  CHECK(cross_entropy(scores, targets).item<double>() == 0);
  const auto op = [&](const Tensors& x) { return cross_entropy(x[0], targets); };
  CHECK(same_bits(gradients(op, {scores}, scalar(1, float64))[0], zeros_like(scores)));
  CHECK(cross_entropy(zeros({0, 4}), zeros({0}, {.dtype = int64})).item<double>() == 0);
}

TEST_CASE("logits of 1e4: a finite loss, and float64's gradient") {
  const Array scores = twin::make({4, 5}, [](const Index& index) {
    return (index[1] == index[0] ? 1e4 : index[1] == 4 ? -1e4 : 9.99e3);
  });
  const Tensor targets = tensor({0, 4, 1, 3}, {4});
  const auto op = [&](const Tensors& x) { return cross_entropy(x[0], targets); };
  const Tensor low = to_tensor(scores, float32), high = to_tensor(scores);
  CHECK(all_finite(op({low})));
  CHECK(op({low}).item<double>() == doctest::Approx(op({high}).item<double>()).epsilon(1e-6));
  const Array a = to_array(gradients(op, {low}, scalar(1))[0]),
              b = to_array(gradients(op, {high}, scalar(1, float64))[0]);
  for (size_t i = 0; i < a.values.size(); ++i) CHECK(std::abs(a.values[i] - b.values[i]) <= 1e-6);
}

TEST_CASE("many classes") {
  for (const int64_t n : {1, 2, 7, 8, 9, 16, 17, 33, 1000, 32001}) {
    const Array x = to_array(to_tensor(numbers(in({3, n}, -9, 9), n), float32));
    const Array t = numbers(index_in({3}, static_cast<double>(n)), 1);
    const Tensor loss =
        cross_entropy(to_tensor(x, float32), to_tensor(t, int64), {.reduction = Reduce::none});
    const Array wanted = entropy({.reduction = Reduce::none})({x, t});
    for (size_t i = 0; i < 3; ++i) {
      CHECK(std::abs(loss.to_vector<double>()[i] - wanted.values[i]) <=
            2e-6 * std::max(1.0, wanted.values[i]));
    }
  }
}

TEST_CASE("mse_loss and binary_cross_entropy_with_logits") {
  const auto square_of = [](double a, double b) { return (a - b) * (a - b); };
  const auto binary_of = [](double x, double t) {
    const double s = 1 / (1 + std::exp(-x));
    return -(t * std::log(s) + (1 - t) * std::log(1 - s));
  };
  for (const Reduce reduction : {Reduce::mean, Reduce::sum, Reduce::none}) {
    const auto reduced_by = [reduction](auto f) -> Twin {
      return [=](const Arrays& x) {
        const Array losses = each(f)(x);
        return reduced_to(losses, reduction, static_cast<double>(losses.values.size()));
      };
    };
    check_case({"mse_loss",
                [=](const Tensors& x) { return mse_loss(x[0], x[1], reduction); },
                reduced_by(square_of),
                {in({2, 3}), in({2, 3})}});
    check_case(
        {"binary_cross_entropy_with_logits",
         [=](const Tensors& x) { return binary_cross_entropy_with_logits(x[0], x[1], reduction); },
         reduced_by(binary_of),
         {in({2, 3}), in({2, 3}, 0, 1)}});
  }
  const Tensor scores = tensor({-1.0, 0.5, 2.0}, {3}), yes = tensor({1.0, 0.0, 1.0}, {3});
  for (const DType dtype : {int64, bool_}) {  // classes as they are counted
    CHECK(same_bits(binary_cross_entropy_with_logits(scores, yes.to(dtype)),
                    binary_cross_entropy_with_logits(scores, yes.to(scores.dtype()))));
  }
  for (const double x : {-1e4, -100.0, -50.0, -20.0, 20.0, 39.0, 41.0, 100.0, 1e4}) {
    for (const DType dtype : {float32, float64}) {
      const Tensor index = scalar(x, dtype);
      const double right = std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
      CHECK(binary_cross_entropy_with_logits(index, scalar(0, dtype)).item<double>() ==
            doctest::Approx(right).epsilon(1e-6));
      CHECK(std::abs(binary_cross_entropy_with_logits(index, scalar(1, dtype)).item<double>() -
                     (right - x)) <= 1e-6 * std::max(1.0, std::abs(right - x)));
    }
  }
}

TEST_CASE("losses of a distance, of distributions and of probabilities") {
  const auto absolute = [](double a, double b) { return std::abs(a - b); };
  const auto huber = [](double a, double b) {
    const double d = std::abs(a - b);
    return d < 1.3 ? d * d / 2 : 1.3 * (d - 0.65);
  };
  const auto divergence = [](double x, double t) { return t * (std::log(t) - x); };
  const auto of_logarithms = [](double x, double t) { return std::exp(t) * (t - x); };
  const auto binary = [](double x, double t) {
    return -(t * std::log(x) + (1 - t) * std::log(1 - x));
  };
  for (const Reduce reduction : {Reduce::mean, Reduce::sum, Reduce::none}) {
    const auto check_loss = [&](const char* name, auto loss, auto f, const In& x, const In& t) {
      check_case({name,
                  [=](const Tensors& in) { return loss(in[0], in[1], reduction); },
                  [=](const Arrays& in) {
                    const Array losses = each(f)(in);
                    return reduced_to(losses, reduction, static_cast<double>(losses.values.size()));
                  },
                  {x, t}});
    };
    const In any = in({2, 3}), share = in({2, 3}, 0.1, 0.9);
    check_loss("l1_loss", l1_loss, absolute, any, any);
    check_loss(
        "huber_loss",
        [](const Tensor& x, const Tensor& t, Reduce r) { return huber_loss(x, t, r, 1.3); }, huber,
        any, any);
    check_loss(
        "kl_div", [](const Tensor& x, const Tensor& t, Reduce r) { return kl_div(x, t, r); },
        divergence, any, share);
    check_loss(
        "kl_div of logarithms",
        [](const Tensor& x, const Tensor& t, Reduce r) { return kl_div(x, t, r, true); },
        of_logarithms, any, any);
    check_loss("binary_cross_entropy", binary_cross_entropy, binary, share, share);
  }
}

TEST_CASE("probabilities of 0 and 1 have PyTorch's finite losses and slopes") {
  const Tensor x = tensor({0.0, 1.0, 0.0, 1.0}, {4}), t = tensor({0.0, 1.0, 1.0, 0.0}, {4});
  CHECK(binary_cross_entropy(x, t, Reduce::none).to_vector<double>() ==
        std::vector<double>{0, 0, 100, 100});
  const auto op = [&](const Tensors& in) { return binary_cross_entropy(in[0], t, Reduce::sum); };
  CHECK(gradients(op, {x}, scalar(1, float64))[0].to_vector<double>() ==
        std::vector<double>{0, 0, -1e12, 1e12});
  CHECK(binary_cross_entropy(x, t.to(bool_), Reduce::sum).item() == 200);
  CHECK(kl_div(x, tensor({0.0, 0.0, 1.0, 0.5}, {4}), Reduce::none).to_vector<double>() ==
        std::vector<double>{0, 0, 0, 0.5 * (std::log(0.5) - 1)});
  const std::string told = "binary_cross_entropy: takes probabilities, from 0 to 1";
  CHECK_ERROR(binary_cross_entropy(x + 0.5, t), told);
  CHECK_ERROR(binary_cross_entropy(x * std::nan(""), t), told);
  CHECK_ERROR(l1_loss(x, zeros({3}, float64)), "l1_loss: [4] and [3] must have one shape");
  CHECK_ERROR(huber_loss(x, t, Reduce::mean, 0), "huber_loss: delta must be above 0, not 0");
  CHECK(std::isnan(l1_loss(zeros({0}), zeros({0})).item()) ==
        std::isnan(mse_loss(zeros({0}), zeros({0})).item()));
}

// Scores [n, classes], targets that are class numbers, weights [classes].
Twin weighted_entropy(Reduce reduction, double smoothing, int64_t ignore) {
  return [=](const Arrays& x) {
    double total = 0;
    const auto classes = static_cast<double>(x[0].shape[1]);
    const Array losses = twin::make(x[1].shape, [&](const Index& index) {
      const auto target = static_cast<int64_t>(x[1](index));
      if (target == ignore) return 0.0;
      total += x[2]({target});
      double sum = 0, loss = 0;
      for (int64_t c = 0; c < x[0].shape[1]; ++c) sum += std::exp(x[0]({index[0], c}));
      for (int64_t c = 0; c < x[0].shape[1]; ++c) {
        const double share = (c == target ? 1 - smoothing : 0) + smoothing / classes;
        loss += share * x[2]({c}) * (std::log(sum) - x[0]({index[0], c}));
      }
      return loss;
    });
    if (reduction == Reduce::none) return losses;
    double sum = 0;
    for (double loss : losses.values) sum += loss;
    return Array{{}, {reduction == Reduce::sum || total == 0 ? sum : sum / total}};
  };
}

TEST_CASE("class weights") {
  const std::vector<In> inputs = {in({5, 3}), index_in({5}, 3), in({3}, 0.5, 2)};
  for (const Reduce reduction : {Reduce::mean, Reduce::sum, Reduce::none}) {
    for (const double smoothing : {0.0, 0.2}) {
      check_case({"cross_entropy with weights",
                  [=](const Tensors& x) {
                    return cross_entropy(x[0], x[1],
                                         {.ignore_index = 1,
                                          .label_smoothing = smoothing,
                                          .reduction = reduction,
                                          .weight = x[2]});
                  },
                  weighted_entropy(reduction, smoothing, 1), inputs, Empty::refuses});
    }
    check_case({"nll_loss with weights",
                [=](const Tensors& x) {
                  return nll_loss(log_softmax(x[0], 1), x[1],
                                  {.reduction = reduction, .weight = x[2]});
                },
                weighted_entropy(reduction, 0, ignored), inputs, Empty::refuses});
  }
  const Tensor scores = zeros({2, 3}), targets = tensor({0, 1}, {2});
  CHECK_ERROR(cross_entropy(scores, targets, {.weight = ones({2})}),
              "cross_entropy: scores [2, 3] need a weight of shape [3], not [2]");
  CHECK_ERROR(nll_loss(scores, targets, {.weight = ones({3}, float64)}), "nll_loss: ");
}

TEST_CASE("targets that are probabilities, and the weight of positives") {
  const auto soft = [](double smoothing, bool weighted) -> Twin {
    return [=](const Arrays& x) {
      double total = 0;
      const int64_t n = x[0].shape[0], classes = x[0].shape[1];
      for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[0]({i, c}));
        for (int64_t c = 0; c < classes; ++c) {
          const double share =
              x[1]({i, c}) * (1 - smoothing) + smoothing / static_cast<double>(classes);
          total += share * (weighted ? x[2]({c}) : 1) * (std::log(sum) - x[0]({i, c}));
        }
      }
      return Array{{}, {total / std::max(static_cast<double>(n), 1.0)}};
    };
  };
  const In scores = in({5, 3}), shares = in({5, 3}, 0.1, 0.9);
  check_case({"cross_entropy of shares",
              OP(cross_entropy(x[0], x[1])),
              soft(0, false),
              {scores, shares},
              Empty::untested});
  check_case({"cross_entropy of shares, weighted and smoothed",
              OP(cross_entropy(x[0], x[1], {.label_smoothing = 0.2, .weight = x[2]})),
              soft(0.2, true),
              {scores, shares, in({3}, 0.5, 2)},
              Empty::untested});
  const Twin positives = TWIN(each([](double v, double t, double w) {
    const double s = 1 / (1 + std::exp(-v));
    return -(w * t * std::log(s) + (1 - t) * std::log(1 - s));
  })(x));
  check_case({"binary_cross_entropy_with_logits of weighted positives",
              OP(binary_cross_entropy_with_logits(x[0], x[1], Reduce::none, x[2])),
              positives,
              {in({2, 3}), in({2, 3}, 0, 1), in({3}, 0.5, 3)}});
  const Tensor x = tensor({0.3, -0.2, 0.9}, {1, 3});
  CHECK(cross_entropy(x, tensor({0.0, 1.0, 0.0}, {1, 3})).item() ==
        doctest::Approx(cross_entropy(x, tensor({1}, {1})).item()));
  CHECK_ERROR(cross_entropy(x, zeros({3}, float64)),
              "cross_entropy: targets must be int64 class numbers, or probabilities of the scores' "
              "shape [1, 3], not float64 [3]");
  CHECK_ERROR(binary_cross_entropy_with_logits(x, x, Reduce::mean, ones({2}, float64)),
              "binary_cross_entropy_with_logits: ");
}

TEST_SUITE_END();

}  // namespace
