// libxsmm's product of small matrices, for gemm_peers: code made for one shape when first asked.
#include <libxsmm.h>

namespace peers {

// Its columns are contiguous: what it sees of our C = A B is Cᵀ = Bᵀ Aᵀ. It has no code for B
// transposed, nor for large shapes: false.
bool xsmm_multiply(int m, int n, int k, bool transpose_a, const float* a, int lda, const float* b,
                   int ldb, float* c, int ldc) {
  const float alpha = 1, beta = 0;
  const int flags = transpose_a ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
  const auto kernel =
      libxsmm_smmdispatch(n, m, k, &ldb, &lda, &ldc, &alpha, &beta, &flags, nullptr);
  if (kernel == nullptr) return false;
  kernel(b, a, c);
  return true;
}

}  // namespace peers
