#include "autograd/audit.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "autograd/check.h"
#include "autograd/explain.h"
#include "autograd/graph.h"
#include "autograd/notes.h"
#include "autograd/reasons.h"
#include "autograd/text.h"

namespace regrad {
namespace {

using Parameters = std::vector<std::pair<std::string, Tensor>>;

// When the loss was computed and differentiated.
struct Time {
  explicit Time(const Tensor& loss) {
    const LastBackward& last = last_backward();
    const uint64_t number = loss.requires_grad() ? loss.node()->number : 0;
    is_last = number != 0 && number == last.root;
    is_before = number > last.ended && !loss.node()->released;
    forward_began = is_last ? last.before_ended : number > last.ended ? last.ended : 0;
    pass = last.pass;
  }
  bool is_last;            // backward() of this loss was the last one
  bool is_before;          // backward() has not been called
  uint64_t forward_began;  // nodes of its forward have greater numbers
  uint64_t pass;
};

// The gradients that the loss gives; undefined: it does not reach that parameter.
std::vector<Tensor> gradients_of(const Parameters& parameters, const Tensor& loss,
                                 const Time& time) {
  std::vector<Tensor> gradients(parameters.size()), inputs;
  if (time.is_before && loss.numel() == 1) {
    for (const auto& [name, x] : parameters) {
      if (x.requires_grad()) inputs.push_back(x);
    }
    if (inputs.empty()) return gradients;
    std::vector<Tensor> found = grad({loss}, inputs, {.allow_unused = true, .retain_graph = true});
    for (size_t i = 0, next = 0; i < parameters.size(); ++i) {
      if (parameters[i].second.requires_grad()) gradients[i] = std::move(found[next++]);
    }
    return gradients;
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, x] = parameters[i];
    if (!x.requires_grad()) continue;
    const uint64_t pass = x.node()->pass.load(std::memory_order_relaxed);
    if (time.is_last && pass < time.pass) continue;  // grad() is what an earlier pass brought
    gradients[i] = x.grad();
    check(gradients[i].defined() || !time.is_last || pass != time.pass || !x.is_leaf(),
          "audit: the gradient of {} was cleared since backward(); call audit() before zero_grad()",
          printable(name));
  }
  return gradients;
}

int64_t count_not_finite(const std::vector<double>& numbers) {
  return std::count_if(numbers.begin(), numbers.end(), [](double x) { return !std::isfinite(x); });
}

// Why the gradient of x is 0 along each path, where the graph is there to follow them.
std::string explained_zero(const Tensor& loss, const Tensor& x) {
  constexpr size_t max_paths = 16;
  if (!loss.requires_grad() || loss.numel() != 1 || loss.node()->released) return "";
  std::string reason;
  try {
    const Explanation explanation = explain(loss, x, max_paths);
    if (explanation.rest.defined() && norm(explanation.total) != 0) return "";
    for (const ExplainPath& path : explanation.paths) {
      const auto zero = std::find_if(path.steps.begin(), path.steps.end(),
                                     [](const ExplainStep& step) { return !step.zero.empty(); });
      if (zero == path.steps.end()) return "";
      if (reason.find(zero->zero) == std::string::npos) {
        reason += (reason.empty() ? "" : "; ") + zero->zero;
      }
    }
  } catch (const Error&) {  // another backward() has freed a part of the graph
    return "";
  }
  return reason;
}

// Whether the gradient is what rounding leaves of 0: see audit.h.
bool is_rounding(const Tensor& x, double gradient_norm, double largest) {
  const double bound = x.dtype() == float32 ? 1e-5 : 1e-13;
  return x.node()->is_shift.load(std::memory_order_relaxed) && gradient_norm <= bound * largest;
}

constexpr std::string_view shift = "ignores a shift";

void judge_small(AuditRow& row, const Tensor& x, const Tensor& loss, double largest) {
  const bool rounding = is_rounding(x, row.gradient_norm, largest);
  if (row.gradient_norm > 1e-5 * largest && !rounding) return;
  std::string reason = explained_zero(loss, x);
  if (reason.empty() && rounding) reason = "a softmax ignores a shift: its gradients sum to 0";
  if (reason.empty() && row.gradient_norm == 0) {
    reason =
        "every element is exactly 0; audit() before backward(), or after backward({}, "
        "{.retain_graph = true}), can say why";
  }
  if (reason.empty()) return;
  row.verdict = "ZERO";
  row.wrong = reason.find(shift) == std::string::npos || reason.find(';') != std::string::npos;
  row.why = (row.gradient_norm == 0 ? "" : "what rounding leaves of 0: ") + reason;
}

void judge_rows(AuditRow& row, const Tensor& x, const std::vector<double>& gradient) {
  if (!x.node()->by_rows.load(std::memory_order_relaxed) || x.rank() == 0) return;
  const int64_t rows = x.size(0), length = rows == 0 ? 0 : x.numel() / rows;
  int64_t used = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const auto begin = gradient.begin() + i * length;
    used += std::any_of(begin, begin + length, [](double one) { return one != 0; });
  }
  if (used == 0 || used == rows) return;
  row.verdict = "ROWS";
  row.why = fmt::format("{} of {} rows have a gradient", used, rows);
}

// Of a parameter that backward() did not reach.
void judge_missing(AuditRow& row, const Tensor& x, const Tensor& loss, const Time& time) {
  const Node& node = *x.node();
  const Origin& origin = loss.body().origin;
  const bool used = node.used_by.load(std::memory_order_relaxed) > time.forward_began;
  const char* const unrecorded_by = node.unrecorded_by.load(std::memory_order_relaxed);
  const bool never_used = unrecorded_by == nullptr && node.used_by == 0;
  row.wrong = true;
  if (!node.is_leaf()) {
    row.verdict = "NONE";
    row.why =
        fmt::format("it is not a leaf: {} computed it, and only leaves keep a gradient", node.name);
  } else if (!never_used && origin.cut.contains(x.body().origin.leaves)) {
    const bool is_own = unrecorded_by != nullptr && (!used || !loss.requires_grad());
    const std::string op = is_own ? unrecorded_by : origin.cut_by;
    row.verdict = "CUT";
    row.why = "its value reaches the loss, but its gradient stops at " +
              (op == Origin::detach       ? "detach()"
               : op.starts_with("grad()") ? op
                                          : op + ", computed under NoGrad");
  } else {
    row.verdict = "NONE";
    row.why = used ? "used in this forward, but nothing that was computed from it reaches the loss"
                   : "not used in this forward, or only where there is no gradient (item(), "
                     "comparisons, argmax)";
  }
}

AuditRow judge(const std::string& name, const Tensor& x, const Tensor& gradient, double largest,
               const Tensor& loss, const Time& time) {
  AuditRow row{name, "ok", "", gradient.defined() ? norm(gradient) : 0, norm(x), false};
  const std::vector<double> numbers =
      gradient.defined() ? gradient.to_vector<double>() : std::vector<double>();
  const int64_t broken = count_not_finite(numbers);
  if (broken > 0) {
    row.why =
        fmt::format("{} of {} elements of its gradient are NaN or infinite", broken, x.numel());
  } else if (!std::isfinite(row.parameter_norm)) {
    row.why = "the parameter itself has a NaN or an infinity";
  }
  if (!row.why.empty()) {
    row.verdict = "NAN";
    row.wrong = true;
  } else if (!x.requires_grad()) {
    row.verdict = "FROZEN";
    row.why = "it does not require a gradient";
  } else if (!gradient.defined()) {
    judge_missing(row, x, loss, time);
  } else if (x.numel() > 0) {
    judge_small(row, x, loss, largest);
    if (row.verdict == "ok") judge_rows(row, x, numbers);
  }
  return row;
}

}  // namespace

Audit audit(const Parameters& parameters, const Tensor& loss) {
  check(loss.defined(), "audit: the loss is undefined");
  for (const auto& [name, x] : parameters) {
    check(x.defined(), "audit: the parameter {} is undefined", printable(name));
  }
  const Time time(loss);
  check(!time.is_before || loss.numel() == 1,
        "audit: a loss of shape {} is not one number; call audit() after backward(gradient)",
        loss.shape());
  const std::vector<Tensor> gradients = gradients_of(parameters, loss, time);
  const NoGrad guard;
  double largest = 0;
  for (const Tensor& gradient : gradients) {
    if (const double size = gradient.defined() ? norm(gradient) : 0; std::isfinite(size)) {
      largest = std::max(largest, size);
    }
  }
  Audit result;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, x] = parameters[i];
    result.rows.push_back(judge(name, x, gradients[i], largest, loss, time));
  }
  return result;
}

Audit Audit::wrong() const {
  Audit result;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(result.rows),
               [](const AuditRow& row) { return row.wrong; });
  return result;
}

std::string Audit::str() const {
  size_t width = 0;
  for (const AuditRow& row : rows) width = std::max(width, printable(row.name).size());
  std::string text;
  for (const AuditRow& row : rows) {
    const bool is_zero = row.verdict == "ZERO" && row.gradient_norm != 0;  // up to rounding
    const std::string size = is_zero                  ? "~0"
                             : row.gradient_norm == 0 ? "0"
                             : std::isnan(row.gradient_norm)
                                 ? "nan"
                                 : fmt::format("{:.1e}", row.gradient_norm);
    const std::string rest =
        row.verdict != "ok" ? row.why
        : row.parameter_norm == 0
            ? "|w| 0"
            : fmt::format("|g|/|w| {:.2g}", row.gradient_norm / row.parameter_norm);
    text += fmt::format("{:<6}  {:<{}}  |g| {:<7}  {}\n", row.verdict, printable(row.name), width,
                        size, rest);
  }
  return text;
}

}  // namespace regrad
