// The pairs of a file that need not fit in memory: found by number, read when they are asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "examples/text/pairs.h"

namespace regrad::example {

struct SplitOptions {
  double held_out_fraction = 0;
  uint64_t seed = 0;
  int64_t max_pairs = 0;  // only the first so many; 0: all
};

// The pairs on one side of a split, in the order of the file. Holds the place of every 16th pair
// (1 byte a pair) and one open file.
class IndexedPairs {
 public:
  int64_t size() const { return size_; }

  // Pair number i. Throws Error where i is outside [0, size()) or the file has changed.
  Pair at(int64_t i);

 private:
  friend struct IndexedSplit;
  IndexedPairs(const std::string& path, const SplitOptions& options, bool held_out)
      : path_(path), options_(options), held_out_(held_out) {}
  void add(PairReader::Place place);

  std::string path_;
  SplitOptions options_;
  bool held_out_;
  int64_t size_ = 0;
  std::vector<PairReader::Place> places_;
  std::unique_ptr<PairReader> reader_;
  int64_t next_ = 0;  // what the reader would find next
};

// The split that split() makes of read_pairs(), with the file read once and not held. Throws what
// PairReader and split() throw, and Error for what is no ordinary file, since it is read again.
struct IndexedSplit {
  IndexedPairs train, held_out;
  std::vector<std::string> remarks;  // see PairReader::remarks()

  IndexedSplit(const std::string& path, const SplitOptions& options);
};

}  // namespace regrad::example
