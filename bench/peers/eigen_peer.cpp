// Eigen's product: a library for each instruction set, since its choice is made at compile time.
#include <Eigen/Core>

#include "bench/peers/product.h"

namespace peers {

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::OuterStride<>;

Eigen::Map<const Matrix, 0, Strided> map(const float* data, int rows, int columns, int stride) {
  return {data, rows, columns, Strided(stride)};
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void eigen_multiply(const Product& p) {
  Eigen::Map<Matrix, 0, Strided> c(p.c, p.m, p.n, Strided(p.ldc));
  if (p.transpose_a) {
    c.noalias() = map(p.a, p.k, p.m, p.lda).transpose() * map(p.b, p.k, p.n, p.ldb);
  } else if (p.transpose_b) {
    c.noalias() = map(p.a, p.m, p.k, p.lda) * map(p.b, p.n, p.k, p.ldb).transpose();
  } else {
    c.noalias() = map(p.a, p.m, p.k, p.lda) * map(p.b, p.k, p.n, p.ldb);
  }
}

}  // namespace peers
