// DetectAnomaly: while one is alive, the first op on its thread, forward or backward, that makes a
// NaN or an infinity from finite numbers is an Error that names it:
//   log, at toy.cpp:9 in loss_of: made -inf at [2] of its result [3] from finite inputs: [3] in [0,
//   4]
// Other errors, too, say then where their tensors were made and written. Lines need a program that
// was compiled with -g. For debugging: every number of every op is read.
#pragma once

#include <string>
#include <unordered_map>

#include "autograd/observer.h"
#include "autograd/trace_library.h"

namespace regrad {

class [[nodiscard]] DetectAnomaly : public Observer {
 public:
  void computed(const Op& op) override;  // an Error if the output is the first anomaly
  // Notes whether all that the node's derivatives are given is finite.
  void took(const Node& node, const Tensor& gradient) override;
  // An Error if the addend, or its sum with the others, is the first anomaly.
  void gave(const Node& node, size_t input, const Tensor& addend, const Tensor& sum) override;
  void finished(const Node& node) override;  // from here on, ops are the forward's again
  void written(const char* op, const Tensor& x) override;         // notes where
  std::string made_at(const Node& node) const override;           // the op's line, if it was seen
  std::string written_at(const Storage& storage) const override;  // likewise

 private:
  CallSite here() const { return library_ == nullptr ? -1 : library_->call_site(); }
  std::string text_of(CallSite site) const;

  const TraceLibrary* const library_ = trace_library();  // null: errors name no lines
  std::unordered_map<uint64_t, CallSite> made_;          // by the numbers of nodes
  std::unordered_map<const Storage*, CallSite> written_;
  const Node* node_ = nullptr;  // whose derivatives are running
  bool finite_ = true;          // all that its derivatives were given
  std::string gradient_;        // of what shape and in what range
};

}  // namespace regrad
