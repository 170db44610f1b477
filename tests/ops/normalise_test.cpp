// layer_norm, rms_norm, batch_norm and group_norm: ops/normalise.cpp, ops/batch_norm.cpp.
#include <numeric>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using List = std::vector<double>;

List normalised(const List& x) {
  const auto n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double square = 0;
  for (double v : x) square += (v - mean) * (v - mean);
  List y;
  for (double v : x) y.push_back((v - mean) / std::sqrt(square / n + 1e-5));
  return y;
}

Array layer_norm_of(const Arrays& x) {
  Array y = twin::along(normalised, x[0], -1);
  if (x.size() > 1) y = each([](double a, double b) { return a * b; })({y, x[1]});
  if (x.size() > 2) y = each([](double a, double b) { return a + b; })({y, x[2]});
  return y;
}

TEST_CASE("layer_norm") {
  const std::vector<Case> cases = {
      {"layer_norm", OP(layer_norm(x[0])), layer_norm_of, {in({3, 5})}, Empty::works, 4e-6},
      {"layer_norm and weight",
       OP(layer_norm(x[0], x[1])),
       layer_norm_of,
       {in({2, 3, 5}), in({5})},
       Empty::works,
       4e-6},
      {"layer_norm, weight and bias",
       OP(layer_norm(x[0], x[1], x[2])),
       layer_norm_of,
       {in({3, 5}), in({5}), in({5})},
       Empty::works,
       4e-6},
      {"layer_norm of rank 4",
       OP(layer_norm(x[0], x[1], x[2])),
       layer_norm_of,
       {in({2, 2, 2, 4}), in({4}), in({4})},
       Empty::works,
       4e-6},
  };
  for (const Case& c : cases) check_case(c);
  check_case(
      {"layer_norm and bias",
       OP(layer_norm(x[0], {}, x[1])),
       [](const Arrays& x) {
         return each([](double a, double b) { return a + b; })({layer_norm_of({x[0]}), x[1]});
       },
       {in({3, 5}), in({5})},
       Empty::works,
       4e-6});
}

TEST_CASE("layer_norm at a far mean, in the same float32 numbers") {
  for (const double mean : {0.0, 1e2, 1e3, 1e4, 1e6}) {
    for (const int64_t n : {5, 16, 33, 256}) {
      const Array x = to_array(to_tensor(twin::make({2, n},
                                                    [&](const Index& index) {
                                                      return mean +
                                                             static_cast<double>(index[1]) * 1e-3 +
                                                             static_cast<double>(index[0]);
                                                    }),
                                         float32));
      const std::string off =
          difference(to_array(layer_norm(to_tensor(x, float32))), layer_norm_of({x}), 1e-3);
      CHECK_MESSAGE(off == "", "mean ", mean, " n ", n, ": ", off);
    }
  }
  CHECK(all_finite(layer_norm(tensor({1e18f, -1e18f, 3e17f, 0.0f}, {4}))));
  CHECK(all_finite(layer_norm(tensor({1e30f, 1e30f, 1e30f, 1e30f}, {4}))));
  CHECK(all_finite(layer_norm(tensor({1e30f, -1e30f, 3e29f, 0.0f}, {4}))));
}

TEST_CASE("layer_norm of rows whose first numbers are far from all others") {
  for (const double far : {10.0, 1e3, 1e5}) {
    for (const int64_t few : {1, 4, 8, 16}) {  // as many as the cpu guesses the mean from
      const Array x = to_array(to_tensor(
          twin::make({2, 4000},
                     [&](const Index& index) {
                       const double spread = std::sin(static_cast<double>(index[1]));
                       return (index[1] < few ? far : 0.0) + spread + static_cast<double>(index[0]);
                     }),
          float32));
      const std::string off =
          difference(to_array(layer_norm(to_tensor(x, float32))), layer_norm_of({x}), 2e-6);
      CHECK_MESSAGE(off == "", "far ", far, ", ", few, " of them: ", off);
    }
  }
}

TEST_CASE("layer_norm over no features, and its derivatives") {
  for (const Shape& shape : {Shape{3, 0}, Shape{0}, Shape{0, 0}, Shape{2, 3, 0}}) {
    for (const bool create_graph : {false, true}) {
      const auto op = [](const Tensors& x) { return layer_norm(x[0], x[1], x[2]); };
      const Tensors g =
          gradients(op, {zeros(shape), zeros({0}), zeros({0})}, zeros(shape), create_graph);
      CHECK(g[0].shape() == shape);
      CHECK(g[1].shape() == Shape{0});
      CHECK(g[2].shape() == Shape{0});
    }
  }
}

TEST_CASE("layer_norm of equal numbers") {
  const Tensor same = full({3, 7}, 4.2, {.dtype = float64});
  CHECK(greatest(layer_norm(same).to_vector<double>()) < 1e-10);
  CHECK(all_finite(gradients(OP(layer_norm(x[0])), {same}, ones_like(same))[0]));
}

Array rms_norm_of(const Arrays& x) {
  const Array z = twin::along(
      [](const List& row) {
        double square = 0;
        for (double v : row) square += v * v;
        List out;
        for (double v : row)
          out.push_back(v / std::sqrt(square / static_cast<double>(row.size()) + 1e-5));
        return out;
      },
      x[0], -1);
  return x.size() > 1 ? each([](double a, double b) { return a * b; })({z, x[1]}) : z;
}

TEST_CASE("rms_norm") {
  check_case({"rms_norm", OP(rms_norm(x[0])), rms_norm_of, {in({3, 5})}, Empty::works, 4e-6});
  check_case({"rms_norm and weight",
              OP(rms_norm(x[0], x[1])),
              rms_norm_of,
              {in({2, 3, 37}), in({37})},
              Empty::works,
              4e-6});
  CHECK_ERROR(rms_norm(zeros({2, 3}), zeros({2})), "rms_norm: input [2, 3] has 3 features, [2]");
  CHECK_ERROR(rms_norm(scalar(1.0)), "rms_norm: needs a dimension");
}

// (x - mean) / sqrt(var + eps) w + b, of each channel of x [n, c, t] or of groups of them.
Array normalised_groups(const Arrays& x, bool over_batch, int64_t channels_of_group) {
  const auto group_of = [&](const Index& at) {
    return over_batch ? at[1] : at[0] * x[0].size(1) + at[1] / channels_of_group;
  };
  std::map<int64_t, List> groups;
  twin::every(x[0].shape, [&](const Index& at) { groups[group_of(at)].push_back(x[0](at)); });
  std::map<int64_t, std::pair<double, double>> moments;
  for (const auto& [group, list] : groups) {
    const double mean =
        std::accumulate(list.begin(), list.end(), 0.0) / static_cast<double>(list.size());
    double square = 0;
    for (double v : list) square += (v - mean) * (v - mean);
    moments[group] = {mean, std::sqrt(square / static_cast<double>(list.size()) + 1e-5)};
  }
  return twin::make(x[0].shape, [&](const Index& at) {
    const auto& [mean, deviation] = moments[group_of(at)];
    return (x[0](at) - mean) / deviation * x[1]({at[1]}) + x[2]({at[1]});
  });
}

TEST_CASE("batch_norm") {
  check_case({"batch_norm, in training",
              OP(batch_norm(x[0], {}, {}, x[1], x[2], {.training = true})),
              [](const Arrays& x) { return normalised_groups(x, true, 1); },
              {in({3, 2, 4}), in({2}), in({2})},
              Empty::untested,
              6e-6});
  check_case({"batch_norm",
              OP(batch_norm(x[0], x[1], x[2], x[3], x[4])),
              [](const Arrays& x) {
                return twin::make(x[0].shape, [&](const Index& at) {
                  const Index c = {at[1]};
                  return (x[0](at) - x[1](c)) / std::sqrt(x[2](c) + 1e-5) * x[3](c) + x[4](c);
                });
              },
              {in({3, 2, 2, 2}), in({2}), in({2}, 0.5, 2), in({2}), in({2})},
              Empty::untested,
              4e-6});
  Tensor mean = zeros({2}), var = ones({2});
  const Tensor two = tensor({1.0f, 2.0f, 3.0f, 6.0f}, {2, 2});  // channels 1 3 and 2 6
  batch_norm(two, mean, var, {}, {}, {.training = true, .momentum = 0.5});
  CHECK(mean.to_vector<float>() == std::vector<float>{1, 2});
  CHECK(var.to_vector<float>() == std::vector<float>{1.5, 4.5});
  CHECK_ERROR(batch_norm(two, {}, {}), "batch_norm: needs a mean and a var outside training");
  CHECK_ERROR(batch_norm(zeros({1, 2}), {}, {}, {}, {}, {.training = true}),
              "batch_norm: training needs more than one number for each channel, input [1, 2]");
  CHECK_ERROR(batch_norm(two, zeros({3}), var), "batch_norm: input [2, 2] has 2 channels, [3]");
  CHECK_ERROR(batch_norm(zeros({2}), mean, var), "batch_norm: takes [n, c, ..], not [2]");
}

TEST_CASE("group_norm") {
  check_case({"group_norm",
              OP(group_norm(x[0], 2, x[1], x[2])),
              [](const Arrays& x) { return normalised_groups(x, false, 2); },
              {in({2, 4, 3}), in({4}), in({4})},
              Empty::untested,
              6e-6});
  CHECK_ERROR(group_norm(zeros({2, 4}), 3), "group_norm: 3 groups do not divide 4 channels");
  CHECK(group_norm(zeros({0, 4, 2}), 2, ones({4})).shape() == Shape{0, 4, 2});
}

TEST_SUITE_END();

}  // namespace
