// A recording as text. Its JSON:
//   format 1, program, arguments, step, complete, ended, notes (sentences for the reader), numbers
//   frames [{f, file, line}], stacks [[frame, outermost first]], user [index into the stack]
//   sources {file: {line: text}}
//   tensors [{name, shape, dtype, dims, op, grad, value, gradient}]
//   ops [{name, stack, inputs, output, why, step, formula, parameters, derivatives}]
//   failed {text, name, stack}
//   backward [{op, name, gradient, gives [{input, tensor, addend, sum, nth, of}], ops}]
// A value is {v: [numbers]}, or a summary {mean, min, max, norm, nan, inf, rows, columns, low,
// high, map, first}. Numbers are the shortest that read back as the same float32 or float64; what
// JSON has no number for is "nan", "inf", "-inf". -1 stands for none.
#pragma once

#include <string>

#include "autograd/trace/recording.h"

namespace regrad {

std::string json_of(const Recording& recording);
std::string page_of(const Recording& recording);  // HTML: one file, with the JSON in it

}  // namespace regrad
