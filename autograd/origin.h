// Origin: which leaves a tensor was computed from. Only audit() reads it, after backward() has
// freed the graph, so each tensor carries it; it costs a few instructions an op.
#pragma once

#include <cstdint>

namespace regrad {

// A set of leaves, in 128 bits: leaf n has bit n mod 128. So it is exact for up to 128 parameters
// that are made one after the other; two further apart may be taken for one another.
struct LeafSet {
  uint64_t bits[2] = {0, 0};
  static LeafSet of_new_leaf();  // of one leaf, which is numbered now
  // Union, difference and subset.
  LeafSet& operator|=(const LeafSet& other) {
    bits[0] |= other.bits[0], bits[1] |= other.bits[1];
    return *this;
  }
  LeafSet without(const LeafSet& other) const {
    return {{bits[0] & ~other.bits[0], bits[1] & ~other.bits[1]}};
  }
  bool contains(const LeafSet& other) const { return other.without(*this).empty(); }
  bool empty() const { return (bits[0] | bits[1]) == 0; }  // whether it has none
};

// `leaves`: those to which backward() will bring a gradient. `cut`: those that the value was
// computed from too, but with a detach() or NoGrad in between.
struct Origin {
  static constexpr char detach[] = "detach";
  // The first op that cut one: an op under NoGrad or, if any did, detach. Null where cut is empty.
  const char* cut_by = nullptr;
  LeafSet leaves, cut;
  // Those of one more input.
  void add(const Origin& input) {
    leaves |= input.leaves, cut |= input.cut;
    if (cut_by != detach && input.cut_by != nullptr) cut_by = input.cut_by;
  }
  // The gradients of the leaves end at op.
  void cut_at(const char* op) {
    cut |= leaves;
    if (!leaves.empty() && (cut_by == nullptr || op == detach)) cut_by = op;
    leaves = {};
  }
};

}  // namespace regrad
