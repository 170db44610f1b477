// Picking elements by index: ops/indexing.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

Twin gathered(size_t d) {  // x, index
  return [d](const Arrays& x) {
    return twin::make(x[1].shape, [&](Index place) {
      place[d] = static_cast<int64_t>(x[1](place));
      return x[0](place);
    });
  };
}

Twin scattered(size_t d) {  // x, source, index
  return [d](const Arrays& x) {
    Array result = x[0];
    twin::every(x[2].shape, [&](const Index& place) {
      Index to = place;
      to[d] = static_cast<int64_t>(x[2](place));
      result(to) += x[1](place);
    });
    return result;
  };
}

Twin selected(size_t d) {  // x, index
  return [d](const Arrays& x) {
    Index shape = x[0].shape;
    shape[d] = twin::count(x[1].shape);
    return twin::make(shape, [&](Index place) {
      place[d] = static_cast<int64_t>(x[1].values[static_cast<size_t>(place[d])]);
      return x[0](place);
    });
  };
}

TEST_CASE("gather and scatter_add") {
  constexpr auto refuses = Empty::refuses;
  const std::vector<Case> cases = {
      {"gather",
       OP(gather(x[0], 0, x[1])),
       gathered(0),
       {in({3, 4}), index_in({5, 4}, 3)},
       refuses},
      {"gather along 1",
       OP(gather(x[0], 1, x[1])),
       gathered(1),
       {in({3, 4}), index_in({3, 2}, 4)},
       refuses},
      {"gather along -2",
       OP(gather(x[0], -2, x[1])),
       gathered(1),
       {in({2, 3, 4}), index_in({2, 5, 4}, 3)},
       refuses},
      {"gather of a part",
       OP(gather(x[0], 1, x[1])),
       gathered(1),
       {in({4, 3, 5}), index_in({2, 6, 3}, 3)},
       refuses},
      {"gather of a list",
       OP(gather(x[0], 0, x[1])),
       gathered(0),
       {in({4}), index_in({7}, 4)},
       refuses},
      {"scatter_add",
       OP(scatter_add(x[0], 0, x[2], x[1])),
       scattered(0),
       {in({3, 4}), in({5, 4}), index_in({5, 4}, 3)},
       refuses},
      {"scatter_add along 1",
       OP(scatter_add(x[0], 1, x[2], x[1])),
       scattered(1),
       {in({2, 3, 4}), in({2, 5, 4}), index_in({2, 5, 4}, 3)},
       refuses},
      {"scatter_add of a part",
       OP(scatter_add(x[0], 0, x[2], x[1])),
       scattered(0),
       {in({3, 4}), in({6, 7}), index_in({5, 2}, 3)},
       refuses},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("index_select") {
  const std::vector<Case> cases = {
      {"index_select",
       OP(index_select(x[0], 0, x[1])),
       selected(0),
       {in({3, 4}), index_in({5}, 3)},
       Empty::refuses},
      {"index_select along 1",
       OP(index_select(x[0], 1, x[1])),
       selected(1),
       {in({2, 3, 4}), index_in({7}, 3)},
       Empty::refuses},
      {"index_select along -1",
       OP(index_select(x[0], -1, x[1])),
       selected(1),
       {in({2, 3}), index_in({2}, 3)},
       Empty::refuses},
  };
  for (const Case& c : cases) check_case(c);
  CHECK(index_select(tensor({5, 6, 7}, {3}), 0, tensor({2, 2}, {2})).to_vector<int64_t>() ==
        std::vector<int64_t>{7, 7});
  CHECK(index_select(tensor({true, false}, {2}), 0, tensor({1, 0}, {2})).to_vector<bool>() ==
        std::vector<bool>{false, true});
}

TEST_CASE("embedding") {
  const Twin rows = [](const Arrays& x) {
    Index shape = x[1].shape;
    shape.push_back(x[0].shape[1]);
    return twin::make(shape, [&](Index place) {
      const int64_t column = place.back();
      place.pop_back();
      return x[0]({static_cast<int64_t>(x[1](place)), column});
    });
  };
  const std::vector<Case> cases = {
      {"embedding",
       OP(embedding(x[0], x[1])),
       rows,
       {in({7, 3}), index_in({2, 5}, 7)},
       Empty::refuses},
      {"embedding of a list",
       OP(embedding(x[0], x[1])),
       rows,
       {in({4, 3}), index_in({9}, 4)},
       Empty::refuses},
      {"embedding of one",
       OP(embedding(x[0], x[1])),
       rows,
       {in({4, 3}), index_in({}, 4)},
       Empty::refuses},
  };
  for (const Case& c : cases) check_case(c);
  const Tensor weight = to_tensor(numbers(in({3, 2}), 0)), index = tensor({0, 1, 1, 2}, {4});
  const Tensors g = gradients([&](const Tensors& x) { return embedding(x[0], index, 1); }, {weight},
                              ones({4, 2}, {.dtype = float64}));
  CHECK(g[0].to_vector<double>() == std::vector<double>{1, 1, 0, 0, 1, 1});
  CHECK(same_bits(embedding(weight, index, 1), embedding(weight, index)));
}

TEST_CASE("masks and triangles") {
  const auto triangle = [](bool lower, int64_t diagonal) -> Twin {
    return [=](const Arrays& x) {
      return twin::make(x[0].shape, [&](const Index& place) {
        const int64_t distance = place[place.size() - 1] - place[place.size() - 2];
        return (lower ? distance <= diagonal : distance >= diagonal) ? x[0](place) : 0.0;
      });
    };
  };
  const std::vector<Case> cases = {
      {"masked_fill",
       OP(masked_fill(x[0], x[1], -7)),
       each([](double v, double m) { return m != 0 ? -7 : v; }),
       {in({3, 4}), mask_in({3, 4})}},
      {"masked_fill, broadcast",
       OP(masked_fill(x[0], x[1], 2)),
       each([](double v, double m) { return m != 0 ? 2 : v; }),
       {in({3, 4}), mask_in({3, 1})}},
      {"tril", OP(tril(x[0])), triangle(true, 0), {in({4, 4})}},
      {"tril 1", OP(tril(x[0], 1)), triangle(true, 1), {in({3, 5})}},
      {"tril -2", OP(tril(x[0], -2)), triangle(true, -2), {in({2, 5, 3})}},
      {"triu", OP(triu(x[0])), triangle(false, 0), {in({4, 4})}},
      {"triu 1", OP(triu(x[0], 1)), triangle(false, 1), {in({3, 5})}},
      {"triu -2", OP(triu(x[0], -2)), triangle(false, -2), {in({2, 5, 3})}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("one_hot and length_mask") {
  const Twin hot = [](const Arrays& x) {
    Index shape = x[0].shape;
    shape.push_back(4);
    return twin::make(shape, [&](Index place) {
      const int64_t column = place.back();
      place.pop_back();
      return x[0](place) == static_cast<double>(column) ? 1 : 0;
    });
  };
  const Twin mask = TWIN(twin::make({x[0].shape[0], 6}, [&](const Index& place) {
    return static_cast<double>(place[1]) < x[0]({place[0]});
  }));
  check_case({"one_hot", OP(one_hot(x[0], 4)), hot, {index_in({2, 3}, 4)}});
  check_case({"length_mask", OP(length_mask(x[0], 6)), mask, {index_in({5}, 7)}});
  CHECK(one_hot(tensor({1}, {1}), 3).dtype() == int64);
  CHECK(length_mask(tensor({1}, {1}), 3).dtype() == bool_);
}

TEST_CASE("moving infinities and NaN moves them, and nothing else") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Tensor x = tensor({std::nan(""), inf, 3.0, -inf}, {2, 2});
  CHECK(masked_fill(x, tensor({true, true, false, true}, {2, 2}), 0).to_vector<double>() ==
        std::vector<double>{0, 0, 3, 0});
  CHECK(triu(x, 1).to_vector<double>() == std::vector<double>{0, inf, 0, 0});
  const auto op = [](const Tensors& in) { return masked_fill(in[0], in[1], 0); };
  const Tensors g = gradients(op, {x, tensor({true, false, false, false}, {2, 2})},
                              full({2, 2}, inf, {.dtype = float64}));
  CHECK(g[0].to_vector<double>() == std::vector<double>{0, inf, inf, inf});
}

TEST_CASE("many rows to few: each sum in its order") {
  const int64_t n = 20000;
  const Array index = numbers(index_in({n}, 7), 0), values = numbers(in({n, 3}), 1);
  const Tensor i = to_tensor(index, int64);
  const auto op = [&](const Tensors& x) { return embedding(x[0], i); };
  const Tensor g = gradients(op, {zeros({7, 3})}, to_tensor(values, float32))[0];
  Array wanted{{7, 3}, std::vector<double>(21)};
  twin::every({n, 3}, [&](const Index& place) {
    wanted({static_cast<int64_t>(index({place[0]})), place[1]}) += values(place);
  });
  const std::string off = difference(to_array(g), wanted, 1e-4);
  CHECK_MESSAGE(off == "", off);
}

Twin overwritten(size_t d) {  // x, source, index: the last of equal indices counts
  return [d](const Arrays& x) {
    Array result = x[0];
    twin::every(x[2].shape, [&](const Index& place) {
      Index to = place;
      to[d] = static_cast<int64_t>(x[2](place));
      result(to) = x[1](place);
    });
    return result;
  };
}

TEST_CASE("scatter") {
  const std::vector<Case> cases = {
      {"scatter",
       OP(scatter(x[0], 0, x[2], x[1])),
       overwritten(0),
       {in({3, 4}), in({5, 4}), index_in({5, 4}, 3)},
       Empty::refuses},
      {"scatter along 1",
       OP(scatter(x[0], 1, x[2], x[1])),
       overwritten(1),
       {in({2, 9, 4}), in({2, 5, 4}), index_in({2, 5, 4}, 9)},
       Empty::refuses},
      {"scatter of a part",
       OP(scatter(x[0], 0, x[2], x[1])),
       overwritten(0),
       {in({3, 4}), in({6, 7}), index_in({5, 2}, 3)},
       Empty::refuses},
      {"scatter of a number",
       OP(scatter(x[0], 1, x[1], 7)),
       TWIN(overwritten(1)({x[0], twin::make(x[1].shape, [](const Index&) { return 7; }), x[1]})),
       {in({3, 4}), index_in({3, 2}, 4)},
       Empty::refuses},
  };
  for (const Case& c : cases) check_case(c);
  CHECK(scatter(arange(4), 0, tensor({2, 2}, {2}), tensor({7, 8}, {2})).to_vector<int64_t>() ==
        std::vector<int64_t>{0, 1, 8, 3});
  CHECK(scatter(zeros({2}, bool_), 0, tensor({1}, {1}), true).to_vector<bool>() ==
        std::vector<bool>{false, true});
  CHECK_ERROR(scatter(zeros({3}), 0, tensor({0, 1}, {2}), zeros({1})),
              "scatter: the index [2] is larger than the source [1]");
}

TEST_CASE("index_put") {
  const auto put = [](bool accumulate) -> Twin {  // x, values, rows, columns
    return [=](const Arrays& x) {
      Array result = x[0];
      for (size_t i = 0; i < x[2].values.size(); ++i) {
        double& element =
            result({static_cast<int64_t>(x[2].values[i]), static_cast<int64_t>(x[3].values[i])});
        element = (accumulate ? element : 0) + x[1].values[i];
      }
      return result;
    };
  };
  const std::vector<In> inputs = {in({3, 4}), in({9}), index_in({9}, 3), index_in({9}, 4)};
  check_case(
      {"index_put", OP(index_put(x[0], {x[2], x[3]}, x[1])), put(false), inputs, Empty::refuses});
  check_case({"index_put, accumulated", OP(index_put(x[0], {x[2], x[3]}, x[1], true)), put(true),
              inputs, Empty::refuses});
  const Twin rows = TWIN([&] {  // x, values, index
    Array result = x[0];
    twin::every(x[2].shape, [&](const Index& place) {
      for (int64_t j = 0; j < x[0].shape[1]; ++j)
        result({static_cast<int64_t>(x[2](place)), j}) = x[1]({j});
    });
    return result;
  }());
  check_case({"index_put of rows, broadcast",
              OP(index_put(x[0], {x[2]}, x[1])),
              rows,
              {in({5, 4}), in({4}), index_in({2}, 5)},
              Empty::refuses});
  const Tensor x = arange(6).reshape({2, 3});
  const auto list = [](const Tensor& t) { return t.to_vector<int64_t>(); };
  using List = std::vector<int64_t>;
  CHECK(list(index_put(x, {x > 3}, scalar(0, int64))) == List{0, 1, 2, 3, 0, 0});
  CHECK(list(index_put(x, {tensor({-1}, {1})}, scalar(9, int64))) == List{0, 1, 2, 9, 9, 9});
  CHECK(list(index_put(x, {tensor({0, 0}, {2}), tensor({1, 1}, {2})}, scalar(5, int64), true)) ==
        List{0, 11, 2, 3, 4, 5});
  CHECK(same_bits(index_put(x, {x > 9}, scalar(0, int64)), x));
  CHECK_ERROR(index_put(x, {}, x), "index_put: needs an index");
  CHECK_ERROR(index_put(x, {zeros({3}, bool_)}, x), "index_put: a mask [3] does not fit [2, 3]");
  CHECK_ERROR(index_put(x, {tensor({0}, {1})}, arange(2)), "index_put: ");
}

TEST_CASE("masked_select and nonzero") {
  const Tensor x = to_tensor(numbers(in({3, 4}), 0)), mask = x > 0;
  const auto chosen = [&](const Tensors& in) { return masked_select(in[0], mask); };
  std::vector<double> wanted;
  for (double v : x.to_vector<double>()) {
    if (v > 0) wanted.push_back(v);
  }
  CHECK(chosen({x}).to_vector<double>() == wanted);
  CHECK(gradcheck(chosen, {x}));
  CHECK(gradgradcheck(chosen, {x}));
  const Tensor places = nonzero(mask);
  CHECK(places.shape() == Shape{static_cast<int64_t>(wanted.size()), 2});
  const Tensor flat = select(places, 1, 0) * 4 + select(places, 1, 1);
  CHECK(same_bits(index_select(reshape(x, {12}), 0, flat), chosen({x})));
  CHECK(nonzero(transpose(mask)).size(0) == places.size(0));
  CHECK(masked_select(arange(3), tensor({true, false}, {2, 1})).to_vector<int64_t>() ==
        std::vector<int64_t>{0, 1, 2});
  CHECK(masked_select(x, x > 99).shape() == Shape{0});
  CHECK(nonzero(zeros({0, 3})).shape() == Shape{0, 2});
  CHECK(nonzero(scalar(1)).shape() == Shape{1, 0});
  CHECK(nonzero(tensor({0.0, std::nan("")}, {2})).to_vector<int64_t>() == std::vector<int64_t>{1});
  CHECK_ERROR(masked_select(x, x), "masked_select: the mask must be bool, not float64");
}

TEST_SUITE_END();

}  // namespace
