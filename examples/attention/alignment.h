// Does attention align? On dates it can be measured: the year's digits should come from the year.
#pragma once

#include <vector>

#include "examples/attention/translator.h"

namespace regrad::example {

struct Alignment {
  int64_t digits = 0;  // of years: how many were looked at
  double mass = 0;     // the share of their attention that falls on the source's year, in [0, 1]
  double peaks = 0;    // the share of them whose largest weight does
};

// Over the maps whose target begins with a year ("1984-09-25") that the source holds exactly once
// as four characters in a row. Their tokens must be characters; other maps are passed over.
Alignment alignment(const std::vector<AttentionMap>& maps);

// Of the maps of the best translations of these texts.
Alignment alignment(Translator& translator, const std::vector<std::string>& texts);

}  // namespace regrad::example
