// named(): names of dimensions.
#include <doctest/doctest.h>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("autograd");

using Names = std::vector<std::string>;

TEST_CASE("named: the same numbers, in the same place in the graph") {
  Tensor w = ones({4, 7}).set_requires_grad(true);
  const Tensor x = w * 2;
  const Tensor h = named(x, {"batch", "time"});
  CHECK(dim_names(h) == Names{"batch", "time"});
  CHECK(dim_names(x).empty());
  CHECK(h.data<float>() == x.data<float>());
  CHECK(h.node().get() == x.node().get());
  sum(h * 3).backward();
  CHECK(w.grad().to_vector<float>()[0] == 6);
}

TEST_CASE("named: a leaf gets the names itself") {
  Tensor w = ones({4, 7}).set_requires_grad(true);
  const Tensor h = named(w, {"out", "in"});
  CHECK(h.shares_body(w));
  CHECK(dim_names(w) == Names{"out", "in"});
  CHECK(shape_text(w) == "[out 4, in 7]");
  sum(h * 3).backward();
  CHECK(h.grad().defined());
}

TEST_CASE("named: an op whose result has an input's shape keeps the names") {
  const Tensor h = named(ones({4, 7, 32}), {"batch", "time", "hidden"});
  CHECK(dim_names(tanh(h) * 2 + 1) == dim_names(h));
  CHECK(dim_names(ones({32}) + h) == dim_names(h));
  CHECK(dim_names(softmax(h, 1)) == dim_names(h));
  CHECK(dim_names(h.detach()) == dim_names(h));
  CHECK(dim_names(sum(h, 1)).empty());
  CHECK(dim_names(reshape(h, {28, 32})).empty());
}

TEST_CASE("named: transpose and permute move names, of square tensors too") {
  const Tensor h = named(ones({4, 4, 2}), {"batch", "time", "hidden"});
  CHECK(dim_names(transpose(h, 0, 1)) == Names{"time", "batch", "hidden"});
  CHECK(dim_names(permute(h, {2, 0, 1})) == Names{"hidden", "batch", "time"});
  CHECK(dim_names(transpose(ones({2, 2}))).empty());
}

TEST_CASE("named: errors print the names") {
  const Tensor h = named(ones({4, 7, 32}), {"batch", "time", "hidden"});
  CHECK(shape_text(h) == "[batch 4, time 7, hidden 32]");
  CHECK(shape_text(ones({2, 3})) == "[2, 3]");
  const auto text_of = [](const auto& f) {
    try {
      f();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto names = [](const std::string& text) {
    return text.find("[batch 4, time 7, hidden 32]") != std::string::npos;
  };
  CHECK(names(text_of([&] { matmul(h, ones({3, 3})); })));
  CHECK(names(text_of([&] { linear(h, ones({3, 3})); })));
  CHECK(names(text_of([&] { static_cast<void>(h + ones({3})); })));
  CHECK(names(text_of([&] { softmax(h, 3); })));
  CHECK(names(text_of([&] { reshape(h, {5}); })));
  CHECK(names(text_of([&] { expand(h, {4, 7, 33}); })));
  CHECK(names(text_of([&] { concat({h, ones({4, 7})}, 1); })));
  CHECK(names(text_of([&] { gather(h, 1, zeros({2}, {.dtype = int64})); })));
  CHECK(names(text_of([&] { layer_norm(h, ones({3})); })));
  CHECK(names(text_of([&] { h.backward(); })) == false);  // it has no graph
}

TEST_CASE("named: Errors") {
  const Tensor x = ones({2, 3});
  CHECK_ERROR(named(x, {"time"}), "named: 1 name for the 2 dimensions of [2, 3]");
  CHECK_ERROR(named(x, {"a", "b", "c"}), "named: 3 names for the 2 dimensions of [2, 3]");
  CHECK_ERROR(named(x, {"a", "a"}), "named: two dimensions are called \"a\"");
  CHECK_ERROR(named(x, {"a", ""}), "named: name 1 is empty");
}

TEST_SUITE_END();

}  // namespace
