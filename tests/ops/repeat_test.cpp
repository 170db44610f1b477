// Elements more than once or in other places: ops/repeat.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

// x at place[d] % size.
Twin repeated(Index times) {
  return [times](const Arrays& x) {
    Index inner(times.size() - x[0].shape.size(), 1), shape = times;
    inner.insert(inner.end(), x[0].shape.begin(), x[0].shape.end());
    for (size_t d = 0; d < shape.size(); ++d) shape[d] *= inner[d];
    return twin::make(shape, [&](Index place) {
      for (size_t d = 0; d < place.size(); ++d) place[d] %= inner[d];
      return x[0](place);
    });
  };
}

Twin interleaved(size_t d, int64_t times) {
  return [=](const Arrays& x) {
    Index shape = x[0].shape;
    shape[d] *= times;
    return twin::make(shape, [&](Index place) {
      place[d] /= times;
      return x[0](place);
    });
  };
}

Twin rolled(size_t d, int64_t shift) {
  return [=](const Arrays& x) {
    return twin::make(x[0].shape, [&](Index place) {
      const int64_t n = x[0].shape[d];
      place[d] = ((place[d] - shift) % n + n) % n;
      return x[0](place);
    });
  };
}

TEST_CASE("repeat, repeat_interleave and roll") {
  const std::vector<Case> cases = {
      {"repeat", OP(repeat(x[0], {3})), repeated({3}), {in({4})}},
      {"repeat along two", OP(repeat(x[0], {2, 3})), repeated({2, 3}), {in({3, 2})}},
      {"repeat along a new one", OP(repeat(x[0], {2, 1, 2})), repeated({2, 1, 2}), {in({3, 2})}},
      {"repeat once", OP(repeat(x[0], {1, 1})), repeated({1, 1}), {in({3, 2})}},
      {"repeat never", OP(repeat(x[0], {2, 0})), repeated({2, 0}), {in({3, 2})}},
      {"repeat_interleave", OP(repeat_interleave(x[0], 3, 0)), interleaved(0, 3), {in({2, 4})}},
      {"repeat_interleave along -1",
       OP(repeat_interleave(x[0], 2, -1)),
       interleaved(2, 2),
       {in({2, 4, 3})}},
      {"roll", OP(roll(x[0], 2, 1)), rolled(1, 2), {in({2, 5})}},
      {"roll back", OP(roll(x[0], -7, 0)), rolled(0, -7), {in({3, 2})}},
      {"roll by nothing", OP(roll(x[0], 10, 1)), rolled(1, 10), {in({2, 5})}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("repeat_interleave by a list, roll of all, chunks") {
  const Tensor x = arange(6).reshape({2, 3}), counts = tensor({2, 0, 1}, {3});
  const auto list = [](const Tensor& t) { return t.to_vector<int64_t>(); };
  using List = std::vector<int64_t>;
  CHECK(list(repeat_interleave(x, counts, 1)) == List{0, 0, 2, 3, 3, 5});
  CHECK(list(repeat_interleave(x, 2)) == List{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5});
  CHECK(same_bits(roll(x, 1, 0), roll(x, std::vector<int64_t>{1}, {0})));
  CHECK(list(roll(x, 1)) == List{5, 0, 1, 2, 3, 4});
  CHECK(list(roll(x, {1, -1}, {0, 1})) == List{4, 5, 3, 1, 2, 0});
  const Tensors parts = chunk(arange(7), 3);
  CHECK(parts.size() == 3);
  CHECK(list(parts[2]) == List{6});
  CHECK(chunk(arange(6), 4).size() == 3);
  CHECK(chunk(zeros({0, 2}), 3).size() == 3);
  CHECK(repeat(zeros({2, 1, 1, 1, 1, 1, 1, 2}), {1, 1, 1, 1, 1, 1, 1, 2}).size(-1) == 4);
}

TEST_CASE("what repeat, repeat_interleave, chunk and roll are told") {
  const Tensor x = zeros({2, 3});
  CHECK_ERROR(repeat(x, {2}), "repeat: 1 numbers for the 2 dimensions of [2, 3]");
  CHECK_ERROR(repeat(x, {2, -1}), "repeat: -1 times along dimension 1 of [2, 3]");
  CHECK_ERROR(repeat_interleave(x, -1), "repeat_interleave: -1 times");
  CHECK_ERROR(repeat_interleave(x, tensor({1, 2}, {2}), 1), "repeat_interleave: 2 repeats for");
  CHECK_ERROR(repeat_interleave(x, x, 1), "repeat_interleave: the repeats must be int64");
  CHECK_ERROR(chunk(x, 0), "chunk: the number of chunks must be above 0, not 0");
  CHECK_ERROR(roll(x, {1, 2}, 0), "roll: 2 shifts for 1 dimensions of [2, 3]");
}

TEST_SUITE_END();

}  // namespace
