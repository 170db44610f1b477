// The alignment being learnt: what a model attends to in a few fixed sentences, looked at now and
// again during training.
#pragma once

#include <string>
#include <vector>

#include "examples/attention/translator.h"
#include "examples/report/report.h"

namespace regrad::example {

// At most `count` of the texts, evenly spread; of neighbours the one whose length is nearest to the
// median of all, so that a picture is neither trivial nor too large.
std::vector<std::string> sentences_to_watch(const std::vector<std::string>& texts,
                                            std::size_t count);

// What the model writes for these sentences now, and what it attends to. Changes nothing in it.
Snapshot take_snapshot(Translator& translator, const std::vector<std::string>& sentences,
                       int64_t step);

}  // namespace regrad::example
