#include "tests/gpu/cublasLt.h"

#include <algorithm>

namespace {

template <class V>
bool take(V& to, const void* value, size_t bytes) {
  if (bytes != sizeof(V)) return false;
  std::memcpy(&to, value, bytes);
  return true;
}

cublasStatus_t valid(bool condition) {
  return condition ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

// Element (row, column) of what the product sees.
template <class T>
struct Seen {
  const T* data;
  const EmulatedMatrix& layout;
  bool transposed;
  uint64_t rows() const { return transposed ? layout.columns : layout.rows; }
  uint64_t columns() const { return transposed ? layout.rows : layout.columns; }
  double at(uint64_t row, uint64_t column) const {
    if (transposed) std::swap(row, column);
    return static_cast<double>(data[row + column * static_cast<uint64_t>(layout.step)]);
  }
};

template <class T>
void multiply(const EmulatedProduct& how, double alpha, const Seen<T>& a, const Seen<T>& b,
              double beta, T* d, const EmulatedMatrix& layout) {
  const bool has_bias = how.epilogue == CUBLASLT_EPILOGUE_BIAS;
  for (uint64_t column = 0; column < layout.columns; ++column) {
    for (uint64_t row = 0; row < layout.rows; ++row) {
      double sum = 0;
      for (uint64_t k = 0; k < a.columns(); ++k) sum += a.at(row, k) * b.at(k, column);
      T& to = d[row + column * static_cast<uint64_t>(layout.step)];
      double value = alpha * sum + (beta == 0 ? 0 : beta * static_cast<double>(to));
      if (has_bias) value += static_cast<double>(static_cast<const T*>(how.bias)[row]);
      to = static_cast<T>(value);
    }
  }
}

template <class T>
void multiply_all(const EmulatedProduct& how, const void* alpha, const void* a,
                  const EmulatedMatrix& of_a, const void* b, const EmulatedMatrix& of_b,
                  const void* beta, void* d, const EmulatedMatrix& of_d) {
  for (int64_t i = 0; i < of_d.count; ++i) {
    const Seen<T> left{static_cast<const T*>(a) + i * of_a.next, of_a, how.a == CUBLAS_OP_T};
    const Seen<T> right{static_cast<const T*>(b) + i * of_b.next, of_b, how.b == CUBLAS_OP_T};
    multiply(how, static_cast<double>(*static_cast<const T*>(alpha)), left, right,
             static_cast<double>(*static_cast<const T*>(beta)), static_cast<T*>(d) + i * of_d.next,
             of_d);
  }
}

bool fits(const EmulatedMatrix& matrix) {
  return matrix.rows > 0 && matrix.columns > 0 && matrix.step >= static_cast<int64_t>(matrix.rows);
}

}  // namespace

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return valid(take(product->a, value, bytes));
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return valid(take(product->b, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return valid(take(product->epilogue, value, bytes));
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return valid(take(product->bias, value, bytes));
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns, int64_t step) {
  *made = new EmulatedMatrix{type, rows, columns, step};
  return valid(fits(**made));
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t matrix,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  return valid(attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT ? take(matrix->count, value, bytes)
                                                               : take(matrix->next, value, bytes));
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t*, void*,
                              size_t, cudaStream_t) {
  const Seen<float> left{nullptr, *a_layout, product->a == CUBLAS_OP_T};
  const Seen<float> right{nullptr, *b_layout, product->b == CUBLAS_OP_T};
  const bool match = left.rows() == d_layout->rows && right.columns() == d_layout->columns &&
                     left.columns() == right.rows() && c == d && c_layout == d_layout &&
                     a_layout->count == d_layout->count && b_layout->count == d_layout->count;
  if (!match) return CUBLAS_STATUS_INVALID_VALUE;
  (d_layout->type == CUDA_R_32F
       ? multiply_all<float>
       : multiply_all<double>)(*product, alpha, a, *a_layout, b, *b_layout, beta, d, *d_layout);
  return CUBLAS_STATUS_SUCCESS;
}
