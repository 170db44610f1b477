#include "tests/gpu/cublasLt.h"

#include <algorithm>

namespace {

template <class V>
bool read_attribute(V& destination, const void* value, size_t bytes) {
  if (bytes != sizeof(V)) return false;
  std::memcpy(&destination, value, bytes);
  return true;
}

cublasStatus_t valid(bool condition) {
  return condition ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

// An operand as the product sees it: at(row, column) is after the transposition, if there is one.
template <class T>
struct OperandView {
  const T* data;
  const EmulatedMatrix& layout;
  bool transposed;
  uint64_t rows() const { return transposed ? layout.columns : layout.rows; }
  uint64_t columns() const { return transposed ? layout.rows : layout.columns; }
  double at(uint64_t row, uint64_t column) const {
    if (transposed) std::swap(row, column);
    return static_cast<double>(
        data[row + column * static_cast<uint64_t>(layout.leading_dimension)]);
  }
};

template <class T>
void multiply(const EmulatedProduct& operation, double alpha, const OperandView<T>& a,
              const OperandView<T>& b, double beta, T* d, const EmulatedMatrix& layout) {
  const bool has_bias = operation.epilogue == CUBLASLT_EPILOGUE_BIAS;
  for (uint64_t column = 0; column < layout.columns; ++column) {
    for (uint64_t row = 0; row < layout.rows; ++row) {
      double sum = 0;
      for (uint64_t k = 0; k < a.columns(); ++k) sum += a.at(row, k) * b.at(k, column);
      T& destination = d[row + column * static_cast<uint64_t>(layout.leading_dimension)];
      double value = alpha * sum + (beta == 0 ? 0 : beta * static_cast<double>(destination));
      if (has_bias) value += static_cast<double>(static_cast<const T*>(operation.bias)[row]);
      destination = static_cast<T>(value);
    }
  }
}

template <class T>
void multiply_all(const EmulatedProduct& operation, const void* alpha, const void* a,
                  const EmulatedMatrix& a_layout, const void* b, const EmulatedMatrix& b_layout,
                  const void* beta, void* d, const EmulatedMatrix& d_layout) {
  for (int64_t i = 0; i < d_layout.count; ++i) {
    const OperandView<T> left{static_cast<const T*>(a) + i * a_layout.batch_stride, a_layout,
                              operation.a == CUBLAS_OP_T};
    const OperandView<T> right{static_cast<const T*>(b) + i * b_layout.batch_stride, b_layout,
                               operation.b == CUBLAS_OP_T};
    multiply(operation, static_cast<double>(*static_cast<const T*>(alpha)), left, right,
             static_cast<double>(*static_cast<const T*>(beta)),
             static_cast<T*>(d) + i * d_layout.batch_stride, d_layout);
  }
}

bool is_valid(const EmulatedMatrix& matrix) {
  return matrix.rows > 0 && matrix.columns > 0 &&
         matrix.leading_dimension >= static_cast<int64_t>(matrix.rows);
}

}  // namespace

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return valid(read_attribute(product->a, value, bytes));
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return valid(read_attribute(product->b, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return valid(read_attribute(product->epilogue, value, bytes));
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return valid(read_attribute(product->bias, value, bytes));
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* created, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns,
                                          int64_t leading_dimension) {
  *created = new EmulatedMatrix{type, rows, columns, leading_dimension};
  return valid(is_valid(**created));
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t matrix,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  return valid(attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT
                   ? read_attribute(matrix->count, value, bytes)
                   : read_attribute(matrix->batch_stride, value, bytes));
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t*, void*,
                              size_t, cudaStream_t) {
  const OperandView<float> left{nullptr, *a_layout, product->a == CUBLAS_OP_T};
  const OperandView<float> right{nullptr, *b_layout, product->b == CUBLAS_OP_T};
  const bool match = left.rows() == d_layout->rows && right.columns() == d_layout->columns &&
                     left.columns() == right.rows() && c == d && c_layout == d_layout &&
                     a_layout->count == d_layout->count && b_layout->count == d_layout->count;
  if (!match) return CUBLAS_STATUS_INVALID_VALUE;
  (d_layout->type == CUDA_R_32F
       ? multiply_all<float>
       : multiply_all<double>)(*product, alpha, a, *a_layout, b, *b_layout, beta, d, *d_layout);
  return CUBLAS_STATUS_SUCCESS;
}
