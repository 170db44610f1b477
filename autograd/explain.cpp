#include "autograd/explain.h"

#include <algorithm>
#include <memory>
#include <queue>
#include <string_view>
#include <unordered_map>

#include "autograd/check.h"
#include "autograd/graph.h"
#include "autograd/observer.h"
#include "autograd/reasons.h"
#include "autograd/text.h"

namespace regrad {
namespace {

// Exact sums of numbers of paths, in decimal digits: 60 diamonds have 2^60 paths, a deep network
// more.
struct Digits {
  std::vector<uint32_t> parts;  // of nine digits, the least significant first
  Digits& operator+=(const Digits& other) {
    uint32_t carry = 0;
    parts.resize(std::max(parts.size(), other.parts.size()));
    for (size_t i = 0; i < parts.size(); ++i) {
      const uint32_t sum = parts[i] + carry + (i < other.parts.size() ? other.parts[i] : 0);
      parts[i] = sum % 1000000000, carry = sum / 1000000000;
    }
    if (carry != 0) parts.push_back(carry);
    return *this;
  }
  std::string str() const {
    std::string text = parts.empty() ? "0" : std::to_string(parts.back());
    for (size_t i = parts.size(); i-- > 1;) text += fmt::format("{:09}", parts[i - 1]);
    return text;
  }
};

// The number of paths from each node to `target`, for nodes that have any.
using PathCounts = std::unordered_map<const Node*, Digits>;
PathCounts count_paths(const Ref<Node>& loss, const Node* target) {
  std::vector<const Node*> reached = {loss.get()};
  std::unordered_map<const Node*, bool> seen = {{loss.get(), true}};
  for (size_t i = 0; i < reached.size(); ++i) {
    check(!reached[i]->released,
          "explain: the graph through {} was freed by backward(); explain before it, or let it be "
          "backward({{}}, {{.retain_graph = true}})",
          reached[i]->called());
    for (const Edge& edge : *reached[i]) {
      if (edge.input && edge.input->number >= target->number &&
          seen.emplace(edge.input.get(), true).second) {
        reached.push_back(edge.input.get());
      }
    }
  }
  std::sort(reached.begin(), reached.end(),
            [](const Node* a, const Node* b) { return a->number < b->number; });
  PathCounts counts;
  for (const Node* node : reached) {  // inputs before outputs
    Digits count;
    if (node == target) count.parts = {1};
    for (const Edge& edge : *node) {
      const auto found = counts.find(edge.input.get());
      if (edge.input && found != counts.end()) count += found->second;
    }
    if (!count.parts.empty()) counts.emplace(node, count);
  }
  return counts;
}

// One step of a path, linked to the one before it: paths that begin alike share their beginnings.
struct Link {
  std::shared_ptr<const Link> before;
  const Node* from;  // the op; null at the loss itself
  size_t input;
  const Node* node;  // that input's
  Tensor gradient;
  double size;
};
using LinkRef = std::shared_ptr<const Link>;

// The gradients of all inputs of a node, given that of its output. Undefined where none is needed.
std::vector<Tensor> derivatives(const Node& node, const Tensor& gradient) {
  node.check_saved();
  const InsideOp guard;
  if (node.derivative_of_all) return node.derivative_of_all(gradient, Needed(node), node.output);
  std::vector<Tensor> all(node.edge_count);
  for (size_t i = 0; i < node.edge_count; ++i) {
    if (node.edge(i).input) all[i] = node.edge(i).derivative(gradient, node.output);
  }
  return all;
}

// Why the gradient is 0 after this step of a path; empty: it is not.
std::string zero_at(const Link& link) {
  std::vector<std::string_view> ops;
  for (const Link* one = &link; one->from != nullptr; one = one->before.get()) {
    ops.push_back(one->from->name);
  }
  const Link& before = *link.before;
  return reason_for_zero(ops, link.gradient.numel() < before.gradient.numel(), before.size,
                         link.size);
}

ExplainPath path_of(const LinkRef& last) {
  ExplainPath path{{}, last->gradient};
  for (const Link* one = last.get(); one->from != nullptr; one = one->before.get()) {
    path.steps.push_back({one->from->name, one->input, one->gradient, zero_at(*one),
                          Observer::where_made(*one->from)});
  }
  std::reverse(path.steps.begin(), path.steps.end());
  return path;
}

// From the largest gradient that has not been followed, goes on along the largest one at each op
// until it arrives: so every start gives a path, however small its contribution is.
std::vector<ExplainPath> largest_paths(const Link& loss, const Node* target,
                                       const PathCounts& counts, size_t max_paths) {
  const auto smaller = [](const LinkRef& a, const LinkRef& b) { return a->size < b->size; };
  std::priority_queue<LinkRef, std::vector<LinkRef>, decltype(smaller)> open(smaller);
  open.push(std::make_shared<const Link>(loss));
  std::vector<ExplainPath> found;
  while (!open.empty() && found.size() < max_paths) {
    LinkRef link = open.top();
    open.pop();
    while (link->node != target) {
      const std::vector<Tensor> gradients = derivatives(*link->node, link->gradient);
      LinkRef next;
      for (size_t i = 0; i < gradients.size(); ++i) {
        const Node* const input = link->node->edge(i).input.get();
        if (input == nullptr || !counts.contains(input)) continue;
        auto branch = std::make_shared<const Link>(
            Link{link, link->node, i, input, gradients[i], norm(gradients[i])});
        if (next && next->size < branch->size) std::swap(next, branch);
        next ? open.push(branch) : void(next = branch);
      }
      link = next;
    }
    found.push_back(path_of(link));
  }
  std::sort(found.begin(), found.end(), [](const ExplainPath& a, const ExplainPath& b) {
    return norm(a.gradient) > norm(b.gradient);
  });
  return found;
}

std::string shown(const Tensor& x) {
  const std::vector<double> all = x.to_vector<double>();
  if (all.size() == 1) return short_number(all[0]);
  std::string text = "[";
  for (size_t i = 0; i < std::min<size_t>(all.size(), 8); ++i) {
    text += (i > 0 ? " " : "") + short_number(all[i]);
  }
  return text +
         (all.size() > 8 ? fmt::format(" ..] {}, norm {}", x.shape(), short_number(norm(x))) : "]");
}

}  // namespace

std::string Explanation::str() const {
  // What rounding leaves of a zero is shown as ~0.
  const auto shown_or_zero = [](const Tensor& x, bool is_zero) {
    return is_zero && norm(x) != 0 ? "~0" : shown(x);
  };
  const auto is_zero = [](const ExplainPath& path) {
    return !path.steps.empty() && !path.steps.back().zero.empty();
  };
  const bool all_zero = !rest.defined() && std::all_of(paths.begin(), paths.end(), is_zero);
  std::string text =
      fmt::format("gradient of {}: {}, the sum over {} path{}\n", name,
                  shown_or_zero(total, all_zero), path_count, path_count == "1" ? "" : "s");
  for (size_t i = 0; i < paths.size(); ++i) {
    const ExplainPath& path = paths[i];
    text += fmt::format("path {}: {}\n", i + 1, shown_or_zero(path.gradient, is_zero(path)));
    for (const ExplainStep& step : path.steps) {
      text += fmt::format("  {:<14} {}{}{}\n", step.op,
                          shown_or_zero(step.gradient, !step.zero.empty()),
                          step.zero.empty() ? "" : "   " + step.zero, step.place);
    }
  }
  return text + (rest.defined() ? fmt::format("the other paths: {}\n", shown(rest)) : "");
}

Explanation explain(const Tensor& loss, const Tensor& x, size_t max_paths) {
  check(loss.requires_grad() && loss.numel() == 1,
        "explain: the loss must be one element that requires a gradient, not {}", loss.shape());
  check(x.requires_grad(), "explain: x of shape {} does not require a gradient", x.shape());
  const PathCounts counts = count_paths(loss.node(), x.node().get());
  const auto found = counts.find(loss.node().get());
  check(found != counts.end(),
        "explain: no gradient goes from the loss to {}{}; audit(model, loss) tells whether it was "
        "cut",
        x.name().empty() ? "a tensor of shape " : x.name() + " ", x.shape());
  Explanation result;
  result.name = (x.name().empty() ? "" : x.name() + " ") + x.shape().str();
  result.path_count = found->second.str();
  result.total = grad({loss}, {x}, {.retain_graph = true})[0];
  const Tensor one = ones(loss.shape(), {.dtype = loss.dtype(), .device = loss.device()});
  result.paths = largest_paths({nullptr, nullptr, 0, loss.node().get(), one, 1}, x.node().get(),
                               counts, max_paths);
  if (result.path_count != std::to_string(result.paths.size())) {
    result.rest = result.total.clone();
    for (const ExplainPath& path : result.paths) result.rest.add_(path.gradient, -1);
  }
  return result;
}

}  // namespace regrad
