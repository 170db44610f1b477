// chrF (Popović, WMT 2015), equal to what sacrebleu computes.
#pragma once

#include <string>
#include <vector>

#include "examples/text/ngrams.h"

namespace regrad::example {

// Of a whole corpus, 0 to 100, with sacrebleu's defaults: n-grams of 1 to 6 characters without
// spaces, recall weighs twice as much as precision; of several references the one that scores best
// counts. Throws Error as check_references() does, and where a text is not UTF-8.
double chrf(const std::vector<std::string>& hypotheses, const References& references);

}  // namespace regrad::example
