// One matrix product, as the libraries of gemm_peers.cpp take it: row-major operands whose rows lie
// lda, ldb, ldc apart; transposed as stored.
#pragma once

namespace peers {

struct Product {
  int m, n, k;
  bool transpose_a, transpose_b;
  const float *a, *b;
  float* c;
  int lda, ldb, ldc;
};

}  // namespace peers
