// Pooling and upsampling: ops/pool.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

struct Window {
  Size2 kernel;
  PoolOptions options = {};
};

// f(list of the elements that each output sees); with_padding: with the zeros around x.
template <class F>
Twin pooled(const Window& w, bool with_padding, F f) {
  return [w, with_padding, f](const Arrays& x) {
    const auto stride = [](int64_t given, int64_t kernel) { return given == 0 ? kernel : given; };
    const Size2 step(stride(w.options.stride.rows, w.kernel.rows),
                     stride(w.options.stride.columns, w.kernel.columns));
    const auto outputs = [](int64_t size, int64_t kernel, int64_t from_one, int64_t padding,
                            int64_t dilation) {
      return (size + 2 * padding - dilation * (kernel - 1) - 1) / from_one + 1;
    };
    const Index shape = {x[0].size(0), x[0].size(1),
                         outputs(x[0].size(2), w.kernel.rows, step.rows, w.options.padding.rows,
                                 w.options.dilation.rows),
                         outputs(x[0].size(3), w.kernel.columns, step.columns,
                                 w.options.padding.columns, w.options.dilation.columns)};
    return twin::make(shape, [&](const Index& at) {
      std::vector<double> seen;
      for (int64_t a = 0; a < w.kernel.rows; ++a) {
        for (int64_t b = 0; b < w.kernel.columns; ++b) {
          const int64_t r =
              at[2] * step.rows - w.options.padding.rows + a * w.options.dilation.rows;
          const int64_t c =
              at[3] * step.columns - w.options.padding.columns + b * w.options.dilation.columns;
          const bool inside = r >= 0 && c >= 0 && r < x[0].size(2) && c < x[0].size(3);
          if (inside)
            seen.push_back(x[0]({at[0], at[1], r, c}));
          else if (with_padding)
            seen.push_back(0);
        }
      }
      return f(seen);
    });
  };
}

double greatest_of(const std::vector<double>& x) { return *std::max_element(x.begin(), x.end()); }

double mean_of(const std::vector<double>& x) {
  double sum = 0;
  for (double one : x) sum += one;
  return sum / static_cast<double>(x.size());
}

TEST_CASE("max_pool2d") {
  const Window windows[] = {
      {2}, {{3, 2}, {.stride = {2, 1}, .padding = 1}}, {2, {.stride = 1, .dilation = {2, 1}}}};
  for (const Window& w : windows) {
    check_case({"max_pool2d",
                [w](const Tensors& x) { return max_pool2d(x[0], w.kernel, w.options); },
                pooled(w, false, greatest_of),
                {in({2, 3, 5, 4})},
                Empty::untested});
  }
  check_case({"max_pool1d",
              OP(unsqueeze(max_pool1d(squeeze(x[0], 2), 3, {.stride = 2, .padding = 1}), 2)),
              pooled({{1, 3}, {.stride = {1, 2}, .padding = {0, 1}}}, false, greatest_of),
              {in({2, 3, 1, 9})},
              Empty::untested});
}

TEST_CASE("max_pool2d of ties, NaN and minus infinity") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), low = -INFINITY;
  const Tensor given = tensor({1.0, 1.0, nan, 2.0, low, low, 3.0, nan}, {1, 1, 2, 4});
  const Tensors g =
      gradients(OP(max_pool2d(x[0], {1, 2})), {given}, ones({1, 1, 2, 2}, {.dtype = float64}));
  const std::vector<double> y = max_pool2d(given, {1, 2}).to_vector<double>();
  CHECK(y[0] == 1);
  CHECK(std::isnan(y[1]));
  CHECK(y[2] == low);
  CHECK(std::isnan(y[3]));
  CHECK(g[0].to_vector<double>() == std::vector<double>{1, 0, 1, 0, 1, 0, 0, 1});
}

TEST_CASE("avg_pool2d") {
  const Window windows[] = {{2}, {{3, 2}, {.stride = {2, 1}, .padding = 1}}};
  for (const Window& w : windows) {
    check_case({"avg_pool2d",
                [w](const Tensors& x) { return avg_pool2d(x[0], w.kernel, w.options); },
                pooled(w, true, mean_of),
                {in({2, 3, 5, 4})},
                Empty::untested,
                2e-6});
  }
}

TEST_CASE("adaptive_avg_pool2d") {
  for (const Size2 size : {Size2(1), Size2(2, 3), Size2(3, 2), Size2(5, 7)}) {
    const Twin twin = [size](const Arrays& x) {
      return twin::make(
          {x[0].size(0), x[0].size(1), size.rows, size.columns}, [&](const Index& at) {
            const auto begin = [](int64_t i, int64_t n, int64_t to) { return i * n / to; };
            const auto end = [](int64_t i, int64_t n, int64_t to) {
              return ((i + 1) * n + to - 1) / to;
            };
            std::vector<double> seen;
            for (int64_t r = begin(at[2], 4, size.rows); r < end(at[2], 4, size.rows); ++r) {
              for (int64_t c = begin(at[3], 6, size.columns); c < end(at[3], 6, size.columns); ++c)
                seen.push_back(x[0]({at[0], at[1], r, c}));
            }
            return mean_of(seen);
          });
    };
    check_case({"adaptive_avg_pool2d",
                [size](const Tensors& x) { return adaptive_avg_pool2d(x[0], size); },
                twin,
                {in({2, 2, 4, 6})},
                Empty::untested,
                2e-6});
  }
}

TEST_CASE("upsample") {
  check_case({"upsample",
              OP(upsample(x[0], {.scale = {2, 3}})),
              [](const Arrays& x) {
                return twin::make({2, 1, 6, 6}, [&](const Index& at) {
                  return x[0]({at[0], at[1], at[2] / 2, at[3] / 3});
                });
              },
              {in({2, 1, 3, 2})},
              Empty::untested});
  const auto at_place = [](int64_t i, int64_t scale, int64_t size, auto value) {
    const double place = (static_cast<double>(i) + 0.5) / static_cast<double>(scale) - 0.5;
    const double inside = std::clamp(place, 0.0, static_cast<double>(size - 1));
    const auto low = static_cast<int64_t>(inside);
    const double part = inside - static_cast<double>(low);
    return value(low) * (1 - part) + (part > 0 ? value(low + 1) * part : 0);
  };
  check_case(
      {"upsample, bilinear",
       OP(upsample(x[0], {.scale = {2, 3}, .mode = "bilinear"})),
       [at_place](const Arrays& x) {
         return twin::make({2, 1, 6, 6}, [&](const Index& at) {
           return at_place(at[2], 2, 3, [&](int64_t r) {
             return at_place(at[3], 3, 2, [&](int64_t c) { return x[0]({at[0], at[1], r, c}); });
           });
         });
       },
       {in({2, 1, 3, 2})},
       Empty::untested});
}

TEST_CASE("pooling of sizes that do not fit, and of nothing") {
  const Tensor x = zeros({1, 2, 4, 4});
  CHECK_ERROR(max_pool2d(x, 5), "max_pool2d: a kernel of 5 with dilation 1 is larger than input");
  CHECK_ERROR(max_pool2d(x, 2, {.padding = 2}), "max_pool2d: the padding must be from 0 to half");
  CHECK_ERROR(max_pool2d(x, 2, {.padding = -1}), "max_pool2d: the padding must be from 0 to half");
  CHECK_ERROR(max_pool2d(x, 0), "max_pool2d: kernel, stride and dilation must be 1 or more");
  CHECK_ERROR(max_pool2d(zeros({4, 4}), 2), "max_pool2d: takes [n, c, h, w]");
  CHECK_ERROR(max_pool2d(x.to(int64), 2), "max_pool2d: takes float32 or float64");
  CHECK_ERROR(max_pool1d(x, 2), "max_pool1d: takes [n, c, t]");
  CHECK_ERROR(avg_pool2d(x, {5, 1}), "avg_pool2d: a kernel of 5");
  CHECK_ERROR(adaptive_avg_pool2d(x, 0), "adaptive_avg_pool2d: [1, 2, 4, 4] cannot be divided");
  CHECK_ERROR(upsample(x, {.scale = 0}), "upsample: the scale must be 1 or more");
  CHECK_ERROR(upsample(x, {.mode = "cubic"}),
              "upsample: the mode is nearest or bilinear, not cubic");
  CHECK(max_pool2d(zeros({0, 2, 4, 4}), 2).shape() == Shape{0, 2, 2, 2});
  CHECK(avg_pool2d(zeros({0, 2, 4, 4}), 2).shape() == Shape{0, 2, 2, 2});
  CHECK(max_pool2d(zeros({2, 4, 4}), 2).shape() == Shape{2, 2, 2});
  CHECK(adaptive_avg_pool2d(zeros({2, 4, 4}), 2).shape() == Shape{2, 2, 2});
  CHECK(upsample(zeros({2, 4, 4})).shape() == Shape{2, 8, 8});
}

TEST_SUITE_END();

}  // namespace
