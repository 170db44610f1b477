// The same numbers in another shape or order: ops/layout.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

// A twin that reads, for each index of a shape, the element at another index.
template <class From>
Twin picks(Index shape, From from) {
  return [=](const Arrays& x) {
    return twin::make(shape, [&](const Index& index) { return x[0](from(index)); });
  };
}

Twin reshaped(Index shape) {
  return [=](const Arrays& x) { return Array{shape, x[0].values}; };
}

TEST_CASE("reshape and flatten") {
  constexpr auto fixed = Empty::untested;  // the shape asked for is not empty
  const std::vector<Case> cases = {
      {"reshape", OP(reshape(x[0], {3, 4})), reshaped({3, 4}), {in({2, 6})}, fixed},
      {"reshape with -1", OP(reshape(x[0], {2, -1})), reshaped({2, 6}), {in({3, 4})}, fixed},
      {"reshape to a list", OP(reshape(x[0], {-1})), reshaped({24}), {in({2, 3, 4})}, fixed},
      {"reshape to more",
       OP(reshape(x[0], {2, 1, 3, 1})),
       reshaped({2, 1, 3, 1}),
       {in({6})},
       fixed},
      {"reshape to a number", OP(reshape(x[0], {})), reshaped({}), {in({1, 1})}, fixed},
      {"reshape of a number", OP(reshape(x[0], {1, 1})), reshaped({1, 1}), {in({})}, fixed},
      {"flatten", OP(flatten(x[0])), reshaped({24}), {in({2, 3, 4})}, fixed},
      {"flatten from 1", OP(flatten(x[0], 1)), reshaped({2, 12}), {in({2, 3, 4})}, fixed},
      {"flatten to -2", OP(flatten(x[0], 0, -2)), reshaped({6, 4}), {in({2, 3, 4})}, fixed},
      {"flatten of a number", OP(flatten(x[0])), reshaped({1}), {in({})}, fixed},
  };
  for (const Case& c : cases) check_case(c);
  CHECK(reshape(zeros({0, 3}), {3, 0}).shape() == Shape{3, 0});
  CHECK(reshape(zeros({0, 3}), {-1, 3}).shape() == Shape{0, 3});
  CHECK(flatten(zeros({0, 3})).shape() == Shape{0});
}

TEST_CASE("orders of dimensions") {
  const auto turned = [](size_t a, size_t b) -> Twin {
    return [=](const Arrays& x) {
      Index shape = x[0].shape;
      std::swap(shape[a], shape[b]);
      return twin::make(shape, [&](Index index) {
        std::swap(index[a], index[b]);
        return x[0](index);
      });
    };
  };
  const Twin rolled = [](const Arrays& x) {  // order {2, 0, 1}
    const Index& s = x[0].shape;
    return twin::make({s[2], s[0], s[1]}, [&](const Index& index) {
      return x[0]({index[1], index[2], index[0]});
    });
  };
  const Twin mirrored = [](const Arrays& x) {
    return twin::make(x[0].shape, [&](Index index) {
      index[0] = x[0].shape[0] - 1 - index[0];
      index[2] = x[0].shape[2] - 1 - index[2];
      return x[0](index);
    });
  };
  const std::vector<Case> cases = {
      {"transpose", OP(transpose(x[0])), turned(1, 2), {in({2, 3, 4})}},
      {"transpose 0 and 2", OP(transpose(x[0], 0, 2)), turned(0, 2), {in({2, 3, 4})}},
      {"transpose -1 and 0", OP(transpose(x[0], -1, 0)), turned(2, 0), {in({2, 3, 4})}},
      {"transpose with itself", OP(transpose(x[0], 1, 1)), turned(1, 1), {in({2, 3, 4})}},
      {"permute", OP(permute(x[0], {2, 0, 1})), rolled, {in({2, 3, 4})}},
      {"permute with negative dimensions", OP(permute(x[0], {-1, 0, -2})), rolled, {in({2, 3, 4})}},
      {"flip", OP(flip(x[0], {0, -1})), mirrored, {in({2, 3, 4})}},
      {"contiguous", OP(transpose(x[0], 0, 1).contiguous()), turned(0, 1), {in({2, 3})}},
      {"clone", OP(x[0].clone()), each([](double v) { return v; }), {in({2, 3})}},
      {"to", OP(x[0].to(float64).to(x[0].dtype())), each([](double v) { return v; }), {in({2, 3})}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("dimensions of size 1") {
  const std::vector<Case> cases = {
      {"squeeze", OP(squeeze(x[0])), reshaped({2, 3}), {in({1, 2, 1, 3, 1})}, Empty::untested},
      {"squeeze 1", OP(squeeze(x[0], 1)), reshaped({2, 3}), {in({2, 1, 3})}, Empty::untested},
      {"squeeze of more than 1",
       OP(squeeze(x[0], 0) * 1),
       reshaped({2, 3}),
       {in({2, 3})},
       Empty::untested},
      {"unsqueeze 0", OP(unsqueeze(x[0], 0)), reshaped({1, 2, 3}), {in({2, 3})}, Empty::untested},
      {"unsqueeze -1", OP(unsqueeze(x[0], -1)), reshaped({2, 3, 1}), {in({2, 3})}, Empty::untested},
      {"unsqueeze of a number", OP(unsqueeze(x[0], 0)), reshaped({1}), {in({})}},
      {"expand",
       OP(expand(x[0], {2, 4, 3})),
       picks({2, 4, 3},
             [](Index index) {
               return Index{index[1] * 0, index[2]};
             }),
       {in({1, 3})},
       Empty::untested},
      {"expand with -1",
       OP(expand(x[0], {5, -1, 2})),
       picks({5, 3, 2},
             [](Index index) {
               return Index{index[1], 0};
             }),
       {in({3, 1})},
       Empty::untested},
      {"expand of a number",
       OP(expand(x[0], {2, 3})),
       picks({2, 3}, [](const Index&) { return Index{}; }),
       {in({})}},
      {"expand to nothing",
       OP(expand(x[0], {0, 3})),
       picks({0, 3}, [](const Index& index) { return index; }),
       {in({1, 3})},
       Empty::untested},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("parts") {
  constexpr auto fixed = Empty::untested;
  const std::vector<Case> cases = {
      {"narrow",
       OP(narrow(x[0], 1, 2, 3)),
       picks({2, 3},
             [](Index index) {
               return Index{index[0], index[1] + 2};
             }),
       {in({2, 6})},
       fixed},
      {"slice",
       OP(slice(x[0], 0, 1, 6, 2)),
       picks({3, 2},
             [](Index index) {
               return Index{1 + 2 * index[0], index[1]};
             }),
       {in({6, 2})},
       fixed},
      {"slice from the end",
       OP(slice(x[0], -1, -3, -1)),
       picks({2, 2},
             [](Index index) {
               return Index{index[0], index[1] + 3};
             }),
       {in({2, 6})},
       fixed},
      {"slice beyond the end",
       OP(slice(x[0], 0, 2, 99)),
       picks({1, 4},
             [](Index index) {
               return Index{2, index[1]};
             }),
       {in({3, 4})},
       fixed},
      {"slice of nothing",
       OP(slice(x[0], 0, 2, 1)),
       picks({0, 4}, [](const Index& index) { return index; }),
       {in({3, 4})},
       fixed},
      {"slice in steps of 3",
       OP(slice(x[0], 0, 0, 7, 3)),
       picks({3}, [](Index index) { return Index{3 * index[0]}; }),
       {in({7})},
       fixed},
      {"select",
       OP(select(x[0], 1, 2)),
       picks({2, 4},
             [](Index index) {
               return Index{index[0], 2, index[1]};
             }),
       {in({2, 3, 4})},
       fixed},
      {"select from the end",
       OP(select(x[0], -1, -1)),
       picks({2},
             [](Index index) {
               return Index{index[0], 2};
             }),
       {in({2, 3})},
       fixed},
      {"split",
       OP(split(x[0], 2, 1)[1] * split(x[0], 2, 1)[0]),
       TWIN(twin::make({2, 2},
                       [&](Index index) {
                         return x[0]({index[0], index[1]}) * x[0]({index[0], index[1] + 2});
                       })),
       {in({2, 5})},
       fixed},
      {"split by sizes",
       OP(split(x[0], std::vector<int64_t>{1, 0, 4}, 1)[2]),
       picks({2, 4},
             [](Index index) {
               return Index{index[0], index[1] + 1};
             }),
       {in({2, 5})},
       fixed},
  };
  for (const Case& c : cases) check_case(c);
  CHECK(split(zeros({7}), 3).size() == 3);
  CHECK(split(zeros({7}), 3)[2].shape() == Shape{1});
  CHECK(split(zeros({0, 2}), 3).size() == 1);
}

Array joined(const Arrays& x, size_t d) {
  Index shape = x[0].shape;
  shape[d] = 0;
  for (const Array& part : x) shape[d] += part.shape[d];
  return twin::make(shape, [&](Index index) {
    size_t k = 0;
    while (index[d] >= x[k].shape[d]) index[d] -= x[k++].shape[d];
    return x[k](index);
  });
}

TEST_CASE("joining") {
  const Twin stacked = [](const Arrays& x) {
    const Index& s = x[0].shape;
    return twin::make({s[0], static_cast<int64_t>(x.size()), s[1]}, [&](const Index& index) {
      return x[static_cast<size_t>(index[1])]({index[0], index[2]});
    });
  };
  const std::vector<Case> cases = {
      {"concat", OP(concat({x[0], x[1]})), TWIN(joined(x, 0)), {in({2, 3}), in({4, 3})}},
      {"concat along -1",
       OP(concat(x, -1)),
       TWIN(joined(x, 1)),
       {in({2, 3}), in({2, 1}), in({2, 4})}},
      {"concat of one", OP(concat({x[0]})), TWIN(joined(x, 0)), {in({2, 3})}},
      {"concat with itself", OP(concat({x[0], x[0]})), TWIN(joined({x[0], x[0]}, 0)), {in({2, 3})}},
      {"stack", OP(stack({x[0], x[1]}, 1)), stacked, {in({2, 3}), in({2, 3})}},
      {"stack along -2", OP(stack(x, -2)), stacked, {in({2, 3}), in({2, 3}), in({2, 3})}},
  };
  for (const Case& c : cases) check_case(c);
  CHECK(concat({zeros({0, 2}), ones({1, 2})}).to_vector<float>() == std::vector<float>{1, 1});
  CHECK(concat({tensor({1}, {1}), tensor({2, 3}, {2})}).to_vector<int64_t>() ==
        std::vector<int64_t>{1, 2, 3});
}

TEST_CASE("pad") {
  const auto padded = [](Index before, Index after, double value) -> Twin {
    return [=](const Arrays& x) {
      Index shape = x[0].shape;
      for (size_t d = 0; d < shape.size(); ++d) shape[d] += before[d] + after[d];
      return twin::make(shape, [&](Index index) {
        for (size_t d = 0; d < index.size(); ++d) {
          index[d] -= before[d];
          if (index[d] < 0 || index[d] >= x[0].shape[d]) return value;
        }
        return x[0](index);
      });
    };
  };
  const std::vector<Case> cases = {
      {"pad", OP(pad(x[0], {1, 2})), padded({0, 1}, {0, 2}, 0), {in({2, 3})}},
      {"pad of two dimensions",
       OP(pad(x[0], {0, 1, 2, 0}, 7)),
       padded({2, 0}, {0, 1}, 7),
       {in({2, 3})}},
      {"pad of rank 3", OP(pad(x[0], {1, 1})), padded({0, 0, 1}, {0, 0, 1}, 0), {in({2, 3, 4})}},
      {"pad by nothing", OP(pad(x[0], {})), padded({0, 0}, {0, 0}, 0), {in({2, 3})}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("views share storage and copies do not") {
  const Tensor x = to_tensor(numbers(in({2, 3, 4}), 0));
  const void* storage = x.body().storage.get();
  for (const Tensor& view :
       {reshape(x, {6, 4}), transpose(x), permute(x, {2, 0, 1}), unsqueeze(x, 0),
        expand(unsqueeze(x, 0), {5, 2, 3, 4}), slice(x, 1, 0, 3, 2), narrow(x, 0, 1, 1),
        select(x, 2, 1), split(x, 2, 2)[1], x.detach(), flatten(x)}) {
    CHECK(view.body().storage.get() == storage);
  }
  for (const Tensor& copy :
       {flip(x, {0}), concat({x}), pad(x, {1, 1}), x.clone(), transpose(x).contiguous()}) {
    CHECK(copy.body().storage.get() != storage);
  }
}

TEST_CASE("what moves elements moves every dtype") {
  using Doubles = std::vector<double>;
  for (const DType dtype : {float32, float64, int64, bool_}) {
    const Tensor x = tensor({1.0, 0.0, 0.0, 1.0, 1.0, 0.0}, {2, 3}).to(dtype),
                 turned = transpose(x);
    const Tensor rows = tensor({1, 1, 0}, {3}), places = tensor({1, 0, 1}, {1, 3});
    const std::pair<Tensor, Doubles> moved[] = {
        {turned.contiguous(), {1, 1, 0, 1, 0, 0}},
        {reshape(turned, {6}), {1, 1, 0, 1, 0, 0}},
        {expand(select(x, 1, 0), {2, 2}).clone(), {1, 1, 1, 1}},
        {concat({turned, turned}, 1), {1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0}},
        {stack({select(x, 0, 0), select(x, 0, 1)}), {1, 0, 0, 1, 1, 0}},
        {flip(x, {1}), {0, 0, 1, 0, 1, 1}},
        {pad(x, {1, 0}, 1), {1, 1, 0, 0, 1, 1, 1, 0}},
        {slice(x, 1, 0, 3, 2).clone(), {1, 0, 1, 0}},
        {index_select(turned, 1, rows), {1, 1, 1, 1, 1, 0, 0, 0, 0}},
        {gather(x, 0, places), {1, 0, 0}},
        {where(x.to(bool_), x, zeros_like(x)), {1, 0, 0, 1, 1, 0}},
    };
    for (const auto& [y, wanted] : moved) {
      CHECK(y.dtype() == dtype);
      CHECK(y.to_vector<double>() == wanted);
    }
  }
}

TEST_CASE("conversions") {
  const Tensor x = tensor({-1.9, 0.0, 2.5, 3e9}, {4});
  CHECK(x.to(int64).to_vector<int64_t>() == std::vector<int64_t>{-1, 0, 2, 3'000'000'000});
  CHECK(x.to(bool_).to_vector<bool>() == std::vector<bool>{true, false, true, true});
  CHECK(x.to(bool_).to(float32).to_vector<float>() == std::vector<float>{1, 0, 1, 1});
  CHECK(x.to(float64).shares_body(x));
  for (const DType from : {float32, float64, int64, bool_}) {
    for (const DType to : {float32, float64, int64, bool_}) {
      const Tensor wide = tensor({1.0, 0.0, 1.0, 1.0, 0.0, 0.0}, {2, 3}).to(from);
      const Tensor y = transpose(wide).to(to);
      CHECK(y.dtype() == to);
      CHECK(y.to_vector<double>() == std::vector<double>{1, 1, 0, 0, 1, 0});
    }
  }
}

TEST_SUITE_END();

}  // namespace
