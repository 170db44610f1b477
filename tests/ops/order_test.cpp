// Sorting and cumulative sums: ops/order.cpp.
#include <numeric>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using List = std::vector<double>;

// Where the elements of a list stand in order: a stable sort in which NaN is the greatest.
std::vector<size_t> order_of(const List& x, bool descending) {
  std::vector<size_t> order(x.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto less = [](double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return descending ? less(x[b], x[a]) : less(x[a], x[b]);
  });
  return order;
}

Twin sorted_along(int64_t dim, bool descending, bool places = false) {
  return twin::along(
      [=](const List& x) {
        List result;
        for (size_t i : order_of(x, descending))
          result.push_back(places ? static_cast<double>(i) : x[i]);
        return result;
      },
      dim);
}

Twin first_along_last(size_t k) {  // the k greatest
  return [k](const Arrays& x) {
    const Array all = sorted_along(-1, true)(x);
    Index shape = x[0].shape;
    shape.back() = static_cast<int64_t>(k);
    return twin::make(shape, [&](const Index& place) { return all(place); });
  };
}

List running(const List& x) {
  List sums;
  double sum = 0;
  for (double v : x) sums.push_back(sum += v);
  return sums;
}

TEST_CASE("sort, argsort and topk") {
  const std::vector<Case> cases = {
      {"sort", OP(sort(x[0]).values), sorted_along(-1, false), {in({3, 5})}},
      {"sort along 0", OP(sort(x[0], 0).values), sorted_along(0, false), {in({6, 3})}},
      {"sort along the middle",
       OP(sort(x[0], 1, true).values),
       sorted_along(1, true),
       {in({2, 7, 3})}},
      {"sort of a list", OP(sort(x[0], 0, true).values), sorted_along(0, true), {in({70})}},
      {"argsort", OP(argsort(x[0], 1)), sorted_along(1, false, true), {index_in({3, 9}, 4)}},
      {"argsort falling",
       OP(argsort(x[0], 0, true)),
       sorted_along(0, true, true),
       {index_in({9, 2}, 4)}},
      {"argsort of masks", OP(argsort(x[0], 0)), sorted_along(0, false, true), {mask_in({9})}},
      {"topk", OP(topk(x[0], 2).values), first_along_last(2), {in({3, 5})}, Empty::refuses},
  };
  for (const Case& c : cases) check_case(c);
}

template <class T>
void check_order(const std::vector<T>& numbers, const Tensor& x) {
  const List as_doubles(numbers.begin(), numbers.end());
  const auto n = static_cast<int64_t>(numbers.size());
  for (const bool descending : {false, true}) {
    const std::vector<size_t> wanted = order_of(as_doubles, descending);
    const std::vector<int64_t> order(wanted.begin(), wanted.end());
    CHECK(argsort(x, 0, descending).to_vector<int64_t>() == order);
    for (const int64_t k : {int64_t{1}, n / 100, n / 3, n}) {
      const Sorted first = topk(x, k, 0, descending);
      CHECK(first.indices.to_vector<int64_t>() ==
            std::vector<int64_t>(order.begin(), order.begin() + k));
      CHECK(same_bits(first.values, gather(x, 0, first.indices)));
    }
  }
}

TEST_CASE("orders of every length: stable, with NaN, infinities and both zeros") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double specials[] = {inf, -inf, std::nan(""), -std::nan(""), 0.0, -0.0, 1e-310, -1e-40, 3};
  for (const int64_t n : {1, 2, 3, 47, 48, 49, 100, 255, 257, 3000, 20011}) {
    List x = numbers(in({n}, -3, 3), n).values;
    for (double& v : x) v = std::round(v * 50) / 50;  // many equals
    for (size_t i = 0; i < x.size(); i += 3) x[i] = specials[i / 3 % std::size(specials)];
    const std::vector<float> narrow_x(x.begin(), x.end());
    std::vector<int64_t> integers;
    for (double v : numbers(in({n}, -1e6, 1e6), 3).values)
      integers.push_back(static_cast<int64_t>(v) / 1000);
    check_order(x, tensor(x, {n}));
    check_order(narrow_x, tensor(narrow_x, {n}));
    check_order(integers, tensor(integers, {n}));
  }
}

TEST_CASE("integers beyond 2^53, and topk's answer to a k that does not fit") {
  const int64_t big = int64_t{1} << 60;
  const Tensor x = tensor({big + 1, big, INT64_MIN, INT64_MAX, big + 2}, {5});
  CHECK(argsort(x).to_vector<int64_t>() == std::vector<int64_t>{2, 1, 0, 4, 3});
  CHECK(topk(x, 0).values.shape() == Shape{0});
  CHECK(sort(scalar(3)).values.item<float>() == 3);
  CHECK(sort(zeros({2, 0})).indices.shape() == Shape{2, 0});
  CHECK(sort(zeros({0, 2}), 1).values.shape() == Shape{0, 2});
  CHECK_ERROR(topk(x, 6), "topk: 6 elements of the 5 along dimension -1 of [5]");
  CHECK_ERROR(topk(x, -1), "topk: -1 elements");
  CHECK_ERROR(sort(x, 1), "sort: ");
}

TEST_CASE("cumsum") {
  const std::vector<Case> cases = {
      {"cumsum", OP(cumsum(x[0], 0)), twin::along(running, 0), {in({7})}},
      {"cumsum along 0", OP(cumsum(x[0], 0)), twin::along(running, 0), {in({5, 3})}},
      {"cumsum along the middle", OP(cumsum(x[0], 1)), twin::along(running, 1), {in({2, 5, 3})}},
      {"cumsum along -1", OP(cumsum(x[0], -1)), twin::along(running, -1), {in({2, 70})}},
  };
  for (const Case& c : cases) check_case(c);
  CHECK(cumsum(tensor({true, false, true}, {3}), 0).to_vector<int64_t>() ==
        std::vector<int64_t>{1, 1, 2});
  CHECK(cumsum(scalar(2), 0).item<float>() == 2);
}

TEST_CASE("cumsum of long rows") {
  for (const int64_t n : {32767, 32768, 32769, 100003}) {
    for (const int64_t width : {1, 2}) {
      const Array x = numbers(in({width, n}, 0, 1), 5);
      for (const DType dtype : {float32, float64}) {
        const Array seen = to_array(to_tensor(x, dtype));
        const std::string off =
            difference(to_array(cumsum(to_tensor(x, dtype), 1)), twin::along(running, seen, 1),
                       dtype == float32 ? 1e-7 : 1e-14);
        CHECK_MESSAGE(off == "", n, ": ", off);
      }
    }
  }
}

TEST_SUITE_END();

}  // namespace
