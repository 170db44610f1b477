// metrics.csv: what was measured in a run, a line for each measurement.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace regrad::example {

// What was measured at a step; NaN where it was not.
struct Metrics {
  int64_t step = 0, epoch = 0;
  double train_loss = 0, held_out_loss = 0, accuracy = 0, lr = 0, seconds = 0;
  double tokens_per_second = 0;
};

// A header and a line for each row, which ends in the checksum of what stands before it.
std::string metrics_table(const std::vector<Metrics>& rows);
// Reads what metrics_table() wrote, up to the first line that is not of that form.
std::vector<Metrics> read_metrics(const std::string& text);

}  // namespace regrad::example
