#include "examples/report/report.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "examples/report/snapshots.h"

namespace regrad::example {
namespace {

struct Folder {
  std::string path =
      std::filesystem::temp_directory_path() / ("regrad-report-" + std::to_string(getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string read(const std::string& name) const {
    std::ifstream file(path + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

std::vector<std::string> outputs(const std::vector<Example>& examples) {
  std::vector<std::string> result;
  for (const Example& example : examples) result.push_back(example.output);
  return result;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("report: the best and the worst examples, none in both") {
  Report report;
  const std::vector<Example> all = {{"", "b", "", 20},
                                    {"", "e", "", 90},
                                    {"", "a", "", 20},
                                    {"", "d", "", 50},
                                    {"", "c", "", 30}};
  set_examples(report, all, 2);
  CHECK(outputs(report.worst) == Texts{"b", "a"});
  CHECK(outputs(report.best) == Texts{"e", "d"});
  set_examples(report, all, 4);
  CHECK(outputs(report.worst) == Texts{"b", "a", "c", "d"});
  CHECK(outputs(report.best) == Texts{"e"});
  set_examples(report, {}, 4);
  CHECK(report.worst.empty());
}

TEST_CASE("report: similarity counts edits of code points") {
  CHECK(similarity("", "") == 100);
  CHECK(similarity("abc", "abc") == 100);
  CHECK(similarity("", "abc") == 0);
  CHECK(similarity("abc", "xyz") == 0);
  CHECK(similarity("kitten", "sitting") == doctest::Approx(100.0 * 4 / 7));
  CHECK(similarity("été", "ete") == doctest::Approx(100.0 / 3));
}

TEST_CASE("report: the files of a run") {
  const Folder folder;
  Report report;
  report.title = "run";
  report.curves = {{"train loss", "nats", {{1, 2.5}, {3, 0.125}}}, {"a\tb", "%", {{2, 50}}}};
  write_report(folder.path, report);
  CHECK(folder.read("curves.tsv") == "step\ttrain_loss\ta\\x09b\n1\t2.5\t\n2\t\t50\n3\t0.125\t\n");
  CHECK(folder.read("report.html").starts_with("<!doctype html>"));
  CHECK_FALSE(std::filesystem::exists(folder.path + "/attention.svg"));
  report.maps = {{{"a"}, {"x"}, {1}, ""}};
  write_report(folder.path, report);
  CHECK(folder.read("attention.svg").starts_with("<svg "));
}

TEST_CASE("report: the sentences to watch are of middling length and come from all over") {
  CHECK(sentences_to_watch({}, 3).empty());
  CHECK(sentences_to_watch({"a"}, 3) == Texts{"a"});
  CHECK(sentences_to_watch({"a", "bbbb", "ccc", "d", "eeeeeeee", "fff"}, 2) == Texts{"ccc", "fff"});
}

TEST_SUITE_END();

}  // namespace regrad::example
