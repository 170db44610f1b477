// What this machine can do at most, measured: the yardstick of the comparison.
#pragma once

namespace peers {

struct Limits {
  double gflops;        // float32 multiplications and additions, fused, in registers
  double copy_gbs[4];   // read and written, over 16 KiB, 256 KiB, 8 MiB and 256 MiB
  double exponentials;  // float32, 1e9 a second: bare polynomials over numbers in a cache
};

// With so many threads at once; with the widest of AVX-512 and AVX2.
Limits measure_limits(int threads);

}  // namespace peers
