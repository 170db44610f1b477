#include "autograd/trace/recording.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace regrad {
namespace {

void summarise(RecordedValue& value, const std::vector<double>& all) {
  double sum = 0, squares = 0;
  int64_t finite = 0;
  value.min = std::numeric_limits<double>::infinity(), value.max = -value.min;
  for (const double one : all) {
    if (std::isnan(one)) {
      ++value.nan;
    } else if (std::isinf(one)) {
      ++value.inf;
    } else {
      ++finite, sum += one, squares += one * one;
      value.min = std::min(value.min, one), value.max = std::max(value.max, one);
    }
  }
  const double none = all.empty() ? 0 : std::numeric_limits<double>::quiet_NaN();
  if (finite == 0) value.min = value.max = none;
  value.mean = finite == 0 ? none : sum / static_cast<double>(finite);
  value.norm = finite == 0 ? none : std::sqrt(squares);
}

// The mean of a block of the matrix; NaN where an element is not finite.
double block_mean(const std::vector<double>& all, int64_t columns, int64_t row, int64_t row_end,
                  int64_t column, int64_t column_end) {
  double sum = 0;
  for (int64_t i = row; i < row_end; ++i) {
    for (int64_t j = column; j < column_end; ++j) sum += all[static_cast<size_t>(i * columns + j)];
  }
  const double mean = sum / static_cast<double>((row_end - row) * (column_end - column));
  return std::isfinite(mean) ? mean : std::numeric_limits<double>::quiet_NaN();
}

void draw_map(RecordedValue& value, const std::vector<double>& all, int64_t columns) {
  const int64_t rows = static_cast<int64_t>(all.size()) / columns;
  value.rows = std::min(rows, RecordedValue::map_side);
  value.columns = std::min(columns, RecordedValue::map_side);
  std::vector<double> means;
  for (int64_t i = 0; i < value.rows; ++i) {
    for (int64_t j = 0; j < value.columns; ++j) {
      means.push_back(block_mean(all, columns, i * rows / value.rows, (i + 1) * rows / value.rows,
                                 j * columns / value.columns, (j + 1) * columns / value.columns));
    }
  }
  value.low = std::numeric_limits<double>::infinity(), value.high = -value.low;
  for (const double mean : means) {
    if (!std::isnan(mean))
      value.low = std::min(value.low, mean), value.high = std::max(value.high, mean);
  }
  if (value.low > value.high) value.low = value.high = 0;
  const double range = value.high - value.low;
  for (const double mean : means) {
    const double level = range > 0 ? (mean - value.low) / range : 0;
    value.map.push_back(std::isnan(mean) ? int16_t{-1}
                                         : static_cast<int16_t>(std::lround(level * 255)));
  }
}

}  // namespace

RecordedValue::RecordedValue(const Tensor& x) : dtype(x.dtype()) {
  const NoGrad guard;
  std::vector<double> all = x.to_vector<double>();
  if (x.numel() <= max_whole) {
    summarise(*this, all);
    numbers = std::move(all);
    return;
  }
  is_whole = false;
  summarise(*this, all);
  draw_map(*this, all, x.size(-1));
  all.resize(static_cast<size_t>(std::min(x.size(-1), map_side)));
  numbers = std::move(all);
}

namespace {

// new_index[i], or -1 where i is not kept.
std::vector<int> renumber(const std::vector<bool>& kept) {
  std::vector<int> index;
  int count = 0;
  for (const bool is_kept : kept) index.push_back(is_kept ? count++ : -1);
  return index;
}

template <class T>
void keep_only(std::vector<T>& items, const std::vector<bool>& kept) {
  size_t count = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!kept[i]) continue;
    if (count != i) items[count] = std::move(items[i]);
    ++count;
  }
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(count), items.end());
}

void to(const std::vector<int>& index, int& old) {
  if (old >= 0) old = index[static_cast<size_t>(old)];
}

}  // namespace

void leave_out_asides(Recording& recording) {
  if (recording.backward.empty()) return;
  std::vector<bool> kept(recording.ops.size()), seen(recording.tensors.size());
  for (size_t i = recording.ops.size(); i-- > 0;) {  // users before what they were computed from
    const RecordedOp& op = recording.ops[i];
    kept[i] = op.unrecorded.empty() || seen[static_cast<size_t>(op.output)];
    if (!kept[i]) continue;
    seen[static_cast<size_t>(op.output)] = true;
    for (const int input : op.inputs) {
      if (input >= 0) seen[static_cast<size_t>(input)] = true;
    }
  }
  for (const RecordedStep& step : recording.backward) {
    for (const auto& one : step.contributions) seen[static_cast<size_t>(one.tensor)] = true;
  }
  const std::vector<int> op_index = renumber(kept), tensor_index = renumber(seen);
  for (RecordedTensor& one : recording.tensors) to(op_index, one.op);
  for (RecordedOp& one : recording.ops) {
    to(tensor_index, one.output);
    for (int& input : one.inputs) to(tensor_index, input);
  }
  for (RecordedStep& step : recording.backward) {
    to(op_index, step.op);
    for (auto& one : step.contributions) to(tensor_index, one.tensor);
  }
  keep_only(recording.ops, kept);
  keep_only(recording.tensors, seen);
}

}  // namespace regrad
