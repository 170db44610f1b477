// What a trace has recorded: tensors, the ops of the forward, and the steps of one backward pass.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "autograd/tensor.h"
#include "autograd/trace_library.h"

namespace regrad {

// The numbers of a tensor at one moment: all of up to 256, of more a summary.
struct RecordedValue {
  static constexpr int64_t max_whole = 256;
  static constexpr int64_t map_side = 32;

  DType dtype = float32;
  bool is_whole = true;
  std::vector<double> numbers;  // all, row-major; of a summary: the first row, at most 32
  double mean = 0, min = 0, max = 0, norm = 0;  // of the finite elements
  int64_t nan = 0, inf = 0;
  // The means of blocks of a summary's matrix: the last dimension as columns, all others as rows. A
  // byte each, from 0 for `low` to 255 for `high`; -1 where an element is not finite.
  int64_t rows = 0, columns = 0;
  double low = 0, high = 0;
  std::vector<int16_t> map;

  RecordedValue() = default;
  explicit RecordedValue(const Tensor& x);
};

struct RecordedTensor {
  std::string name;  // a parameter's
  Shape shape;
  DType dtype;
  std::vector<std::string> dims;
  int op = -1;  // index of the op that made it; -1: made elsewhere
  bool requires_grad = false;
  RecordedValue value;
  std::optional<RecordedValue> gradient;  // complete
  int uses = 0;                           // contributions that its gradient has received
};

struct RecordedOp {
  std::string name;
  CallSite site = -1;
  std::vector<int> inputs;  // indices of tensors; -1: an argument that was left out
  int output = -1;
  std::string unrecorded;  // why it has no node; empty: it has one
  int step = -1;           // of the backward pass
};

struct RecordedContribution {
  int input = 0, tensor = -1;
  RecordedValue addend, sum;
  int nth = 1;
};

struct RecordedStep {
  int op = -1;  // -1: recorded before the recording began
  std::string name;
  RecordedValue gradient;
  std::vector<RecordedContribution> contributions;
  std::vector<std::string> own_ops;  // what the derivative computed
};

struct RecordedFailure {
  std::string text;
  CallSite site = -1;
};

struct Recording {
  std::string program;
  std::vector<std::string> arguments;
  int64_t step = 0;   // which backward pass; 0: none ended
  std::string ended;  // why it is incomplete; empty: the pass ended
  size_t ops_left_out = 0;
  std::vector<RecordedTensor> tensors;
  std::vector<RecordedOp> ops;
  std::optional<RecordedFailure> failed;
  std::vector<RecordedStep> backward;
};

// Without the ops that have no node and that nothing in the graph was computed from: parameters
// being initialised, what ops do inside, metrics. A recording without a backward pass stays as it
// is.
void leave_out_asides(Recording& recording);

}  // namespace regrad
