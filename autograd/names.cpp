#include "autograd/names.h"

#include <algorithm>
#include <deque>
#include <mutex>

#include "autograd/check.h"
#include "autograd/graph.h"
#include "autograd/text.h"

namespace regrad {
namespace {

using Names = std::vector<std::string>;

// All lists of names that were ever given, each once: tensors hold their index, from 1. A program
// has few. (A deque, so that a list stays where it is.)
struct Lists {
  std::mutex mutex;
  std::deque<Names> all;
};
Lists& lists() {
  static Lists* const one = new Lists();  // never freed: tensors may outlive everything else
  return *one;
}

uint32_t index_of(const Names& names) {
  const std::lock_guard lock(lists().mutex);
  std::deque<Names>& all = lists().all;
  const auto found = std::find(all.begin(), all.end(), names);
  const auto index = static_cast<uint32_t>(found - all.begin());
  if (found == all.end()) all.push_back(names);
  return index + 1;
}

const Names& names_of(const Tensor& x) {
  static const Names none;
  if (x.body().names == 0) return none;
  const std::lock_guard lock(lists().mutex);
  return lists().all[x.body().names - 1];
}

}  // namespace

Tensor named(const Tensor& x, const Names& names) {
  check(static_cast<int64_t>(names.size()) == x.rank(),
        "named: {} name{} for the {} dimensions of {}", names.size(), names.size() == 1 ? "" : "s",
        x.rank(), x.shape());
  for (auto name = names.begin(); name != names.end(); ++name) {
    check(!name->empty(), "named: name {} is empty", name - names.begin());
    check(std::find(names.begin(), name, *name) == name, "named: two dimensions are called \"{}\"",
          shortened(*name));
  }
  const bool is_own_leaf = static_cast<bool>(x.body().in_graph);
  Tensor result = is_own_leaf ? x : detached(x);
  TensorBody& body = result.body();
  if (!is_own_leaf) {
    body.node = x.node();
    body.origin = x.body().origin;
  }
  body.names = index_of(names);
  if (is_own_leaf) body.in_graph->names = body.names;
  return result;
}

Names dim_names(const Tensor& x) { return names_of(x); }

std::string shape_text(const Tensor& x) {
  const Names& names = names_of(x);
  if (names.empty()) return x.shape().str();
  std::string text = "[";
  for (size_t i = 0; i < names.size(); ++i) {
    text += fmt::format("{}{} {}", i > 0 ? ", " : "", shortened(names[i]),
                        x.shape()[static_cast<int64_t>(i)]);
  }
  return text + "]";
}

void permute_names(const Tensor& x, const std::vector<int64_t>& order, Tensor& to) {
  to.body().names = 0;
  if (x.body().names == 0) return;
  Names moved;
  for (const int64_t from : order) moved.push_back(names_of(x)[static_cast<size_t>(from)]);
  to.body().names = index_of(moved);
}

}  // namespace regrad
