// Products of the models' shapes, float32: regrad's kernel against the BLAS libraries that are
// installed (OpenBLAS, BLIS, oneDNN, each opened at run time, Eigen and, up to 128 cubed, libxsmm
// where they were found at build time), in turn. Every result is checked against regrad's.
//   gemm_peers [--only TEXT] [--rounds N] [--threads N]
// The libraries take their number of threads from the environment (compare.py sets it).
// A line a shape: name, regrad's GFLOP/s and its share of the FMA peak, the best peer, its GFLOP/s,
// and the ratio of times; at the end the geometric mean, and how near to the peak both come.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "bench/peers/limits.h"
#include "bench/peers/product.h"
#include "ops/backend.h"
#include "ops/kernels/table.h"
#include "regrad.h"

namespace peers {

using Multiply = std::function<void(const Product&)>;

#if REGRAD_HAVE_XSMM
bool xsmm_multiply(int m, int n, int k, bool transpose_a, const float* a, int lda, const float* b,
                   int ldb, float* c, int ldc);  // xsmm_peer.cpp
#endif

namespace {

struct Peer {
  std::string name;
  Multiply multiply;
};

template <class Function>
Function* symbol(const char* library, const char* name) {
  void* opened = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  return opened == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(opened, name));
}

using CblasSgemm = void(int order, int ta, int tb, int m, int n, int k, float alpha, const float* a,
                        int lda, const float* b, int ldb, float beta, float* c, int ldc);
using DnnlSgemm = int(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
                      const float* a, int64_t lda, const float* b, int64_t ldb, float beta,
                      float* c, int64_t ldc);

std::vector<Peer> installed_peers() {
  std::vector<Peer> peers;
  for (const auto& [name, library] :
       {std::pair{"OpenBLAS", "libopenblas.so.0"}, std::pair{"BLIS", "libblis.so.4"}}) {
    auto* gemm = symbol<CblasSgemm>(library, "cblas_sgemm");
    if (gemm == nullptr) continue;
    peers.push_back({name, [gemm](const Product& p) {
                       gemm(101, p.transpose_a ? 112 : 111, p.transpose_b ? 112 : 111, p.m, p.n,
                            p.k, 1, p.a, p.lda, p.b, p.ldb, 0, p.c, p.ldc);
                     }});
  }
  if (auto* gemm = symbol<DnnlSgemm>("libdnnl.so.2", "dnnl_sgemm")) {
    peers.push_back({"oneDNN", [gemm](const Product& p) {
                       gemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1,
                            p.a, p.lda, p.b, p.ldb, 0, p.c, p.ldc);
                     }});
  }
  const std::string eigen = REGRAD_BENCH_FOLDER "/libeigen_" + regrad::cpu_features() + ".so";
  if (auto* multiply = symbol<void(const Product&)>(eigen.c_str(), "eigen_multiply")) {
    peers.push_back({"Eigen", multiply});
  }
#if REGRAD_HAVE_XSMM
  peers.push_back({"libxsmm", [](const Product& p) {
                     xsmm_multiply(p.m, p.n, p.k, p.transpose_a, p.a, p.lda, p.b, p.ldb, p.c,
                                   p.ldc);
                   }});
#endif
  return peers;
}

struct Case {
  std::string name;
  int batch, m, k, n;
  bool transpose_a, transpose_b;
  int heads = 0;  // the batch is so many heads side by side in rows of 3 heads k numbers
};

std::vector<Case> all_cases() {
  struct Size {
    int batch, m, k, n;
  };
  std::vector<Size> sizes;
  for (const int n : {16, 20, 32, 48, 64, 96, 128, 256, 512, 1024, 2048}) {
    sizes.push_back({1, n, n, n});
  }
  for (const Size& one :
       {Size{1, 32, 256, 256}, {1, 64, 256, 768},   {1, 640, 256, 1024}, {1, 640, 256, 256},
        {1, 640, 1024, 256},   {1, 1920, 256, 768}, {1, 256, 1248, 256}, {1, 768, 512, 8000},
        {1, 32, 512, 10000},   {1, 2048, 64, 2048}, {1, 2048, 256, 768}, {1, 2048, 256, 1024},
        {1, 2048, 1024, 256},  {1, 1, 256, 256},    {1, 1, 256, 8000},   {256, 20, 64, 20},
        {256, 20, 20, 64},     {64, 128, 64, 128},  {64, 128, 128, 64},  {256, 64, 64, 64},
        {64, 1, 30, 256}}) {
    sizes.push_back(one);
  }
  std::vector<Case> cases;
  for (const Size& s : sizes) {
    for (const auto& [form, ta, tb] :
         {std::tuple{"NN", false, false}, std::tuple{"NT", false, true},
          std::tuple{"TN", true, false}}) {
      const std::string batch = s.batch == 1 ? "" : std::to_string(s.batch) + "x";
      cases.push_back({batch + std::to_string(s.m) + "," + std::to_string(s.k) + "," +
                           std::to_string(s.n) + " " + form,
                       s.batch, s.m, s.k, s.n, ta, tb});
    }
  }
  cases.push_back({"heads 8x128,32,128 NT", 8, 128, 32, 128, false, true, 8});
  return cases;
}

// The operands of a case, and a way to run it with regrad's kernel or with a peer's.
struct Work {
  Case product;
  int lda, ldb;
  int64_t a_step, b_step, c_step;
  regrad::Tensor a, b, c;  // so that they lie as any tensor does, at a multiple of 64 bytes

  explicit Work(const Case& given) : product(given) {
    lda = product.heads > 0     ? 3 * product.heads * product.k
          : product.transpose_a ? product.m
                                : product.k;
    ldb = product.heads > 0 ? lda : product.transpose_b ? product.k : product.n;
    a_step = product.heads > 0 ? product.k : int64_t{product.m} * product.k;
    b_step = product.heads > 0 ? product.k : int64_t{product.k} * product.n;
    c_step = int64_t{product.m} * product.n;
    a = random(product.heads > 0 ? int64_t{product.m} * lda : product.batch * a_step);
    b = random(product.heads > 0 ? int64_t{product.n} * ldb : product.batch * b_step);
    c = regrad::zeros({product.batch * c_step});
  }

  static regrad::Tensor random(int64_t count) {
    static regrad::Generator generator(1);
    return regrad::randn({count}, generator);
  }

  void run_regrad() {
    regrad::Gemm<float> g;
    g.m = product.m, g.n = product.n, g.k = product.k;
    g.a = a.data<float>(), g.a_row = product.transpose_a ? 1 : lda,
    g.a_col = product.transpose_a ? lda : 1;
    g.b = b.data<float>(), g.b_row = product.transpose_b ? 1 : ldb,
    g.b_col = product.transpose_b ? ldb : 1;
    g.c = result(), g.c_row = product.n;
    if (product.batch > 1) {
      g.batch_rank = 1, g.batch_sizes[0] = product.batch;
      g.a_batch[0] = a_step, g.b_batch[0] = b_step, g.c_batch[0] = c_step;
    }
    regrad::backend(regrad::cpu).float32.gemm(g);
  }

  void run_peer(const Multiply& multiply) {
    for (int64_t i = 0; i < product.batch; ++i) {
      multiply({product.m, product.n, product.k, product.transpose_a, product.transpose_b,
                a.data<float>() + i * a_step, b.data<float>() + i * b_step, result() + i * c_step,
                lda, ldb, product.n});
    }
  }

  float* result() { return const_cast<float*>(c.data<float>()); }
  double flop() const { return 2.0 * product.batch * product.m * product.k * product.n; }
};

double seconds(int loops, const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < loops; ++i) body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / loops;
}

// The threads of the library before may still spin, on the core that this one's second thread needs
// (OpenBLAS's for 20 ms and more): they are waited for, and one call wakes this one's own.
double alone(int loops, const std::function<void()>& body) {
  if (regrad::num_threads() > 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    body();
  }
  return seconds(loops, body);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void check_equal(Work& work, const std::vector<float>& expected, const std::string& peer) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::abs(work.result()[i] - expected[i]) >
        1e-3 * std::sqrt(static_cast<double>(work.product.k))) {
      std::printf("%s: %s differs at %zu: %g, not %g\n", work.product.name.c_str(), peer.c_str(), i,
                  static_cast<double>(work.result()[i]), static_cast<double>(expected[i]));
      return;
    }
  }
}

// libxsmm makes code for small shapes alone, and none for B transposed.
bool takes(const Peer& peer, const Case& product) {
  if (peer.name != "libxsmm") return true;
  return !product.transpose_b && int64_t{product.m} * product.n * product.k <= 128 * 128 * 128;
}

struct Compared {
  double flop, ours, theirs;  // seconds of regrad, and of the best peer
};

Compared compare(const Case& product, std::vector<Peer> peers, int rounds, double peak) {
  std::erase_if(peers, [&](const Peer& peer) { return !takes(peer, product); });
  Work work(product);
  work.run_regrad();
  const std::vector<float> expected = work.c.to_vector<float>();
  std::vector<std::function<void()>> programs = {[&] { work.run_regrad(); }};
  for (const Peer& peer : peers) {
    work.run_peer(peer.multiply);
    check_equal(work, expected, peer.name);
    programs.push_back([&] { work.run_peer(peer.multiply); });
  }
  const double once = std::max(seconds(3, programs[0]), 1e-8);
  const int loops = std::max(1, static_cast<int>(2e-3 / once));
  std::vector<std::vector<double>> times(programs.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < programs.size(); ++i) times[i].push_back(alone(loops, programs[i]));
  }
  const double ours = median(times[0]);
  size_t best = 1;
  for (size_t i = 1; i < times.size(); ++i) {
    if (median(times[i]) < median(times[best])) best = i;
  }
  const double theirs = times.size() > 1 ? median(times[best]) : ours;
  std::printf("%-24s %7.1f GFLOP/s %3.0f %% of peak  %-8s %7.1f  ratio %.2f\n",
              product.name.c_str(), work.flop() / ours / 1e9, 100 * work.flop() / ours / 1e9 / peak,
              peers.empty() ? "-" : peers[best - 1].name.c_str(), work.flop() / theirs / 1e9,
              theirs / ours);
  std::fflush(stdout);
  return {work.flop(), ours, theirs};
}

double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return std::exp(sum / static_cast<double>(std::max<size_t>(values.size(), 1)));
}

void print_summary(const std::vector<Compared>& shapes, double peak) {
  std::vector<double> ratios, ours, best;
  for (const Compared& shape : shapes) {
    ratios.push_back(shape.theirs / shape.ours);
    if (shape.flop < 1e6) continue;
    ours.push_back(shape.flop / shape.ours / 1e9 / peak);
    best.push_back(shape.flop / shape.theirs / 1e9 / peak);
  }
  std::printf("%zu shapes: geometric mean %.3f, least %.2f, %ld under 0.9\n", ratios.size(),
              geometric_mean(ratios), *std::min_element(ratios.begin(), ratios.end()),
              std::count_if(ratios.begin(), ratios.end(), [](double r) { return r < 0.9; }));
  std::printf("%zu of them from 1 MFLOP: %.1f %% of peak, the best library of each %.1f %%\n",
              ours.size(), 100 * geometric_mean(ours), 100 * geometric_mean(best));
}

int run(int argc, char** argv) {
  std::string only;
  int rounds = 9, threads = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--only") == 0) only = argv[i + 1];
    if (std::strcmp(argv[i], "--rounds") == 0) rounds = std::max(1, std::atoi(argv[i + 1]));
    if (std::strcmp(argv[i], "--threads") == 0) threads = std::max(1, std::atoi(argv[i + 1]));
  }
  regrad::set_num_threads(threads);
  const double peak = measure_limits(threads).gflops;
  const std::vector<Peer> peers = installed_peers();
  std::printf("FMA peak %.1f GFLOP/s, %d thread(s); peers:", peak, threads);
  for (const Peer& peer : peers) std::printf(" %s", peer.name.c_str());
  std::printf("\n");
  std::vector<Compared> shapes;
  for (const Case& one : all_cases()) {
    if (one.name.find(only) == std::string::npos) continue;
    if (threads > 1 && 2.0 * one.batch * one.m * one.k * one.n < 1e6) continue;
    shapes.push_back(compare(one, peers, rounds, peak));
  }
  if (!shapes.empty()) print_summary(shapes, peak);
  return 0;
}

}  // namespace
}  // namespace peers

int main(int argc, char** argv) { return peers::run(argc, argv); }
