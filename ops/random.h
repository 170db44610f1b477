// Generator: a seed and a position. Number i of a stream depends on (seed, i) alone, so the same
// numbers come out for any number of threads, and a checkpoint only needs the two integers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

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
  [[gnu::visibility("default")]] uint64_t advance(uint64_t count);

 private:
  uint64_t seed_, position_;
};

// What a generator gave: advance()'s result.
struct Draw {
  uint64_t seed, position;
};

// While one is alive, what the generators of this thread give is kept; or, to repeat a computation,
// they give what was kept, and stay where they are: an Error that names checkpoint for a draw that
// there was not.
class DrawScope {
 public:
  // Keeps in `draws`, or repeats them; they must live as long.
  DrawScope(std::vector<Draw>& draws, bool repeat);
  ~DrawScope();
  DrawScope(const DrawScope&) = delete;
  DrawScope& operator=(const DrawScope&) = delete;

 private:
  friend class Generator;
  // Returns the position of a draw of `count` numbers, and moves `position` on unless it repeats.
  static uint64_t draw(DrawScope* scope, uint64_t seed, uint64_t& position, uint64_t count);

  std::vector<Draw>& draws_;
  const bool repeat_;
  size_t next_ = 0;
  DrawScope* const outer_;
};

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the 64 bits
// that belong to a counter.
[[gnu::visibility("default")]] uint64_t philox(uint64_t seed, uint64_t counter);

double uniform_number(uint64_t seed, uint64_t counter);  // philox() / 2^64 to 53 bits: [0, 1)

// Draws from a distribution by inverting its cumulative sum: the first index whose cumulative
// weight exceeds `uniform` in [0, 1) times the total. Weights are 0 or more, and not all 0.
size_t pick(std::span<const double> weights, double uniform);

}  // namespace regrad
