#include "tests/ops/case.h"

#include <cstring>
#include <set>

namespace regrad {

Tensor to_tensor(const Array& x, DType dtype) {
  return tensor(x.values, to_shape(x.shape), {.dtype = dtype});
}

Array to_array(const Tensor& x) {
  return {Index(x.shape().begin(), x.shape().end()), x.to_vector<double>()};
}

Array numbers(const In& input, int64_t salt) {
  int64_t i = 101 * salt;
  return twin::make(input.shape, [&](const Index&) {
    const double turn = 0.61803398874989485 * static_cast<double>(++i);
    const double value = input.low + (turn - std::floor(turn)) * (input.high - input.low);
    return is_float(input.dtype) ? value : std::floor(value);
  });
}

namespace {

// What surrounds a slice: never to be read.
double poison(DType dtype) {
  return dtype == int64 ? -999 : dtype == bool_ ? 1 : std::numeric_limits<double>::quiet_NaN();
}

Viewed transposed(const Array& x, DType dtype) {
  const auto rank = static_cast<int64_t>(x.shape.size());
  if (rank < 2) {  // a column of a wider array
    const Index wide = rank == 0 ? Index{2} : Index{x.shape[0], 2};
    const Array leaf = twin::make(wide, [&](Index index) {
      if (index.back() == 0) return poison(dtype);
      index.pop_back();
      return x(index);
    });
    return {to_tensor(leaf, dtype), [](const Tensor& t) { return select(t, -1, 1); }, x};
  }
  Index turned = x.shape;
  std::swap(turned[turned.size() - 1], turned[turned.size() - 2]);
  const Array leaf = twin::make(turned, [&](Index index) {
    std::swap(index[index.size() - 1], index[index.size() - 2]);
    return x(index);
  });
  return {to_tensor(leaf, dtype), [](const Tensor& t) { return transpose(t); }, x};
}

Viewed sliced(const Array& x, DType dtype) {  // every second of the last, from the second on
  Index wide = x.shape;
  if (wide.empty()) return transposed(x, dtype);
  wide.back() = 2 * wide.back() + 1;
  wide.front() += wide.size() > 1 ? 1 : 0;
  const bool rows = wide.size() > 1;
  const Array leaf = twin::make(wide, [&](Index index) {
    if (index.back() % 2 == 0 || (rows && index.front() == 0)) return poison(dtype);
    index.back() /= 2;
    if (rows) --index.front();
    return x(index);
  });
  const auto view = [rows](const Tensor& t) {
    const Tensor columns = slice(t, -1, 1, t.size(-1), 2);
    return rows ? narrow(columns, 0, 1, t.size(0) - 1) : columns;
  };
  return {to_tensor(leaf, dtype), view, x};
}

Viewed expanded(const Array& x, DType dtype) {  // the first dimension that can be repeated
  for (size_t d = 0; d < x.shape.size(); ++d) {
    if (x.shape[d] < 2) continue;
    Index narrow_shape = x.shape;
    narrow_shape[d] = 1;
    const Array leaf = twin::make(narrow_shape, [&](const Index& index) { return x(index); });
    const Array seen = twin::make(x.shape, [&](const Index& index) { return leaf(index); });
    const Shape shape = to_shape(x.shape);
    return {to_tensor(leaf, dtype), [shape](const Tensor& t) { return expand(t, shape); }, seen};
  }
  return {to_tensor(x, dtype), [](const Tensor& t) { return t; }, x};
}

}  // namespace

Viewed viewed(const Array& x, DType dtype, Layout layout) {
  switch (layout) {
    case Layout::transposed:
      return transposed(x, dtype);
    case Layout::sliced:
      return sliced(x, dtype);
    case Layout::expanded:
      return expanded(x, dtype);
    default:
      return {to_tensor(x, dtype), [](const Tensor& t) { return t; }, x};
  }
}

double greatest(const std::vector<double>& values) {
  double largest = 0;
  for (double value : values)
    largest = std::isfinite(value) ? std::max(largest, std::abs(value)) : largest;
  return largest;
}

std::string difference(const Array& got, const Array& wanted, double bound) {
  if (got.shape != wanted.shape) {
    return "the shape is " + to_shape(got.shape).str() + ", not " + to_shape(wanted.shape).str();
  }
  const double allowed = bound * std::max(greatest(wanted.values), 1e-30);
  for (size_t i = 0; i < got.values.size(); ++i) {
    const double a = got.values[i], b = wanted.values[i];
    if (a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= allowed) continue;
    return "element " + std::to_string(i) + " is " + std::to_string(a) + ", not " +
           std::to_string(b) + "; off by " + std::to_string(std::abs(a - b) / allowed) + " bounds";
  }
  return "";
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0);
}

Tensors gradients(const Function& op, const Tensors& inputs, const Tensor& g, bool create_graph) {
  Tensors leaves, wanted;
  for (const Tensor& x : inputs) {
    leaves.push_back(is_float(x.dtype()) ? x.detach().set_requires_grad(true) : x);
    if (is_float(x.dtype())) wanted.push_back(leaves.back());
  }
  const Tensor y = op(leaves);
  if (!y.requires_grad()) return {};
  return grad({y}, wanted,
              {.grad_outputs = {g}, .create_graph = create_graph, .allow_unused = true});
}

namespace {

bool has_gradient(const Function& op, const Tensors& inputs) {
  Tensors leaves;
  for (const Tensor& x : inputs) {
    leaves.push_back(is_float(x.dtype()) ? x.detach().set_requires_grad(true) : x);
  }
  return op(leaves).requires_grad();
}

// A derivative may be computed in another way while it is recorded: the numbers are the same.
void check_recorded(const Function& op, const Tensors& inputs, const Shape& shape) {
  const Tensor g = to_tensor(numbers({Index(shape.begin(), shape.end()), 0.5, 1.5}, 9));
  const Tensors plain = gradients(op, inputs, g), recorded = gradients(op, inputs, g, true);
  Tensors wanted;
  for (const Tensor& x : inputs) {
    if (is_float(x.dtype())) wanted.push_back(x);
  }
  double largest = 0;  // what is nothing but rounding in one gradient is small beside the others
  for (const Tensor& one : plain) {
    if (one.defined()) largest = std::max(largest, greatest(one.to_vector<double>()));
  }
  for (size_t k = 0; k < plain.size(); ++k) {
    REQUIRE(plain[k].defined() == recorded[k].defined());
    if (!plain[k].defined()) continue;
    CHECK(plain[k].shape() == wanted[k].shape());
    const Array exact = to_array(plain[k]);
    const double own = std::max(greatest(exact.values), 1e-30);
    const std::string off = difference(to_array(recorded[k]), exact, 1e-11 * largest / own);
    CHECK_MESSAGE(off == "", "recorded gradient ", k, ": ", off);
  }
}

void check_layouts(const Case& c, const std::vector<Layout>& layouts) {
  Tensors leaves;
  Arrays seen;
  std::vector<std::function<Tensor(const Tensor&)>> views;
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    const Viewed v = viewed(numbers(c.inputs[k], static_cast<int64_t>(k)), c.inputs[k].dtype,
                            layouts[k % layouts.size()]);
    leaves.push_back(v.leaf);
    views.push_back(v.view);
    seen.push_back(v.seen);
  }
  const Function op = [&](const Tensors& x) {
    Tensors arguments;
    for (size_t k = 0; k < x.size(); ++k) arguments.push_back(views[k](x[k]));
    return c.op(arguments);
  };
  const Tensor y = op(leaves);
  CHECK_MESSAGE(difference(to_array(y), c.twin(seen), 1e-12) == "",
                difference(to_array(y), c.twin(seen), 1e-12));
  if (!has_gradient(op, leaves)) return;
  check_recorded(op, leaves, y.shape());
  Tensors before;
  for (const Tensor& x : leaves) before.push_back(x.clone());
  const GradcheckResult first = gradcheck(op, leaves), second = gradgradcheck(op, leaves);
  CHECK_MESSAGE(first.passed, "first derivative: ", first.message);
  CHECK_MESSAGE(second.passed, "second derivative: ", second.message);
  for (size_t k = 0; k < leaves.size(); ++k) CHECK(same_bits(leaves[k], before[k]));
}

// The same numbers in float32: the value near the twin's, the gradients near float64's.
void check_float32(const Case& c) {
  Tensors narrow_inputs, wide_inputs;
  Arrays seen;
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    const bool floating = is_float(c.inputs[k].dtype);
    const Array exact = numbers(c.inputs[k], static_cast<int64_t>(k));
    narrow_inputs.push_back(to_tensor(exact, floating ? float32 : c.inputs[k].dtype));
    seen.push_back(to_array(narrow_inputs.back()));
    wide_inputs.push_back(to_tensor(seen.back(), c.inputs[k].dtype));
  }
  const Tensor y = c.op(narrow_inputs);
  CHECK_MESSAGE(difference(to_array(y), c.twin(seen), c.bound) == "",
                difference(to_array(y), c.twin(seen), c.bound));
  if (!has_gradient(c.op, wide_inputs)) return;
  CHECK(y.dtype() == float32);
  const Array g = numbers({Index(y.shape().begin(), y.shape().end()), 0.5, 1.5}, 9);
  const Tensor g32 = to_tensor(g, float32);
  const Tensors low = gradients(c.op, narrow_inputs, g32);
  const Tensors high = gradients(c.op, wide_inputs, g32.to(float64));
  REQUIRE(low.size() == high.size());
  for (size_t k = 0; k < low.size(); ++k) {
    if (!low[k].defined()) continue;
    CHECK(low[k].dtype() == float32);
    const std::string off = difference(to_array(low[k]), to_array(high[k]), 4 * c.bound);
    CHECK_MESSAGE(off == "", "float32 gradient ", k, ": ", off);
  }
}

// Gradients of the output that are views, or one number repeated.
void check_gradient_layouts(const Case& c) {
  Tensors inputs;
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    inputs.push_back(to_tensor(numbers(c.inputs[k], static_cast<int64_t>(k)), c.inputs[k].dtype));
  }
  if (!has_gradient(c.op, inputs)) return;
  const Tensor y = c.op(inputs);
  const Array plain = numbers({Index(y.shape().begin(), y.shape().end()), 0.5, 1.5}, 9);
  for (Layout layout : {Layout::transposed, Layout::sliced, Layout::expanded}) {
    const Viewed v = viewed(plain, float64, layout);
    const Tensors wanted = gradients(c.op, inputs, to_tensor(v.seen));
    const Tensors got = gradients(c.op, inputs, v.view(v.leaf));
    CHECK(to_array(v.view(v.leaf)).values == v.seen.values);
    for (size_t k = 0; k < got.size(); ++k) {
      if (!got[k].defined()) continue;
      const std::string off = difference(to_array(got[k]), to_array(wanted[k]), 1e-13);
      CHECK_MESSAGE(off == "", "gradient layout ", static_cast<int>(layout), ", input ", k, ": ",
                    off);
    }
  }
}

// Every size that the inputs have, in turn, becomes 0 wherever it stands.
void check_empty(const Case& c) {
  std::set<int64_t> sizes;
  for (const In& input : c.inputs) sizes.insert(input.shape.begin(), input.shape.end());
  sizes.erase(1);
  for (int64_t size : sizes) {
    Tensors inputs;
    Arrays seen;
    for (size_t k = 0; k < c.inputs.size(); ++k) {
      In input = c.inputs[k];
      std::replace(input.shape.begin(), input.shape.end(), size, int64_t{0});
      seen.push_back(numbers(input, static_cast<int64_t>(k)));
      inputs.push_back(to_tensor(seen.back(), input.dtype));
    }
    INFO("with 0 for a size of ", size);
    try {
      const Tensor y = c.op(inputs);
      const Array result = to_array(y);  // a GPU may refuse only now
      const std::string off = difference(result, c.twin(seen), 1e-12);
      CHECK_MESSAGE(off == "", off);
      const Tensors got = gradients(c.op, inputs, ones(y.shape(), {.dtype = y.dtype()}));
      for (const Tensor& g : got) CHECK((!g.defined() || all_finite(g)));
    } catch (const Error& error) {
      const std::string text = error.what(), op = c.name.substr(0, c.name.find_first_of(" ,"));
      CHECK_MESSAGE(c.empty == Empty::refuses, text);
      CHECK_MESSAGE(text.starts_with(op + ":"), text);
    }
  }
}

}  // namespace

void check_case(const Case& c) {
  INFO(c.name);
  for (Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded}) {
    INFO("layout ", static_cast<int>(layout));
    check_layouts(c, {layout});
  }
  if (c.inputs.size() > 1) {
    INFO("mixed layouts");
    check_layouts(c, {Layout::transposed, Layout::contiguous, Layout::sliced});
    check_layouts(c, {Layout::sliced, Layout::expanded, Layout::transposed});
  }
  check_float32(c);
  check_gradient_layouts(c);
  if (c.empty != Empty::untested) check_empty(c);
}

}  // namespace regrad
