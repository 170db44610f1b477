// Which sentences a report shows the alignment of, as it is learnt.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace regrad::example {

// At most `count` of the texts, evenly spread; of neighbours the one whose length is nearest to the
// median of all, so that a picture is neither trivial nor too large.
std::vector<std::string> sentences_to_watch(const std::vector<std::string>& texts,
                                            std::size_t count);

}  // namespace regrad::example
