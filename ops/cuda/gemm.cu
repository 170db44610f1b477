// Matrix products with cuBLASLt, which is column-major: our row-major C [m, n] is its Cᵀ [n, m]. So
// it computes Cᵀ = Bᵀ Aᵀ, and its bias epilogue adds the n numbers of our bias.
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

// float32 products have full precision; REGRAD_TF32=1 allows TF32, which rounds factors to 10 bits.
bool allow_tf32() {
  static const char* const setting = std::getenv("REGRAD_TF32");
  return setting != nullptr && std::strcmp(setting, "1") == 0;
}

// A column-major matrix for cuBLASLt, which may be transposed.
struct Layout {
  bool transposed;
  int64_t leading_dimension;
};

// The layout of [rows, columns] with these strides; a leading dimension of 0 means that cuBLASLt
// does not support them.
Layout layout_of(int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride) {
  if ((row_stride == 1 || rows == 1) && (columns == 1 || column_stride >= rows)) {
    return {false, columns == 1 ? rows : column_stride};
  }
  if ((column_stride == 1 || columns == 1) && (rows == 1 || row_stride >= columns)) {
    return {true, rows == 1 ? columns : row_stride};
  }
  return {false, 0};
}

// One call of cuBLASLt: c [m, n] = a [m, k] b [k, n], for `count` batch entries.
template <class T>
struct Product {
  int64_t m, n, k, count;
  const T *a, *b;
  T* c;
  Layout a_layout, b_layout;  // of Aᵀ [k, m] and Bᵀ [n, k], column-major
  int64_t c_row, a_batch_stride, b_batch_stride, c_batch_stride;
  const T* bias;
  bool accumulate;
};

uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer) | 256;
  return static_cast<uint32_t>(address & (~address + 1));
}

// Everything that the choice of an algorithm depends on.
using Key = std::array<int64_t, 19>;

template <class T>
Key key_of(const Product<T>& p) {
  return {sizeof(T),
          p.m,
          p.n,
          p.k,
          p.count,
          p.a_layout.transposed,
          p.a_layout.leading_dimension,
          p.b_layout.transposed,
          p.b_layout.leading_dimension,
          p.c_row,
          p.a_batch_stride,
          p.b_batch_stride,
          p.c_batch_stride,
          p.bias != nullptr,
          p.accumulate,
          alignment_of(p.a),
          alignment_of(p.b),
          alignment_of(p.c),
          p.bias == nullptr ? 0 : alignment_of(p.bias)};
}

// The descriptors and the algorithm of a product; created once for each key.
class Plan {
 public:
  template <class T>
  Plan(cublasLtHandle_t handle, const Product<T>& p) {
    const auto type = sizeof(T) == 4 ? CUDA_R_32F : CUDA_R_64F;
    const auto compute = sizeof(T) == 8 ? CUBLAS_COMPUTE_64F
                         : allow_tf32() ? CUBLAS_COMPUTE_32F_FAST_TF32
                                        : CUBLAS_COMPUTE_32F;
    check_cublas(cublasLtMatmulDescCreate(&operation_, compute, type), "a product");
    const auto transpose_op = [](bool transposed) {
      return transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    };
    set_attribute(CUBLASLT_MATMUL_DESC_TRANSA, transpose_op(p.b_layout.transposed));
    set_attribute(CUBLASLT_MATMUL_DESC_TRANSB, transpose_op(p.a_layout.transposed));
    if (p.bias != nullptr) set_attribute(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    b_ = make_layout(type, p.n, p.k, p.b_layout, p.count, p.b_batch_stride);
    a_ = make_layout(type, p.k, p.m, p.a_layout, p.count, p.a_batch_stride);
    const Layout c_layout{false, p.c_row};
    c_ = make_layout(type, p.n, p.m, c_layout, p.count, p.c_batch_stride);
    choose_algorithm(handle, alignment_of(p.b), alignment_of(p.a), alignment_of(p.c));
  }

  template <class T>
  void run(cublasLtHandle_t handle, void* workspace, const Product<T>& p) {
    if (p.bias != nullptr) set_attribute(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    const T alpha(1), beta(p.accumulate ? 1 : 0);
    check_cublas(
        cublasLtMatmul(handle, operation_, &alpha, p.b, b_, p.a, a_, &beta, p.c, c_, p.c, c_,
                       &algorithm_, workspace, static_cast<size_t>(workspace_bytes), stream()),
        "a product");
  }

 private:
  template <class V>
  void set_attribute(cublasLtMatmulDescAttributes_t attribute, const V& value) {
    check_cublas(cublasLtMatmulDescSetAttribute(operation_, attribute, &value, sizeof value),
                 "a product");
  }

  // [rows, columns] is the matrix after the transposition, if there is one.
  static cublasLtMatrixLayout_t make_layout(cudaDataType_t type, int64_t rows, int64_t columns,
                                            Layout layout, int64_t count, int64_t batch_stride) {
    cublasLtMatrixLayout_t created{};
    const auto first = static_cast<uint64_t>(layout.transposed ? columns : rows);
    const auto second = static_cast<uint64_t>(layout.transposed ? rows : columns);
    check_cublas(
        cublasLtMatrixLayoutCreate(&created, type, first, second, layout.leading_dimension),
        "a product");
    const auto batch = static_cast<int32_t>(count);
    check_cublas(cublasLtMatrixLayoutSetAttribute(created, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                  &batch, sizeof batch),
                 "a product");
    check_cublas(
        cublasLtMatrixLayoutSetAttribute(created, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                         &batch_stride, sizeof batch_stride),
        "a product");
    return created;
  }

  void choose_algorithm(cublasLtHandle_t handle, uint32_t a_alignment, uint32_t b_alignment,
                        uint32_t c_alignment) {
    cublasLtMatmulPreference_t preference{};
    check_cublas(cublasLtMatmulPreferenceCreate(&preference), "a product");
    const auto set_preference = [&](cublasLtMatmulPreferenceAttributes_t attribute,
                                    const auto& value) {
      check_cublas(
          cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value),
          "a product");
    };
    set_preference(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                   static_cast<uint64_t>(workspace_bytes));
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, a_alignment);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, b_alignment);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c_alignment);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, c_alignment);
    cublasLtMatmulHeuristicResult_t result{};
    int match = 0;
    check_cublas(cublasLtMatmulAlgoGetHeuristic(handle, operation_, b_, a_, c_, c_, preference, 1,
                                                &result, &match),
                 "a product");
    cublasLtMatmulPreferenceDestroy(preference);
    if (match == 0) throw Error("cuda: cuBLASLt has no algorithm for this product");
    algorithm_ = result.algo;
  }

  cublasLtMatmulDesc_t operation_{};
  cublasLtMatrixLayout_t a_{}, b_{}, c_{};
  cublasLtMatmulAlgo_t algorithm_{};
};

// One for the process: as all work is in one stream, it can share one workspace.
struct CublasLt {
  std::mutex mutex;
  cublasLtHandle_t handle{};
  void* workspace = nullptr;
  std::map<Key, Plan> plans;
};

CublasLt& cublas() {
  static CublasLt* const instance = [] {
    auto* created = new CublasLt;
    check_cublas(cublasLtCreate(&created->handle), "cuBLASLt");
    created->workspace = allocate(workspace_bytes);
    return created;
  }();
  return *instance;
}

template <class T>
void run(const Product<T>& p) {
  CublasLt& library = cublas();
  const std::lock_guard lock(library.mutex);
  const Key key = key_of(p);
  auto match = library.plans.find(key);
  if (match == library.plans.end())
    match = library.plans.emplace(key, Plan(library.handle, p)).first;
  match->second.run(library.handle, library.workspace, p);
}

// Copies [count, rows, columns] to contiguous memory, for strides that cuBLASLt does not support.
template <class T>
void copy_to_contiguous(T* destination, const T* source, int64_t count, int64_t rows,
                        int64_t columns, int64_t batch_stride, int64_t row_stride,
                        int64_t column_stride) {
  Loop loop;
  loop.rank = 3;
  loop.sizes[0] = count, loop.sizes[1] = rows, loop.sizes[2] = columns;
  loop.strides[0][0] = rows * columns, loop.strides[0][1] = columns, loop.strides[0][2] = 1;
  loop.strides[1][0] = batch_stride, loop.strides[1][1] = row_stride,
  loop.strides[1][2] = column_stride;
  move_kernels<T>().copy(loop, destination, source);
}

// Clears C if k is 0, and adds the bias where cuBLASLt does not.
template <class T>
struct Epilogue {
  Product<T> p;
  bool clears;
  __device__ void operator()(int64_t i) const {
    const int64_t j = i % p.n, row = i / p.n;
    T* const element = p.c + row / p.m * p.c_batch_stride + row % p.m * p.c_row + j;
    const T value = clears ? T(0) : *element;
    *element = p.bias == nullptr ? value : value + p.bias[j];
  }
};

template <class T>
void multiply(Product<T> p, int64_t a_row, int64_t a_col, int64_t b_row, int64_t b_col) {
  if (p.k == 0) return for_each(p.count * p.m * p.n, Epilogue<T>{p, !p.accumulate});
  p.a_layout = layout_of(p.k, p.m, a_col, a_row);
  p.b_layout = layout_of(p.n, p.k, b_col, b_row);
  const bool copy_a = p.a_layout.leading_dimension == 0, copy_b = p.b_layout.leading_dimension == 0;
  const Scratch<T> contiguous_a(copy_a ? p.count * p.m * p.k : 0);
  const Scratch<T> contiguous_b(copy_b ? p.count * p.k * p.n : 0);
  if (copy_a) {
    copy_to_contiguous(contiguous_a.data(), p.a, p.count, p.m, p.k, p.a_batch_stride, a_row, a_col);
    p.a = contiguous_a.data(), p.a_layout = {false, p.k}, p.a_batch_stride = p.m * p.k;
  }
  if (copy_b) {
    copy_to_contiguous(contiguous_b.data(), p.b, p.count, p.k, p.n, p.b_batch_stride, b_row, b_col);
    p.b = contiguous_b.data(), p.b_layout = {false, p.n}, p.b_batch_stride = p.k * p.n;
  }
  if (p.m == 1) p.c_row = std::max(p.c_row, p.n);
  if (sizeof(T) == 4 || p.bias == nullptr) return run(p);
  Product<T> without_bias = p;  // cuBLASLt has no bias epilogue for float64
  without_bias.bias = nullptr;
  run(without_bias);
  for_each(p.count * p.m * p.n, Epilogue<T>{p, false});
}

// Merges adjacent batch dimensions that every operand can step through as one.
template <class T>
void merge_batch_dimensions(Gemm<T>& g) {
  int last = 0;
  for (int d = 1; d < g.batch_rank; ++d) {
    const int64_t size = g.batch_sizes[d];
    const bool merges = g.a_batch[last] == g.a_batch[d] * size &&
                        g.b_batch[last] == g.b_batch[d] * size &&
                        g.c_batch[last] == g.c_batch[d] * size;
    if (!merges) ++last;
    g.batch_sizes[last] = merges ? g.batch_sizes[last] * size : size;
    g.a_batch[last] = g.a_batch[d], g.b_batch[last] = g.b_batch[d];
    g.c_batch[last] = g.c_batch[d];
  }
  if (g.batch_rank > 0) g.batch_rank = last + 1;
}

// Calls cuBLASLt once for all of the last batch dimension, in a loop over the others.
template <class T>
void for_each_call(const Gemm<T>& g, int dimension, const T* a, const T* b, T* c) {
  const int last = g.batch_rank - 1;
  if (dimension < last) {
    for (int64_t i = 0; i < g.batch_sizes[dimension]; ++i) {
      for_each_call(g, dimension + 1, a + i * g.a_batch[dimension], b + i * g.b_batch[dimension],
                    c + i * g.c_batch[dimension]);
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
void gemm(const Gemm<T>& call) {
  int64_t count = call.m * call.n;
  for (int d = 0; d < call.batch_rank; ++d) count *= call.batch_sizes[d];
  if (count == 0) return;
  Gemm<T> g = call;
  merge_batch_dimensions(g);
  for_each_call(g, 0, g.a, g.b, g.c);
}

template void gemm(const Gemm<float>&);
template void gemm(const Gemm<double>&);

}  // namespace regrad::gpu
