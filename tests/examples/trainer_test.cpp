#include "examples/attention/trainer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "examples/attention/defaults.h"
#include "ops/ops.h"
#include "tests/errors.h"

namespace {

using namespace regrad;
using namespace regrad::example;

TEST_SUITE_BEGIN("trainer");

// A small run on dates in a folder of its own.
struct Run {
  std::string path = (std::filesystem::temp_directory_path() / "regrad-XXXXXX").string();
  Task task;
  TrainOptions options;
  Generator generator{1};
  Translator translator;
  Batches batches;
  RunDirectory directory;
  Trainer trainer;
  volatile int stop = 0;

  explicit Run(int64_t hidden = 8, const std::string& score = "additive", int64_t accumulate = 1)
      : Run(small(hidden, score, accumulate), 4) {}
  Run(const TrainOptions& given, int64_t steps)
      : task(read_task(given)),
        options(with_defaults(given, task)),
        translator(make_translator(options, task, generator)),
        batches(make_batches(options, task, 7)),
        directory(mkdtemp(path.data())),
        trainer(options, translator, batches, task, steps, directory) {}
  ~Run() { std::filesystem::remove_all(path); }

  static TrainOptions small(int64_t hidden, const std::string& score, int64_t accumulate) {
    TrainOptions options;
    options.pairs = 40;
    options.embedding = 4;
    options.hidden = hidden;
    options.score = score;
    options.batch = 8 / accumulate;
    options.accumulate = accumulate;
    options.save_every = 1;
    return options;
  }

  Tensor parameter(const std::string& name) {
    return nn::named_parameters(translator.model()).at(name);
  }
  static void quiet(const std::string&) {}
};

TEST_CASE("a parameter that is not a number is named, and nothing is saved over") {
  Run run;
  run.directory.save(0, {{"good", zeros({1})}}, {}, true, 3);
  {
    const NoGrad guard;
    run.parameter("output.bias").fill_(std::numeric_limits<double>::quiet_NaN());
  }
  CHECK_ERROR(run.trainer.run(run.stop), "at step 1 the loss is nan");
  CHECK_ERROR(run.trainer.run(run.stop), "the parameter output.bias is not finite");
  CHECK(run.directory.steps() == std::vector<int64_t>{0});
}

TEST_CASE("the op that first went beyond all numbers is named") {
  Run run;
  {
    const NoGrad guard;
    run.parameter("readout.bias").fill_(100);  // so that all that the output reads is 1
    run.parameter("output.weight").fill_(3e38);
    run.parameter("output.bias").fill_(3.4e38);
  }
  const std::string text = error_of([&] { run.trainer.run(run.stop); });
  CHECK_MESSAGE(text.find("from finite inputs") != text.npos, text);
  CHECK(run.directory.steps().empty());
}

TEST_CASE("a checkpoint of another architecture is refused whole") {
  Run run, other(6, "dot");
  run.trainer.run(run.stop);
  const auto found = run.directory.newest(Run::quiet);
  REQUIRE(found.step == 4);
  const std::vector<float> before = other.parameter("decoder.weight_hh").to_vector<float>();
  const std::string text = error_of([&] { other.trainer.resume(found); });
  for (const char* part : {"checkpoint-4.safetensors: ", "not in the model: score.",
                           "wrong shape: decoder.weight_hh is", "wrong shape: readout.weight is"}) {
    CHECK_MESSAGE(text.find(part) != text.npos, text);
  }
  CHECK(other.parameter("decoder.weight_hh").to_vector<float>() == before);
  Run fuller(8, "additive"), poorer(8, "dot");
  poorer.trainer.run(poorer.stop);
  CHECK_ERROR(fuller.trainer.resume(poorer.directory.newest(Run::quiet)), "missing: score.");
}

TEST_CASE("gradients of the batches of a step are averaged") {
  Run parts(8, "additive", 4);
  parts.trainer.run(parts.stop);
  CHECK(parts.trainer.state().step == 4);
  // 36 pairs in batches of 2: 16 batches of 18 were used.
  CHECK(parts.trainer.state().position.index +
            parts.batches.per_epoch() * parts.trainer.state().position.epoch ==
        16);
  CHECK(std::isfinite(parts.trainer.metrics().back().train_loss));
}

TEST_CASE("a checkpoint of another version is refused") {
  Run run;
  run.trainer.run(run.stop);
  auto found = run.directory.newest(Run::quiet);
  found.file.metadata["program"] = "regrad attention 3";
  CHECK_ERROR(run.trainer.resume(found),
              "it was written by \"regrad attention 3\"; it must be \"regrad attention 4\"");
}

TEST_CASE("schedules: rise, then fall or stay") {
  const auto lr = [](const std::string& schedule, int64_t step, int64_t warmup) {
    TrainOptions options;
    options.schedule = schedule;
    options.warmup = warmup;
    const Tensor parameter = zeros({1}, {.requires_grad = true});
    optim::Adam adam({parameter}, {.lr = 1});
    make_schedule(options, adam, 100).set_steps(step);
    return adam.lr();
  };
  CHECK(lr("cosine", 0, -1) == doctest::Approx(0.2));
  CHECK(lr("cosine", 4, -1) == 1);
  CHECK(lr("cosine", 99, -1) > 0);
  CHECK(lr("cosine", 99, -1) < 0.001);
  CHECK(lr("cosine", 99, 200) == doctest::Approx(0.5));
  CHECK(lr("constant", 50, 10) == 1);
  CHECK(lr("constant", 0, 0) == 1);
  CHECK(lr("inverse-sqrt", 39, 10) == doctest::Approx(0.5));
}

TEST_CASE("patience ends a run whose held-out loss does not fall") {
  TrainOptions given = Run::small(8, "additive", 1);
  given.patience = 1;
  given.lr = 1e-9;
  Run run(given, 4);
  run.trainer.run(run.stop);
  CHECK(run.trainer.state().step >= 1);
  CHECK(run.directory.best().step >= 1);
}

TEST_CASE(
    "a run that is asked to ends where it makes no more mistakes, after a quarter of its steps") {
  const std::string path = (std::filesystem::temp_directory_path() / "regrad_solved.tsv").string();
  {
    std::ofstream file(path);
    for (int i = 0; i < 60; ++i) file << "word" << i << "\tx\n";
  }
  TrainOptions given = Run::small(8, "additive", 1);
  given.data = path;
  given.lr = 0.01;
  for (const bool until_solved : {true, false}) {
    Run run(given, 200);
    run.options.until_solved = until_solved;
    run.trainer.run(run.stop);
    CHECK(run.trainer.metrics().back().accuracy == 1);
    const int64_t steps = run.trainer.state().step;
    CHECK((until_solved ? steps >= 50 && steps < 200 : steps == 200));
    CHECK(run.trainer.is_solved() == until_solved);
  }
  std::filesystem::remove(path);
}

TEST_SUITE_END();

}  // namespace
