// Tables of kernels side by side: every one that this machine runs gives what the first one gives.
#include <cstdlib>

#include "ops/cpu/select.h"
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

std::vector<const Backend*> tables() {
  std::vector<const Backend*> present = {&table_sse2()};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    present.push_back(&table_avx2());
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
      present.push_back(&table_avx512());
    }
  }
  return present;
}

template <class T>
const Kernels<T>& kernels_of(const Backend& backend) {
  if constexpr (std::same_as<T, float>)
    return backend.float32;
  else
    return backend.float64;
}

constexpr double guard = 12345.678;

// The same call of every table, its output off alignment and with guards on both sides.
template <class T, class Call>
void check_tables(const std::string& what, int64_t n, double bound, const Call& call) {
  INFO(what, " n ", n);
  const auto index = static_cast<int64_t>(3);
  Array first;
  for (const Backend* backend : tables()) {
    std::vector<T> out(static_cast<size_t>(n + index + 70), static_cast<T>(guard));
    call(kernels_of<T>(*backend), out.data() + index);
    Array got{{n}, {}};
    for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
      const T value = out[static_cast<size_t>(i)];
      if (i >= index && i < index + n)
        got.values.push_back(static_cast<double>(value));
      else
        REQUIRE(value == static_cast<T>(guard));
    }
    if (first.shape.empty()) first = got;
    const std::string off = difference(got, first, bound);
    CHECK_MESSAGE(off == "", std::string(backend->name), ": ", off);
  }
}

template <class T>
std::vector<T> values(int64_t n, double low, double high, int64_t salt = 0) {
  const Array x = numbers(in({n}, low, high), salt);
  return std::vector<T>(x.values.begin(), x.values.end());
}

Loop flat(int64_t n) {
  Loop loop;
  loop.rank = 1;
  loop.sizes[0] = n;
  for (auto& strides : loop.strides) strides[0] = 1;
  return loop;
}

constexpr int64_t lengths[] = {0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1003};

template <class T>
void check_pointwise(double bound) {
  for (const int64_t n : lengths) {
    const std::vector<T> x = values<T>(n + 1, 0.1, 2), g = values<T>(n + 1, -2, 2, 1);
    const Loop loop = flat(n);
    for (size_t f = 0; f < static_cast<size_t>(Unary::count); ++f) {
      const std::string name = "function " + std::to_string(f);
      const T p(1.25), q(1.5);
      check_tables<T>(name, n, bound,
                      [&](auto& k, T* out) { k.unary.value[f](loop, out, x.data() + 1, p, q); });
      check_tables<T>(name + ", slope", n, bound, [&](auto& k, T* out) {
        k.unary.slope[f](loop, out, g.data() + 1, x.data() + 1, p, q);
      });
      check_tables<T>(name + ", curvature", n, bound, [&](auto& k, T* out) {
        k.unary.curvature[f](loop, out, g.data() + 1, x.data() + 1, p, q);
      });
    }
    for (size_t f = 0; f < static_cast<size_t>(Binary::count); ++f) {
      check_tables<T>("of two " + std::to_string(f), n, bound, [&](auto& k, T* out) {
        k.binary.apply[f](loop, out, x.data() + 1, g.data());
      });
    }
  }
}

template <class T>
void check_rows(double bound) {
  for (const int64_t n : lengths) {
    for (const Rows rows : {Rows{3, n, 1}, Rows{2, n, 5}, Rows{1, 4, n}}) {
      const int64_t total = rows.outer * rows.n * rows.inner, one = rows.outer * rows.inner;
      const std::vector<T> x = values<T>(total + 1, -3, 3), y = values<T>(total + 1, 0, 1, 1);
      const T *from = x.data() + 1, *other = y.data() + 1;
      for (size_t f = 0; f < static_cast<size_t>(Reduction::count); ++f) {
        if (rows.n == 0 && f > 0) continue;  // the ops refuse the greatest of nothing
        check_tables<T>("reduction " + std::to_string(f), one, bound,
                        [&](auto& k, T* out) { k.reduce.apply[f](rows, out, from); });
      }
      check_tables<T>("softmax", total, bound,
                      [&](auto& k, T* out) { k.softmax.softmax(rows, out, from); });
      check_tables<T>("log_softmax", total, bound,
                      [&](auto& k, T* out) { k.softmax.log_softmax(rows, out, from); });
      check_tables<T>("logsumexp", one, bound,
                      [&](auto& k, T* out) { k.softmax.logsumexp(rows, out, from); });
      check_tables<T>("softmax backward", total, bound,
                      [&](auto& k, T* out) { k.softmax.softmax_backward(rows, out, from, other); });
      check_tables<T>("log_softmax backward", total, bound, [&](auto& k, T* out) {
        k.softmax.log_softmax_backward(rows, out, from, other);
      });
    }
  }
}

template <class T>
void check_products(double bound) {
  for (const int64_t n : lengths) {
    const int64_t m = n % 37, k = (n * 7) % 101;
    const std::vector<T> a = values<T>(m * k + 1, -1, 1), b = values<T>(k * n + 1, -1, 1, 1);
    check_tables<T>("product", m * n, bound, [&](auto& table, T* out) {
      Gemm<T> g;
      g.m = m, g.n = n, g.k = k;
      g.a = a.data() + 1, g.a_row = k, g.a_col = 1;
      g.b = b.data() + 1, g.b_row = n, g.b_col = 1;
      g.c = out, g.c_row = n;
      table.gemm(g);
    });
  }
}

TEST_CASE("tables agree, and write nothing outside of their output") {
  check_pointwise<float>(1e-6);
  check_pointwise<double>(1e-14);
  check_rows<float>(5e-6);  // sums of a thousand numbers that nearly cancel
  check_rows<double>(1e-14);
  check_products<float>(2e-6);
  check_products<double>(1e-14);
}

TEST_CASE("the table in use is the one that was asked for") {
  const char* wanted = std::getenv("REGRAD_CPU");
  if (wanted != nullptr)
    CHECK(cpu_features() == wanted);
  else
    CHECK(cpu_features() == tables().back()->name);
}

TEST_SUITE_END();

}  // namespace
