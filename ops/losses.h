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
  // [classes]: what a target of each class counts, in the sum and in the mean's divisor. 1 where
  // left out.
  Tensor weight = {};
};
// y = -Σ p ln softmax(logits), p = (1 - ε) one_hot(targets) + ε / classes; dlogits =
// g (softmax(logits) - p), 0 where ignored. Before the reduction (Szegedy et al., 2016). logits
// [n, classes], targets int64 [n]; or [n, classes, ..] and [n, ..]: classes come second. An Error
// for a target that is no class. Targets of a float dtype are probabilities, of the logits' shape:
// p = (1 - ε) targets + ε / classes, nothing is ignored, and the mean is over n. With a weight each
// term of Σ has that of its class.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options = {});
// y = -log_probabilities[targets]; dlog_probabilities = -g at the target, else 0. Before the
// reduction, of the same shapes: cross_entropy() after a log_softmax().
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets,
                const CrossEntropyOptions& options = {});
// y = (x - target)²; dx = 2 g (x - target), dtarget = -2 g (x - target). Before the reduction; of
// equal shapes.
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduce reduction = Reduce::mean);
// y = |x - target|; dx = g sign(x - target), dtarget = -g sign(x - target). Before the reduction;
// of equal shapes, as below.
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduce reduction = Reduce::mean);
// y = (x - target)² / 2 where |x - target| < delta, else delta (|x - target| - delta / 2); dx =
// g (x - target) where |x - target| < delta, else g delta sign(x - target), dtarget =
// -g (x - target) where |x - target| < delta, else -g delta sign(x - target). Before the reduction
// (Huber, 1964). An Error unless delta is above 0.
Tensor huber_loss(const Tensor& x, const Tensor& target, Reduce reduction = Reduce::mean,
                  double delta = 1);
// y = target (ln target - x); dx = -g target, dtarget = g (ln target - x + 1). Before the
// reduction: the divergence of target from the distribution e^x; 0 where target is 0. With
// log_target, target is a logarithm, too: y = e^target (target - x). The mean is over all elements:
// for that over the batch divide the sum.
Tensor kl_div(const Tensor& x, const Tensor& target, Reduce reduction = Reduce::mean,
              bool log_target = false);
// y = -(targets ln x + (1 - targets) ln(1 - x)); dx = g (x - targets) / (x (1 - x)), dtargets =
// g (ln(1 - x) - ln x). Before the reduction. x: probabilities, from 0 to 1, else an Error; a
// logarithm is at least -100, and x (1 - x) in dx at least 1e-12, so that all is finite.
Tensor binary_cross_entropy(const Tensor& x, const Tensor& targets,
                            Reduce reduction = Reduce::mean);
// y = -(targets ln s + (1 - targets) ln(1 - s)), s = σ(logits); dlogits = g (s - targets), dtargets
// = -g logits. Before the reduction; of equal shapes, finite for finite logits. pos_weight,
// broadcast to logits, multiplies the term of targets: above 1, it counts positives more.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& targets,
                                        Reduce reduction = Reduce::mean,
                                        const Tensor& pos_weight = {});

}  // namespace regrad
