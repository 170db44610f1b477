#include "autograd/anomaly.h"

#include <algorithm>
#include <cmath>

#include "autograd/check.h"
#include "autograd/graph.h"

namespace regrad {
namespace {

std::vector<double> numbers(const Tensor& x) {
  const NoGrad guard;
  return is_float(x.dtype()) ? x.to_vector<double>() : std::vector<double>();
}

bool is_finite(const Tensor& x) {
  if (!x.defined()) return true;
  const std::vector<double> all = numbers(x);
  return std::all_of(all.begin(), all.end(), [](double one) { return std::isfinite(one); });
}

// "nan at [0, 2]": the first element that is not finite.
std::string first_anomaly(const Tensor& x) {
  const std::vector<double> all = numbers(x);
  const auto found =
      std::find_if(all.begin(), all.end(), [](double one) { return !std::isfinite(one); });
  const Shape index = unravel_index(found - all.begin(), x.shape());
  return fmt::format("{} at {}", std::isnan(*found) ? "NaN" : *found > 0 ? "inf" : "-inf", index);
}

// "encoder.weight [4, 3] in [-1.2, 0.7]"
std::string range(const Tensor& x) {
  std::string text = x.name().empty() ? x.shape().str() : x.name() + " " + x.shape().str();
  const std::vector<double> all = numbers(x);
  if (all.empty()) return text;
  const auto [least, greatest] = std::minmax_element(all.begin(), all.end());
  return text + fmt::format(" in [{:.4g}, {:.4g}]", *least, *greatest);
}

std::string ranges(const std::vector<Tensor>& inputs) {
  std::string text;
  for (const Tensor& input : inputs) {
    if (input.defined()) text += (text.empty() ? "" : ", ") + range(input);
  }
  return text.empty() ? "none" : text;
}

std::string after_comma(const std::string& site) { return site.empty() ? site : ", " + site; }

}  // namespace

std::string DetectAnomaly::text_of(CallSite site) const {
  return site < 0 ? std::string() : library_->describe(site);
}

void DetectAnomaly::computed(const Op& op) {
  if (op.output.requires_grad()) made_[op.output.node()->number] = here();
  if (is_finite(op.output)) return;
  if (!std::all_of(op.inputs.begin(), op.inputs.end(), is_finite)) return;
  const std::string made =
      fmt::format("made {} of its result {} from finite inputs: {}", first_anomaly(op.output),
                  op.output.shape(), ranges(op.inputs));
  if (node_ != nullptr) {
    fail("backward of {}{}: {}: {}", node_->name, after_comma(made_at(*node_)), op.name, made);
  }
  fail("{}{}: {}", op.name, after_comma(text_of(here())), made);
}

void DetectAnomaly::written(const char*, const Tensor& x) {
  written_[x.body().storage.get()] = here();
}

std::string DetectAnomaly::made_at(const Node& node) const {
  const auto found = made_.find(node.number);
  return found == made_.end() ? std::string() : text_of(found->second);
}

std::string DetectAnomaly::written_at(const Storage& storage) const {
  const auto found = written_.find(&storage);
  return found == written_.end() ? std::string() : text_of(found->second);
}

void DetectAnomaly::took(const Node& node, const Tensor& gradient) {
  node_ = &node;
  finite_ = is_finite(gradient);
  for (const Saved& saved : node.saved) finite_ = finite_ && is_finite(Tensor(saved.body));
  gradient_ = range(gradient);
}

void DetectAnomaly::gave(const Node& node, size_t input, const Tensor& addend, const Tensor& sum) {
  const Ref<Node>& target = node.edge(input).input;
  if (finite_ && !is_finite(addend)) {
    fail(
        "backward of {}{}: its derivative made {} of the gradient {} of input {}{} from finite "
        "numbers; the gradient that came in is {}",
        node.name, after_comma(made_at(node)), first_anomaly(addend), addend.shape(), input,
        target->is_leaf() && !target->parameter.empty() ? " (" + target->parameter + ")" : "",
        gradient_);
  }
  if (is_finite(addend) && !is_finite(sum)) {
    fail("backward: the gradients {} of the uses of {}{} are finite, but their sum has {}",
         sum.shape(), target->called(), after_comma(made_at(*target)), first_anomaly(sum));
  }
}

void DetectAnomaly::finished(const Node&) { node_ = nullptr; }

}  // namespace regrad
