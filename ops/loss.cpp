// Losses: one number for each row, then the mean or the sum of them.
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
                                       const CrossEntropyOptions& options) {
  const Tensor valid = not_ignored(targets, options.ignore_index);
  const int64_t n = x.size(1);
  const Tensor wanted = one_hot(where(valid, targets, 0), n).to(x.dtype());
  const double smoothing = options.label_smoothing;
  const Tensor target =
      add(mul(wanted, 1 - smoothing), smoothing / static_cast<double>(std::max<int64_t>(n, 1)));
  return where(unsqueeze(valid, 1), mul(unsqueeze(g, 1), sub(softmax(x, 1), target)), 0);
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

// -log softmax(x)[target], in one pass that never forms the softmax; dx = g (softmax(x) - target).
Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options) {
  check(options.label_smoothing >= 0 && options.label_smoothing <= 1,
        "cross_entropy: label smoothing must be in [0, 1], not {}", options.label_smoothing);
  const Flattened given = check_and_flatten("cross_entropy", logits, targets, options.ignore_index);
  const Tensor &x = given.rows, &wanted = given.targets;
  const Rows rows{x.size(0), x.size(1), 1};
  Tensor loss = empty({rows.outer}, x.dtype(), x.device());
  const Tensor log_sum = empty({rows.outer}, x.dtype(), x.device());
  const Tensor from = kernel_input(x);
  for_floats("cross_entropy", x, [&]<class T>() {
    kernels<T>(from).loss.cross_entropy(rows, raw<T>(loss), raw<T>(log_sum), raw<T>(from),
                                        raw<int64_t>(wanted), options.ignore_index,
                                        static_cast<T>(options.label_smoothing));
  });
  const auto composed = [x, wanted, options](const Tensor& g, Needed) -> std::vector<Tensor> {
    return {composed_cross_entropy_backward(g, x, wanted, options)};
  };
  const auto kernel = [x, wanted, log_sum, rows, options](const Tensor& g,
                                                          Needed) -> std::vector<Tensor> {
    const Tensor input = kernel_input(x);
    const Tensor dx = empty(x.shape(), x.dtype(), x.device());
    for_floats("cross_entropy", x, [&]<class T>() {
      kernels<T>(input).loss.cross_entropy_backward(
          rows, raw<T>(dx), raw<T>(g), g.strides()[0], raw<T>(input), raw<T>(log_sum),
          raw<int64_t>(wanted), options.ignore_index, static_cast<T>(options.label_smoothing));
    });
    return {dx};
  };
  note_shift(x, 1);
  loss = record_fused("cross_entropy", std::move(loss), {x}, composed, kernel);
  if (options.reduction == Reduce::none) return reshape(loss, targets.shape());
  return reduced(loss, options.reduction, not_ignored(wanted, options.ignore_index));
}

Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets,
                const CrossEntropyOptions& options) {
  const auto [x, wanted] =
      check_and_flatten("nll_loss", log_probabilities, targets, options.ignore_index);
  const Tensor valid = not_ignored(wanted, options.ignore_index);
  const Tensor index = unsqueeze(where(valid, wanted, 0), 1);
  const Tensor loss = where(valid, neg(squeeze(gather(x, 1, index), 1)), 0);
  if (options.reduction == Reduce::none) return reshape(loss, targets.shape());
  return reduced(loss, options.reduction, valid);
}

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduce reduction) {
  check(x.shape() == target.shape(), "mse_loss: {} and {} must have one shape", called(x),
        called(target));
  return reduced(square(sub(x, target)), reduction);
}

// -(t log s + (1 - t) log(1 - s)) with s = sigmoid(x), as log(1 + e^x) - t x: no overflow;
// dx = g (s - t), dt = -g x.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& targets,
                                        Reduce reduction) {
  check(logits.shape() == targets.shape(), "{}: {} and {} must have one shape", logistic,
        called(logits), called(targets));
  const Tensor x = logits, t = is_float(targets.dtype()) ? targets : targets.to(x.dtype());
  check_same_dtype(logistic, x, t);
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
