// From pairs of texts to the tensors of one training step: shuffled, bucketed by length, padded.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/tensor.h"
#include "examples/text/pairs.h"
#include "examples/text/vocabulary.h"

namespace regrad::example {

using Ids = std::vector<int64_t>;

struct EncodedPair {
  Ids source, target;  // without <bos> and <eos>; never empty
};

EncodedPair encode(const Pair& pair, const Vocabulary& source, const Vocabulary& target);
std::vector<EncodedPair> encode(const std::vector<Pair>& pairs, const Vocabulary& source,
                                const Vocabulary& target);

// Rows of different length side by side, int64 [rows, longest], filled up with <pad>.
Tensor padded(const std::vector<Ids>& rows);   // in the host's memory
Tensor lengths(const std::vector<Ids>& rows);  // int64 [rows]

struct Batch {
  Tensor source;          // int64 [b, s]
  Tensor source_lengths;  // int64 [b]
  Tensor given, wanted;   // int64 [b, t]: <bos> y1 .. yn, and y1 .. yn <eos>
};

// The batch where new tensors are made (default_device()); lengths, which steer the host, stay.
Batch on_device(const Batch& batch);

// The batch without the columns that are padding in every row. What is computed from it has the
// same bits however much padding there was: sums of floats depend on how many numbers there are,
// even zeros.
Batch trimmed(const Batch& batch);

Batch make_batch(const std::vector<EncodedPair>& pairs, const std::vector<int64_t>& chosen);

// An endless row of batches. The order of an epoch is a function of (seed, epoch) alone, so a place
// in it is two numbers. Pairs of like length share a batch, so that little of it is padding: 32
// batches at a time are drawn, sorted by length, cut and put in random order.
class Batches {
 public:
  struct Position {
    int64_t epoch = 0, index = 0;  // the next batch is number `index` of this epoch
    bool operator==(const Position&) const = default;
  };

  Batches(std::vector<EncodedPair> pairs, int64_t batch_size, uint64_t seed);

  // `count` pairs, each made by `pair` from its number when its turn comes: for more than memory
  // holds. No more than 32 batches are held.
  Batches(int64_t count, std::function<EncodedPair(int64_t)> pair, int64_t batch_size,
          uint64_t seed);

  Batch next();
  int64_t per_epoch() const;

  Position position() const { return position_; }
  // Continues as if next() had just been called often enough to be at this position. Throws Error
  // where there is no such batch.
  void resume(Position position);

 private:
  void draw();

  int64_t count_, batch_size_;
  uint64_t seed_;
  std::function<EncodedPair(int64_t)> pair_;
  Position position_;
  std::vector<EncodedPair> drawn_;             // those of the batches that wait
  std::vector<std::vector<int64_t>> waiting_;  // which of them make a batch, the next one last
};

}  // namespace regrad::example
