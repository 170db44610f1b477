// RMSprop, Adagrad, Adadelta and Muon against their published formulas, written out here in double
// numbers, one at a time; resumed from a saved state; on any number of threads.
#include <functional>

#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("optim");

using Parameters = std::vector<Tensor>;
using Make = std::function<std::unique_ptr<optim::Optimizer>(const Parameters&)>;
// Step t of one number x with the gradient g; s is what is remembered of it, at first zeros.
using Formula = std::function<void(int t, double g, double& x, std::array<double, 3>& s)>;

template <class Optimiser, class Options>
Make make(const Options& options) {
  return [options](const Parameters& p) { return std::make_unique<Optimiser>(p, options); };
}

Tensor gradient(const Tensor& parameter, int t) {
  return waves(parameter.shape(), 1.7 * t).to(parameter.dtype());
}

void take_steps(const Parameters& parameters, optim::Optimizer& optimiser, int from, int to) {
  for (int t = from; t <= to; ++t) {
    for (Tensor p : parameters) p.set_grad(gradient(p, t));
    optimiser.step();
  }
}

Parameters starts(const std::vector<Shape>& shapes) {
  Parameters parameters;
  for (const DType dtype : {float32, float64}) {
    for (const Shape& shape : shapes) {
      parameters.push_back((waves(shape, 5) * 0.5).to(dtype).set_requires_grad(true));
    }
  }
  return parameters;
}

std::vector<double> path_end(const Tensor& start, const Formula& formula) {
  std::vector<double> x = start.to_vector<double>();
  std::vector<std::array<double, 3>> state(x.size());
  for (int t = 1; t <= 20; ++t) {
    const std::vector<double> g = gradient(start, t).to_vector<double>();
    for (size_t i = 0; i < x.size(); ++i) formula(t, g[i], x[i], state[i]);
  }
  return x;
}

double tolerance(const Tensor& x) { return x.dtype() == float32 ? 1e-6 : 1e-13; }

void check_path(const Make& make, const Formula& formula) {
  const Parameters parameters = starts({{1}, {5}, {7, 9}});
  std::vector<std::vector<double>> expected;
  for (const Tensor& p : parameters) expected.push_back(path_end(p, formula));
  const auto optimiser = make(parameters);
  take_steps(parameters, *optimiser, 1, 20);
  for (size_t i = 0; i < parameters.size(); ++i) {
    CHECK(largest_difference(parameters[i], expected[i]) < tolerance(parameters[i]));
  }
}

// v, and m if centered, and the velocity.
Formula rmsprop(const optim::RMSpropOptions& o) {
  return [o](int, double g, double& x, std::array<double, 3>& s) {
    g += o.weight_decay * x;
    s[0] = o.alpha * s[0] + (1 - o.alpha) * g * g;
    s[1] = o.alpha * s[1] + (1 - o.alpha) * g;
    const double variance = o.centered ? s[0] - s[1] * s[1] : s[0];
    s[2] = o.momentum * s[2] + g / (std::sqrt(variance) + o.eps);
    x -= o.lr * s[2];
  };
}

TEST_CASE("RMSprop follows Hinton's formula, centered and with momentum") {
  for (const optim::RMSpropOptions& options :
       {optim::RMSpropOptions{},
        {.lr = 0.002, .alpha = 0.9, .eps = 0.01, .weight_decay = 0.1},
        {.lr = 0.001, .momentum = 0.9},
        {.lr = 0.002, .alpha = 0.8, .weight_decay = 0.2, .momentum = 0.5, .centered = true},
        {.alpha = 0.8, .centered = true}}) {
    check_path(make<optim::RMSprop>(options), rmsprop(options));
  }
}

TEST_CASE("Adagrad follows the formula of Duchi and others") {
  for (const optim::AdagradOptions& o :
       {optim::AdagradOptions{},
        {.lr = 0.1, .lr_decay = 0.2, .weight_decay = 0.1},
        {.lr = 0.05, .initial_accumulator_value = 0.5, .eps = 0.01}}) {
    check_path(make<optim::Adagrad>(o), [o](int t, double g, double& x, std::array<double, 3>& s) {
      g += o.weight_decay * x;
      if (t == 1) s[0] = o.initial_accumulator_value;
      s[0] += g * g;
      x -= o.lr / (1 + (t - 1) * o.lr_decay) * g / (std::sqrt(s[0]) + o.eps);
    });
  }
}

TEST_CASE("Adadelta follows Zeiler's formula") {
  for (const optim::AdadeltaOptions& o :
       {optim::AdadeltaOptions{}, {.lr = 0.5, .rho = 0.8, .eps = 1e-3, .weight_decay = 0.1}}) {
    check_path(make<optim::Adadelta>(o), [o](int, double g, double& x, std::array<double, 3>& s) {
      g += o.weight_decay * x;
      s[0] = o.rho * s[0] + (1 - o.rho) * g * g;
      const double change = std::sqrt(s[1] + o.eps) / std::sqrt(s[0] + o.eps) * g;
      s[1] = o.rho * s[1] + (1 - o.rho) * change * change;
      x -= o.lr * change;
    });
  }
}

struct Matrix {
  size_t rows, columns;
  std::vector<double> values;
  double& at(size_t i, size_t j) { return values[i * columns + j]; }
  double at(size_t i, size_t j) const { return values[i * columns + j]; }
};

Matrix transposed(const Matrix& x) {
  Matrix y{x.columns, x.rows, x.values};
  for (size_t i = 0; i < y.rows; ++i) {
    for (size_t j = 0; j < y.columns; ++j) y.at(i, j) = x.at(j, i);
  }
  return y;
}

Matrix product(const Matrix& x, const Matrix& y) {
  Matrix z{x.rows, y.columns, std::vector<double>(x.rows * y.columns)};
  for (size_t i = 0; i < x.rows; ++i) {
    for (size_t j = 0; j < y.columns; ++j) {
      for (size_t k = 0; k < x.columns; ++k) z.at(i, j) += x.at(i, k) * y.at(k, j);
    }
  }
  return z;
}

// Jordan's polynomial of the singular values, ns_steps times.
Matrix orthogonalised(Matrix x, const optim::MuonOptions& o) {
  const bool tall = x.rows > x.columns;
  if (tall) x = transposed(x);
  double norm = 0;
  for (const double value : x.values) norm += value * value;
  for (double& value : x.values) value /= std::max(std::sqrt(norm), o.eps);
  for (int64_t step = 0; step < o.ns_steps; ++step) {
    const Matrix gram = product(x, transposed(x)), gram2 = product(gram, gram);
    const Matrix third = product(gram, x), fifth = product(gram2, x);
    for (size_t i = 0; i < x.values.size(); ++i) {
      x.values[i] = o.ns_coefficients[0] * x.values[i] + o.ns_coefficients[1] * third.values[i] +
                    o.ns_coefficients[2] * fifth.values[i];
    }
  }
  return tall ? transposed(x) : x;
}

std::vector<double> muon_end(const Tensor& start, const optim::MuonOptions& o) {
  const auto rows = static_cast<size_t>(start.size(0)),
             columns = static_cast<size_t>(start.size(1));
  std::vector<double> x = start.to_vector<double>(), m(x.size());
  const auto r = static_cast<double>(rows), c = static_cast<double>(columns);
  const double scale = o.adjust_lr == optim::MuonScale::original ? std::sqrt(std::max(1.0, r / c))
                                                                 : 0.2 * std::sqrt(std::max(r, c));
  for (int t = 1; t <= 20; ++t) {
    Matrix u{rows, columns, gradient(start, t).to_vector<double>()};
    for (size_t i = 0; i < x.size(); ++i) {
      const double g = u.values[i];
      m[i] = o.momentum * m[i] + (1 - o.momentum) * g;
      u.values[i] = o.nesterov ? o.momentum * m[i] + (1 - o.momentum) * g : m[i];
    }
    const Matrix step = orthogonalised(u, o);
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = x[i] * (1 - o.lr * o.weight_decay) - o.lr * scale * step.values[i];
    }
  }
  return x;
}

TEST_CASE("Muon follows Jordan's algorithm, for wide, square and tall matrices") {
  for (const optim::MuonOptions& options :
       {optim::MuonOptions{},
        {.lr = 0.01,
        .momentum = 0.8,
        .nesterov = false,
        .adjust_lr = optim::MuonScale::match_rms_adamw},
        {.weight_decay = 0, .ns_coefficients = {2, -1.5, 0.5}, .ns_steps = 3}}) {
    const Parameters parameters = starts({{1, 1}, {3, 7}, {5, 5}, {9, 4}});
    std::vector<std::vector<double>> expected;
    for (const Tensor& p : parameters) expected.push_back(muon_end(p, options));
    optim::Muon muon(parameters, options);
    take_steps(parameters, muon, 1, 20);
    for (size_t i = 0; i < parameters.size(); ++i) {
      CHECK(largest_difference(parameters[i], expected[i]) < 10 * tolerance(parameters[i]));
    }
  }
}

TEST_CASE("Muon's direction has singular values near 1") {
  Generator generator(1);
  Tensor x = zeros({20, 30}, {.dtype = float64, .requires_grad = true});
  x.set_grad(randn({20, 30}, generator, {.dtype = float64}) * 1e-5);
  optim::Muon({x}, {.lr = 1}).step();
  const Tensor gram = matmul(x.detach(), transpose(x.detach()));
  const Tensor off = gram * (1.0 - eye(20, {.dtype = float64}));
  CHECK(max(abs(off)).item<double>() < 0.35);  // Jordan: between about 0.7 and 1.2, not exactly 1
  CHECK(sum(gram * eye(20, {.dtype = float64})).item<double>() / 20 ==
        doctest::Approx(0.85).epsilon(0.3));
}

TEST_CASE("Muon and what is not a matrix, zero or huge") {
  const Tensor bias = zeros({3}, {.requires_grad = true});
  Tensor w = ones({2, 2}, {.requires_grad = true});
  CHECK_ERROR(optim::Muon({w, bias}), "parameter 1");
  CHECK_ERROR(optim::Muon({w}, {.momentum = -1}), "momentum");
  CHECK_ERROR(optim::Muon({w}, {.ns_steps = 100}), "ns_steps");
  optim::Muon muon({w}, {.lr = 0.1, .weight_decay = 0});
  w.set_grad(zeros({2, 2}));
  muon.step();
  CHECK(largest_difference(w, ones({2, 2})) == 0);
  w.set_grad(full({2, 2}, 3e30));  // its square is no float32
  muon.step();
  CHECK(largest_difference(w, ones({2, 2})) > 0.01);
  CHECK(largest_difference(w, ones({2, 2})) < 0.2);
  Tensor none = zeros({0, 4}, {.requires_grad = true});
  none.set_grad(zeros({0, 4}));
  optim::Muon({none}).step();
}

TEST_CASE("options that cannot be") {
  const Parameters p = {zeros({2}, {.requires_grad = true})};
  CHECK_ERROR(optim::RMSprop(p, {.alpha = 1.5}), "alpha must be in [0, 1], not 1.5");
  CHECK_ERROR(optim::RMSprop(p, {.momentum = -1}), "momentum");
  CHECK_ERROR(optim::Adagrad(p, {.lr_decay = -1}), "lr_decay");
  CHECK_ERROR(optim::Adadelta(p, {.rho = -0.1}), "rho");
  CHECK_ERROR(optim::Adadelta(p, {.lr = NAN}), "learning rate");
}

TEST_CASE("centered RMSprop under one gradient again and again makes no NaN") {
  Tensor x = zeros({64}, {.requires_grad = true});
  optim::RMSprop rmsprop({x}, {.alpha = 0.5, .centered = true});
  for (int i = 0; i < 100; ++i) {
    x.set_grad(waves({64}).to(float32));
    rmsprop.step();
  }
  for (const float value : x.to_vector<float>()) CHECK(std::isfinite(value));
  x.set_grad(full({64}, NAN));
  rmsprop.step();
  for (const float value : x.to_vector<float>()) CHECK(std::isnan(value));
}

std::vector<Make> all_four() {
  return {make<optim::RMSprop>(optim::RMSpropOptions{.momentum = 0.9, .centered = true}),
          make<optim::Adagrad>(optim::AdagradOptions{.lr_decay = 0.1}),
          make<optim::Adadelta>(optim::AdadeltaOptions{}), make<optim::Muon>(optim::MuonOptions{})};
}

TEST_CASE("each continues from its saved state with the same bits") {
  for (const Make& make : all_four()) {
    const Parameters whole = starts({{3, 5}, {6, 2}}), parts = starts({{3, 5}, {6, 2}});
    take_steps(whole, *make(whole), 1, 20);
    optim::State state;
    {
      const auto first = make(parts);
      take_steps(parts, *first, 1, 9);
      state = first->state_dict();
    }
    const auto second = make(parts);
    second->load_state_dict(state);
    take_steps(parts, *second, 10, 20);
    for (size_t i = 0; i < whole.size(); ++i) CHECK(largest_difference(parts[i], whole[i]) == 0);
    state.erase(state.begin() + 2);  // after lr and initial_lr
    CHECK_ERROR(second->load_state_dict(state), "missing: ");
  }
}

TEST_CASE("each steps to the same bits on 1 to 8 threads") {
  for (const Make& make : all_four()) {
    std::vector<std::vector<double>> first;
    for (int threads = 1; threads <= 8; ++threads) {
      set_num_threads(threads);
      const Parameters parameters = starts({{1, 1}, {150, 300}, {70, 3}});
      take_steps(parameters, *make(parameters), 1, 3);
      for (size_t i = 0; i < parameters.size(); ++i) {
        if (threads == 1) first.push_back(parameters[i].to_vector<double>());
        CHECK(parameters[i].to_vector<double>() == first[i]);
      }
    }
    set_num_threads(0);
  }
}

TEST_CASE("each is all or nothing") {
  for (const Make& make : all_four()) {
    Parameters parameters = starts({{3, 4}});
    parameters.push_back(transpose(zeros({2, 3})).detach().set_requires_grad(true));
    const auto optimiser = make(parameters);
    take_steps({parameters[0], parameters[1]}, *optimiser, 1, 2);
    const auto numbers = [&] {
      std::vector<std::vector<double>> all;
      for (const Tensor& p : parameters) all.push_back(p.to_vector<double>());
      for (const auto& [name, value] : optimiser->state_dict()) {
        all.push_back(value.to_vector<double>());
      }
      return all;
    };
    const auto before = numbers();
    parameters[2].set_grad(ones({3, 2}));
    CHECK_ERROR(optimiser->step(), "contiguous");
    CHECK(numbers() == before);
  }
}

TEST_CASE("each takes groups") {
  const Parameters all = starts({{3, 4}, {5, 2}}), alone = starts({{3, 4}, {5, 2}});
  const Parameters a = {all[0], all[1]}, b = {all[2], all[3]};
  const auto check = [&](auto together, auto one, auto other) {
    take_steps(all, together, 1, 4);
    take_steps({alone[0], alone[1]}, one, 1, 4);
    take_steps({alone[2], alone[3]}, other, 1, 4);
    for (size_t i = 0; i < all.size(); ++i) CHECK(largest_difference(all[i], alone[i]) == 0);
  };
  const Parameters c = {alone[0], alone[1]}, d = {alone[2], alone[3]};
  check(optim::RMSprop({{.params = a, .momentum = 0.5}, {.params = b, .centered = true}},
                       {.alpha = 0.9}),
        optim::RMSprop(c, {.alpha = 0.9, .momentum = 0.5}),
        optim::RMSprop(d, {.alpha = 0.9, .centered = true}));
  check(optim::Adagrad({{.params = a, .initial_accumulator_value = 0.5}, {.params = b, .lr = 0.1}}),
        optim::Adagrad(c, {.initial_accumulator_value = 0.5}), optim::Adagrad(d, {.lr = 0.1}));
  check(optim::Adadelta({{.params = a, .rho = 0.5}, {.params = b, .eps = 0.1}}),
        optim::Adadelta(c, {.rho = 0.5}), optim::Adadelta(d, {.eps = 0.1}));
  check(optim::Muon({{.params = a, .nesterov = false}, {.params = b, .ns_steps = 2}},
                    {.momentum = 0.9}),
        optim::Muon(c, {.momentum = 0.9, .nesterov = false}),
        optim::Muon(d, {.momentum = 0.9, .ns_steps = 2}));
}

TEST_SUITE_END();

}  // namespace
