// From pairs of texts to the tensors of one training step: shuffled, bucketed by length, padded.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/tensor.h"
#include "examples/attention/pairs.h"
#include "examples/attention/vocabulary.h"
#include "ops/random.h"

namespace regrad::example {

using Ids = std::vector<int64_t>;

struct EncodedPair {
  Ids source, target;  // without <bos> and <eos>; never empty
};

std::vector<EncodedPair> encode(const std::vector<Pair>& pairs, const Vocabulary& source,
                                const Vocabulary& target);

// Rows of different length side by side, int64 [rows, longest], filled up with <pad>.
Tensor padded(const std::vector<Ids>& rows);
Tensor lengths(const std::vector<Ids>& rows);  // int64 [rows]

struct Batch {
  Tensor source;          // int64 [b, s]
  Tensor source_lengths;  // int64 [b]
  Tensor given, wanted;   // int64 [b, t]: <bos> y1 .. yn, and y1 .. yn <eos>
};

Batch make_batch(const std::vector<EncodedPair>& pairs, const std::vector<int64_t>& chosen);

// An endless row of batches. Each epoch is in a new random order, which depends on the generator
// alone; pairs of like length share a batch, so that little of it is padding.
class Batches {
 public:
  Batches(std::vector<EncodedPair> pairs, int64_t batch_size, Generator generator);
  Batch next();
  int64_t per_epoch() const;

 private:
  void shuffle();

  std::vector<EncodedPair> pairs_;
  int64_t batch_size_;
  Generator generator_;
  std::vector<std::vector<int64_t>> order_;  // the batches of this epoch, the next one last
};

}  // namespace regrad::example
