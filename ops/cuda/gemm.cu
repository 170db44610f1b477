// Products through cuBLASLt. It thinks in columns: our C [m, n], by rows, is its Cᵀ [n, m], so it
// is asked for Cᵀ = Bᵀ Aᵀ, and a bias of n numbers is what its epilogue adds.
#include <cublasLt.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "autograd/error.h"
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/numbers.h"

namespace regrad::gpu {
namespace {

void check_cublas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw Error(std::string("cuda: ") + what + ": " + cublasLtGetStatusString(status));
  }
}

constexpr int64_t workspace_bytes = int64_t{32} << 20;

// float32 products are full float32; REGRAD_TF32=1 lets them round their factors to 10 bits.
bool may_round() {
  static const char* const setting = std::getenv("REGRAD_TF32");
  return setting != nullptr && std::strcmp(setting, "1") == 0;
}

// A matrix as cuBLASLt takes it: by columns `step` apart, perhaps transposed.
struct Layout {
  bool transposed;
  int64_t step;
};

// How [rows, columns] with these strides is laid out, seen by columns; step 0: it is not.
Layout layout_of(int64_t rows, int64_t columns, int64_t row, int64_t column) {
  if ((row == 1 || rows == 1) && (columns == 1 || column >= rows)) {
    return {false, columns == 1 ? rows : column};
  }
  if ((column == 1 || columns == 1) && (rows == 1 || row >= columns)) {
    return {true, rows == 1 ? columns : row};
  }
  return {false, 0};
}

// One call: c [m, n] = a [m, k] b [k, n], `count` times, each `*_next` further on.
template <class T>
struct Product {
  int64_t m, n, k, count;
  const T *a, *b;
  T* c;
  Layout a_layout, b_layout;  // of Aᵀ [k, m] and Bᵀ [n, k]
  int64_t c_row, a_next, b_next, c_next;
  const T* bias;
  bool accumulate;
};

uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer) | 256;
  return static_cast<uint32_t>(address & (~address + 1));
}

// All that the choice of an algorithm depends on.
using Key = std::array<int64_t, 19>;

template <class T>
Key key_of(const Product<T>& p) {
  return {sizeof(T),
          p.m,
          p.n,
          p.k,
          p.count,
          p.a_layout.transposed,
          p.a_layout.step,
          p.b_layout.transposed,
          p.b_layout.step,
          p.c_row,
          p.a_next,
          p.b_next,
          p.c_next,
          p.bias != nullptr,
          p.accumulate,
          alignment_of(p.a),
          alignment_of(p.b),
          alignment_of(p.c),
          p.bias == nullptr ? 0 : alignment_of(p.bias)};
}

// What cuBLASLt needs to know of a product; made once for each key.
class Plan {
 public:
  template <class T>
  Plan(cublasLtHandle_t handle, const Product<T>& p) {
    const auto type = sizeof(T) == 4 ? CUDA_R_32F : CUDA_R_64F;
    const auto compute = sizeof(T) == 8 ? CUBLAS_COMPUTE_64F
                         : may_round()  ? CUBLAS_COMPUTE_32F_FAST_TF32
                                        : CUBLAS_COMPUTE_32F;
    check_cublas(cublasLtMatmulDescCreate(&operation_, compute, type), "a product");
    const auto op = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
    set(CUBLASLT_MATMUL_DESC_TRANSA, op(p.b_layout.transposed));
    set(CUBLASLT_MATMUL_DESC_TRANSB, op(p.a_layout.transposed));
    if (p.bias != nullptr) set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    b_ = matrix(type, p.n, p.k, p.b_layout, p.count, p.b_next);
    a_ = matrix(type, p.k, p.m, p.a_layout, p.count, p.a_next);
    const Layout by_rows{false, p.c_row};
    c_ = matrix(type, p.n, p.m, by_rows, p.count, p.c_next);
    choose(handle, alignment_of(p.b), alignment_of(p.a), alignment_of(p.c));
  }

  template <class T>
  void run(cublasLtHandle_t handle, void* workspace, const Product<T>& p) {
    if (p.bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    const T one(1), keep(p.accumulate ? 1 : 0);
    check_cublas(
        cublasLtMatmul(handle, operation_, &one, p.b, b_, p.a, a_, &keep, p.c, c_, p.c, c_,
                       &algorithm_, workspace, static_cast<size_t>(workspace_bytes), stream()),
        "a product");
  }

 private:
  template <class V>
  void set(cublasLtMatmulDescAttributes_t attribute, const V& value) {
    check_cublas(cublasLtMatmulDescSetAttribute(operation_, attribute, &value, sizeof value),
                 "a product");
  }

  // rows by columns is what the product sees; stored the other way round where transposed.
  static cublasLtMatrixLayout_t matrix(cudaDataType_t type, int64_t rows, int64_t columns,
                                       Layout layout, int64_t count, int64_t next) {
    cublasLtMatrixLayout_t made{};
    const auto first = static_cast<uint64_t>(layout.transposed ? columns : rows);
    const auto second = static_cast<uint64_t>(layout.transposed ? rows : columns);
    check_cublas(cublasLtMatrixLayoutCreate(&made, type, first, second, layout.step), "a product");
    const auto batch = static_cast<int32_t>(count);
    check_cublas(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                                  sizeof batch),
                 "a product");
    check_cublas(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                  &next, sizeof next),
                 "a product");
    return made;
  }

  void choose(cublasLtHandle_t handle, uint32_t of_a, uint32_t of_b, uint32_t of_c) {
    cublasLtMatmulPreference_t wish{};
    check_cublas(cublasLtMatmulPreferenceCreate(&wish), "a product");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check_cublas(cublasLtMatmulPreferenceSetAttribute(wish, attribute, &value, sizeof value),
                   "a product");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(workspace_bytes));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, of_a);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, of_b);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, of_c);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, of_c);
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    check_cublas(
        cublasLtMatmulAlgoGetHeuristic(handle, operation_, b_, a_, c_, c_, wish, 1, &best, &found),
        "a product");
    cublasLtMatmulPreferenceDestroy(wish);
    if (found == 0) throw Error("cuda: cuBLASLt has no algorithm for this product");
    algorithm_ = best.algo;
  }

  cublasLtMatmulDesc_t operation_{};
  cublasLtMatrixLayout_t a_{}, b_{}, c_{};
  cublasLtMatmulAlgo_t algorithm_{};
};

// One for the process: work is in one stream, so one workspace serves it all.
struct Library {
  std::mutex mutex;
  cublasLtHandle_t handle{};
  void* workspace = nullptr;
  std::map<Key, Plan> plans;
};

Library& library() {
  static Library* const only = [] {
    auto* made = new Library;
    check_cublas(cublasLtCreate(&made->handle), "cuBLASLt");
    made->workspace = allocate(workspace_bytes);
    return made;
  }();
  return *only;
}

template <class T>
void run(const Product<T>& p) {
  Library& all = library();
  const std::lock_guard lock(all.mutex);
  const Key key = key_of(p);
  auto found = all.plans.find(key);
  if (found == all.plans.end()) found = all.plans.emplace(key, Plan(all.handle, p)).first;
  found->second.run(all.handle, all.workspace, p);
}

// [count, rows, columns] as it lies, into plain rows: for strides that cuBLASLt does not take.
template <class T>
void make_plain(T* to, const T* from, int64_t count, int64_t rows, int64_t columns, int64_t next,
                int64_t row, int64_t column) {
  Loop loop;
  loop.rank = 3;
  loop.sizes[0] = count, loop.sizes[1] = rows, loop.sizes[2] = columns;
  loop.strides[0][0] = rows * columns, loop.strides[0][1] = columns, loop.strides[0][2] = 1;
  loop.strides[1][0] = next, loop.strides[1][1] = row, loop.strides[1][2] = column;
  move_kernels<T>().copy(loop, to, from);
}

// What is left to do where there is no product, or none that ends as it should.
template <class T>
struct Finish {
  Product<T> p;
  bool from_zero;
  __device__ void operator()(int64_t i) const {
    const int64_t j = i % p.n, rest = i / p.n;
    T* const at = p.c + rest / p.m * p.c_next + rest % p.m * p.c_row + j;
    const T value = from_zero ? T(0) : *at;
    *at = p.bias == nullptr ? value : value + p.bias[j];
  }
};

template <class T>
void multiply(Product<T> p, int64_t a_row, int64_t a_col, int64_t b_row, int64_t b_col) {
  if (p.k == 0) return for_each(p.count * p.m * p.n, Finish<T>{p, !p.accumulate});
  p.a_layout = layout_of(p.k, p.m, a_col, a_row);
  p.b_layout = layout_of(p.n, p.k, b_col, b_row);
  const bool copies_a = p.a_layout.step == 0, copies_b = p.b_layout.step == 0;
  const Scratch<T> plain_a(copies_a ? p.count * p.m * p.k : 0);
  const Scratch<T> plain_b(copies_b ? p.count * p.k * p.n : 0);
  if (copies_a) {
    make_plain(plain_a.data(), p.a, p.count, p.m, p.k, p.a_next, a_row, a_col);
    p.a = plain_a.data(), p.a_layout = {false, p.k}, p.a_next = p.m * p.k;
  }
  if (copies_b) {
    make_plain(plain_b.data(), p.b, p.count, p.k, p.n, p.b_next, b_row, b_col);
    p.b = plain_b.data(), p.b_layout = {false, p.n}, p.b_next = p.k * p.n;
  }
  if (p.m == 1) p.c_row = std::max(p.c_row, p.n);
  if (sizeof(T) == 4 || p.bias == nullptr) return run(p);
  Product<T> bare = p;  // float64 products have no epilogue
  bare.bias = nullptr;
  run(bare);
  for_each(p.count * p.m * p.n, Finish<T>{p, false});
}

// Joins neighbouring dimensions of the batch where every operand steps through both as through one.
template <class T>
void join_batch(Gemm<T>& g) {
  int last = 0;
  for (int d = 1; d < g.batch_rank; ++d) {
    const int64_t size = g.batch_sizes[d];
    const bool joins = g.a_batch[last] == g.a_batch[d] * size &&
                       g.b_batch[last] == g.b_batch[d] * size &&
                       g.c_batch[last] == g.c_batch[d] * size;
    if (!joins) ++last;
    g.batch_sizes[last] = joins ? g.batch_sizes[last] * size : size;
    g.a_batch[last] = g.a_batch[d], g.b_batch[last] = g.b_batch[d];
    g.c_batch[last] = g.c_batch[d];
  }
  if (g.batch_rank > 0) g.batch_rank = last + 1;
}

// The last dimension of the batch is one call's; the others are a loop of calls.
template <class T>
void each_call(const Gemm<T>& g, int depth, const T* a, const T* b, T* c) {
  const int last = g.batch_rank - 1;
  if (depth < last) {
    for (int64_t i = 0; i < g.batch_sizes[depth]; ++i) {
      each_call(g, depth + 1, a + i * g.a_batch[depth], b + i * g.b_batch[depth],
                c + i * g.c_batch[depth]);
    }
    return;
  }
  const bool has_batch = last >= 0;
  multiply(Product<T>{g.m,
                      g.n,
                      g.k,
                      has_batch ? g.batch_sizes[last] : 1,
                      a,
                      b,
                      c,
                      {},
                      {},
                      g.c_row,
                      has_batch ? g.a_batch[last] : 0,
                      has_batch ? g.b_batch[last] : 0,
                      has_batch ? g.c_batch[last] : 0,
                      g.bias,
                      g.accumulate},
           g.a_row, g.a_col, g.b_row, g.b_col);
}

}  // namespace

template <class T>
void gemm(const Gemm<T>& given) {
  int64_t count = given.m * given.n;
  for (int d = 0; d < given.batch_rank; ++d) count *= given.batch_sizes[d];
  if (count == 0) return;
  Gemm<T> g = given;
  join_batch(g);
  each_call(g, 0, g.a, g.b, g.c);
}

template void gemm(const Gemm<float>&);
template void gemm(const Gemm<double>&);

}  // namespace regrad::gpu
