#include "examples/attention/task.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "examples/attention/defaults.h"

namespace {

using namespace regrad;
using namespace regrad::example;

TEST_SUITE_BEGIN("examples");

TEST_CASE("a task that is streamed from its file is the task that is held in memory") {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("regrad_task_" + std::to_string(getpid())))
          .string();
  {
    std::ofstream file(path);
    for (int i = 0; i < 700; ++i) {
      file << "the number " << i << " is given\tle nombre " << i * i << " est pris\n";
    }
  }
  TrainOptions given;
  given.data = path;
  given.pairs = 600;
  given.batch = 7;
  given.embedding = given.hidden = 4;
  Task held = read_task(given), streamed = read_task(given, 0);
  const TrainOptions options = with_defaults(given, held);
  CHECK(with_defaults(given, streamed).steps == options.steps);
  CHECK(streamed.tokeniser == held.tokeniser);
  CHECK(streamed.held_out == held.held_out);
  REQUIRE(streamed.train.count == held.train.count);
  CHECK(streamed.train.count + static_cast<int64_t>(streamed.held_out.size()) == 600);

  Generator generator(1), again(1);
  const Translator one = make_translator(options, held, generator);
  const Translator other = make_translator(options, streamed, again);
  CHECK(one.source() == other.source());
  CHECK(one.target() == other.target());
  CHECK(one.metadata() == other.metadata());
  for (int64_t i = 0; i < held.train.count; ++i) {
    const Pair pair = held.train.text(i);
    CHECK(held.train.ids(i).source == one.source().encode(pair.source));
    CHECK(held.train.ids(i).target == one.target().encode(pair.target));
  }
  Batches from_memory = make_batches(options, held, 5);
  Batches from_file = make_batches(options, streamed, 5);
  for (int64_t i = 0; i < 2 * from_memory.per_epoch(); ++i) {
    const Batch a = from_memory.next(), b = from_file.next();
    CHECK(a.source.to_vector<int64_t>() == b.source.to_vector<int64_t>());
    CHECK(a.wanted.to_vector<int64_t>() == b.wanted.to_vector<int64_t>());
  }
  std::filesystem::remove(path);
}

TEST_SUITE_END();

}  // namespace
