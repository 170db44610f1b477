// An element as an unsigned integer of the same size that is ordered as sort() orders: -0 and 0 are
// equal, NaN is the greatest, and a falling order is the rising one of the complements. Written
// once for all backends, and inlined.
#pragma once

#include <cstdint>
#include <type_traits>

namespace regrad {

template <class T>
using SortKey = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

template <class T>
[[gnu::always_inline]] constexpr SortKey<T> sort_key(T x, bool descending) {
  using Key = SortKey<T>;
  constexpr Key sign = Key{1} << (sizeof(Key) * 8 - 1);
  Key key = 0;
  if constexpr (std::is_floating_point_v<T>) {
    const T number = x + T(0);  // -0 becomes 0
    __builtin_memcpy(&key, &number, sizeof(Key));
    // The bits of positive floats are ordered as integers are, those of negative ones backwards.
    key = (key & sign) != 0 ? ~key : key | sign;
    if (!(x == x)) key = ~Key{0};
  } else {
    key = static_cast<Key>(x) ^ sign;
  }
  return descending ? ~key : key;
}

}  // namespace regrad
