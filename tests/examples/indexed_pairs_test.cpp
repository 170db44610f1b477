#include "examples/text/indexed_pairs.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "autograd/error.h"
#include "examples/text/batches.h"
#include "tests/examples/memory.h"

namespace regrad::example {
namespace {

// A file with as many pairs of about 40 bytes, gone when the test ends.
class PairFile {
 public:
  explicit PairFile(int count)
      : path_((std::filesystem::temp_directory_path() /
               ("regrad_indexed_" + std::to_string(getpid()) + ".tsv"))
                  .string()) {
    std::ofstream file(path_, std::ios::binary);
    file << "\xEF\xBB\xBF";
    for (int i = 0; i < count; ++i) {
      file << "the source number " << i / 3 << "\tla cible numéro " << i
           << (i % 7 == 0 ? "\tnoted\r\n" : "\n");
    }
  }
  ~PairFile() { std::filesystem::remove(path_); }
  PairFile(const PairFile&) = delete;
  PairFile& operator=(const PairFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<Pair> all_of(IndexedPairs& pairs) {
  std::vector<Pair> all;
  for (int64_t i = 0; i < pairs.size(); ++i) all.push_back(pairs.at(i));
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("indexed pairs: the split of the whole file, pair by pair in any order") {
  const PairFile file(1000);
  const Split expected = split(read_pairs(file.path()), 0.2, 5);
  IndexedSplit parts(file.path(), {0.2, 5});
  CHECK(all_of(parts.train) == expected.train);
  CHECK(all_of(parts.held_out) == expected.held_out);
  for (int64_t i = parts.train.size() - 1; i >= 0; i -= 3) {
    CHECK(parts.train.at(i) == expected.train[static_cast<size_t>(i)]);
    const int64_t other = i * 37 % parts.held_out.size();
    CHECK(parts.held_out.at(other) == expected.held_out[static_cast<size_t>(other)]);
  }
  CHECK_THROWS_AS(parts.train.at(-1), Error);
  CHECK_THROWS_AS(parts.train.at(parts.train.size()), Error);
}

TEST_CASE("indexed pairs: the first so many") {
  const PairFile file(100);
  IndexedSplit some(file.path(), {0, 0, 10});
  CHECK(some.train.size() == 10);
  CHECK(some.held_out.size() == 0);
  CHECK(some.train.at(9).target == "la cible numéro 9");
}

TEST_CASE("indexed pairs: a file that changed, and what is no file") {
  const PairFile file(100);
  IndexedSplit parts(file.path(), {});
  std::filesystem::resize_file(file.path(), 400);
  CHECK_THROWS_AS(parts.train.at(90), Error);
  CHECK_THROWS_WITH_AS(IndexedSplit("/dev/null", {}),
                       doctest::Contains("/dev/null: this is a pipe or a device"), Error);
  CHECK_THROWS_WITH_AS(IndexedSplit("/no/such/file", {}),
                       doctest::Contains("cannot be read: No such file"), Error);
  CHECK_THROWS_AS(IndexedSplit(file.path(), {2.0}), Error);
}

TEST_CASE("indexed pairs: memory does not grow with the file but for a byte a pair") {
  constexpr int count = 40'000;
  const PairFile file(count);
  REQUIRE(std::filesystem::file_size(file.path()) > 1'500'000);
  const auto held_while = [&](const auto& work) {
    const size_t before = held_bytes();
    forget_peak();
    work();
    return peak_bytes() - before;
  };
  const size_t whole = held_while([&] { read_pairs(file.path()); });
  const size_t indexed = held_while([&] {
    IndexedSplit parts(file.path(), {0.1, 1});
    Batches batches(
        parts.train.size(),
        [&](int64_t i) {
          const Pair pair = parts.train.at(i);
          return EncodedPair{{static_cast<int64_t>(pair.source.size())}, {4}};
        },
        8, 1);
    for (int i = 0; i < 50; ++i) batches.next();
  });
  // The places of 36,000 and 4,000 pairs, 1 byte each, at most doubled twice while they grow; two
  // buffers; 256 pairs. Measured: 0.13 MB.
  CAPTURE(whole);
  CAPTURE(indexed);
  CHECK(indexed < 250'000);
  CHECK(whole > 2'000'000);  // so the count counts
}

TEST_SUITE_END();

}  // namespace regrad::example
