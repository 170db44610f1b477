#include "autograd/dot.h"

#include <unordered_map>
#include <vector>

#include "autograd/check.h"
#include "autograd/graph.h"
#include "autograd/text.h"

namespace regrad {
namespace {

// A label as a quoted string: names come from users.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

}  // namespace

std::string to_dot(const Tensor& tensor) {
  check(tensor.requires_grad(), "to_dot: the tensor of shape {} has no graph", tensor.shape());
  std::vector<const Node*> nodes = {tensor.node().get()};
  std::unordered_map<const Node*, size_t> index = {{nodes[0], 0}};
  std::string arrows;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const Edge& edge : *nodes[i]) {
      if (!edge.input) continue;
      const auto [place, is_new] = index.emplace(edge.input.get(), nodes.size());
      if (is_new) nodes.push_back(edge.input.get());
      arrows += fmt::format("  n{} -> n{};\n", place->second, i);
    }
  }
  std::string text = "digraph regrad {\n  node [shape=box];\n";
  for (size_t i = 0; i < nodes.size(); ++i) {
    text += fmt::format("  n{} [label={}{}];\n", i,
                        quoted(nodes[i]->called() + " " + nodes[i]->shape.str()),
                        nodes[i]->is_leaf() ? ", shape=ellipse" : "");
  }
  return text + arrows + "}\n";
}

}  // namespace regrad
