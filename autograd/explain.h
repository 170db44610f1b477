// explain: why a gradient has its value. It is a sum over the paths from x to the loss, and along
// each path a product of the ops' local derivatives; explain shows them with their numbers.
//   std::cout << explain(loss, w).str();
//   gradient of w []: 64, the sum over 2 paths
//   path 1: 48
//     square  16
//     add     16
//     mul     48
//   path 2: 16
//     ...
#pragma once

#include <string>
#include <vector>

#include "autograd/tensor.h"

namespace regrad {

struct ExplainStep {
  std::string op;     // the op that the gradient has just gone back through
  size_t input;       // towards which of its inputs
  Tensor gradient;    // of the loss with respect to that input, along this path alone
  std::string zero;   // why it became 0 here, if it did
  std::string place;  // ", at toy.cpp:9 in main" while a Trace or DetectAnomaly is alive
};

struct ExplainPath {
  std::vector<ExplainStep> steps;  // from the loss to x
  Tensor gradient;                 // what this path contributes to the gradient of x
};

struct Explanation {
  Tensor total;                    // the gradient of x: the sum over all paths
  std::vector<ExplainPath> paths;  // those with the largest contributions, the largest first
  std::string path_count;          // in digits, exact: there can be more than 2^64
  Tensor rest;                     // what the paths that are not listed contribute; undefined: none
  std::string name;                // x's, with its shape
  // All of it as text. Tensors of more than eight elements are shortened.
  std::string str() const;
};

// loss: one element that depends on x, through a graph that no backward() has freed; the graph is
// kept, and no grad() changes. Lists at most max_paths paths, found by following the largest
// gradients first.
Explanation explain(const Tensor& loss, const Tensor& x, size_t max_paths = 8);

}  // namespace regrad
