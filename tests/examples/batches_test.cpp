#include "examples/text/batches.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "autograd/error.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

// Pair i: its number, then as much more as makes texts of 1 to 20 tokens.
std::vector<EncodedPair> numbered(int64_t count) {
  std::vector<EncodedPair> pairs;
  for (int64_t i = 0; i < count; ++i) {
    Ids source(static_cast<size_t>(1 + i * 7 % 20), 4);
    source[0] = 100 + i;
    pairs.push_back({std::move(source), {5, 6}});
  }
  return pairs;
}

using Rows = std::vector<int64_t>;  // the numbers of the pairs in a batch

Rows rows_of(const Batch& batch) {
  const std::vector<int64_t> ids = batch.source.to_vector<int64_t>();
  Rows rows;
  for (int64_t row = 0; row < batch.source.size(0); ++row) {
    rows.push_back(ids[static_cast<size_t>(row * batch.source.size(1))] - 100);
  }
  return rows;
}

std::vector<Rows> epoch_of(Batches& batches) {
  std::vector<Rows> all;
  for (int64_t i = 0; i < batches.per_epoch(); ++i) all.push_back(rows_of(batches.next()));
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("batches: rows side by side, filled up") {
  const Batch batch = make_batch({{{7, 8, 9}, {5}}, {{7}, {5, 6}}}, {0, 1});
  CHECK(batch.source.to_vector<int64_t>() == Ids{7, 8, 9, 7, 0, 0});
  CHECK(batch.source_lengths.to_vector<int64_t>() == Ids{3, 1});
  CHECK(batch.given.to_vector<int64_t>() == Ids{1, 5, 0, 1, 5, 6});
  CHECK(batch.wanted.to_vector<int64_t>() == Ids{5, 2, 0, 5, 6, 2});
}

TEST_CASE("batches: columns of padding alone are cut off") {
  const Batch batch = make_batch({{{7, 8, 9}, {5}}, {{7}, {5, 6}}}, {0, 1});
  const Batch wide = {pad(batch.source, {0, 2}), batch.source_lengths, pad(batch.given, {0, 3}),
                      pad(batch.wanted, {0, 3})};
  const Batch cut = trimmed(wide);
  CHECK(cut.source.shape() == Shape{2, 3});
  CHECK(cut.given.shape() == Shape{2, 3});
  CHECK(cut.source.to_vector<int64_t>() == batch.source.to_vector<int64_t>());
  CHECK(cut.given.to_vector<int64_t>() == batch.given.to_vector<int64_t>());
  CHECK(cut.wanted.to_vector<int64_t>() == batch.wanted.to_vector<int64_t>());
}

TEST_CASE("batches: every pair once an epoch, each epoch in another order") {
  for (const int64_t count : {1, 2, 3, 7, 64, 500, 1000}) {
    CAPTURE(count);
    Batches batches(numbered(count), 8, 3);
    std::set<std::vector<Rows>> orders;
    for (int epoch = 0; epoch < 3; ++epoch) {
      const std::vector<Rows> all = epoch_of(batches);
      Rows seen;
      for (const Rows& rows : all) {
        CHECK(rows.size() <= 8);
        seen.insert(seen.end(), rows.begin(), rows.end());
      }
      std::sort(seen.begin(), seen.end());
      REQUIRE(seen.size() == static_cast<size_t>(count));
      for (int64_t i = 0; i < count; ++i) CHECK(seen[static_cast<size_t>(i)] == i);
      orders.insert(all);
    }
    if (count > 7) CHECK(orders.size() == 3);
  }
}

TEST_CASE("batches: the order depends on the seed and the epoch alone") {
  Batches batches(numbered(300), 4, 3), again(numbered(300), 4, 3), other(numbered(300), 4, 4);
  const std::vector<Rows> first = epoch_of(batches), second = epoch_of(batches);
  CHECK(epoch_of(again) == first);
  CHECK(epoch_of(other) != first);
  again.resume({1, 0});
  CHECK(epoch_of(again) == second);
}

TEST_CASE("batches: the same batches follow from any position") {
  constexpr int64_t size = 4;
  Batches batches(numbered(515), size, 9);  // 129 batches: four draws of 32, and one of 1
  std::vector<Batches::Position> positions;
  std::vector<Rows> all;
  for (int64_t i = 0; i < 2 * batches.per_epoch() + 5; ++i) {
    positions.push_back(batches.position());
    all.push_back(rows_of(batches.next()));
  }
  CHECK(positions[0] == Batches::Position{0, 0});
  CHECK(positions[130] == Batches::Position{1, 1});
  for (size_t i = 0; i + 3 < positions.size(); i += 3) {
    CAPTURE(i);
    Batches resumed(numbered(515), size, 9);
    resumed.next();  // whatever came before does not matter
    resumed.resume(positions[i]);
    CHECK(resumed.position() == positions[i]);
    for (size_t j = i; j < std::min(i + 3, all.size()); ++j) {
      CHECK(rows_of(resumed.next()) == all[j]);
    }
  }
  CHECK_THROWS_AS(batches.resume({0, 129}), Error);
  CHECK_THROWS_AS(batches.resume({-1, 0}), Error);
  CHECK_THROWS_AS(batches.resume({0, -1}), Error);
}

TEST_CASE("batches: like lengths share a batch") {
  Batches batches(numbered(2000), 16, 1);
  int64_t places = 0, tokens = 0;
  for (int64_t i = 0; i < batches.per_epoch(); ++i) {
    const Batch batch = batches.next();
    places += batch.source.numel();
    for (const int64_t length : batch.source_lengths.to_vector<int64_t>()) tokens += length;
  }
  // Lengths are even from 1 to 20: in random order, 47 % would be padding.
  CHECK(static_cast<double>(places - tokens) < 0.1 * static_cast<double>(places));
}

TEST_CASE("batches: pairs are asked for when they are needed") {
  int64_t asked = 0;
  const std::vector<EncodedPair> pairs = numbered(1000);
  Batches batches(
      1000,
      [&](int64_t i) {
        ++asked;
        return pairs[static_cast<size_t>(i)];
      },
      4, 9);
  Batches held(pairs, 4, 9);
  CHECK(asked == 0);
  CHECK(rows_of(batches.next()) == rows_of(held.next()));
  CHECK(asked == 32 * 4);
  CHECK(epoch_of(batches) == epoch_of(held));
}

TEST_CASE("batches: refusals") {
  CHECK_THROWS_AS(Batches({}, 4, 1), Error);
  CHECK_THROWS_AS(Batches(numbered(3), 0, 1), Error);
}

TEST_SUITE_END();

}  // namespace regrad::example
