// Kernels that move elements: copies between arbitrary strides, fill, where, indexing, conversions.
// All but the conversions treat elements as words, so that types of one size share a kernel.
#include "ops/cuda/families.h"
#include "ops/cuda/loop.h"
#include "ops/kernels/elements.h"

namespace regrad::gpu {
namespace {

template <std::size_t bytes>
using Word =
    std::conditional_t<bytes == 1, uint8_t, std::conditional_t<bytes == 4, uint32_t, uint64_t>>;
using Quad = Pack<uint32_t, 4>;  // 16 bytes

template <class T>
struct Identity {
  __device__ T operator()(T x) const { return x; }
};

// ---- copies that permute dimensions

constexpr int tile = 32, tile_rows = block_threads / tile;

// Dimension `a` is contiguous in out, dimension `b` in x; `outer` loops over the others.
struct Transposition {
  int64_t a_size, b_size, out_b, x_a;  // out_b: the stride of b in out
  int64_t a_tiles, tiles;              // of a; of a and b
  Divisor a_tiles_divisor, tiles_divisor;
  LoopLayout<2> outer;
};

// Tiles go through shared memory, so that both reads and writes are coalesced. The tile's rows are
// padded by one word, so that reading a column causes no bank conflicts.
template <class W>
__global__ void transpose_kernel(Transposition p, W* out, const W* x) {
  __shared__ W words[tile][tile + 1];
  const int64_t o = p.tiles_divisor.divide(blockIdx.x), t = blockIdx.x - o * p.tiles;
  const int64_t b_tile = p.a_tiles_divisor.divide(t), a_tile = t - b_tile * p.a_tiles;
  int64_t offset[2];
  compute_offsets(p.outer, o, 1, offset);
  const int column = static_cast<int>(threadIdx.x) % tile;
  const int row = static_cast<int>(threadIdx.x) / tile;
  for (int i = row; i < tile; i += tile_rows) {
    const int64_t a = a_tile * tile + i, b = b_tile * tile + column;
    if (a < p.a_size && b < p.b_size) words[i][column] = x[offset[1] + a * p.x_a + b];
  }
  __syncthreads();
  for (int i = row; i < tile; i += tile_rows) {
    const int64_t a = a_tile * tile + column, b = b_tile * tile + i;
    if (a < p.a_size && b < p.b_size) out[offset[0] + a + b * p.out_b] = words[column][i];
  }
}

// The dimension along which operand k is contiguous, if it is long enough to be worth a tile, or
// -1.
inline int unit_dimension(const Loop& loop, int k) {
  for (int d = loop.rank - 1; d >= 0; --d) {
    if (loop.strides[k][d] == 1 && loop.sizes[d] >= 8) return d;
  }
  return -1;
}

inline int64_t tiles_of(int64_t size) { return (size + tile - 1) / tile; }

template <class W>
bool transpose(const Loop& loop, W* out, const W* x) {
  const int a = unit_dimension(loop, 0), b = unit_dimension(loop, 1);
  if (a < 0 || b < 0 || a == b || loop.strides[1][a] == 0 || loop.strides[0][b] == 0) return false;
  Loop outer_loop = flat_loop(1);
  outer_loop.rank = 0;
  for (int d = 0; d < loop.rank; ++d) {
    if (d == a || d == b) continue;
    outer_loop.sizes[outer_loop.rank] = loop.sizes[d];
    for (int k = 0; k < 2; ++k) outer_loop.strides[k][outer_loop.rank] = loop.strides[k][d];
    ++outer_loop.rank;
  }
  outer_loop.rank = std::max(outer_loop.rank, 1);
  Transposition p{};
  p.outer = loop_layout_of<2>(outer_loop, 1);
  p.a_size = loop.sizes[a];
  p.b_size = loop.sizes[b];
  p.out_b = loop.strides[0][b];
  p.x_a = loop.strides[1][a];
  p.a_tiles = tiles_of(p.a_size);
  p.tiles = p.a_tiles * tiles_of(p.b_size);
  p.a_tiles_divisor = Divisor(p.a_tiles);
  p.tiles_divisor = Divisor(p.tiles);
  const int64_t blocks = p.tiles * p.outer.packs;
  if (blocks > INT32_MAX) return false;
  launch(transpose_kernel<W>, blocks, block_threads, p, out, x);
  return true;
}

template <class T>
void copy(const Loop& loop, T* out, const T* x) {
  using W = Word<sizeof(T)>;
  if (loop.numel() == 0) return;
  auto* out_words = reinterpret_cast<W*>(out);
  const auto* x_words = reinterpret_cast<const W*>(x);
  if (!transpose(loop, out_words, x_words)) run_loop(loop, Identity<W>{}, out_words, x_words);
}

// ---- fill and where

template <class T>
struct Constant {
  T value;
  __device__ T operator()() const { return value; }
};

template <class T>
void fill(int64_t n, T* out, T value) {
  run_loop(flat_loop(n), Constant<T>{value}, out);
}

template <class W>
struct Select {
  __device__ W operator()(bool condition, W yes, W no) const { return condition ? yes : no; }
};

template <class T>
void where(const Loop& loop, T* out, const bool* condition, const T* yes, const T* no) {
  using W = Word<sizeof(T)>;
  run_loop(loop, Select<W>{}, reinterpret_cast<W*>(out), condition, reinterpret_cast<const W*>(yes),
           reinterpret_cast<const W*>(no));
}

// ---- reading by index; an index out of range, which the next download reports, is skipped

template <class W>
struct TakeRows {
  W* out;
  const W* x;
  const int64_t* index;
  int64_t rows, count, inner;
  Divisor inner_divisor, count_divisor;
  __device__ void operator()(int64_t i) const {
    const int64_t row = inner_divisor.divide(i), o = count_divisor.divide(row);
    const int64_t x_row = index[row - o * count];
    if (x_row < 0 || x_row >= rows) return;
    out[i] = x[(o * rows + x_row) * inner + (i - row * inner)];
  }
};

template <class W>
void take_words(Rows x, int64_t count, int64_t bytes, void* out, const void* x_data,
                const int64_t* index) {
  const int64_t inner = bytes / int64_t{sizeof(W)};
  for_each(x.outer * count * inner,
           TakeRows<W>{static_cast<W*>(out), static_cast<const W*>(x_data), index, x.n, count,
                       inner, Divisor(inner), Divisor(count)});
}

template <class T>
void take_rows(Rows x, int64_t count, T* out, const T* x_data, const int64_t* index) {
  const int64_t bytes = x.inner * int64_t{sizeof(T)};
  const auto fits = [&](int64_t word) {
    return bytes % word == 0 && is_aligned(out, word) && is_aligned(x_data, word);
  };
  if (fits(16)) return take_words<Quad>(x, count, bytes, out, x_data, index);
  if (fits(8)) return take_words<uint64_t>(x, count, bytes, out, x_data, index);
  if (fits(4)) return take_words<uint32_t>(x, count, bytes, out, x_data, index);
  take_words<uint8_t>(x, count, bytes, out, x_data, index);
}

template <class W>
struct Gather {
  W* out;
  const W* x;
  const int64_t* index;
  int64_t rows, inner;
  Divisor inner_divisor, count_divisor;
  __device__ void operator()(int64_t i) const {
    const int64_t row = inner_divisor.divide(i), o = count_divisor.divide(row);
    const int64_t x_row = index[i];
    if (x_row < 0 || x_row >= rows) return;
    out[i] = x[(o * rows + x_row) * inner + (i - row * inner)];
  }
};

template <class T>
void gather(Rows x, int64_t count, T* out, const T* x_data, const int64_t* index) {
  using W = Word<sizeof(T)>;
  for_each(x.outer * count * x.inner,
           Gather<W>{reinterpret_cast<W*>(out), reinterpret_cast<const W*>(x_data), index, x.n,
                     x.inner, Divisor(x.inner), Divisor(count)});
}

template <class From, class To>
struct Convert {
  __device__ To operator()(From x) const { return pointwise::convert_element<To>(x); }
};

}  // namespace

template <class T>
MoveKernels<T> move_kernels() {
  return {
      .copy = copy<T>,
      .fill = fill<T>,
      .where = where<T>,
      .take_rows = take_rows<T>,
      .gather = gather<T>,
  };
}

template <class From, class To>
void convert(int64_t n, void* out, const void* x) {
  run_loop(flat_loop(n), Convert<From, To>{}, static_cast<To*>(out), static_cast<const From*>(x));
}

template MoveKernels<float> move_kernels<float>();
template MoveKernels<double> move_kernels<double>();
template MoveKernels<int64_t> move_kernels<int64_t>();
template MoveKernels<bool> move_kernels<bool>();

template void convert<float, float>(int64_t, void*, const void*);
template void convert<float, double>(int64_t, void*, const void*);
template void convert<float, int64_t>(int64_t, void*, const void*);
template void convert<float, bool>(int64_t, void*, const void*);
template void convert<double, float>(int64_t, void*, const void*);
template void convert<double, double>(int64_t, void*, const void*);
template void convert<double, int64_t>(int64_t, void*, const void*);
template void convert<double, bool>(int64_t, void*, const void*);
template void convert<int64_t, float>(int64_t, void*, const void*);
template void convert<int64_t, double>(int64_t, void*, const void*);
template void convert<int64_t, int64_t>(int64_t, void*, const void*);
template void convert<int64_t, bool>(int64_t, void*, const void*);
template void convert<bool, float>(int64_t, void*, const void*);
template void convert<bool, double>(int64_t, void*, const void*);
template void convert<bool, int64_t>(int64_t, void*, const void*);
template void convert<bool, bool>(int64_t, void*, const void*);

}  // namespace regrad::gpu
