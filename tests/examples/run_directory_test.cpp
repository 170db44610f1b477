#include "examples/runs/run_directory.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "examples/attention/defaults.h"
#include "examples/attention/trainer.h"
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

TEST_CASE("config: read strictly") {
  Config config = {with_defaults({}, {"date", {}, {}, Tokeniser::character}), {}};
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

TEST_CASE("checkpoints: those with a checksum for each tensor are still read") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  const Tensor a = full({4}, 1);
  const std::string sum = fmt::format("{:08x}", crc32c(nn::files::bytes_of(a)));
  nn::save_safetensors(folder.path + "/checkpoint-1.safetensors", {{"a", a}}, {{"crc32c a", sum}});
  put(folder.path + "/best", "checkpoint-1.safetensors\n");
  CHECK(directory.best().step == 1);
  nn::save_safetensors(folder.path + "/checkpoint-1.safetensors", {{"a", zeros({4})}},
                       {{"crc32c a", sum}});
  CHECK_ERROR(directory.best(), "damaged");
  nn::save_safetensors(folder.path + "/checkpoint-1.safetensors", {{"a", a}});
  CHECK_ERROR(directory.best(), "damaged");
}

TEST_CASE(
    "metrics: any flipped byte is found, and a file from before there were checksums is read") {
  const Folder folder;
  const RunDirectory directory(folder.path);
  CHECK(directory.metrics().empty());
  directory.write("metrics.csv", metrics_table({{3, 0, 0.1, 1, 1, 0.005, 1.5, 20},
                                                {6, 1, 1.0 / 3, 2.5, 0.25, 0.001, 3, 21}}));
  CHECK(directory.metrics().size() == 2);
  flip_each(folder.path + "/metrics.csv", [&] { CHECK_ERROR(directory.metrics(), "damaged"); });
  put(folder.path + "/metrics.csv",
      "step,epoch,train_loss,held_out_loss,accuracy,rate,seconds,tokens_per_second\n"
      "3,0,0.5,,,0.005,1.500,20\n");
  CHECK(directory.metrics().size() == 1);
}

TEST_CASE("config and weights: any flipped byte is found") {
  const Folder folder;
  RunDirectory directory(folder.path);
  directory.begin({with_defaults({}, {"date", {}, {}, Tokeniser::character}), {}});
  flip_each(folder.path + "/config.json",
            [&] { CHECK_ERROR(directory.config(), "config.json: "); });
  CHECK(directory.config().options.hidden == 64);
  Generator generator(3);
  const Vocabulary letters({"ab", "ba"}, Tokeniser::character);
  const std::string path = folder.path + "/weights.safetensors";
  Translator(letters, letters,
             {.score = "dot",
              .embedding = 2,
              .hidden = 2,
              .longest_source = 2,
              .longest_target = 2,
              .layers = 1},
             generator)
      .save(path);
  CHECK(Translator::load(path).source() == letters);
  flip_each(path, [&] { CHECK_ERROR(Translator::load(path), path); });
}

TEST_CASE("config: a run from before an option or the checksum is read") {
  std::string text = config_text({with_defaults({}, {"date", {}, {}, Tokeniser::character}), {}});
  const auto cut = [&](const std::string& from, const std::string& to) {
    const size_t begin = text.find(from);
    text.erase(begin, text.find(to, begin) - begin);
  };
  cut("  \"max_length\"", "  \"data_bytes\"");
  CHECK_ERROR(read_config(text), "damaged or edited");
  cut(",\n  \"checksum\"", "\n}");
  CHECK(read_config(text).options.max_length == 0);
}

TEST_CASE("a run locks its folder, also where it moves another aside") {
  const Folder folder;
  const std::string path = folder.path + "/run";
  std::filesystem::create_directory(path);
  RunDirectory first(path), second(path);
  first.lock();
  CHECK_ERROR(second.lock(), "another run is writing into this folder");
  first.save(1, {{"a", ones({1})}}, {}, true, 3);
  CHECK(first.set_aside() == path + ".1");
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
  CHECK_ERROR(directory.config(), "at most 65536 are read");
  for (const char* name : {"config.json", "best", "metrics.csv", "checkpoint-1.safetensors"}) {
    const std::string path = folder.path + "/" + name;
    std::filesystem::remove(path);
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);  // opened for reading, it would never return
  }
  CHECK_ERROR(directory.config(), "not a regular file");
  CHECK_ERROR(directory.best(), "not a regular file");
  CHECK_ERROR(directory.metrics(), "not a regular file");
  CHECK_ERROR(mark_of(config), "not a regular file");
  std::string said;
  CHECK(directory.newest([&](const std::string& line) { said = line; }).step == -1);
  CHECK(said.find("not a regular file") != std::string::npos);
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
