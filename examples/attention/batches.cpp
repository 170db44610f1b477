#include "examples/attention/batches.h"

#include <algorithm>

#include "autograd/check.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr int64_t batches_in_pool = 16;  // sorted by length among themselves

}  // namespace

std::vector<EncodedPair> encode(const std::vector<Pair>& pairs, const Vocabulary& source,
                                const Vocabulary& target) {
  std::vector<EncodedPair> encoded;
  encoded.reserve(pairs.size());
  for (const Pair& pair : pairs) {
    encoded.push_back({source.encode(pair.source), target.encode(pair.target)});
  }
  return encoded;
}

Tensor padded(const std::vector<Ids>& rows) {
  size_t longest = 0;
  for (const Ids& row : rows) longest = std::max(longest, row.size());
  Ids values;
  values.reserve(rows.size() * longest);
  for (const Ids& row : rows) {
    values.insert(values.end(), row.begin(), row.end());
    values.insert(values.end(), longest - row.size(), Vocabulary::pad);
  }
  return tensor(values, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(longest)});
}

Tensor lengths(const std::vector<Ids>& rows) {
  Ids values;
  for (const Ids& row : rows) values.push_back(static_cast<int64_t>(row.size()));
  return tensor(values, {static_cast<int64_t>(rows.size())});
}

Batch make_batch(const std::vector<EncodedPair>& pairs, const std::vector<int64_t>& chosen) {
  std::vector<Ids> sources, given, wanted;
  for (const int64_t i : chosen) {
    const EncodedPair& pair = pairs[static_cast<size_t>(i)];
    sources.push_back(pair.source);
    given.push_back({Vocabulary::bos});
    given.back().insert(given.back().end(), pair.target.begin(), pair.target.end());
    wanted.push_back(pair.target);
    wanted.back().push_back(Vocabulary::eos);
  }
  return {padded(sources), lengths(sources), padded(given), padded(wanted)};
}

Batches::Batches(std::vector<EncodedPair> pairs, int64_t batch_size, Generator generator)
    : pairs_(std::move(pairs)), batch_size_(batch_size), generator_(generator) {
  check(!pairs_.empty(), "batches: there is no pair to train on; hold out fewer or give more");
  check(batch_size > 0, "batches: the batch size is {}; it must be at least 1", batch_size);
}

int64_t Batches::per_epoch() const {
  return (static_cast<int64_t>(pairs_.size()) + batch_size_ - 1) / batch_size_;
}

Batch Batches::next() {
  if (order_.empty()) shuffle();
  const std::vector<int64_t> chosen = std::move(order_.back());
  order_.pop_back();
  return make_batch(pairs_, chosen);
}

void Batches::shuffle() {
  const int64_t count = static_cast<int64_t>(pairs_.size());
  Ids shuffled = randperm(count, generator_).to_vector<int64_t>();
  const auto by_length = [this](int64_t a, int64_t b) {
    const EncodedPair& left = pairs_[static_cast<size_t>(a)];
    const EncodedPair& right = pairs_[static_cast<size_t>(b)];
    return left.source.size() + left.target.size() < right.source.size() + right.target.size();
  };
  const int64_t pool = batch_size_ * batches_in_pool;
  for (int64_t start = 0; start < count; start += pool) {
    std::stable_sort(shuffled.begin() + start, shuffled.begin() + std::min(count, start + pool),
                     by_length);
  }
  std::vector<Ids> cut;
  for (int64_t start = 0; start < count; start += batch_size_) {
    cut.emplace_back(shuffled.begin() + start,
                     shuffled.begin() + std::min(count, start + batch_size_));
  }
  for (const int64_t i :
       randperm(static_cast<int64_t>(cut.size()), generator_).to_vector<int64_t>()) {
    order_.push_back(std::move(cut[static_cast<size_t>(i)]));
  }
}

}  // namespace regrad::example
