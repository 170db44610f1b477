#include "autograd/notes.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace regrad {

LeafSet LeafSet::of_new_leaf() {
  static constinit std::atomic<uint64_t> count{0};
  const uint64_t bit = count.fetch_add(1, std::memory_order_relaxed) % 128;
  LeafSet set;
  set.bits[bit / 64] = uint64_t{1} << bit % 64;
  return set;
}

LastBackward& last_backward() {
  static constinit thread_local LastBackward last{};
  return last;
}

void note_backward(const Node& root, uint64_t pass, uint64_t last_number) {
  last_backward() = {root.number, pass, last_number, last_backward().ended};
}

void note_rows(const Tensor& x) {
  if (x.requires_grad()) x.node()->by_rows.store(true, std::memory_order_relaxed);
}

namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Marks an input of the node that is a leaf and is added to every element along dimension d of x:
// linear's bias, or what expand() repeats. Returns whether it is such an op.
bool mark_sum(Node& node, const Tensor& x, int64_t d) {
  const std::string_view op = node.name;
  const size_t edge = op == "linear" ? 2 : 0;
  if ((op != "linear" && op != "expand") || node.edge_count <= edge) return false;
  Node* const leaf = node.edge(edge).input.get();
  if (leaf == nullptr || !leaf->is_leaf()) return op == "linear";
  const bool varies = leaf->shape.numel() > 1 && d == x.rank() - 1 && leaf->shape.back() > 1;
  if (!varies) leaf->is_shift.store(true, std::memory_order_relaxed);
  return true;
}

}  // namespace

void note_shift(const Tensor& x, int64_t d) {
  constexpr int farthest = 8;
  if (!GradMode::enabled()) return;
  Node* node = x.node().get();
  for (int i = 0; i < farthest && node != nullptr && !node->is_leaf(); ++i) {
    if (mark_sum(*node, x, d)) return;
    if (!is_one_of(node->name, {"add", "sub", "reshape", "squeeze", "unsqueeze", "transpose",
                                "permute", "where", "neg", "clone"})) {
      return;
    }
    Node* further = nullptr;
    for (Edge& edge : *node) {
      if (!edge.input || edge.input->is_leaf() || mark_sum(*edge.input, x, d)) continue;
      if (further != nullptr) return;
      further = edge.input.get();
    }
    node = further;
  }
}

}  // namespace regrad
