// A task that needs no download: dates as people write them, and their ISO 8601 form.
#pragma once

#include <cstdint>
#include <vector>

#include "examples/text/pairs.h"

namespace regrad::example {

// count pairs such as {"TUESDAY, SEPTEMBER 25, 1984", "1984-09-25"}: days drawn evenly from 1970 to
// 2029 and written in one of eleven ways, in lower, Title or UPPER case. Weekdays are the true
// ones. Numeric forms put the month or the four-digit year first and two-digit years belong to
// 1970-2029, so that each text names one day only. Pair i depends on (seed, i) alone and is the
// same on every machine. Throws Error when count is negative.
std::vector<Pair> generate_dates(int64_t count, uint64_t seed);

}  // namespace regrad::example
