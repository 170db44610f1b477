// The matrix product of int64, which cuBLASLt lacks: a thread for each element of C.
#include "ops/cuda/families.h"
#include "ops/cuda/loop.h"

namespace regrad::gpu {
namespace {

struct IntegerProduct {
  Gemm<int64_t> g;
  Divisor columns, rows, batches[6];
  __device__ void operator()(int64_t place) const {
    const int64_t line = columns.divide(place), j = place - line * g.n;
    int64_t batch = rows.divide(line);
    const int64_t i = line - batch * g.m;
    const int64_t *a = g.a + i * g.a_row, *b = g.b + j * g.b_col;
    int64_t* c = g.c + i * g.c_row + j;
    for (int d = g.batch_rank - 1; d >= 0; --d) {
      const int64_t outer = batches[d].divide(batch), k = batch - outer * g.batch_sizes[d];
      a += k * g.a_batch[d], b += k * g.b_batch[d], c += k * g.c_batch[d];
      batch = outer;
    }
    uint64_t sum = static_cast<uint64_t>(g.accumulate ? *c : g.bias == nullptr ? 0 : g.bias[j]);
    for (int64_t p = 0; p < g.k; ++p) {
      sum += static_cast<uint64_t>(a[p * g.a_col]) * static_cast<uint64_t>(b[p * g.b_row]);
    }
    *c = static_cast<int64_t>(sum);
  }
};

}  // namespace

void integer_gemm(const Gemm<int64_t>& g) {
  IntegerProduct product{g, Divisor(g.n), Divisor(g.m), {}};
  int64_t count = g.m * g.n;
  for (int d = 0; d < g.batch_rank; ++d) {
    product.batches[d] = Divisor(g.batch_sizes[d]);
    count *= g.batch_sizes[d];
  }
  for_each(count, product);
}

}  // namespace regrad::gpu
