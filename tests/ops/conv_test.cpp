// Convolutions: ops/conv.cpp.
#include "autograd/storage.h"
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

struct Sizes {
  int64_t batch, in, out;  // channels
  Size2 size, kernel;
  ConvOptions options = {};
};

int64_t output_size(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                    int64_t dilation) {
  return (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

// For each place that a tap of the kernel meets: body(n, o, r, c, i, a, b, row of x, column of x).
template <class Body>
void for_taps(const Array& x, const Array& w, const Index& y, const ConvOptions& k,
              const Body& body) {
  const int64_t outs = w.size(0) / k.groups;
  twin::every(y, [&](const Index& at) {
    for (int64_t i = 0; i < w.size(1); ++i) {
      for (int64_t a = 0; a < w.size(2); ++a) {
        for (int64_t b = 0; b < w.size(3); ++b) {
          const int64_t r = at[2] * k.stride.rows + a * k.dilation.rows - k.padding.rows;
          const int64_t c = at[3] * k.stride.columns + b * k.dilation.columns - k.padding.columns;
          if (r < 0 || c < 0 || r >= x.size(2) || c >= x.size(3)) continue;
          body(at, Index{at[0], at[1] / outs * w.size(1) + i, r, c}, Index{at[1], i, a, b});
        }
      }
    }
  });
}

// Seven loops. The bias, if there is one, is x[2].
Twin conv_of(const ConvOptions& k) {
  return [k](const Arrays& x) {
    const Index shape = {
        x[0].size(0), x[1].size(0),
        output_size(x[0].size(2), x[1].size(2), k.stride.rows, k.padding.rows, k.dilation.rows),
        output_size(x[0].size(3), x[1].size(3), k.stride.columns, k.padding.columns,
                    k.dilation.columns)};
    Array y = twin::make(shape, [&](const Index& at) { return x.size() > 2 ? x[2]({at[1]}) : 0; });
    for_taps(x[0], x[1], shape, k, [&](const Index& to, const Index& from, const Index& tap) {
      y(to) += x[0](from) * x[1](tap);
    });
    return y;
  };
}

// The same loops, from y to x.
Twin conv_transpose_of(const ConvTransposeOptions& k) {
  return [k](const Arrays& x) {
    const ConvOptions forward{
        .stride = k.stride, .padding = k.padding, .dilation = k.dilation, .groups = k.groups};
    const auto size = [](int64_t n, int64_t kernel, int64_t stride, int64_t padding,
                         int64_t dilation, int64_t more) {
      return (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + more + 1;
    };
    const Index shape = {x[0].size(0), x[1].size(1) * k.groups,
                         size(x[0].size(2), x[1].size(2), k.stride.rows, k.padding.rows,
                              k.dilation.rows, k.output_padding.rows),
                         size(x[0].size(3), x[1].size(3), k.stride.columns, k.padding.columns,
                              k.dilation.columns, k.output_padding.columns)};
    Array y = twin::make(shape, [&](const Index& at) { return x.size() > 2 ? x[2]({at[1]}) : 0; });
    for_taps(y, x[1], x[0].shape, forward,
             [&](const Index& from, const Index& to, const Index& tap) {
               y(to) += x[0](from) * x[1](tap);
             });
    return y;
  };
}

std::string text(const Sizes& s) {
  return "conv2d of " + std::to_string(s.batch) + " x " + std::to_string(s.in) + " to " +
         std::to_string(s.out) + ", size " + std::to_string(s.size.rows) + " " +
         std::to_string(s.size.columns) + ", kernel " + std::to_string(s.kernel.rows) + " " +
         std::to_string(s.kernel.columns) + ", stride " + std::to_string(s.options.stride.rows) +
         " " + std::to_string(s.options.stride.columns) + ", padding " +
         std::to_string(s.options.padding.rows) + " " + std::to_string(s.options.padding.columns) +
         ", dilation " + std::to_string(s.options.dilation.rows) + " " +
         std::to_string(s.options.dilation.columns) + ", groups " +
         std::to_string(s.options.groups);
}

// Values and the gradients of x, weight and bias, against the loops: of float64 and float32.
void check_sizes(const Sizes& s) {
  const Array x = numbers(in({s.batch, s.in, s.size.rows, s.size.columns}), 1);
  const Array w = numbers(in({s.out, s.in / s.options.groups, s.kernel.rows, s.kernel.columns}), 2);
  const Array bias = numbers(in({s.out}), 3);
  const Array y = conv_of(s.options)({x, w, bias});
  const Array g = numbers(in(y.shape), 4);
  Array dx = twin::make(x.shape, [](const Index&) { return 0; });
  Array dw = twin::make(w.shape, [](const Index&) { return 0; });
  for_taps(x, w, y.shape, s.options, [&](const Index& to, const Index& from, const Index& tap) {
    dx(from) += g(to) * w(tap);
    dw(tap) += g(to) * x(from);
  });
  const Function op = [&](const Tensors& given) {
    return conv2d(given[0], given[1], given[2], s.options);
  };
  for (const DType dtype : {float64, float32}) {
    const Tensors inputs = {to_tensor(x, dtype), to_tensor(w, dtype), to_tensor(bias, dtype)};
    const double bound = dtype == float64 ? 1e-13 : 2e-6;
    const auto check_one = [&](const char* what, const Tensor& got, const Array& wanted) {
      const std::string off = difference(to_array(got), wanted, bound);
      CHECK_MESSAGE(off == "", text(s), ", ", what, ": ", off);
    };
    check_one("y", op(inputs), y);
    const Tensors all = gradients(op, inputs, to_tensor(g, dtype));
    check_one("dx", all[0], dx);
    check_one("dweight", all[1], dw);
  }
}

TEST_CASE("conv2d") {
  const ConvOptions odd{.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2};
  const std::vector<Case> cases = {
      {"conv2d",
       OP(conv2d(x[0], x[1])),
       conv_of({}),
       {in({2, 3, 5, 4}), in({4, 3, 3, 2})},
       Empty::untested,
       3e-6},
      {"conv2d and bias",
       OP(conv2d(x[0], x[1], x[2], {.padding = 1})),
       conv_of({.padding = 1}),
       {in({1, 2, 4, 3}), in({3, 2, 3, 3}), in({3})},
       Empty::untested,
       3e-6},
      {"conv2d, uneven",
       [odd](const Tensors& x) { return conv2d(x[0], x[1], x[2], odd); },
       conv_of(odd),
       {in({2, 4, 5, 5}), in({2, 2, 2, 3}), in({2})},
       Empty::untested,
       3e-6},
      {"conv2d, depthwise",
       OP(conv2d(x[0], x[1], {}, {.padding = 1, .groups = 3})),
       conv_of({.padding = 1, .groups = 3}),
       {in({2, 3, 4, 4}), in({3, 1, 3, 3})},
       Empty::untested,
       3e-6},
      {"conv2d, 1 x 1",
       OP(conv2d(x[0], x[1], x[2])),
       conv_of({}),
       {in({2, 3, 2, 3}), in({2, 3, 1, 1}), in({2})},
       Empty::untested,
       3e-6},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("conv_transpose2d") {
  const ConvTransposeOptions odd{.stride = {3, 2},
                                 .padding = {1, 0},
                                 .dilation = {1, 2},
                                 .groups = 2,
                                 .output_padding = {2, 1}};
  const std::vector<Case> cases = {
      {"conv_transpose2d",
       OP(conv_transpose2d(x[0], x[1])),
       conv_transpose_of({}),
       {in({2, 3, 3, 2}), in({3, 2, 2, 3})},
       Empty::untested,
       3e-6},
      {"conv_transpose2d, uneven",
       [odd](const Tensors& x) { return conv_transpose2d(x[0], x[1], x[2], odd); },
       conv_transpose_of(odd),
       {in({1, 4, 3, 2}), in({4, 1, 2, 3}), in({2})},
       Empty::untested,
       3e-6},
      {"conv_transpose2d, its stride above its kernel",
       OP(conv_transpose2d(x[0], x[1], x[2], {.stride = 3})),
       conv_transpose_of({.stride = 3}),
       {in({1, 2, 2, 2}), in({2, 2, 2, 1}), in({2})},
       Empty::untested,
       3e-6},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("conv1d") {
  const auto rows = [](const ConvOptions& k) -> Twin {
    return [k](const Arrays& x) {
      Arrays images = x;
      for (const size_t i : {size_t{0}, size_t{1}})
        images[i].shape.insert(images[i].shape.begin() + 2, 1);
      Array y = conv_of(k)(images);
      y.shape.erase(y.shape.begin() + 2);
      return y;
    };
  };
  check_case({"conv1d",
              OP(conv1d(x[0], x[1], x[2])),
              rows({}),
              {in({2, 3, 7}), in({4, 3, 3}), in({4})},
              Empty::untested,
              3e-6});
  check_case({"conv1d, uneven",
              OP(conv1d(x[0], x[1], {}, {.stride = 2, .padding = 3, .dilation = 2, .groups = 2})),
              rows({.stride = {1, 2}, .padding = {0, 3}, .dilation = {1, 2}, .groups = 2}),
              {in({2, 4, 8}), in({2, 2, 3})},
              Empty::untested,
              3e-6});
}

TEST_CASE("conv2d over a grid of strides, paddings, dilations and groups") {
  for (const int64_t stride : {1, 2, 3}) {
    for (const int64_t padding : {0, 1, 4}) {
      for (const int64_t dilation : {1, 2, 3}) {
        for (const int64_t groups : {1, 2, 6}) {
          check_sizes({2,
                       6,
                       12,
                       {9, 11},
                       {3, 2},
                       {.stride = {stride, 1 + stride % 3},
                        .padding = {padding, 3},
                        .dilation = {dilation, 1},
                        .groups = groups}});
        }
      }
    }
  }
}

TEST_CASE("conv2d of sizes that fill tiles, panels and blocks, or nearly") {
  const std::vector<Sizes> all = {
      {1, 1, 1, {1, 1}, {1, 1}},
      {3, 1, 6, {28, 28}, {5, 5}, {.padding = 2}},
      {5, 6, 16, {14, 14}, {5, 5}},
      {4, 16, 20, {5, 5}, {5, 5}},
      {1, 3, 17, {33, 31}, {7, 7}, {.stride = 2, .padding = 3}},
      {2, 70, 33, {7, 7}, {3, 3}, {.padding = 1}},  // several blocks of channels
      {9, 65, 15, {7, 7}, {3, 3}, {.padding = 1}},  // panels that span images
      {1, 8, 15, {40, 40}, {3, 3}, {.padding = 1}},
      {2, 5, 29, {24, 24}, {1, 1}},
      {2, 6, 7, {15, 15}, {1, 1}, {.stride = 2}},
      {1, 1, 2, {1, 1500}, {1, 9}, {.stride = {1, 5}}},
      {1, 4, 3, {1, 2000}, {1, 3}, {.padding = {0, 1}}},
      {2, 3, 3, {70, 3}, {3, 3}, {.padding = 1, .groups = 3}},
      {2, 4, 4, {17, 19}, {5, 5}, {.stride = 2, .padding = 2, .groups = 4}},
      {2, 4, 8, {9, 9}, {3, 3}, {.padding = 1, .groups = 4}},
      {2, 3, 4, {4, 4}, {4, 4}},
      {1, 2, 3, {30, 1}, {3, 1}},
  };
  for (const Sizes& one : all) check_sizes(one);
}

TEST_CASE("conv2d, the same bits for 1 to 8 threads") {
  const Function op = OP(conv2d(x[0], x[1], x[2], {.stride = 2, .padding = 1}));
  const Function depthwise = OP(conv2d(x[0], x[1], x[2], {.padding = 1, .groups = 32}));
  Generator generator(1);
  const Tensor x = randn({5, 32, 23, 23}, generator), bias = randn({48}, generator);
  const Tensor w = randn({48, 32, 3, 3}, generator), alone = randn({32, 1, 3, 3}, generator);
  const Tensor g = randn({5, 48, 12, 12}, generator), of_alone = randn({5, 32, 23, 23}, generator);
  Tensors first;
  for (int threads = 1; threads <= 8; ++threads) {
    set_num_threads(threads);
    Tensors now = gradients(op, {x, w, bias}, g);
    now.push_back(op({x, w, bias}));
    for (const Tensor& one : gradients(depthwise, {x, alone, zeros({32})}, of_alone))
      now.push_back(one);
    now.push_back(depthwise({x, alone, zeros({32})}));
    if (threads == 1) first = now;
    for (size_t i = 0; i < now.size(); ++i) CHECK(same_bits(now[i], first[i]));
  }
  set_num_threads(0);
}

TEST_CASE("convolutions' derivatives of the third order") {
  const Tensors inputs = {to_tensor(numbers(in({1, 2, 4, 4}), 1)),
                          to_tensor(numbers(in({2, 2, 2, 2}), 2))};
  const auto slope_of_square = [](const Tensors& x) {
    const auto leaf = [](const Tensor& one) {
      return one.requires_grad() ? one : one.detach().set_requires_grad(true);
    };
    const Tensor image = leaf(x[0]), weight = leaf(x[1]);
    const Tensors all = grad({sum(mul(conv2d(image, weight), conv2d(image, weight)))},
                             {image, weight}, {.create_graph = true});
    return add(sum(mul(all[0], all[0])), sum(mul(all[1], all[1])));
  };
  CHECK(gradgradcheck(slope_of_square, inputs));
}

TEST_CASE("conv2d of NaN and infinity") {
  Tensor x = zeros({1, 1, 8, 8});
  select(select(select(select(x, 0, 0), 0, 0), 0, 3), 0, 3)
      .fill_(std::numeric_limits<double>::quiet_NaN());
  const Tensor y = conv2d(x, ones({2, 1, 3, 3}), {}, {.padding = 1});
  int64_t count = 0;
  for (const float value : y.to_vector<float>()) count += std::isnan(value);
  CHECK(count == 18);  // nine places of each channel, no more
}

TEST_CASE("a convolution keeps no matrix of columns") {
  Generator generator(1);
  const Tensor x = randn({2, 32, 64, 64}, generator, {.requires_grad = true});
  const Tensor w = randn({8, 32, 3, 3}, generator, {.requires_grad = true});
  reset_peak_memory();
  const int64_t before = memory_use().peak_bytes;
  sum(conv2d(x, w, {}, {.padding = 1})).backward();
  CHECK(memory_use().peak_bytes - before < 3 * x.numel() * 4);
}

TEST_CASE("convolutions of nothing") {
  const Tensor none = zeros({0, 3, 8, 8}), w = ones({4, 3, 3, 3}), bias = ones({4});
  CHECK(conv2d(none, w, bias).shape() == Shape{0, 4, 6, 6});
  CHECK(conv_transpose2d(none, ones({3, 4, 3, 3})).shape() == Shape{0, 4, 10, 10});
  const Tensors all = gradients(OP(conv2d(x[0], x[1], x[2])), {none, w, bias}, zeros({0, 4, 6, 6}));
  CHECK(all[0].shape() == none.shape());
  CHECK(same_bits(all[1], zeros({4, 3, 3, 3})));
  CHECK(same_bits(all[2], zeros({4})));
  const Tensor of_no_channel = conv2d(zeros({1, 0, 4, 4}), zeros({4, 0, 3, 3}), bias);
  CHECK(same_bits(of_no_channel, ones({1, 4, 2, 2})));
  CHECK(conv2d(zeros({3, 8, 8}), w).shape() == Shape{4, 6, 6});
  CHECK(conv1d(zeros({3, 8}), zeros({4, 3, 3})).shape() == Shape{4, 6});
  CHECK(conv_transpose2d(zeros({3, 8, 8}), zeros({3, 4, 3, 3})).shape() == Shape{4, 10, 10});
}

TEST_CASE("convolutions of sizes that do not fit") {
  const Tensor x = zeros({1, 3, 8, 8}), w = zeros({4, 3, 3, 3});
  CHECK_ERROR(conv2d(zeros({1, 2, 8, 8}), w), "conv2d: input [1, 2, 8, 8] has 2 channels");
  CHECK_ERROR(conv2d(x, zeros({4, 3, 9, 3})), "conv2d: the kernel of [4, 3, 9, 3] with dilation 1");
  CHECK_ERROR(conv2d(x, w, {}, {.dilation = 4}), "conv2d: the kernel of [4, 3, 3, 3] with");
  CHECK_ERROR(conv2d(x, w, {}, {.padding = -1}), "conv2d: the padding must be 0 or more, not -1");
  CHECK_ERROR(conv2d(x, w, {}, {.stride = 0}), "conv2d: stride and dilation must be 1 or more");
  CHECK_ERROR(conv2d(x, w, {}, {.dilation = {1, 0}}), "conv2d: stride and dilation must be");
  CHECK_ERROR(conv2d(x, w, {}, {.groups = 3}), "conv2d: 3 groups do not divide the 4 channels");
  CHECK_ERROR(conv2d(x, w, {}, {.groups = 2}), "conv2d: input [1, 3, 8, 8] has 3 channels");
  CHECK_ERROR(conv2d(x, w, {}, {.groups = 0}), "conv2d: groups must be 1 or more, not 0");
  CHECK_ERROR(conv2d(x, w, zeros({3})), "conv2d: the result has 4 channels, the bias is [3]");
  CHECK_ERROR(conv2d(x, zeros({4, 3, 3})), "conv2d: takes images [n, in, h, w]");
  CHECK_ERROR(conv2d(x, w.to(float64)), "conv2d: ");
  CHECK_ERROR(conv2d(x.to(int64), w.to(int64)), "conv2d: takes float32 or float64");
  CHECK_ERROR(conv2d(x, zeros({4, 3, 0, 3})), "conv2d: [4, 3, 0, 3] has no taps");
  CHECK_ERROR(conv2d(zeros({1, 3, 0, 8}), w), "conv2d: the kernel of [4, 3, 3, 3]");
  CHECK_ERROR(conv2d(x, w, {}, {.padding = INT64_MAX / 2}), "");
  CHECK_ERROR(conv2d(x, w, {}, {.dilation = INT64_MAX}), "");
  CHECK_ERROR(conv1d(x, w), "conv1d: takes sequences [n, in, t]");
  CHECK_ERROR(conv1d(zeros({1, 3, 8}), zeros({4, 2, 3})), "conv1d: input [1, 3, 1, 8] has 3");
  CHECK_ERROR(conv_transpose2d(x, w), "conv_transpose2d: input [1, 3, 8, 8] has 3 channels");
  CHECK_ERROR(conv_transpose2d(x, zeros({3, 4, 3, 3}), {}, {.output_padding = 1}),
              "conv_transpose2d: output_padding 1 must be 0 or more, and below the stride");
  CHECK_ERROR(conv_transpose2d(x, zeros({3, 4, 3, 3}), {}, {.padding = 5}),
              "conv_transpose2d: input [1, 3, 8, 8] and the kernel of");
}

TEST_SUITE_END();

}  // namespace
