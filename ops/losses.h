// Losses (loss.cpp): one number for each row or element, then the mean or the sum of them. A part
// of the catalogue: ops/ops.h says how the formulas are read.
#pragma once

#include "autograd/graph.h"

namespace regrad {

enum class Reduce { mean, sum, none };  // of the losses: [] for mean and sum
struct CrossEntropyOptions {
  int64_t ignore_index = -100;  // a target that gives 0 and does not count in the mean
  double label_smoothing = 0;   // ε in [0, 1]; for cross_entropy alone
  Reduce reduction = Reduce::mean;
};
// y = -Σ p ln softmax(logits), p = (1 - ε) one_hot(targets) + ε / classes; dlogits =
// g (softmax(logits) - p), 0 where ignored. Before the reduction (Szegedy et al., 2016). logits
// [n, classes], targets int64 [n]; or [n, classes, ..] and [n, ..]: classes come second. An Error
// for a target that is no class.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options = {});
// y = -log_probabilities[targets]; dlog_probabilities = -g at the target, else 0. Before the
// reduction, of the same shapes: cross_entropy() after a log_softmax().
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets,
                const CrossEntropyOptions& options = {});
// y = (x - target)²; dx = 2 g (x - target), dtarget = -2 g (x - target). Before the reduction; of
// equal shapes.
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduce reduction = Reduce::mean);
// y = -(targets ln s + (1 - targets) ln(1 - s)), s = σ(logits); dlogits = g (s - targets), dtargets
// = -g logits. Before the reduction; of equal shapes, finite for finite logits.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& targets,
                                        Reduce reduction = Reduce::mean);

}  // namespace regrad
