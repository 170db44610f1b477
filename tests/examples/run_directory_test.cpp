#include "examples/runs/run_directory.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "examples/attention/defaults.h"
#include "examples/attention/translator.h"
#include "examples/runs/checksum.h"
#include "examples/runs/events.h"
#include "ops/ops.h"
#include "tests/errors.h"

namespace {

using namespace regrad;
using namespace regrad::example;
using nn::files::crc32c;

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

Config example_config() {
  Config config;
  config.options = with_defaults({}, {"date", {}, {}, Tokeniser::character});
  return config;
}

std::string text_of(Config config) { return config_text(settings_of(config)); }

Config config_of(const std::string& text) {
  Config config;
  read_config(text, settings_of(config));
  return config;
}

Config config_in(const RunDirectory& directory) {
  Config config;
  directory.read_config(settings_of(config));
  return config;
}

TEST_CASE("config: read strictly") {
  Config config = example_config();
  config.options.seed = ~uint64_t{0};
  config.options.label_smoothing = 0.1;
  config.options.data = "a \"b\".tsv";
  const std::string text = text_of(config);
  CHECK(text_of(config_of(text)) == text);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
  };
  CHECK_ERROR(config_of("[]"), "not a JSON object");
  CHECK_ERROR(config_of("{"), "not a JSON object");
  CHECK_ERROR(config_of(std::string(60000, '[')), "options are texts and numbers");
  CHECK_ERROR(config_of("{}"), "\"program\" is missing");
  CHECK_ERROR(config_of(with("\"hidden\": 64", "\"hidden\": 64.5")), "an integer");
  CHECK_ERROR(config_of(with("\"hidden\": 64", "\"hidden\": 0")), "from 1 to 4096");
  CHECK_ERROR(config_of(with("\"hidden\": 64", "\"hiden\": 64")), "\"hidden\" is missing");
  CHECK_ERROR(config_of(with("{", "{\"more\": 1,")), "\"more\" is not known");
  CHECK_ERROR(config_of(with("\"tie_output\": false", "\"tie_output\": 0")), "true or false");
  CHECK_ERROR(config_of(with("\"cosine\"", "\"\\u001b[2J\"")), "must be one of");
  CHECK_ERROR(config_of(with("attention 4", "attention 3")), "must be one of regrad attention 4");
}

TEST_CASE("checkpoints: the newest and the best are kept, and pointed to") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  for (int64_t step = 1; step <= 6; ++step) {
    directory.save(step, {{"a", full({3}, static_cast<double>(step))}}, {}, step == 2, 2);
  }
  CHECK(directory.steps() == std::vector<int64_t>{6, 5, 2});
  CHECK(bytes_of(folder.path + "/last") == "checkpoint-6.safetensors\n");
  CHECK(directory.best().step == 2);
}

// Each byte of the file changed in turn, in three ways; then it is as it was.
template <class F>
void flip_each(const std::string& path, F check_it) {
  const std::string whole = bytes_of(path);
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int bits : {1, 0x20, 0x80}) {
      std::string broken = whole;
      broken[i] = static_cast<char>(broken[i] ^ bits);
      put(path, broken);
      INFO("byte ", i, " of ", path, " changed by ", bits);
      check_it();
    }
  }
  put(path, whole);
}

TEST_CASE("checkpoints: any flipped byte is found, and the one before is used") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  directory.save(1, {{"a", full({4}, 1)}}, {}, true, 3);
  directory.save(2, {{"a", full({4}, 2)}, {"b", zeros({2}, {.dtype = int64})}}, {{"x", "y"}}, false,
                 3);
  const std::string path = folder.path + "/checkpoint-2.safetensors";
  flip_each(path, [&] {
    std::string said;
    CHECK(directory.newest([&](const std::string& line) { said += line; }).step == 1);
    CHECK(said.find(path) != std::string::npos);
  });
  CHECK(directory.newest([](const std::string&) {}).step == 2);
  flip_each(folder.path + "/best", [&] { CHECK_THROWS_AS(directory.best(), Error); });
  put(folder.path + "/best", "checkpoint-2.safetensors\n");
  CHECK_ERROR(directory.best(), "was not the best");
  put(folder.path + "/best", std::string(1000, 'x'));
  CHECK_ERROR(directory.best(), "at most 256");
}

TEST_CASE("checkpoints: one without a checksum is damaged") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  nn::save_safetensors(folder.path + "/checkpoint-1.safetensors", {{"a", ones({4})}});
  put(folder.path + "/best", "checkpoint-1.safetensors\n");
  CHECK_ERROR(directory.best(), "damaged");
}

TEST_CASE("metrics: any flipped byte is found") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  CHECK(directory.metrics().empty());
  directory.write("metrics.csv", metrics_table({{3, 0, 0.1, 1, 1, 0.005, 1.5, 20},
                                                {6, 1, 1.0 / 3, 2.5, 0.25, 0.001, 3, 21}}));
  CHECK(directory.metrics().size() == 2);
  flip_each(folder.path + "/metrics.csv", [&] { CHECK_ERROR(directory.metrics(), "damaged"); });
}

TEST_CASE("config and weights: any flipped byte is found") {
  const Folder folder;
  RunDirectory directory(folder.path);
  Config config = example_config();
  directory.begin(settings_of(config));
  flip_each(folder.path + "/config.json",
            [&] { CHECK_ERROR(config_in(directory), "config.json: "); });
  CHECK(config_in(directory).options.hidden == 64);
  Generator generator(3);
  const Vocabulary letters({"ab", "ba"}, Tokeniser::character);
  const std::string path = folder.path + "/weights.safetensors";
  Translator(letters, letters,
             {.score = "dot",
              .embedding = 2,
              .hidden = 2,
              .layers = 1,
              .dropout = 0,
              .longest_source = 2,
              .longest_target = 2},
             generator)
      .save(path);
  CHECK(Translator::load(path).source() == letters);
  flip_each(path, [&] { CHECK_ERROR(Translator::load(path), path); });
}

TEST_CASE("config: without the checksum, as a person may write it, it is read") {
  std::string text = text_of(example_config());
  const size_t digit = text.find("\"hidden\": 64") + 10;
  text[digit] = '3';
  CHECK_ERROR(config_of(text), "damaged or edited");
  const size_t checksum = text.find(",\n  \"checksum\"");
  text.erase(checksum, text.find("\n}", checksum) - checksum);
  CHECK(config_of(text).options.hidden == 34);
}

TEST_CASE("a run locks its folder, also where it moves another aside") {
  const Folder folder;
  const std::string path = folder.path + "/run";
  std::filesystem::create_directory(path);
  RunDirectory first(path), second(path);
  first.lock();
  CHECK_ERROR(second.lock(), "another run is writing into this folder");
  first.save(1, {{"a", ones({1})}}, {}, true, 3);
  Config config;
  CHECK(first.set_aside(settings_of(config)) == path + ".1");
  CHECK_ERROR(second.lock(), "another run");
  CHECK_ERROR(RunDirectory(folder.path + "/./run/").lock(), "another run");
  { const RunDirectory ended = std::move(first); }
  second.lock();
  RunDirectory aside(path + ".1");
  aside.lock();
  std::filesystem::create_symlink("/dev/null", folder.path + "/.lock");
  CHECK_ERROR(RunDirectory(folder.path).lock(), ".lock: cannot be opened");
}

TEST_CASE("what is read of a run is a file, and not too large") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  const std::string config = folder.path + "/config.json";
  put(config, std::string(100000, ' '));
  CHECK_ERROR(config_in(directory), "at most 65536 are read");
  for (const char* name : {"config.json", "best", "metrics.csv", "checkpoint-1.safetensors"}) {
    const std::string path = folder.path + "/" + name;
    std::filesystem::remove(path);
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);  // opened for reading, it would never return
  }
  CHECK_ERROR(config_in(directory), "not a regular file");
  CHECK_ERROR(directory.best(), "not a regular file");
  CHECK_ERROR(directory.metrics(), "not a regular file");
  CHECK_ERROR(checksum_of(config), "not a regular file");
  std::string said;
  CHECK(directory.newest([&](const std::string& line) { said = line; }).step == -1);
  CHECK(said.find("not a regular file") != std::string::npos);
}

TEST_SUITE_END();

}  // namespace
