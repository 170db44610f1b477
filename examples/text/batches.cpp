#include "examples/text/batches.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "autograd/check.h"
#include "ops/ops.h"
#include "ops/random.h"

namespace regrad::example {
namespace {

constexpr int64_t batches_in_pool = 32;

// 0 .. count - 1 in a random order, any number of which is found without the others: a Feistel
// network (Luby, Rackoff 1988) shuffles the numbers of a power of 4; those that are too large are
// sent through it again until they are not.
class RandomOrder {
 public:
  RandomOrder(int64_t count, uint64_t seed, int64_t number)
      : count_(static_cast<uint64_t>(count)), seed_(philox(seed, static_cast<uint64_t>(number))) {
    while (uint64_t{1} << (2 * half_) < count_) ++half_;
  }

  int64_t operator[](int64_t i) const {
    auto number = static_cast<uint64_t>(i);
    do number = shuffled(number);
    while (number >= count_);
    return static_cast<int64_t>(number);
  }

 private:
  uint64_t shuffled(uint64_t number) const {
    const uint64_t mask = (uint64_t{1} << half_) - 1;
    uint64_t left = number >> half_, right = number & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t mixed = left ^ (philox(seed_, round << half_ | right) & mask);
      left = right;
      right = mixed;
    }
    return left << half_ | right;
  }

  uint64_t count_, seed_;
  unsigned half_ = 1;  // bits
};

}  // namespace

EncodedPair encode(const Pair& pair, const Vocabulary& source, const Vocabulary& target) {
  return {source.encode(pair.source), target.encode(pair.target)};
}

std::vector<EncodedPair> encode(const std::vector<Pair>& pairs, const Vocabulary& source,
                                const Vocabulary& target) {
  std::vector<EncodedPair> encoded;
  encoded.reserve(pairs.size());
  for (const Pair& pair : pairs) {
    encoded.push_back(encode(pair, source, target));
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
  return tensor(values, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(longest)},
                {.device = cpu});
}

Tensor lengths(const std::vector<Ids>& rows) {
  Ids values;
  for (const Ids& row : rows) values.push_back(static_cast<int64_t>(row.size()));
  return tensor(values, {static_cast<int64_t>(rows.size())}, {.device = cpu});
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

Batch on_device(const Batch& batch) {
  const Device device = default_device();
  return {batch.source.to(device), batch.source_lengths, batch.given.to(device),
          batch.wanted.to(device)};
}

Batch trimmed(const Batch& batch) {
  const NoGrad guard;
  const int64_t source = max(batch.source_lengths).item<int64_t>();
  const std::vector<int64_t> wanted = batch.wanted.to_vector<int64_t>();
  const auto width = static_cast<size_t>(batch.wanted.size(1));
  size_t target = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] != Vocabulary::pad) target = std::max(target, i % width + 1);
  }
  const auto cut = [](const Tensor& ids, int64_t length) {
    return ids.size(1) <= length ? ids : narrow(ids, 1, 0, length).contiguous();
  };
  const auto longest = static_cast<int64_t>(target);
  return {cut(batch.source, source), batch.source_lengths, cut(batch.given, longest),
          cut(batch.wanted, longest)};
}

Batches::Batches(std::vector<EncodedPair> pairs, int64_t batch_size, uint64_t seed)
    : Batches(static_cast<int64_t>(pairs.size()), nullptr, batch_size, seed) {
  const auto shared = std::make_shared<const std::vector<EncodedPair>>(std::move(pairs));
  pair_ = [shared](int64_t i) { return (*shared)[static_cast<size_t>(i)]; };
}

Batches::Batches(int64_t count, std::function<EncodedPair(int64_t)> pair, int64_t batch_size,
                 uint64_t seed)
    : count_(count), batch_size_(batch_size), seed_(seed), pair_(std::move(pair)) {
  check(count > 0, "batches: there is no pair to train on; hold out fewer or give more");
  check(batch_size > 0, "batches: the batch size is {}; it must be at least 1", batch_size);
}

int64_t Batches::per_epoch() const { return (count_ + batch_size_ - 1) / batch_size_; }

Batch Batches::next() {
  if (waiting_.empty()) draw();
  const Batch batch = make_batch(drawn_, waiting_.back());
  waiting_.pop_back();
  if (++position_.index == per_epoch()) position_ = {position_.epoch + 1, 0};
  return batch;
}

void Batches::resume(Position position) {
  check(position.epoch >= 0 && position.index >= 0 && position.index < per_epoch(),
        "batches: epoch {}, batch {}: there is no such place; an epoch has {} batches",
        position.epoch, position.index, per_epoch());
  position_ = position;
  waiting_.clear();
}

// Draws the batches from which the next one comes, and leaves those from there on waiting.
void Batches::draw() {
  const int64_t pool = position_.index / batches_in_pool;
  const int64_t begin = pool * batches_in_pool * batch_size_;
  const int64_t end = std::min(count_, begin + batches_in_pool * batch_size_);
  const RandomOrder order(count_, seed_, position_.epoch);
  drawn_.clear();
  for (int64_t i = begin; i < end; ++i) drawn_.push_back(pair_(order[i]));
  std::stable_sort(drawn_.begin(), drawn_.end(), [](const EncodedPair& a, const EncodedPair& b) {
    return a.source.size() + a.target.size() < b.source.size() + b.target.size();
  });
  const int64_t batches = (end - begin + batch_size_ - 1) / batch_size_;
  const RandomOrder shuffled_batches(batches, philox(seed_, static_cast<uint64_t>(position_.epoch)),
                                     pool);
  waiting_.clear();
  for (int64_t i = batches - 1; i >= position_.index % batches_in_pool; --i) {
    const int64_t first = shuffled_batches[i] * batch_size_;
    waiting_.emplace_back(static_cast<size_t>(std::min(batch_size_, end - begin - first)));
    std::iota(waiting_.back().begin(), waiting_.back().end(), first);
  }
}

}  // namespace regrad::example
