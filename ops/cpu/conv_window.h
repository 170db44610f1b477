// What a convolution reads: a copy of a part of x with its padding, the window, in which the
// elements that one tap of the kernel meets in neighbouring outputs lie side by side. A stride
// divides x into phases for that: with a stride of 2, even and odd columns are kept apart.
// A window is small enough for the cache. The columns of the product (im2col) are then read from
// it, a panel at a time.
#pragma once

#include "ops/cpu/chunks.h"

namespace regrad::simd {

// One dimension of a correlation out[i] = Σ_tap a[tap] x[origin + i step + phase + shift step].
struct Axis {
  int64_t size = 0;          // of x
  int64_t outputs = 0;       // i is below it
  int64_t origin = 0;        // where in x the window of output 0 begins; below 0 in the padding
  int64_t step = 1;          // in x, from one output to the next
  int64_t phases = 0;        // how many different phases the taps have, ...
  int64_t* phase = nullptr;  // ... and which
  int64_t taps = 0;
  int64_t *tap_phase = nullptr, *tap_shift = nullptr;  // each tap's index of `phase`, and shift
  int64_t extent = 0;                                  // the greatest shift
};

// Part of the outputs: whole images; or rows of one image; or columns of one row.
struct Region {
  Range images{0, 0}, rows{0, 0}, columns{0, 0};
  REGRAD_INLINE int64_t outputs() const { return images.size() * rows.size() * columns.size(); }
};

// How the outputs are divided into regions of at most about max_outputs.
struct Regions {
  Cut images, rows, columns;
  REGRAD_INLINE Regions(int64_t batch, const Axis& h, const Axis& w, int64_t max_outputs)
      : images(batch, parts(batch, h.outputs * w.outputs, max_outputs)),
        rows(h.outputs, parts(h.outputs, w.outputs, max_outputs)),
        columns(w.outputs, parts(w.outputs, 1, max_outputs)) {}
  REGRAD_INLINE int64_t count() const { return images.parts * rows.parts * columns.parts; }
  REGRAD_INLINE Region operator[](int64_t i) const {
    const int64_t line = i / columns.parts;
    return {images[line / rows.parts], rows[line % rows.parts], columns[i % columns.parts]};
  }

 private:
  // Into how many parts `count` pieces of `size` are cut.
  REGRAD_INLINE static int64_t parts(int64_t count, int64_t size, int64_t max_size) {
    return max(ceil_div(count, max(max_size / size, 1)), 1);
  }
};

// The layout of a window: for each image and channel a plane [phases, phases, rows, pitch].
struct Window {
  int64_t rows, pitch, plane, channels;
  REGRAD_INLINE Window(const Axis& h, const Axis& w, const Region& region, int64_t channel_count)
      : rows(region.rows.size() + h.extent),
        pitch(region.columns.size() + w.extent),
        plane(h.phases * w.phases * rows * pitch),
        channels(channel_count) {}
  // Where each tap finds the element that it meets in the region's first output.
  REGRAD_INLINE void set_offsets(const Axis& h, const Axis& w, int64_t* offsets) const {
    for (int64_t a = 0; a < h.taps; ++a) {
      const int64_t line = h.tap_phase[a] * w.phases * rows + h.tap_shift[a];
      for (int64_t b = 0; b < w.taps; ++b)
        *offsets++ = (line + w.tap_phase[b] * rows) * pitch + w.tap_shift[b];
    }
  }
  REGRAD_INLINE int64_t elements(const Region& region) const {
    return region.images.size() * channels * plane;
  }
};

// One row of a window: out[j] = source[first + j step], 0 outside the source.
struct WindowRow {
  int64_t count, first, step;
  int64_t begin, end;  // the j that are in the source

  REGRAD_INLINE WindowRow(int64_t size, int64_t pitch, int64_t first_element, int64_t distance)
      : count(pitch),
        first(first_element),
        step(distance),
        begin(min(first < 0 ? ceil_div(-first, step) : 0, count)),
        end(max(min(first < size ? (size - 1 - first) / step + 1 : 0, count), begin)) {}

  // Up to a vector after the row is overwritten, too.
  template <class T, class Arch>
  REGRAD_INLINE void fill(T* out, const T* source) const {
    zeros<T, Arch>(out, 0, begin);
    source += first;
    if (step == 1) {
      for (int64_t j = begin; j < end; j += lanes_of<T, Arch>)
        load<T, Arch>(source + j, end - j).store_unaligned(out + j);
    } else if (step == 2) {  // vectorised by the compiler
      for (int64_t j = begin; j < end; ++j) out[j] = source[j * 2];
    } else {
      for (int64_t j = begin; j < end; ++j) out[j] = source[j * step];
    }
    zeros<T, Arch>(out, end, count);
  }
  template <class T, class Arch>
  REGRAD_INLINE static void zeros(T* out, int64_t from, int64_t to) {
    for (int64_t j = from; j < to; j += lanes_of<T, Arch>)
      Vec<T, Arch>(T(0)).store_unaligned(out + j);
  }
};

// Copies some channels of x to the window of a region. x is [batch, .., size..], x_image elements
// from one image to the next. The window has `lanes` elements more than it needs.
template <class T, class Arch>
void fill_window(const Axis& h, const Axis& w, const T* x, int64_t x_image, const Region& region,
                 Range channels, T* window) {
  const Window layout(h, w, region, channels.size());
  const int64_t column = w.origin + region.columns.begin * w.step;
  // In the order of memory: a row may be written beyond its end.
  for (int64_t image = region.images.begin; image < region.images.end; ++image) {
    for (int64_t channel = channels.begin; channel < channels.end; ++channel) {
      const T* plane = x + image * x_image + channel * h.size * w.size;
      for (int64_t phase = 0; phase < h.phases * w.phases; ++phase) {
        const WindowRow line(w.size, layout.pitch, column + w.phase[phase % w.phases], w.step);
        int64_t row = h.origin + region.rows.begin * h.step + h.phase[phase / w.phases];
        for (int64_t i = 0; i < layout.rows; ++i, row += h.step, window += layout.pitch) {
          if (row < 0 || row >= h.size) {
            line.zeros<T, Arch>(window, 0, layout.pitch);
          } else {
            line.fill<T, Arch>(window, plane + row * w.size);
          }
        }
      }
    }
  }
}

// A run of outputs of a region, counted in row-major order from `from`, that lie side by side.
struct Run {
  int64_t from, length;
  int64_t image, row, column;  // of the first, in the region
};

// Calls body(run) for outputs [begin, end) of a region.
template <class Body>
REGRAD_INLINE void for_runs(const Region& region, int64_t begin, int64_t end, Body&& body) {
  const int64_t columns = region.columns.size(), rows = region.rows.size();
  Run run{begin, 0, begin / (rows * columns), begin / columns % rows, begin % columns};
  while (run.from < end) {
    run.length = min(columns - run.column, end - run.from);
    body(run);
    run.from += run.length;
    run.column = 0;
    if (++run.row == rows) run.row = 0, ++run.image;
  }
}

// One vector of outputs: where it lies in the window (without a tap's offset), and where it goes.
// It may be more than is wanted: the next one then overwrites the rest.
struct Piece {
  int64_t from, to;
};

template <class T, class Arch>
REGRAD_INLINE int64_t make_pieces(const Region& region, const Window& layout, int64_t begin,
                                  int64_t end, Piece* pieces) {
  int64_t count = 0;
  for_runs(region, begin, end, [&](const Run& run) REGRAD_LAMBDA {
    const int64_t from =
        run.image * layout.channels * layout.plane + run.row * layout.pitch + run.column;
    for (int64_t i = 0; i < run.length; i += lanes_of<T, Arch>)
      pieces[count++] = {from + i, run.from - begin + i};
  });
  return count;
}

template <class T, class Arch>
REGRAD_INLINE void copy_pieces(const Piece* pieces, int64_t count, const T* source, T* out) {
  for (int64_t i = 0; i < count; ++i) {
    Vec<T, Arch>::load_unaligned(source + pieces[i].from).store_unaligned(out + pieces[i].to);
  }
}

}  // namespace regrad::simd
