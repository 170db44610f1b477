// Counts what the test program holds from the heap.
#pragma once

#include <cstddef>

namespace regrad::example {

// The bytes held now, and the most that were held since the last call of forget_peak().
std::size_t held_bytes();
std::size_t peak_bytes();
void forget_peak();

}  // namespace regrad::example
