// Generator: a seed and a position. Number i of a stream depends on (seed, i) alone, so the same
// numbers come out for any number of threads, and a checkpoint only needs the two integers.
#pragma once

#include <cstdint>
#include <span>

namespace regrad {

class Generator {
 public:
  // At number `position` of the stream of `seed`.
  explicit Generator(uint64_t seed = 0, uint64_t position = 0) : seed_(seed), position_(position) {}
  // The two integers that a checkpoint keeps.
  uint64_t seed() const { return seed_; }
  uint64_t position() const { return position_; }
  void set_position(uint64_t position) { position_ = position; }  // goes on from there
  // Reserves the next `count` numbers and returns the position of the first.
  uint64_t advance(uint64_t count) {
    position_ += count;
    return position_ - count;
  }

 private:
  uint64_t seed_, position_;
};

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the 64 bits
// that belong to a counter.
[[gnu::visibility("default")]] uint64_t philox(uint64_t seed, uint64_t counter);

double uniform_number(uint64_t seed, uint64_t counter);  // philox() / 2^64 to 53 bits: [0, 1)

// The index i drawn with probability chances[i] / sum(chances): the first whose running sum is
// above uniform times the total. uniform is in [0, 1); chances are 0 or more, and not all 0.
size_t pick(std::span<const double> chances, double uniform);

}  // namespace regrad
