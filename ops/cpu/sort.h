// A stable sort of contiguous rows, which gives the places of the elements. Short rows are merged,
// others sorted by the digits of their keys, the lowest first (radix sort). Of a long row of which
// only a few elements are wanted, those that cannot be among them are never sorted.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/scratch.h"
#include "ops/kernels/sort_key.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

template <class T>
struct SortItem {
  SortKey<T> key;
  SortKey<T> place;  // along the row: sort() in ops/sort.cpp checks that it fits
};

template <class T, class Arch>
void insertion_sort(int64_t n, SortItem<T>* items) {
  for (int64_t i = 1; i < n; ++i) {
    const SortItem<T> item = items[i];
    int64_t j = i;
    for (; j > 0 && items[j - 1].key > item.key; --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

// Merges the sorted items [begin, middle) and [middle, end) into `out`; of equals the left come
// first.
template <class T, class Arch>
void merge(int64_t begin, int64_t middle, int64_t end, SortItem<T>* out, const SortItem<T>* items) {
  int64_t left = begin, right = middle;
  for (int64_t i = begin; i < end; ++i) {
    const bool takes_right = left == middle || (right < end && items[right].key < items[left].key);
    out[i] = items[takes_right ? right : left];
    right += takes_right;
    left += !takes_right;
  }
}

// As radix_sort() below.
template <class T, class Arch>
SortItem<T>* merge_sort(int64_t n, SortItem<T>* items, SortItem<T>* other) {
  constexpr int64_t run = 8;
  for (int64_t i = 0; i < n; i += run) insertion_sort<T, Arch>(min(run, n - i), items + i);
  for (int64_t width = run; width < n; width *= 2) {
    for (int64_t i = 0; i < n; i += 2 * width) {
      merge<T, Arch>(i, min(i + width, n), min(i + 2 * width, n), other, items);
    }
    SortItem<T>* const merged = other;
    other = items;
    items = merged;
  }
  return items;
}

// Sorts items with the help of as many others; returns where the result is, which may be `other`.
template <class T, class Arch>
SortItem<T>* radix_sort(int64_t n, SortItem<T>* items, SortItem<T>* other) {
  constexpr int digits = static_cast<int>(sizeof(SortKey<T>));
  SortKey<T> differing = 0;
  for (int64_t i = 1; i < n; ++i) differing |= items[i].key ^ items[0].key;
  int shifts[digits], count_of_digits = 0;  // of the digits that are not the same everywhere
  for (int d = 0; d < digits; ++d) {
    if ((differing >> (8 * d) & 255) != 0) shifts[count_of_digits++] = 8 * d;
  }
  int64_t counts[digits][256];
  __builtin_memset(counts, 0, static_cast<std::size_t>(count_of_digits) * sizeof(counts[0]));
  for (int64_t i = 0; i < n; ++i) {
    for (int d = 0; d < count_of_digits; ++d) ++counts[d][items[i].key >> shifts[d] & 255];
  }
  for (int d = 0; d < count_of_digits; ++d) {
    int64_t start = 0;
    for (int64_t& count : counts[d]) {
      const int64_t size = count;
      count = start;
      start += size;
    }
    for (int64_t i = 0; i < n; ++i) {
      other[counts[d][items[i].key >> shifts[d] & 255]++] = items[i];
    }
    SortItem<T>* const sorted = other;
    other = items;
    items = sorted;
  }
  return items;
}

template <class T, class Arch>
SortItem<T>* sort_items(int64_t n, SortItem<T>* items, SortItem<T>* other) {
  constexpr int64_t short_enough = 160;
  return (n > short_enough ? radix_sort<T, Arch> : merge_sort<T, Arch>)(n, items, other);
}

template <class T, class Arch>
REGRAD_INLINE SortItem<T> sort_item(const T* row, int64_t i, bool descending) {
  return {sort_key(row[i], descending), static_cast<SortKey<T>>(i)};
}

// The first k of a row: whatever comes after the k-th of those seen so far is left out. `items` and
// `other` have room for `room` > k.
template <class T, class Arch>
SortItem<T>* select_first(int64_t n, int64_t k, int64_t room, bool descending, SortItem<T>* items,
                          SortItem<T>* other, const T* row) {
  int64_t count = 0, i = 0;
  for (; count < room && i < n; ++i) items[count++] = sort_item<T, Arch>(row, i, descending);
  while (true) {
    SortItem<T>* const sorted = sort_items<T, Arch>(count, items, other);
    if (i == n) return sorted;
    if (sorted != items) {
      other = items;
      items = sorted;
    }
    count = k;
    const SortKey<T> last = items[k - 1].key;
    for (; i < n && count < room; ++i) {
      items[count] = sort_item<T, Arch>(row, i, descending);
      count += items[count].key < last;  // an equal one comes later
    }
  }
}

template <class T, class Arch>
void sort(Rows rows, int64_t k, bool descending, int64_t* indices, const T* x) {
  const int64_t n = rows.n;
  if (k == 0) return;
  const int64_t room = min(max(4 * k, 32), n);
  for_ranges(rows.outer, 16 * n, [&](int64_t begin, int64_t end) {
    auto* items = static_cast<SortItem<T>*>(
        scratch(Scratch::sort, static_cast<std::size_t>(2 * room) * sizeof(SortItem<T>)));
    for (int64_t o = begin; o < end; ++o) {
      const SortItem<T>* sorted =
          select_first<T, Arch>(n, k, room, descending, items, items + room, x + o * n);
      for (int64_t j = 0; j < k; ++j) indices[o * k + j] = static_cast<int64_t>(sorted[j].place);
    }
  });
}

}  // namespace regrad::simd
