#include "examples/text/indexed_pairs.h"

#include "autograd/check.h"

namespace regrad::example {
namespace {

constexpr int64_t pairs_per_place = 16;

}  // namespace

void IndexedPairs::add(PairReader::Place place) {
  if (size_++ % pairs_per_place == 0) places_.push_back(place);
}

Pair IndexedPairs::at(int64_t i) {
  check(i >= 0 && i < size_, "{}: pair {} is outside [0, {})", path_, i, size_);
  if (reader_ == nullptr) {
    reader_ = std::make_unique<PairReader>(path_);
    Pair first;  // tells the form of the file
    reader_->next(first);
    next_ = size_;
  }
  if (i < next_ || i - next_ >= pairs_per_place) {
    reader_->go_to(places_[static_cast<size_t>(i / pairs_per_place)]);
    next_ = i / pairs_per_place * pairs_per_place;
  }
  for (Pair pair; reader_->next(pair);) {
    if (is_held_out(pair.source, options_.held_out_fraction, options_.seed) != held_out_) continue;
    if (next_++ == i) return pair;
  }
  fail("{}: ends before pair {} of {}: was it changed? Run the program again", path_, i, size_);
}

IndexedSplit::IndexedSplit(const std::string& path, const SplitOptions& options)
    : train(path, options, false), held_out(path, options, true) {
  check_fraction(options.held_out_fraction);
  PairReader reader(path);
  for (Pair pair; (options.max_pairs == 0 || train.size() + held_out.size() < options.max_pairs) &&
                  reader.next(pair);) {
    const bool apart = is_held_out(pair.source, options.held_out_fraction, options.seed);
    (apart ? held_out : train).add(reader.place());
  }
  remarks = reader.remarks();
}

}  // namespace regrad::example
