// Losses: one number for each row, then the mean or the sum of them.
#include <limits>
#include <utility>

#include "autograd/notes.h"
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

Tensor reduced(const Tensor& losses, Reduce reduction) {
  if (reduction == Reduce::none) return losses;
  const Tensor total = sum(losses);
  if (reduction == Reduce::sum) return total;
  return div(total, static_cast<double>(std::max<int64_t>(losses.numel(), 1)));
}

void check_one_shape(const char* op, const Tensor& x, const Tensor& target) {
  check(x.shape() == target.shape(), "{}: {} and {} must have one shape", op, called(x),
        called(target));
}

Tensor not_ignored(const Tensor& targets, int64_t ignore) {  // a bool mask
  return ne(targets, ignore);
}

// The mean is over the targets that are not ignored; their number stays on the device.
Tensor reduced(const Tensor& losses, Reduce reduction, const Tensor& valid) {
  const Tensor total = sum(losses);
  if (reduction == Reduce::sum) return total;
  const Tensor count = maximum(sum(valid), scalar(1, int64, valid.device()));
  return div(total, count.to(losses.dtype()));
}

// The scores and targets of a classification loss, checked and flattened.
struct Flattened {
  Tensor rows;     // [n, classes]
  Tensor targets;  // int64 [n]
};

Flattened check_and_flatten(const char* op, const Tensor& x, const Tensor& targets,
                            int64_t ignore) {
  check(x.rank() >= 1, "{}: takes scores [n, classes] and targets [n]", op);
  check(targets.dtype() == int64,
        "{}: targets must be int64 class numbers, not {}; to(int64) converts numbers, argmax(t, 1) "
        "rows of one-hot ones",
        op, targets.dtype());
  Dims order;
  Shape expected;
  for (int64_t d = 0; d < x.rank(); ++d) {
    if (d == (x.rank() == 1 ? 0 : 1)) continue;
    order.push_back(d);
    expected.push_back(x.shape()[d]);
  }
  const int64_t class_dim = x.rank() == 1 ? 0 : 1, count = x.shape()[class_dim];
  order.push_back(class_dim);
  check(targets.shape() == expected, "{}: scores {}{} need targets of shape {}, not {}{}", op,
        x.shape(), x.rank() > 2 ? ", with the classes in dimension 1," : "", expected,
        targets.shape(), x.rank() > 2 ? "; flatten() both where the classes come last" : "");
  const Tensor flat = reshape(targets, {targets.numel()});
  const int64_t bad =
      backend(flat.device()).bad_index(op, flat.numel(), raw<int64_t>(flat), count, &ignore);
  check(bad < 0, "{}: target {} at position {} is out of range; there are {} classes", op,
        bad < 0 ? 0 : raw<int64_t>(flat)[bad], bad, count);
  return {reshape(x.rank() <= 2 ? x : permute(x, order), {targets.numel(), count}), flat};
}

// softmax(x) minus the target distribution, times g; 0 where the target is ignored.
Tensor composed_cross_entropy_backward(const Tensor& g, const Tensor& x, const Tensor& targets,
                                       int64_t ignore, double smoothing) {
  const Tensor valid = not_ignored(targets, ignore);
  const int64_t n = x.size(1);
  const Tensor wanted = one_hot(where(valid, targets, 0), n).to(x.dtype());
  const Tensor target =
      add(mul(wanted, 1 - smoothing), smoothing / static_cast<double>(std::max<int64_t>(n, 1)));
  return where(unsqueeze(valid, 1), mul(unsqueeze(g, 1), sub(softmax(x, 1), target)), 0);
}

// [classes], of x's dtype, or undefined.
void check_weight(const char* op, const Tensor& x, int64_t classes, const Tensor& weight) {
  if (!weight.defined()) return;
  check(weight.shape() == Shape{classes}, "{}: scores {} need a weight of shape [{}], not {}", op,
        x.shape(), classes, weight.shape());
  check_same_dtype(op, x, weight);
}

// The weight of each target, 0 where it is ignored.
Tensor weight_of(const Tensor& targets, const Tensor& valid, const Tensor& weight) {
  return where(valid, index_select(weight, 0, where(valid, targets, 0)), 0);
}

// The mean divides by the weights that were summed.
Tensor weighted(const Tensor& losses, Reduce reduction, const Tensor& weights) {
  const Tensor total = sum(losses);
  if (reduction == Reduce::sum) return total;
  const Tensor divisor = sum(weights);
  return div(total, where(divisor == 0, 1, divisor));
}

// -log softmax(x)[target] of each row, in one pass that never forms the softmax;
// dx = g (softmax(x) - target).
Tensor row_cross_entropy(const Tensor& x, const Tensor& wanted,
                         const CrossEntropyOptions& options) {
  const Rows rows{x.size(0), x.size(1), 1};
  const int64_t ignore = options.ignore_index;
  const double smoothing = options.label_smoothing;
  Tensor loss = empty({rows.outer}, x.dtype(), x.device());
  const Tensor log_sum = empty({rows.outer}, x.dtype(), x.device());
  const Tensor from = kernel_input(x);
  for_floats("cross_entropy", x, [&]<class T>() {
    kernels<T>(from).loss.cross_entropy(rows, raw<T>(loss), raw<T>(log_sum), raw<T>(from),
                                        raw<int64_t>(wanted), ignore, static_cast<T>(smoothing));
  });
  const auto composed = [x, wanted, ignore, smoothing](const Tensor& g,
                                                       Needed) -> std::vector<Tensor> {
    return {composed_cross_entropy_backward(g, x, wanted, ignore, smoothing)};
  };
  const auto kernel = [x, wanted, log_sum, rows, ignore, smoothing](const Tensor& g,
                                                                    Needed) -> std::vector<Tensor> {
    const Tensor input = kernel_input(x);
    const Tensor dx = empty(x.shape(), x.dtype(), x.device());
    for_floats("cross_entropy", x, [&]<class T>() {
      kernels<T>(input).loss.cross_entropy_backward(
          rows, raw<T>(dx), raw<T>(g), g.strides()[0], raw<T>(input), raw<T>(log_sum),
          raw<int64_t>(wanted), ignore, static_cast<T>(smoothing));
    });
    return {dx};
  };
  note_shift(x, 1);
  return record_fused("cross_entropy", std::move(loss), {x}, composed, kernel);
}

// The smoothed part of the target is spread over all classes, so each has its own weight there.
Tensor weighted_row_losses(const Tensor& x, const Tensor& wanted, const Tensor& valid,
                           const Tensor& weights, CrossEntropyOptions options) {
  const double smoothing = std::exchange(options.label_smoothing, 0.0);
  const Tensor hard = mul(row_cross_entropy(x, wanted, options), weights);
  if (smoothing == 0) return hard;
  const Tensor spread = neg(sum(mul(log_softmax(x, 1), options.weight), 1));
  const double share = smoothing / static_cast<double>(x.size(1));
  return add(mul(hard, 1 - smoothing), where(valid, mul(spread, share), 0));
}

// Targets that are probabilities, of the shape of the logits.
Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets,
                          const CrossEntropyOptions& options) {
  check(logits.rank() >= 1 && logits.shape() == targets.shape(),
        "cross_entropy: targets must be int64 class numbers, or probabilities of the scores' shape "
        "{}, not {} {}; to(int64) converts numbers",
        logits.shape(), targets.dtype(), targets.shape());
  check_same_dtype("cross_entropy", logits, targets);
  const int64_t dim = logits.rank() == 1 ? 0 : 1, classes = logits.shape()[dim];
  check_weight("cross_entropy", logits, classes, options.weight);
  const double smoothing = options.label_smoothing;
  Tensor shares = targets;
  if (smoothing > 0) {
    shares = add(mul(targets, 1 - smoothing), smoothing / static_cast<double>(classes));
  }
  if (options.weight.defined()) {
    Shape along(std::vector<int64_t>(static_cast<size_t>(logits.rank()), 1));
    along[dim] = classes;
    shares = mul(shares, reshape(options.weight, along));
  }
  return reduced(neg(sum(mul(shares, log_softmax(logits, dim)), dim)), options.reduction);
}

// (1 - t) x + (1 + (pos_weight - 1) t) ln(1 + e^-x)
Tensor positive_weighted_logistic(const Tensor& x, const Tensor& t, const Tensor& pos_weight) {
  const Tensor factor = add(mul(sub(pos_weight, 1), t), 1);
  constexpr double never = std::numeric_limits<double>::infinity();
  return add(mul(sub(1, t), x), mul(factor, softplus(neg(x), 1, never)));
}

// ln of a probability, at least -100: so that a loss is finite.
Tensor bounded_log(const Tensor& p) {
  return clamp(log(p), -100, std::numeric_limits<double>::infinity());
}

constexpr const char* logistic = "binary_cross_entropy_with_logits";

// g (sigmoid(x) - t)
Tensor logistic_slope(const Tensor& g, const Tensor& x, const Tensor& t) {
  Tensor out = empty(x.shape(), x.dtype(), x.device());
  const Loop loop = make_loop({&out, &g, &x, &t});
  for_floats(logistic, x, [&]<class T>() {
    kernels<T>(x).loss.logistic_slope(loop, raw<T>(out), raw<T>(g), raw<T>(x), raw<T>(t));
  });
  return record("logistic_slope", std::move(out),
                {{g, [x, t](const Tensor& h) { return logistic_slope(h, x, t); }},
                 {x,
                  [g, x](const Tensor& h) {
                    const Tensor s = sigmoid(x);
                    return mul(mul(h, g), mul(s, sub(1, s)));
                  }},
                 {t, [g](const Tensor& h) { return neg(mul(h, g)); }}});
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options) {
  check(options.label_smoothing >= 0 && options.label_smoothing <= 1,
        "cross_entropy: label smoothing must be in [0, 1], not {}", options.label_smoothing);
  if (is_float(targets.dtype())) return soft_cross_entropy(logits, targets, options);
  const auto [x, wanted] =
      check_and_flatten("cross_entropy", logits, targets, options.ignore_index);
  check_weight("cross_entropy", logits, x.size(1), options.weight);
  const Tensor valid = not_ignored(wanted, options.ignore_index);
  if (!options.weight.defined()) {
    const Tensor loss = row_cross_entropy(x, wanted, options);
    return options.reduction == Reduce::none ? reshape(loss, targets.shape())
                                             : reduced(loss, options.reduction, valid);
  }
  const Tensor weights = weight_of(wanted, valid, options.weight);
  const Tensor loss = weighted_row_losses(x, wanted, valid, weights, options);
  return options.reduction == Reduce::none ? reshape(loss, targets.shape())
                                           : weighted(loss, options.reduction, weights);
}

Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets,
                const CrossEntropyOptions& options) {
  const auto [x, wanted] =
      check_and_flatten("nll_loss", log_probabilities, targets, options.ignore_index);
  check_weight("nll_loss", log_probabilities, x.size(1), options.weight);
  const Tensor valid = not_ignored(wanted, options.ignore_index);
  const Tensor index = unsqueeze(where(valid, wanted, 0), 1);
  Tensor loss = where(valid, neg(squeeze(gather(x, 1, index), 1)), 0), weights;
  if (options.weight.defined()) {
    weights = weight_of(wanted, valid, options.weight);
    loss = mul(loss, weights);
  }
  if (options.reduction == Reduce::none) return reshape(loss, targets.shape());
  return weights.defined() ? weighted(loss, options.reduction, weights)
                           : reduced(loss, options.reduction, valid);
}

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduce reduction) {
  check_one_shape("mse_loss", x, target);
  return reduced(square(sub(x, target)), reduction);
}

Tensor l1_loss(const Tensor& x, const Tensor& target, Reduce reduction) {
  check_one_shape("l1_loss", x, target);
  return reduced(abs(sub(x, target)), reduction);
}

// With c, d clamped to [-delta, delta]: c (d - c / 2).
Tensor huber_loss(const Tensor& x, const Tensor& target, Reduce reduction, double delta) {
  check_one_shape("huber_loss", x, target);
  check(delta > 0, "huber_loss: delta must be above 0, not {}", delta);
  const Tensor distance = sub(x, target), near_part = clamp(distance, -delta, delta);
  return reduced(mul(near_part, sub(distance, mul(near_part, 0.5))), reduction);
}

Tensor kl_div(const Tensor& x, const Tensor& target, Reduce reduction, bool log_target) {
  check_one_shape("kl_div", x, target);
  if (log_target) return reduced(mul(exp(target), sub(target, x)), reduction);
  return reduced(mul(target, sub(log(where(target == 0, 1, target)), x)), reduction);
}

// The slopes are those of PyTorch where a logarithm is cut off: x (1 - x) is at least 1e-12.
Tensor binary_cross_entropy(const Tensor& x, const Tensor& targets, Reduce reduction) {
  constexpr const char* op = "binary_cross_entropy";
  check_one_shape(op, x, targets);
  const Tensor t = is_float(targets.dtype()) ? targets : targets.to(x.dtype());
  check_same_dtype(op, x, t);
  check(x.numel() == 0 || (min(detached(x)).item() >= 0 && max(detached(x)).item() <= 1),
        "{}: takes probabilities, from 0 to 1; the loss of logits is {}", op, logistic);
  Tensor loss;
  {
    const InsideOp guard;
    loss = neg(add(mul(t, bounded_log(x)), mul(sub(1, t), bounded_log(sub(1, x)))));
  }
  const auto dx = [x, t](const Tensor& g) {
    const Tensor variance = mul(x, sub(1, x));
    return div(mul(g, sub(x, t)), clamp(variance, 1e-12, 1));
  };
  const auto dt = [x](const Tensor& g) {
    return mul(g, sub(bounded_log(sub(1, x)), bounded_log(x)));
  };
  return reduced(record(op, std::move(loss), {{x, dx}, {t, dt}}), reduction);
}

// -(t log s + (1 - t) log(1 - s)) with s = sigmoid(x), as log(1 + e^x) - t x: no overflow;
// dx = g (s - t), dt = -g x.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& targets,
                                        Reduce reduction, const Tensor& pos_weight) {
  check_one_shape(logistic, logits, targets);
  const Tensor x = logits, t = is_float(targets.dtype()) ? targets : targets.to(x.dtype());
  check_same_dtype(logistic, x, t);
  if (pos_weight.defined()) {
    check_same_dtype(logistic, x, pos_weight);
    check(broadcast_shapes(logistic, x.shape(), pos_weight.shape()) == x.shape(),
          "{}: a pos_weight of shape {} does not fit {}", logistic, pos_weight.shape(), called(x));
    return reduced(positive_weighted_logistic(x, t, pos_weight), reduction);
  }
  Tensor loss = empty(x.shape(), x.dtype(), x.device());
  const Loop loop = make_loop({&loss, &x, &t});
  for_floats(logistic, x, [&]<class T>() {
    kernels<T>(x).loss.logistic(loop, raw<T>(loss), raw<T>(x), raw<T>(t));
  });
  loss = record(logistic, std::move(loss),
                {{x, [x, t](const Tensor& g) { return logistic_slope(g, x, t); }},
                 {t, [x](const Tensor& g) { return neg(mul(g, x)); }}});
  return reduced(loss, reduction);
}

}  // namespace regrad
