// Kernels that move elements: copies between any strides, choice, picking by index, conversion.
// What an element means does not matter to them, so that all types of one size share a kernel.
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
struct Same {
  __device__ T operator()(T x) const { return x; }
};

// ---- copies from one order of dimensions to another

constexpr int tile = 32, tile_rows = block_threads / tile;

// Dimension `a` is side by side in out, `b` in x; the others are outside.
struct Transposition {
  int64_t a_size, b_size, out_b, x_a;  // out_b: the stride of b in out
  int64_t a_tiles, tiles;              // of a; of a and b
  Divisor by_a_tiles, by_tiles;
  Grid<2> outer;
};

// Both sides are read and written along what is side by side there. A tile's rows are one word
// apart in its banks, so that columns meet no conflict.
template <class W>
__global__ void transpose_kernel(Transposition of, W* out, const W* x) {
  __shared__ W words[tile][tile + 1];
  const int64_t o = of.by_tiles.divide(blockIdx.x), t = blockIdx.x - o * of.tiles;
  const int64_t b_tile = of.by_a_tiles.divide(t), a_tile = t - b_tile * of.a_tiles;
  int64_t offset[2];
  find(of.outer, o, 1, offset);
  const int along = static_cast<int>(threadIdx.x) % tile;
  const int across = static_cast<int>(threadIdx.x) / tile;
  for (int i = across; i < tile; i += tile_rows) {
    const int64_t a = a_tile * tile + i, b = b_tile * tile + along;
    if (a < of.a_size && b < of.b_size) words[i][along] = x[offset[1] + a * of.x_a + b];
  }
  __syncthreads();
  for (int i = across; i < tile; i += tile_rows) {
    const int64_t a = a_tile * tile + along, b = b_tile * tile + i;
    if (a < of.a_size && b < of.b_size) out[offset[0] + a + b * of.out_b] = words[along][i];
  }
}

// The dimension along which operand k lies side by side, if it is long enough for a tile to pay.
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
  Loop rest = flat_loop(1);
  rest.rank = 0;
  for (int d = 0; d < loop.rank; ++d) {
    if (d == a || d == b) continue;
    rest.sizes[rest.rank] = loop.sizes[d];
    for (int k = 0; k < 2; ++k) rest.strides[k][rest.rank] = loop.strides[k][d];
    ++rest.rank;
  }
  rest.rank = std::max(rest.rank, 1);
  Transposition of{};
  of.outer = loop_layout_of<2>(rest, 1);
  of.a_size = loop.sizes[a];
  of.b_size = loop.sizes[b];
  of.out_b = loop.strides[0][b];
  of.x_a = loop.strides[1][a];
  of.a_tiles = tiles_of(of.a_size);
  of.tiles = of.a_tiles * tiles_of(of.b_size);
  of.by_a_tiles = Divisor(of.a_tiles);
  of.by_tiles = Divisor(of.tiles);
  const int64_t blocks = of.tiles * of.outer.groups;
  if (blocks > INT32_MAX) return false;
  launch(transpose_kernel<W>, blocks, block_threads, of, out, x);
  return true;
}

template <class T>
void copy(const Loop& loop, T* out, const T* x) {
  using W = Word<sizeof(T)>;
  if (loop.numel() == 0) return;
  auto* to = reinterpret_cast<W*>(out);
  const auto* from = reinterpret_cast<const W*>(x);
  if (!transpose(loop, to, from)) run_loop(loop, Same<W>{}, to, from);
}

// ---- fill and choice

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
struct Choose {
  __device__ W operator()(bool condition, W yes, W no) const { return condition ? yes : no; }
};

template <class T>
void where(const Loop& loop, T* out, const bool* condition, const T* yes, const T* no) {
  using W = Word<sizeof(T)>;
  run_loop(loop, Choose<W>{}, reinterpret_cast<W*>(out), condition, reinterpret_cast<const W*>(yes),
           reinterpret_cast<const W*>(no));
}

// ---- picking by index: an index out of range, which the next download reports, picks nothing

template <class W>
struct TakeRows {
  W* out;
  const W* x;
  const int64_t* index;
  int64_t rows, count, inner;
  Divisor by_inner, by_count;
  __device__ void operator()(int64_t at) const {
    const int64_t row = by_inner.divide(at), o = by_count.divide(row);
    const int64_t from = index[row - o * count];
    if (from < 0 || from >= rows) return;
    out[at] = x[(o * rows + from) * inner + (at - row * inner)];
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
  Divisor by_inner, by_count;
  __device__ void operator()(int64_t at) const {
    const int64_t row = by_inner.divide(at), o = by_count.divide(row);
    const int64_t from = index[at];
    if (from < 0 || from >= rows) return;
    out[at] = x[(o * rows + from) * inner + (at - row * inner)];
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
void convert(int64_t n, void* to, const void* from) {
  run_loop(flat_loop(n), Convert<From, To>{}, static_cast<To*>(to), static_cast<const From*>(from));
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
