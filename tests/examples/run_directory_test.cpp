#include "examples/attention/run_directory.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "examples/attention/checksum.h"
#include "examples/attention/events.h"
#include "examples/attention/learning.h"
#include "ops/ops.h"
#include "examples/attention/defaults.h"
#include "tests/errors.h"

namespace {

using namespace regrad;
using namespace regrad::example;

TEST_SUITE_BEGIN("run directory");

struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "regrad-XXXXXX").string();
  Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
};

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_CASE("checksum: CRC-32C of RFC 3720") {
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c("6789", crc32c("12345")) == 0xE3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
}

TEST_CASE("events: a record as TensorFlow writes it") {
  // tf.io.TFRecordWriter of b"abc"
  const std::string record = event_record("abc");
  REQUIRE(record.size() == 8 + 4 + 3 + 4);
  CHECK(record.substr(0, 8) == std::string("\3\0\0\0\0\0\0\0", 8));
  const uint32_t sum = crc32c("abc");
  const uint32_t masked = ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
  for (size_t i = 0; i < 4; ++i) {
    CHECK(static_cast<unsigned char>(record[15 + i]) == (masked >> (8 * i) & 255));
  }
}

TEST_CASE("events: a scalar as protobuf") {
  const std::string event = scalar_event(0, 300, {{"x", 0.5}, {"left out", std::nan("")}});
  const std::string expected = std::string("\x09\0\0\0\0\0\0\0\0", 9) + "\x10\xac\x02" +
                               "\x2a\x0a" + "\x0a\x08" + "\x0a\x01x" +
                               std::string("\x15\0\0\0\x3f", 5);
  CHECK(event == expected);
}

TEST_CASE("metrics: what is written is read, and no more") {
  const std::vector<Metrics> rows = {{3, 0, 0.1, std::nan(""), std::nan(""), 0.005, 1.5, 20},
                                     {6, 1, 1.0 / 3, 2.5, 0.25, 0.001, 3, 21}};
  const std::string text = metrics_table(rows);
  CHECK(metrics_table(read_metrics(text)) == text);
  CHECK(read_metrics(text)[1].train_loss == 1.0 / 3);
  CHECK(read_metrics(text + "7,x").size() == 2);
  CHECK(read_metrics("").empty());
}

TEST_CASE("config: read strictly") {
  Config config = {with_defaults({}, {"date", {}, Tokeniser::character}), {}};
  config.options.seed = ~uint64_t{0};
  config.options.label_smoothing = 0.1;
  config.options.data = "a \"b\".tsv";
  const std::string text = config_text(config);
  CHECK(config_text(read_config(text)) == text);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
  };
  CHECK_ERROR(read_config("[]"), "not a JSON object");
  CHECK_ERROR(read_config("{"), "not a JSON object");
  CHECK_ERROR(read_config(std::string(60000, '[')), "options are texts and numbers");
  CHECK_ERROR(read_config("{}"), "\"data\" is missing");
  CHECK_ERROR(read_config(with("\"hidden\": 64", "\"hidden\": 64.5")), "whole number");
  CHECK_ERROR(read_config(with("\"hidden\": 64", "\"hidden\": 0")), "from 1 to 4096");
  CHECK_ERROR(read_config(with("\"hidden\": 64", "\"hiden\": 64")), "\"hidden\" is missing");
  CHECK_ERROR(read_config(with("{", "{\"more\": 1,")), "\"more\" is not known");
  CHECK_ERROR(read_config(with("\"tie_output\": false", "\"tie_output\": 0")), "true or false");
  CHECK_ERROR(read_config(with("\"cosine\"", "\"\\u001b[2J\"")), "must be one of");
}

TEST_CASE("checkpoints: the newest and the best are kept, and pointed to") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  for (int64_t step = 1; step <= 6; ++step) {
    directory.save(step, {{"a", full({3}, static_cast<double>(step))}}, {}, step == 2, 2);
  }
  CHECK(directory.steps() == std::vector<int64_t>{6, 5, 2});
  CHECK(directory.read("last") == "checkpoint-6.safetensors\n");
  CHECK(directory.best().step == 2);
}

TEST_CASE("checkpoints: any flipped byte is found, and the one before is used") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  directory.save(1, {{"a", full({4}, 1)}}, {}, true, 3);
  directory.save(2, {{"a", full({4}, 2)}, {"b", zeros({2}, {.dtype = int64})}}, {}, false, 3);
  const std::string path = folder.path + "/checkpoint-2.safetensors", whole = bytes_of(path);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string broken = whole;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    put(path, broken);
    std::string said;
    const auto found = directory.newest([&](const std::string& line) { said += line; });
    CHECK((found.step == 1) == (said.find(path) != std::string::npos));
    if (found.step == 1) continue;
    // Not found: then it is a place that says nothing, and what was read is what was written.
    CHECK(found.file.tensors.at("a").to_vector<float>() == std::vector<float>(4, 2));
    CHECK(found.file.tensors.at("b").to_vector<int64_t>() == std::vector<int64_t>(2, 0));
  }
}

TEST_CASE("schedules: rise, then fall or stay") {
  CHECK(rate_factor("cosine", 0, -1, 100) == doctest::Approx(0.1));
  CHECK(rate_factor("cosine", 99, -1, 100) < 0.001);
  CHECK(rate_factor("constant", 50, 10, 100) == 1);
  CHECK(rate_factor("constant", 0, 0, 100) == 1);
  CHECK(rate_factor("inverse-sqrt", 39, 10, 100) == doctest::Approx(std::sqrt(10 / 39.5)));
}

TEST_SUITE_END();

}  // namespace
